"""Bugs in what the application is told: events, their order and their words."""

from __future__ import annotations

import attrs

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.engine import claims, presence
from trio_gossip.engine.claims import NO_GROUNDS, Claims
from trio_gossip.engine.membership import Membership
from trio_gossip.engine.outbox import Outbox
from trio_gossip.events import (
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberReaped,
    MemberRecovered,
    MemberSuspected,
    MemberUpdated,
)


def _without(patch: Patch, kind: type) -> None:
    """Events of one kind are lost on their way to the application."""

    def notify(original, self, event):
        if not isinstance(event, kind):
            original(self, event)

    patch.wrap(Outbox, "notify", notify)


@mutant(
    "recoveries-are-not-told",
    check=("events-match-table", "versions-without-gap", "legal-transitions"),
    why="slip: an event is forgotten on one of two paths",
    needs=("loss", "pause"),
)
def recoveries_are_not_told(patch: Patch) -> None:
    """The application hears of a suspicion and not of its end."""
    _without(patch, MemberRecovered)


@mutant(
    "updates-are-not-told",
    check=("events-match-table", "versions-without-gap"),
    why="slip: an event is forgotten where nothing but the metadata changes",
    needs=("meta",),
)
def updates_are_not_told(patch: Patch) -> None:
    """The application does not hear of new metadata."""
    _without(patch, MemberUpdated)


@mutant(
    "reaping-is-not-told",
    check=("events-match-table", "versions-without-gap"),
    why="slip: the row is removed without an event",
    needs=("long run",),
)
def reaping_is_not_told(patch: Patch) -> None:
    """A member disappears from the table, and the application does not hear of it."""
    _without(patch, MemberReaped)


@mutant(
    "a-return-is-not-told",
    check=("events-match-table",),
    why="slip: the row of a failed member is set to alive without an event",
    needs=("restart",),
)
def a_return_is_not_told(patch: Patch) -> None:
    """A member that comes back after a failure is in the table, and no event says so."""

    def accept(original, self, claim, entry, reason):
        node = self._node
        if entry.member.is_active:
            original(self, claim, entry, reason)
            return
        outputs, version = len(node.outbox._outputs), node.table.version
        original(self, claim, entry, reason)
        del node.outbox._outputs[outputs:]
        node.table.version = version

    patch.wrap(Claims, "accept", accept)


@mutant(
    "failures-are-told-twice",
    check=("events-match-table", "versions-without-gap", "legal-transitions"),
    why="slip: both who decides and who is told of the decision tell the application",
)
def failures_are_told_twice(patch: Patch) -> None:
    """Each failure makes two events."""

    def notify(original, self, event):
        original(self, event)
        if isinstance(event, MemberFailed):
            original(self, event)

    patch.wrap(Outbox, "notify", notify)


@mutant(
    "an-unchanged-member-is-told-as-updated",
    check=("events-match-table", "quiescence"),
    why="slip: the higher incarnation of a refutation counts as a change",
    needs=("loss", "pause"),
)
def an_unchanged_member_is_told_as_updated(patch: Patch) -> None:
    """Each refutation makes an update event in which nothing has changed."""

    def accept(original, self, claim, entry, reason):
        node = self._node
        before = entry.member
        version = node.table.version
        original(self, claim, entry, reason)
        after = node.table.get(claim.name).member
        same = before.is_active and attrs.evolve(before, incarnation=0) == attrs.evolve(
            after, incarnation=0
        )
        if same and version == node.table.version:
            node.table.version += 1
            event = MemberUpdated(after, node.table.version, reason, previous=before)
            node.outbox.notify(event)

    patch.wrap(Claims, "accept", accept)


@mutant(
    "versions-skip",
    check=("versions-without-gap",),
    why="slip: the version is raised by the table and by the event",
)
def versions_skip(patch: Patch) -> None:
    """Two versions for each event that changes a member's state."""

    def changed(original, self, event, entry, reason, grounds=NO_GROUNDS):
        self._node.table.version += 1
        original(self, event, entry, reason, grounds)

    patch.wrap(Claims, "_changed", changed)


@mutant(
    "updates-have-no-version-of-their-own",
    check=("versions-without-gap",),
    why="slip: only changes of state raise the version",
    needs=("meta",),
)
def updates_have_no_version_of_their_own(patch: Patch) -> None:
    """Events of new metadata carry the version of the event before."""

    def updated(member, version, *args, **kwargs):
        return MemberUpdated(member, version - 1, *args, **kwargs)

    patch.value(claims, "MemberUpdated", updated)
    patch.value(presence, "MemberUpdated", updated)


@mutant(
    "a-reaping-takes-the-version-back",
    check=("versions-without-gap",),
    why="quickwit/chitchat 178 and PR 195: a reset lowered the version, and an assertion failed in"
    " production",
    needs=("long run",),
)
def a_reaping_takes_the_version_back(patch: Patch) -> None:
    """The table's version counts its rows, and so falls when one is removed."""

    def bury(original, self, entry, *, now, keep):
        original(self, entry, now=now, keep=keep)
        self.version -= 1

    patch.wrap(Membership, "bury", bury)


@mutant(
    "a-failure-is-told-as-a-leave",
    check=("leave-is-left", "events-match-table"),
    why="memberlist tells of failures and leaves with one notification",
    point=10,
)
def a_failure_is_told_as_a_leave(patch: Patch) -> None:
    """The application hears that a failed member left."""

    def notify(original, self, event):
        if isinstance(event, MemberFailed):
            event = MemberLeft(event.member, event.version, event.reason)
        original(self, event)

    patch.wrap(Outbox, "notify", notify)


@mutant(
    "a-verdict-names-nobody",
    check=("events-carry-reasons",),
    why="slip: the accusers are dropped with the suspicion before the event is made",
    point=10,
)
def a_verdict_names_nobody(patch: Patch) -> None:
    """A failure does not say who accused the member."""

    def notify(original, self, event):
        if isinstance(event, MemberFailed):
            event = attrs.evolve(event, accusers=())
        original(self, event)

    patch.wrap(Outbox, "notify", notify)


@mutant(
    "suspicion-is-told-as-failure",
    check=("events-match-table", "no-false-failure", "suspicion-duration", "legal-transitions"),
    why="slip: the application is warned early, with the wrong word",
    point=10,
)
def suspicion_is_told_as_failure(patch: Patch) -> None:
    """A suspect is gone for the application, and comes back without having joined."""

    def notify(original, self, event):
        if isinstance(event, MemberSuspected):
            event = MemberFailed(event.member, event.version, event.reason, event.accusers)
        original(self, event)

    patch.wrap(Outbox, "notify", notify)


@mutant(
    "a-takeover-is-told-as-a-join",
    check=("events-match-table", "legal-transitions"),
    why="slip: a live member that moves counts as a newcomer",
    needs=("move",),
)
def a_takeover_is_told_as_a_join(patch: Patch) -> None:
    """A member that is in the table joins it."""

    def notify(original, self, event):
        if isinstance(event, MemberUpdated) and event.previous.address != event.member.address:
            event = MemberJoined(event.member, event.version, event.reason)
        original(self, event)

    patch.wrap(Outbox, "notify", notify)
