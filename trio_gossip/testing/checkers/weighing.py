"""Rules of what is believed of a claim: as much as it proves, and nothing that cannot be."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from trio_gossip.codec.messages import Alive, Suspect
from trio_gossip.members import (
    ALIVE_JUMP_MAX,
    FIRST_INCARNATION_MAX,
    INCARNATION_JUMP_MAX,
    OWN_JUMP_MAX,
    MemberState,
)
from trio_gossip.testing.checkers.answers import first_claims
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import (
    cases_of,
    engine_time,
    evidence_of,
    graded_of,
    is_leaving,
    node_of,
    suspicions_of,
    weighs,
)
from trio_gossip.testing.checkers.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Claim, Message
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation


@attrs.define
class _Weighed:
    claim: Claim
    source: Address
    before: Member | None
    evidence: int
    known_accuser: bool
    accusers: tuple[str, ...]
    credible: frozenset[str]
    """Accusers of that member in the packet whose word counts, where evidence is weighed."""


class ClaimsWeighed(Checker):
    """Each claim in a packet about somebody else counts for what it proves, no less and no more.

    An accusation at the row's incarnation or above makes an active member suspect at least, and
    one of an inactive member is remembered as evidence (al8n/memberlist pull request 197). An
    accuser that is no active member confirms nothing. A claim above any incarnation that can
    be plausible (``members.*_JUMP_MAX``) changes nothing (memberlist 358). And whatever is claimed,
    nobody else lives at a process's own address.

    With the detector that weighs evidence an accusation has several accusers, of which none counts
    that is failed or left here, is the accused, or is the process itself; nor one that is unknown,
    unless it begins the suspicion. One without any that counts changes nothing, and those that do
    not are not noted.

    Only the first claim of a packet about each member is judged.
    """

    name: ClassVar[str] = "claims-weighed"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._process: Process | None = None
        self._weighed: list[_Weighed] = []

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        self._process = process
        credible: dict[str, set[str]] = {}
        for message in messages if weighs(process) else ():
            if isinstance(message, Suspect):
                said = credible.setdefault(message.name, set())
                said |= _credible(process, message)
                # A nack in the same packet may have led to an accusation of our own.
                said.add(node_of(process).table.name_at(source) or "")
        self._weighed = [
            self._weigh(process, claim, source, frozenset(credible.get(claim.name, ())))
            for claim in first_claims(messages)
        ]

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if after is not None and name != process.name and after.address == process.address:
            self.wrong(f"{process.name} holds {after} at its own address")

    @staticmethod
    def _weigh(
        process: Process, claim: Claim, source: Address, credible: frozenset[str]
    ) -> _Weighed:
        suspicion = cases_of(process).get(claim.name)
        accuser = None if isinstance(claim, Alive) else process.engine.member(claim.accuser)
        known = accuser is not None and accuser.is_active
        if weighs(process) and isinstance(claim, Suspect):
            known = bool(_credible(process, claim))
        accusers = () if suspicion is None else _accusers(process, claim.name)
        return _Weighed(
            claim,
            source,
            process.engine.member(claim.name),
            evidence_of(process, claim.name),
            known,
            accusers,
            credible,
        )

    def taken(self, process: Process) -> None:
        weighed, self._weighed = self._weighed, []
        if self._process is not process:
            return
        for each in weighed:
            fault = self._fault(process, each)
            if fault:
                self.wrong(f"{process.name} {fault}: {each.claim}, holding {each.before}")
            else:
                self.ok()

    def _fault(self, process: Process, each: _Weighed) -> str:
        claim, before = each.claim, each.before
        after = process.engine.member(claim.name)
        if claim.name == process.name:
            jumped = before is not None and claim.incarnation - before.incarnation > OWN_JUMP_MAX
            moved = after is not None and after.incarnation > claim.incarnation
            return "outbid an absurd claim" if jumped and moved else ""
        evidence = evidence_of(process, claim.name)
        if claim.incarnation > each.evidence + _jump_max(each):
            return "believed an absurd claim" if evidence >= claim.incarnation else ""
        if isinstance(claim, Alive) or before is None or after is None:
            return ""
        if claim.incarnation < before.incarnation or claim.accuser == claim.name:
            return ""
        if weighs(process) and isinstance(claim, Suspect) and before.is_active:
            if not each.known_accuser:
                return "" if evidence_of(process, claim.name) == each.evidence else "took it in"
            held = graded_of(process).get(claim.name)
            if held is not None and not each.accusers:
                lied = set(held.found) - each.credible - {process.name}
                if lied and after.incarnation == claim.incarnation:
                    return f"took the word of {', '.join(sorted(lied))}"
        if evidence < claim.incarnation:
            return "forgot an accusation"
        if before.is_active and after.incarnation <= claim.incarnation:
            if after.state is MemberState.ALIVE:
                return "ignored an accusation"
            if after.incarnation < claim.incarnation:
                return "took an accusation for one of an older incarnation"
        suspicion = suspicions_of(process).get(claim.name)
        invented = not each.known_accuser and claim.accuser not in each.accusers
        if (
            type(claim) is Suspect
            and suspicion is not None
            and each.accusers
            and before.incarnation == claim.incarnation
            and invented
            and claim.accuser in suspicion.accusers
            and process.engine.member(claim.accuser) is None
        ):
            return "took the word of nobody"
        return ""


def _accusers(process: Process, name: str) -> tuple[str, ...]:
    if weighs(process):
        return tuple(graded_of(process)[name].found)
    return tuple(suspicions_of(process)[name].accusers)


def _credible(process: Process, claim: Suspect) -> frozenset[str]:
    """The accusers in an accusation whose word counts here."""
    names = {name for name, _ in claim.others} | {claim.accuser}
    held = graded_of(process).get(claim.name)
    begins = held is None or held.incarnation != claim.incarnation
    counting: set[str] = set()
    for name in names - {claim.name, process.name}:
        row = process.engine.member(name)
        if row.is_active if row is not None else begins and name == claim.accuser:
            counting.add(name)
    return frozenset(counting)


def _jump_max(each: _Weighed) -> int:
    if each.before is None:
        return FIRST_INCARNATION_MAX
    if not isinstance(each.claim, Alive):
        return INCARNATION_JUMP_MAX
    return OWN_JUMP_MAX if each.source == each.before.address else ALIVE_JUMP_MAX


class AliveIsHeard(Checker):
    """What a member truly says of itself is believed when it comes: at the address that is known,
    or at a new one if the former life is held to be gone; and within the time of a question
    (``probe_timeout``) if it is not, but the old address is silent (memberlist refuses the new
    one until the old row is reaped).

    Only claims that were really made by a process that still runs there, and at a plausible
    distance, are judged, and not those that some rule of admission refused, nor moves seen by
    who ever found a conflict of names. The time may be late by a second and what is no stall yet.
    """

    name: ClassVar[str] = "alive-is-heard"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._ledger = Ledger()
        self._heard: list[tuple[Process, Alive, Member]] = []
        self._asked: dict[tuple[Process, str], tuple[float, Alive, Address, int]] = {}
        self._refused = 0

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        self._ledger.note(process, name, after)

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        self._heard.clear()
        self._refused = _refused(process)
        for claim in first_claims(messages):
            if isinstance(claim, Alive) and claim.name != process.name:
                row = process.engine.member(claim.name)
                jump = claim.incarnation - evidence_of(process, claim.name)
                if row is not None and 0 < jump <= ALIVE_JUMP_MAX and self._is_true(claim):
                    self._heard.append((process, claim, row))

    def _is_true(self, claim: Alive) -> bool:
        present = self.simulation.processes.get(claim.name)
        content = (claim.address, claim.meta, claim.versions)
        return (
            present is not None
            and present.address == claim.address
            and content in self._ledger.contents(claim.name, claim.incarnation)
        )

    def taken(self, process: Process) -> None:
        for hearer, claim, before in self._heard:
            if hearer is not process or _refused(process) != self._refused:
                continue
            if evidence_of(process, claim.name) >= claim.incarnation:
                self.ok()
            elif before.is_active and before.address != claim.address:
                threshold = process.config.stall_threshold
                due = engine_time(process) + process.config.probe_timeout + threshold + 1.0
                asked = (due, claim, before.address, self._refused)
                self._asked.setdefault((process, claim.name), asked)
            else:
                self.wrong(f"{process.name} did not believe {claim}, holding {before}")
        self._heard.clear()

    def tick(self) -> None:
        for key, (due, claim, old, refused) in list(self._asked.items()):
            process, name = key
            if not process.running or is_leaving(process) or process.turn_seconds:
                del self._asked[key]
            elif engine_time(process) > due:
                del self._asked[key]
                row = process.engine.member(name)
                if (
                    row is None
                    or _refused(process) != refused
                    or node_of(process).counters.get("name_conflict")
                    or not self._is_true(claim)
                    or row.address != old
                    or evidence_of(process, name) >= claim.incarnation
                ):
                    self.ok()
                else:
                    self.wrong(f"{process.name} still holds {row}, which is at {claim.address}")


def _refused(process: Process) -> int:
    """How often anything was refused for a reason that is no matter of incarnations."""
    counters = node_of(process).counters
    return sum(
        count
        for reason, count in counters.items()
        if reason.startswith(("refused_", "takeover_full"))
    )
