"""Bugs in the comparison of claims: which incarnation counts as newer, and what is remembered."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.codec.messages import Dead, Suspect
from trio_gossip.engine import claims
from trio_gossip.engine.claims import Claims
from trio_gossip.engine.membership import Membership
from trio_gossip.events import Reason
from trio_gossip.members import MemberState


@mutant(
    "ignored-accusations-leave-no-evidence",
    check=("no-resurrection", "claim-order", "claims-weighed"),
    why="al8n/memberlist PR 197, inherited from memberlist: dead at 10 was ignored while"
    " incarnation 1 was stored, then alive at 2 was let through",
    needs=("restart", "reorder"),
    point=2,
)
def ignored_accusations_leave_no_evidence(patch: Patch) -> None:
    """An accusation of a member that is dead already is dropped without noting its incarnation, so
    that an alive claim below that incarnation brings the member back.
    """

    def witness(original, self, entry, incarnation):
        pass

    patch.wrap(Membership, "witness", witness)


@mutant(
    "alive-at-the-same-incarnation-revives",
    check=("no-resurrection", "claim-order"),
    why="slip: < instead of <= where an alive claim is compared",
    needs=("reorder",),
)
def alive_at_the_same_incarnation_revives(patch: Patch) -> None:
    """An alive claim at the incarnation of the accusation counts as newer, so that a delayed one
    brings a suspect, failed or left member back.
    """

    def alive(original, self, claim, origin):
        entry = self._node.table.get(claim.name)
        if (
            entry is not None
            and entry is not self._node.me
            and entry.member.state is not MemberState.ALIVE
            and claim.incarnation == entry.evidence
        ):
            self.accept(claim, entry, origin.reason)
        else:
            original(self, claim, origin)

    patch.wrap(Claims, "alive", alive)


@mutant(
    "alive-at-the-same-incarnation-is-news",
    check=("quiescence", "sends-per-rumour"),
    why="slip: < instead of <= where an alive claim of an alive member is compared",
)
def alive_at_the_same_incarnation_is_news(patch: Patch) -> None:
    """An alive claim that is known already counts as newer and is passed on again, so that members
    tell each other the same for ever.
    """

    def alive(original, self, claim, origin):
        entry = self._node.table.get(claim.name)
        if (
            entry is not None
            and entry is not self._node.me
            and entry.member.state is MemberState.ALIVE
            and claim.incarnation == entry.evidence
            and claim.address == entry.member.address
        ):
            self.accept(claim, entry, origin.reason)
        else:
            original(self, claim, origin)

    patch.wrap(Claims, "alive", alive)


@mutant(
    "any-alive-is-newer",
    check=("incarnation-monotone", "no-resurrection"),
    why="slip: the incarnation of an alive claim is not compared at all",
    needs=("reorder", "meta"),
)
def any_alive_is_newer(patch: Patch) -> None:
    """An alive claim of an older incarnation is believed, so that the table goes back in time."""

    def alive(original, self, claim, origin):
        entry = self._node.table.get(claim.name)
        if (
            entry is not None
            and entry is not self._node.me
            and claim.incarnation < entry.member.incarnation
            and claim.address == entry.member.address
        ):
            self.accept(claim, entry, origin.reason)
        else:
            original(self, claim, origin)

    patch.wrap(Claims, "alive", alive)


@mutant(
    "an-old-suspicion-is-believed",
    check=("incarnation-monotone", "no-false-failure"),
    why="slip: the comparison with the member's incarnation is missing in suspect",
    needs=("reorder",),
)
def an_old_suspicion_is_believed(patch: Patch) -> None:
    """A suspicion of an incarnation that was refuted long ago makes the member suspect again."""

    def stale(original, self, claim, entry, origin):
        if type(claim) is Suspect and entry.member.state is MemberState.ALIVE:
            self._start_suspicion(claim, entry, origin, ())
        else:
            original(self, claim, entry, origin)

    patch.wrap(Claims, "_stale_accusation", stale)


@mutant(
    "an-old-death-is-believed",
    check=("incarnation-monotone", "no-false-failure", "claim-order"),
    why="slip: the comparison with the member's incarnation is missing in dead",
    needs=("restart", "reorder"),
)
def an_old_death_is_believed(patch: Patch) -> None:
    """News of the death of a former life kills the present one."""

    def stale(original, self, claim, entry, origin):
        if type(claim) is Dead and entry.member.is_active and not claim.is_goodbye:
            self._fail(claim, entry, Reason.REPORTED, (claim.accuser,), ())
        else:
            original(self, claim, entry, origin)

    patch.wrap(Claims, "_stale_accusation", stale)


@mutant(
    "an-old-goodbye-is-believed",
    check=("leave-is-left", "incarnation-monotone"),
    why="slip: the comparison with the member's incarnation is missing where a goodbye is handled",
    needs=("leave", "return", "reorder"),
)
def an_old_goodbye_is_believed(patch: Patch) -> None:
    """The goodbye of a former life makes the present one a member that left."""

    def stale(original, self, claim, entry, origin):
        if type(claim) is Dead and entry.member.is_active and claim.is_goodbye:
            self._leave(claim, entry)
        else:
            original(self, claim, entry, origin)

    patch.wrap(Claims, "_stale_accusation", stale)


@mutant(
    "a-suspicion-must-be-above",
    check=("detection-bound",),
    why="slip: <= instead of < where a suspicion is compared",
)
def a_suspicion_must_be_above(patch: Patch) -> None:
    """A suspicion at the member's own incarnation counts as old: nobody is ever suspected."""

    def suspect(original, self, claim, origin, tried=()):
        entry = self._node.table.get(claim.name)
        known = entry is not None and entry is not self._node.me
        if not known or claim.incarnation != entry.member.incarnation:
            original(self, claim, origin, tried)

    patch.wrap(Claims, "suspect", suspect)


@mutant(
    "a-death-must-be-above",
    check=("leave-is-left", "convergence"),
    why="slip: <= instead of < where a dead claim is compared",
    needs=("leave",),
)
def a_death_must_be_above(patch: Patch) -> None:
    """A death or a goodbye at the member's own incarnation counts as old: nobody learns of a
    verdict, and who leaves is declared failed.
    """

    def dead(original, self, claim, origin):
        entry = self._node.table.get(claim.name)
        known = entry is not None and entry is not self._node.me
        if not known or claim.incarnation != entry.member.incarnation:
            original(self, claim, origin)

    patch.wrap(Claims, "dead", dead)


@mutant(
    "an-accusation-does-not-raise-the-incarnation",
    check=("no-resurrection", "incarnation-monotone", "claims-weighed"),
    why="slip: the row keeps the old incarnation when an accusation at a higher one is believed",
    needs=("restart", "reorder"),
)
def an_accusation_does_not_raise_the_incarnation(patch: Patch) -> None:
    """A member that is accused at a higher incarnation stays at the lower one in the table, so that
    an alive claim between the two clears it.
    """

    def with_state(original, member, state, incarnation):
        return original(member, state, member.incarnation)

    patch.wrap(claims, "with_state", with_state)


@mutant(
    "failure-beats-goodbye",
    check=("leave-is-left", "claim-order"),
    why="slip: left and failed are both dead, so the later news wins",
    needs=("leave", "loss"),
    point=10,
)
def failure_beats_goodbye(patch: Patch) -> None:
    """A late declaration of failure makes a member that left a failed one."""

    def dead(original, self, claim, origin):
        entry = self._node.table.get(claim.name)
        if (
            entry is not None
            and entry is not self._node.me
            and entry.member.state is MemberState.LEFT
            and not claim.is_goodbye
            and claim.incarnation >= entry.member.incarnation
        ):
            self._fail(claim, entry, Reason.REPORTED, (claim.accuser,), ())
        else:
            original(self, claim, origin)

    patch.wrap(Claims, "dead", dead)


@mutant(
    "every-death-is-a-goodbye",
    check=("leave-is-left", "own-goodbye"),
    why="memberlist has one dead state and tells the application of leaves alone",
    point=10,
)
def every_death_is_a_goodbye(patch: Patch) -> None:
    """A declaration of failure that comes from others counts as the member's own goodbye."""

    def is_goodbye(original, self):
        return True

    patch.wrap(Dead, "is_goodbye", is_goodbye)


@mutant(
    "every-goodbye-is-a-failure",
    check=("leave-is-left",),
    why="slip: the accuser of a dead claim is not compared with the member",
    needs=("leave",),
    point=10,
)
def every_goodbye_is_a_failure(patch: Patch) -> None:
    """Who leaves is declared failed by all."""

    def is_goodbye(original, self):
        return False

    patch.wrap(Dead, "is_goodbye", is_goodbye)
