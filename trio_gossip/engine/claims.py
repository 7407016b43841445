"""The rules of membership: what an alive, a suspect or a dead message changes.

Claims are ordered by incarnation, which only the member itself raises; at one incarnation
dead beats suspect beats alive. ``docs/concepts`` has the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.codec.messages import Alive, Dead, Suspect
from trio_gossip.engine.claimed import claimed_member, with_state
from trio_gossip.engine.judging import Grounds
from trio_gossip.engine.stale import Stale
from trio_gossip.events import (
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberReaped,
    MemberRecovered,
    MemberSuspected,
    MemberUpdated,
    Reason,
)
from trio_gossip.members import (
    ALIVE_JUMP_MAX,
    FIRST_INCARNATION_MAX,
    INCARNATION_JUMP_MAX,
    OWN_JUMP_MAX,
    MemberState,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.engine.admission import Admission
    from trio_gossip.engine.judging import Case, Judge
    from trio_gossip.engine.membership import Entry
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.origin import Origin
    from trio_gossip.engine.refutation import Refutation
    from trio_gossip.engine.returns import Returns
    from trio_gossip.engine.takeover import Takeover


NO_GROUNDS: Final = Grounds()
"""Of changes that need none."""


class Claims:
    """Applies claims to the table and tells the application and the other members."""

    judge: Judge
    """Says how long suspects have."""

    def __init__(
        self,
        node: Node,
        admission: Admission,
        refutation: Refutation,
        takeover: Takeover,
        returns: Returns,
    ) -> None:
        self._node = node
        self._admission = admission
        self._refutation = refutation
        self._takeover = takeover
        self.suspicions: dict[str, Case] = {}
        self._returns = returns
        self._stale = Stale(node, returns)
        self.forget: Callable[[str], None] = lambda _: None
        """Told of each member that is reaped."""
        takeover.accept = self.accept
        returns.accept = self._welcome

    # -- alive --------------------------------------------------------------------------

    def alive(self, claim: Alive, origin: Origin) -> None:
        """A member is said to be alive, at this incarnation, address and meta."""
        node = self._node
        if claim.name == node.name:
            self._refutation.alive_about_me(claim, origin)
            return
        entry = node.table.get(claim.name)
        if entry is None:
            self._newcomer(claim, origin)
        elif claim.incarnation <= entry.evidence:
            self._stale.alive(claim, entry, origin)
        elif claim.incarnation - entry.evidence > self._jump_max(entry, origin):
            node.counters.bump("alive_implausible")
            if origin.address != entry.member.address:
                self._stale.ask_for_claim(entry)  # at first hand there is nobody better to ask
        elif self._takeover.must_verify(claim, entry, origin):
            self._takeover.verify(claim, entry, origin)
        elif self._is_admitted(claim, entry, origin):
            self.accept(claim, entry, origin.reason)

    def _newcomer(self, claim: Alive, origin: Origin) -> None:
        node = self._node
        tombstone = node.table.tombstone(claim.name, now=node.now)
        if tombstone is not None and claim.incarnation <= tombstone.incarnation:
            node.counters.bump("alive_stale")
            self._returns.held_against(claim, tombstone, origin)
        elif claim.incarnation > FIRST_INCARNATION_MAX:
            node.counters.bump("alive_implausible")
        elif not self._is_admitted(claim, None, origin):
            return
        elif self._returns.must_verify(claim, tombstone, origin):
            self._returns.verify(claim, tombstone, origin)
        else:
            self._welcome(claim, origin.reason)

    def _welcome(self, claim: Alive, reason: Reason) -> None:
        node = self._node
        tombstone = node.table.tombstone(claim.name, now=node.now)
        entry = node.table.insert(claimed_member(claim), now=node.now, rng=node.rng)
        node.members_changed()
        node.tell(claim)
        self._changed(MemberJoined, entry, reason)
        if tombstone is not None and tombstone.state is MemberState.FAILED:
            self._returns.came_back(claim.name)

    def _is_admitted(self, claim: Alive, entry: Entry | None, origin: Origin) -> bool:
        return self._admission.admits(claim, entry, origin.vouches_for(claim.name))

    @staticmethod
    def _jump_max(entry: Entry, origin: Origin) -> int:
        at_first_hand = origin.address == entry.member.address
        return OWN_JUMP_MAX if at_first_hand else ALIVE_JUMP_MAX

    def accept(self, claim: Alive, entry: Entry, reason: Reason) -> None:
        """Believe a newer alive claim."""
        node = self._node
        before = entry.member
        suspicion = self._drop_suspicion(claim.name)
        node.timers.cancel(("reap", claim.name))
        entry = node.table.replace(entry, claimed_member(claim), now=node.now)
        if not before.is_active:
            node.members_changed()
        node.tell(claim)
        moved = before.address != claim.address
        if not before.is_active:
            self._changed(MemberJoined, entry, Reason.TAKEOVER if moved else reason)
            if before.state is MemberState.FAILED:
                self._returns.came_back(claim.name)
            return
        if suspicion is not None:
            grounds = Grounds(suspicion.grounds(node.now).accusers)
            self._changed(
                MemberRecovered, entry, Reason.TAKEOVER if moved else Reason.REFUTED, grounds
            )
        if moved or before.meta != claim.meta or before.versions != claim.versions:
            node.table.version += 1
            node.outbox.notify(
                MemberUpdated(
                    entry.member,
                    node.table.version,
                    Reason.TAKEOVER if moved else reason,
                    health_score=node.awareness.score,
                    previous=before,
                )
            )

    # -- suspect ------------------------------------------------------------------------

    def suspect(self, claim: Suspect, origin: Origin, tried: tuple[str, ...] = ()) -> None:
        """A member is accused of not answering."""
        node = self._node
        entry = self._accused(claim, origin, "suspect_unknown")
        if entry is None:
            return
        member = entry.member
        if claim.accuser == claim.name:
            node.counters.bump("suspect_of_itself")
        elif claim.incarnation < member.incarnation:
            self._stale_accusation(claim, entry, origin)
        elif not member.is_active:
            # Ignored as an accusation, but it proves that this incarnation exists: an alive
            # at or below it is stale.
            node.table.witness(entry, claim.incarnation)
        elif (admitted := self.judge.admitted(claim, origin)) is None:
            return
        elif member.state is MemberState.SUSPECT and claim.incarnation == member.incarnation:
            self.judge.confirm(admitted, entry, tried)
        else:
            self._start_suspicion(admitted, entry, origin, tried)

    def _accused(self, claim: Suspect | Dead, origin: Origin, unknown: str) -> Entry | None:
        """The row that an accusation is about, unless it is about us, nobody or implausible.

        An accusation far above any incarnation that the member can have reached is a lie or a
        fault: believed, it could only be refuted by climbing as high.
        """
        node = self._node
        entry = node.table.get(claim.name)
        if entry is None:
            node.counters.bump(unknown)
        elif entry is node.me:
            told = self.judge.to_be_told(claim) if isinstance(claim, Suspect) else ()
            self._refutation.accused(claim.incarnation, origin, told)
        elif claim.incarnation - entry.evidence > INCARNATION_JUMP_MAX:
            node.counters.bump("accusation_implausible")
        else:
            return entry
        return None

    def _stale_accusation(self, claim: Suspect | Dead, entry: Entry, origin: Origin) -> None:
        """The accuser has not heard of the refutation: tell it, if it told us itself."""
        node = self._node
        node.counters.bump("accusation_stale")
        accuser = node.table.get(claim.accuser)
        if (
            entry.member.state is MemberState.ALIVE
            and accuser is not None
            and accuser.member.address == origin.address
        ):
            origin.answer(node, claim.accuser, self._stale.held_against(entry))

    def _start_suspicion(
        self, claim: Suspect, entry: Entry, origin: Origin, tried: tuple[str, ...]
    ) -> None:
        """Suspect a member, or suspect it anew: an accusation at a higher incarnation proves
        that it refuted the former one, so its time starts again.
        """
        node = self._node
        self._drop_suspicion(claim.name)
        reason = Reason.PROBE_FAILED if claim.accuser == node.name else Reason.ACCUSED
        if origin.reason is Reason.SYNCED:
            reason = Reason.SYNCED
        self._suspect(self.judge.open(claim, entry, tried), entry, reason)

    def hold(self, suspicion: Case, entry: Entry) -> None:
        """Suspect a member in private: the application hears of it, and nobody else."""
        self._suspect(suspicion, entry, Reason.PROBE_FAILED)

    def _suspect(self, suspicion: Case, entry: Entry, reason: Reason) -> None:
        node = self._node
        name = entry.member.name
        self.suspicions[name] = suspicion
        news = entry.member.state is not MemberState.SUSPECT
        accused = with_state(entry.member, MemberState.SUSPECT, suspicion.incarnation)
        entry = node.table.replace(entry, accused, now=node.now)
        if not suspicion.private:
            node.tell(suspicion.told(name, node.now))
        if news:
            self._changed(MemberSuspected, entry, reason, suspicion.grounds(node.now))

    def acquit(self, name: str, reason: Reason) -> None:
        """End a suspicion that nobody else was told of: the member is alive as it was."""
        node = self._node
        suspicion = self._drop_suspicion(name)
        entry = node.table.get(name)
        assert suspicion is not None, "nobody to acquit"
        assert entry is not None, "a suspicion outlived its row"
        alive = with_state(entry.member, MemberState.ALIVE, entry.member.incarnation)
        entry = node.table.replace(entry, alive, now=node.now)
        self._changed(MemberRecovered, entry, reason, Grounds(suspicion.grounds(node.now).accusers))

    def fail(self, claim: Dead, reason: Reason) -> None:
        """The time of a suspect is over."""
        entry = self._node.table.get(claim.name)
        assert entry is not None, "a suspicion outlived its row"
        self._fail(claim, entry, reason)

    # -- dead ---------------------------------------------------------------------------

    def dead(self, claim: Dead, origin: Origin) -> None:
        """A member is declared failed, or says itself that it left."""
        node = self._node
        entry = self._accused(claim, origin, "dead_unknown")
        if entry is None:
            return
        member = entry.member
        if claim.incarnation < member.incarnation:
            self._stale_accusation(claim, entry, origin)
        elif member.state is MemberState.LEFT or (
            member.state is MemberState.FAILED and not claim.is_goodbye
        ):
            node.table.witness(entry, claim.incarnation)
        elif claim.is_goodbye:
            self._leave(claim, entry)
        else:
            self._fail(claim, entry, Reason.REPORTED)

    def _leave(self, claim: Dead, entry: Entry) -> None:
        """The member's own word counts more than what others said of it before."""
        self._drop_suspicion(claim.name)
        entry = self._end(claim, entry, MemberState.LEFT)
        self._changed(MemberLeft, entry, Reason.GOODBYE)

    def _fail(self, claim: Dead, entry: Entry, reason: Reason) -> None:
        suspicion = self._drop_suspicion(claim.name)
        grounds = Grounds() if suspicion is None else suspicion.grounds(self._node.now)
        if reason is Reason.REPORTED:
            accusers = tuple(dict.fromkeys((*grounds.accusers, claim.accuser)))
            grounds = attrs.evolve(grounds, accusers=accusers)
        entry = self._end(claim, entry, MemberState.FAILED)
        self._changed(MemberFailed, entry, reason, grounds)

    def _end(self, claim: Dead, entry: Entry, state: MemberState) -> Entry:
        node = self._node
        ended = with_state(entry.member, state, claim.incarnation)
        entry = node.table.replace(entry, ended, now=node.now)
        node.members_changed()
        node.tell(claim)
        node.timers.set(("reap", claim.name), node.now + node.config.reap_time)
        return entry

    def reap(self, name: str) -> None:
        """Forget a member that was failed or left for the reap time; its tombstone stays."""
        node = self._node
        entry = node.table.get(name)
        assert entry is not None, "a row went without its reap timer"
        if node.table.tombstones_full:
            node.counters.bump("tombstone_dropped")
        node.table.bury(entry, now=node.now, keep=node.config.tombstone_time)
        self._takeover.forget(name)
        self.forget(name)
        self._changed(MemberReaped, entry, Reason.REAPED)

    # -- common -------------------------------------------------------------------------

    def _drop_suspicion(self, name: str) -> Case | None:
        suspicion = self.suspicions.pop(name, None)
        if suspicion is not None:
            self.judge.dropped(name, suspicion)
        return suspicion

    def _changed(
        self,
        event: type[
            MemberJoined
            | MemberSuspected
            | MemberRecovered
            | MemberFailed
            | (MemberLeft | MemberReaped)
        ],
        entry: Entry,
        reason: Reason,
        grounds: Grounds = NO_GROUNDS,
    ) -> None:
        node = self._node
        node.table.version += 1
        node.outbox.notify(
            event(
                entry.member,
                node.table.version,
                reason,
                grounds.accusers,
                grounds.tried,
                node.awareness.score,
                evidence=grounds.evidence,
                testimony=grounds.testimony,
                steps=grounds.steps,
            )
        )
