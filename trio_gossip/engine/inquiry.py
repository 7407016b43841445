"""What becomes of a suspect: asked in private, told to all, asked a last time, declared failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.codec.messages import Dead, Suspect
from trio_gossip.engine.claimed import STATE_BY_NUMBER, with_state
from trio_gossip.engine.graded import CONFIRMATIONS, GradedSuspicion
from trio_gossip.engine.interview import Interview
from trio_gossip.engine.judging import Judge
from trio_gossip.engine.origin import OWN
from trio_gossip.engine.recheck import Recheck
from trio_gossip.events import Reason
from trio_gossip.failures import Evidence
from trio_gossip.members import INCARNATION_JUMP_MAX, MemberState

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.codec.messages import Record
    from trio_gossip.engine.attempt import Attempt
    from trio_gossip.engine.attempts import Attempts
    from trio_gossip.engine.claims import Claims
    from trio_gossip.engine.judging import Case
    from trio_gossip.engine.membership import Entry
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.origin import Origin
    from trio_gossip.engine.streams import Streams
    from trio_gossip.members import Member

PRIVATE_MAX: Final = 256
"""Suspects that are asked in private at once; others are found again by later probes."""


class Inquiry(Judge):
    """The rules for suspects of the evidence detector; ``docs/detector`` draws the states.

    A suspicion begins in private: its accuser goes on asking, since most outages are over soon.
    Confirmed by a helper it is told to all, with its age. Each member computes the verdict's time
    from what the accusers found, and asks once more before it declares anything.
    """

    said_of: Callable[[str], bool]
    """Whether this node, as a helper, said lately that a member does not answer."""

    look: Callable[[Entry, int], None]
    """Begins an attempt to reach a member that others doubt."""

    def __init__(self, node: Node, claims: Claims, attempts: Attempts, streams: Streams) -> None:
        self._node = node
        self._claims = claims
        self._private = 0
        attempts.is_private = self.is_private
        self._recheck = Recheck(node, claims, attempts, self._find)
        self._recheck.publish = self._publish
        self.interview = Interview(node, streams, self._find)
        self.interview.answered = lambda name: claims.acquit(name, Reason.ANSWERED)
        self.interview.found = self._testify

    def is_private(self, name: str) -> bool:
        """Whether this node suspects a member and nobody else was told."""
        suspicion = self._claims.suspicions.get(name)
        return suspicion is not None and suspicion.private

    def shown(self, member: Member) -> Member:
        if self.is_private(member.name):
            return with_state(member, MemberState.ALIVE, member.incarnation)
        return member

    def stop(self) -> None:
        """This member leaves: whom it suspects in private it lets go."""
        for name in [name for name in self._claims.suspicions if self.is_private(name)]:
            self._claims.acquit(name, Reason.UNCONFIRMED)

    # -- what this node found itself ----------------------------------------------------

    def accuse(self, attempt: Attempt) -> None:
        """An attempt has ended without an answer of its target."""
        node = self._node
        name = attempt.target.name
        entry = node.table.get(name)
        if (
            entry is None
            or not entry.member.is_active
            or entry.member.incarnation > attempt.accused
            # The name was reaped and forgotten, and began anew far below.
            or attempt.accused - entry.evidence > INCARNATION_JUMP_MAX
        ):
            node.counters.bump("findings_outdated")
            return
        suspicion = self._claims.suspicions.get(name)
        fresh = self._suspicion(attempt.accused, attempt.findings)
        fresh.probed = attempt.began
        fresh.tried = attempt.tried()
        if (
            suspicion is not None
            or fresh.evidence is Evidence.REFUSED
            or not node.config.quiet
            or attempt.accused > entry.member.incarnation
        ):
            self._claims.suspect(fresh.told(name, node.now), OWN, fresh.tried)
            told = self._find(name)
            told.probed = min(told.probed, attempt.began)
        elif self._private >= PRIVATE_MAX:
            node.counters.bump("private_full")
        else:
            fresh.private = True
            self._private += 1
            self._claims.hold(fresh, entry)
            node.timers.set(("suspicion", name), node.now + node.config.quiet)
            node.timers.set(("reprobe", name), node.now + node.config.reprobe / 2)

    def _suspicion(
        self, incarnation: int, found: dict[str, Evidence], age: float = 0.0
    ) -> GradedSuspicion:
        node = self._node
        wanted = max(0, min(CONFIRMATIONS, node.table.active - 2))
        first = next(iter(found))
        suspicion = GradedSuspicion(
            incarnation, node.now - age, node.now, wanted, {first: found[first]}
        )
        for name, evidence in found.items():
            suspicion.testify(name, evidence)
        return suspicion

    def _publish(self, name: str, suspicion: GradedSuspicion) -> None:
        """Tell the cluster, with the age of the suspicion: the quiet time was not lost."""
        node = self._node
        self._private -= suspicion.private
        suspicion.private = False
        suspicion.received = node.now
        # Longer than the quiet time and a few rounds it can only have lived by a fault: whoever
        # believed such an age would declare at once.
        suspicion.started = max(suspicion.started, node.now - self._age_max())
        suspicion.reprobes = 0
        node.tell(suspicion.told(name, node.now))
        self._arm(name, suspicion, suspicion.deadline(node.config, node.awareness.score))
        self.interview.tick(name)

    def _age_max(self) -> float:
        config = self._node.config
        return config.quiet + 4 * config.rto_ceil

    def to_be_told(self, claim: Suspect) -> tuple[str, ...]:
        return (claim.accuser, *(name for name, _ in claim.others))

    # -- what others say ----------------------------------------------------------------

    def admitted(self, claim: Suspect, origin: Origin) -> Suspect | None:
        """Names are free, so that only known members add to an accusation; one that is failed
        here does not even begin one, nor does this node speak through others. An accuser that
        is not known may have joined just now: it may begin one, as if it had found silence.
        """
        if origin is OWN:
            return claim
        node = self._node
        known = self._claims.suspicions.get(claim.name)
        begun = known is not None and known.incarnation == claim.incarnation
        found: dict[str, int] = {}
        for name, evidence in ((claim.accuser, claim.evidence), *claim.others):
            accuser = node.table.get(name)
            if name == claim.name:
                node.counters.bump("suspect_of_itself")
            elif accuser is node.me:
                # As a helper we may have said so; it adds nothing to what we know.
                if not self.said_of(claim.name):
                    node.counters.bump("accuser_is_me")
            elif accuser is None and (begun or name != claim.accuser):
                node.counters.bump("accuser_unknown")
            elif accuser is None:
                found[name] = Evidence.SILENT
            elif not accuser.member.is_active:
                node.counters.bump("accuser_inactive")
            else:
                found[name] = evidence if node.config.kernel_evidence else Evidence.SILENT
        if not found:
            return None
        (first, evidence), *others = found.items()
        return attrs.evolve(claim, accuser=first, evidence=evidence, others=tuple(others))

    def open(self, claim: Suspect, entry: Entry, tried: tuple[str, ...]) -> GradedSuspicion:
        node = self._node
        found = _found(claim)
        suspicion = self._suspicion(claim.incarnation, found, self._age(claim))
        suspicion.tried = tried
        if node.name not in found:
            suspicion.patience = node.rng.uniform(0.6, 1.2) * node.config.min_public
        self._arm(claim.name, suspicion, suspicion.deadline(node.config, node.awareness.score))
        if node.name in found:
            node.timers.set(("reprobe", claim.name), node.now)
        return suspicion

    def _age(self, claim: Suspect) -> float:
        age = claim.age / 1000
        if age > self._age_max():
            self._node.counters.bump("suspect_age_capped")
        return min(age, self._age_max())

    def confirm(self, claim: Suspect, entry: Entry, tried: tuple[str, ...]) -> None:
        name = claim.name
        suspicion = self._find(name)
        suspicion.tried = tried or suspicion.tried
        if suspicion.private:
            self._recheck.cancel(name)
            for accuser, evidence in _found(claim).items():
                suspicion.testify(accuser, evidence)
            self._publish(name, suspicion)
        else:
            self._testify(name, suspicion, _found(claim))

    def _testify(self, name: str, suspicion: GradedSuspicion, found: dict[str, Evidence]) -> None:
        node = self._node
        before = suspicion.evidence
        accuser = node.name in suspicion.found
        news = [suspicion.testify(who, evidence) for who, evidence in found.items()]
        if node.name in suspicion.found and not accuser:
            suspicion.patience = 0.0
            node.timers.set(("reprobe", name), node.now)
        if any(news):
            node.tell(suspicion.told(name, node.now))
            node.counters.bump("suspicion_confirmed")
        due = suspicion.deadline(node.config, node.awareness.score)
        if suspicion.evidence is before:
            due = min(due, suspicion.due)
        self._arm(name, suspicion, due)

    def hearsay(self, record: Record, entry: Entry | None, origin: Origin) -> bool:
        """Whoever lives answers, and whoever does not is found out by this: no table makes this
        node an accuser of somebody it has not asked.
        """
        del origin
        state = STATE_BY_NUMBER[record.state]
        if (
            entry is None
            or entry is self._node.me
            or not entry.member.is_active
            or state is MemberState.LEFT
            or record.incarnation < entry.member.incarnation
            or record.incarnation - entry.evidence > INCARNATION_JUMP_MAX
        ):
            return False
        if entry.member.state is MemberState.ALIVE:
            self.look(entry, record.incarnation)
        return True

    # -- the verdict --------------------------------------------------------------------

    def _arm(self, name: str, suspicion: GradedSuspicion, due: float) -> None:
        """Set the time of the final ping, one timeout before the verdict."""
        node = self._node
        suspicion.due = due
        at = due - node.round_trips.timeout(name, node.awareness.score)
        if suspicion.final is None or at > node.now:
            suspicion.final = None
            node.timers.set(("suspicion", name), max(node.now, at))

    def expired(self, name: str) -> None:
        """Timer: the quiet time, the time before the final ping or the time of it is over."""
        node = self._node
        suspicion = self._find(name)
        if suspicion.private:
            self._recheck.begin(name, suspicion)
            return
        not_before = node.guard.hold
        if node.guard.isolated:
            # It may be over at any moment, so that this is looked at again and again.
            recheck = min(node.guard.trusted_at, node.now + node.config.reprobe)
            not_before = max(not_before, recheck)
        if node.now < not_before:
            suspicion.final = None
            node.timers.set(("suspicion", name), not_before)
        elif suspicion.final is None:
            self._ask_finally(name, suspicion)
        elif suspicion.heard >= suspicion.final:
            node.counters.bump("suspicion_extended")
            suspicion.started = node.now
            suspicion.final = None
            self._arm(name, suspicion, suspicion.deadline(node.config, node.awareness.score))
        else:
            self._declare(name, suspicion)

    def _ask_finally(self, name: str, suspicion: GradedSuspicion) -> None:
        node = self._node
        rto = node.round_trips.timeout(name, node.awareness.score)
        # Our health may have become worse since this was computed last.
        due = suspicion.deadline(node.config, node.awareness.score)
        if due - rto > node.now + 0.001 and due > suspicion.due:
            self._arm(name, suspicion, due)
            return
        suspicion.final = node.now
        node.timers.set(("suspicion", name), max(suspicion.due, node.now + rto))
        self.interview.ask(name, suspicion)

    def _declare(self, name: str, suspicion: GradedSuspicion) -> None:
        node = self._node
        if suspicion.confirmations < suspicion.wanted:
            node.counters.bump("suspicion_unconfirmed")
        accusation = Dead(suspicion.incarnation, name, node.name)
        self._claims.fail(accusation, Reason.SUSPICION_EXPIRED)

    def dropped(self, name: str, suspicion: Case) -> None:
        assert isinstance(suspicion, GradedSuspicion), "a suspicion by other rules"
        self._private -= suspicion.private
        self._recheck.cancel(name)
        self._node.timers.cancel(("suspicion", name))
        self.interview.end(name, suspicion)

    def _find(self, name: str) -> GradedSuspicion:
        suspicion = self._claims.suspicions[name]
        assert isinstance(suspicion, GradedSuspicion), "a suspicion by other rules"
        return suspicion


def _found(claim: Suspect) -> dict[str, Evidence]:
    return {
        name: Evidence(evidence)
        for name, evidence in ((claim.accuser, claim.evidence), *claim.others)
    }
