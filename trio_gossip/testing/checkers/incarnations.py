"""Rules about incarnations: the one number by which members tell new from old."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from trio_gossip.codec.messages import Dead, Leave, Suspect
from trio_gossip.members import INCARNATION_JUMP_MAX, OWN_JUMP_MAX, MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import engine_time, evidence_of, weighs
from trio_gossip.testing.checkers.ledger import Ledger, content_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

RANKS = {
    MemberState.ALIVE: 0,
    MemberState.SUSPECT: 1,
    MemberState.FAILED: 2,
    MemberState.LEFT: 3,
}
"""At one incarnation the higher rank wins (SWIM section 4.2; memberlist adds left)."""


class IncarnationMonotone(Checker):
    """In one table the incarnation of a member never falls, nor does the evidence of it, and the
    evidence is never below the row (SWIM section 4.2). No tolerance.
    """

    name: ClassVar[str] = "incarnation-monotone"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._evidence: dict[tuple[Process, str], int] = {}

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        key = (process, name)
        if after is None:
            self._evidence.pop(key, None)
            return
        evidence = evidence_of(process, name)
        if before is not None and after.incarnation < before.incarnation:
            self.wrong(f"{process.name}: {name} fell from {before.incarnation} to {after}")
        elif evidence < max(after.incarnation, self._evidence.get(key, 0)):
            self.wrong(f"{process.name}: evidence of {name} is {evidence}, beside {after}")
        else:
            self.ok()
        self._evidence[key] = evidence


class ClaimOrder(Checker):
    """At one incarnation alive gives way to suspect, suspect to failed and failed to left, and
    never the other way (SWIM section 4.2).

    Only a suspicion of which nobody was told may end so, with the detector that weighs evidence:
    no accusation of that incarnation has gone to anybody but the suspect since it began.
    """

    name: ClassVar[str] = "claim-order"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._told: dict[tuple[Process, str], int] = {}

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        for message in messages:
            if isinstance(message, Suspect):
                row = process.engine.member(message.name)
                if row is not None and row.address != address:
                    self._told[process, message.name] = message.incarnation

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if before is None or after is None or before.incarnation != after.incarnation:
            return
        if before.state is MemberState.ALIVE:
            self._told.pop((process, name), None)
        if (
            (before.state, after.state) == (MemberState.SUSPECT, MemberState.ALIVE)
            and weighs(process)
            and self._told.get((process, name), -1) < after.incarnation
        ):
            self.ok()
        elif RANKS[after.state] < RANKS[before.state]:
            self.wrong(
                f"{process.name}: {name} went from {before.state} back to {after.state}"
                f" at {after.incarnation}"
            )
        else:
            self.ok()


class NoResurrection(Checker):
    """Who failed or left does not return without an incarnation above all that is known against
    it: its row, accusations that came later, and its tombstone (memberlist forgets the
    second, al8n/memberlist pull request 197). Accusations are taken from packets,
    those of streams are not seen; a tombstone counts for ``tombstone_time``.
    """

    name: ClassVar[str] = "no-resurrection"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._heard: dict[tuple[Process, str], int] = {}
        self._buried: dict[tuple[Process, str], tuple[int, float]] = {}
        self._pending: list[tuple[str, int]] = []

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        for message in messages:
            if type(message) is Suspect and message.accuser == message.name:
                continue
            if isinstance(message, Suspect | Dead | Leave) and message.name != process.name:
                row = process.engine.member(message.name)
                if (
                    row is not None
                    and not row.is_active
                    and 0 <= message.incarnation - row.incarnation <= INCARNATION_JUMP_MAX
                ):
                    self._pending.append((message.name, message.incarnation))

    def taken(self, process: Process) -> None:
        # What stands in one packet is taken in its order: it counts when all of it is.
        for name, incarnation in self._pending:
            row = process.engine.member(name)
            if row is not None and not row.is_active:
                key = (process, name)
                self._heard[key] = max(self._heard.get(key, 0), incarnation)
        self._pending.clear()

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        key = (process, name)
        if after is None:
            if before is not None:
                known = max(before.incarnation, self._heard.pop(key, 0))
                self._buried[key] = (known, engine_time(process))
            return
        if not after.is_active or (before is not None and before.is_active):
            return
        if before is not None:
            held = max(before.incarnation, self._heard.pop(key, 0))
        else:
            held, buried_at = self._buried.pop(key, (0, 0.0))
            if not held or engine_time(process) - buried_at > process.config.tombstone_time:
                return
        if after.incarnation <= held:
            self.wrong(f"{process.name}: {after} returned against evidence of {held}")
        else:
            self.ok()


class OwnIncarnation(Checker):
    """Nobody holds a member above the highest incarnation that the member itself ever had: only
    it may raise it (SWIM section 4.2), and by ``OWN_JUMP_MAX`` at once at most, whatever it hears
    (memberlist issue 358). The former is not judged once strangers' packets were let in.
    """

    name: ClassVar[str] = "own-incarnation"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._ledger = Ledger()

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        self._ledger.note(process, name, after)
        if after is not None and before is not None and name == process.name:
            rise = after.incarnation - before.incarnation
            if rise > OWN_JUMP_MAX + 1:
                self.wrong(f"{name} raised its incarnation by {rise}, to {after.incarnation}")
        if after is None or name == process.name or self.strangers_spoke:
            return
        top = self._ledger.top(name)
        if after.incarnation > top:
            self.wrong(f"{process.name} holds {after}, which never was above {top}")
        else:
            self.ok()


class OneContent(Checker):
    """An incarnation of a member stands for one address, metadata and versions, in every table.

    Looked at when a row becomes alive, as an accusation carries no content: a suspect may show the
    content of an older incarnation. Two lives of a name that came to the same number may differ.
    Not judged once strangers' packets were let in.
    """

    name: ClassVar[str] = "one-content"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._ledger = Ledger()

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        self._ledger.note(process, name, after)
        if after is None or after.state is not MemberState.ALIVE or self.strangers_spoke:
            return
        said = self._ledger.contents(name, after.incarnation)
        if name == process.name:
            lives = self._ledger.lives_at(name, after.incarnation)
            if len(said) > len(lives):
                self.wrong(f"{name} said two things of itself at {after.incarnation}: {said}")
        elif content_of(after) not in said:
            self.wrong(f"{process.name} holds {after}, which itself said {said}")
        else:
            self.ok()
