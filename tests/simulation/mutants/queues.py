"""Bugs in what is told to whom and how often."""

from __future__ import annotations

import attrs

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.engine import pacing
from trio_gossip.engine.broadcast import Share
from trio_gossip.engine.gossiper import Gossiper
from trio_gossip.engine.lane import Lane
from trio_gossip.engine.membership import Membership
from trio_gossip.members import MemberState


def _with_limit(patch: Patch, change) -> None:
    def fill(original, self, room, pace, now, peer=None):
        return original(self, room, attrs.evolve(pace, copies=change(pace.copies)), now, peer)

    patch.wrap(Lane, "fill", fill)


@mutant(
    "one-transmission-too-many",
    check=("sends-per-rumour",),
    why="slip: <= instead of < in the retransmit limit",
)
def one_transmission_too_many(patch: Patch) -> None:
    """Each piece of news is sent once more than the limit says."""
    _with_limit(patch, lambda limit: limit + 1)


@mutant(
    "one-transmission-too-few",
    check=("sends-per-rumour", "broadcast-to-all"),
    why="slip: the transmission is counted before the comparison",
)
def one_transmission_too_few(patch: Patch) -> None:
    """Each piece of news is sent once less than the limit says."""
    _with_limit(patch, lambda limit: limit - 1)


@mutant(
    "news-is-sent-for-ever",
    check=("sends-per-rumour", "quiescence", "queue-bounds"),
    why="slip: nothing ends the retransmission of a piece of news",
)
def news_is_sent_for_ever(patch: Patch) -> None:
    """News stays in the queue until newer news of the same member replaces it."""
    _with_limit(patch, lambda limit: 1 << 30)


@mutant(
    "the-limit-is-rounded-down",
    check=("sends-per-rumour", "broadcast-to-all", "convergence"),
    why="slip: int() instead of ceil() in the retransmit limit; below nine members it is 0",
)
def the_limit_is_rounded_down(patch: Patch) -> None:
    """In a small cluster each piece of news is sent once."""

    def limit(original, mult, n):
        return original(mult, n) - mult

    patch.wrap(pacing, "retransmit_limit", limit)


@mutant(
    "the-limit-never-grows",
    check=("sends-per-rumour", "broadcast-to-all"),
    why="slip: the limit is computed when the engine starts, with one member",
    needs=("crowd",),
)
def the_limit_never_grows(patch: Patch) -> None:
    """The retransmit limit does not follow the number of members."""

    def limit(original, mult, n):
        return original(mult, 1)

    patch.wrap(pacing, "retransmit_limit", limit)


@mutant(
    "newer-news-does-not-replace-older",
    check=("queue-bounds", "sends-per-rumour"),
    why="slip: the key of a queued message is not looked up (memberlist calls it invalidation)",
    needs=("meta",),
)
def newer_news_does_not_replace_older(patch: Patch) -> None:
    """Old news of a member is told beside the new, and the queue grows with every change."""

    def put(original, self, key, data, subject=None, source=None):
        original(self, (key, data), data, subject, source)

    patch.wrap(Lane, "put", put)


@mutant(
    "newer-news-inherits-the-count",
    check=("broadcast-to-all", "convergence"),
    why="slip: a queued message is replaced in place and keeps its number of transmissions",
    needs=("meta",),
)
def newer_news_inherits_the_count(patch: Patch) -> None:
    """News that replaces older news of the same member counts as sent as often as that."""

    def put(original, self, key, data, subject=None, source=None):
        sent = self._level_of.get(key, 0)
        last = self._levels[sent][key].last if sent else 0.0
        original(self, key, data, subject, source)
        if sent:
            entry = self._levels[0][key]
            self._remove(0, key)
            entry.last = last
            self._insert(sent, entry)

    patch.wrap(Lane, "put", put)


@mutant(
    "a-full-queue-takes-more",
    check=("queue-bounds",),
    why="slip: the cap of the queue is a setting that nobody reads",
    needs=("full queue", "broadcasts"),
    point=12,
)
def a_full_queue_takes_more(patch: Patch) -> None:
    """The queue of user messages has no bound."""

    def put(original, self, key, data, subject=None, source=None):
        limit, self.limit = self.limit, 1 << 30
        original(self, key, data, subject, source)
        self.limit = limit

    patch.wrap(Lane, "put", put)


@mutant(
    "user-messages-get-what-is-left",
    check=("broadcast-to-all",),
    why="memberlist fills a packet with membership first, so that churn starves the application",
    needs=("broadcasts", "full queue"),
    point=12,
)
def user_messages_get_what_is_left(patch: Patch) -> None:
    """User messages have no share of a packet while there is news of members."""

    def reserve(original, self, free, left, pace, now, *, competing):
        return 0

    patch.wrap(Share, "reserve", reserve)


@mutant(
    "user-messages-come-first",
    check=("convergence", "no-false-failure"),
    why="slip: the lanes are filled in the wrong order",
    needs=("broadcasts", "full queue"),
    point=12,
)
def user_messages_come_first(patch: Patch) -> None:
    """News of members waits while there are enough user messages to fill each packet."""

    def reserve(original, self, free, left, pace, now, *, competing):
        self.reserved = min(left, self.lane.size)
        return self.reserved

    patch.wrap(Share, "reserve", reserve)


@mutant(
    "gossip-goes-to-the-first-member",
    check=("broadcast-to-all", "convergence"),
    why="slip: the first rows of the table instead of random ones",
)
def gossip_goes_to_the_first_member(patch: Patch) -> None:
    """Every round of gossip goes to the same member."""

    def pick(original, self, count, wanted, rng):
        if not isinstance(getattr(wanted, "__self__", None), Gossiper):
            return original(self, count, wanted, rng)
        return [entry for entry in self if wanted(entry)][:1]

    patch.wrap(Membership, "pick", pick)


@mutant(
    "gossip-goes-to-oneself",
    check=("sends-per-rumour", "quiescence"),
    why="slip: one's own row is a row as well",
)
def gossip_goes_to_oneself(patch: Patch) -> None:
    """A part of all gossip goes to the member that sends it."""

    def wanted(original, self, entry):
        return entry is self._node.me or original(self, entry)

    patch.wrap(Gossiper, "_wanted", wanted)


@mutant(
    "the-failed-hear-nothing",
    check=("healing", "convergence"),
    why="slip: gossip goes to active members only, so that one wrongly declared failed never hears"
    " of it",
    needs=("partition",),
)
def the_failed_hear_nothing(patch: Patch) -> None:
    """A member that was just declared failed gets no gossip any more."""

    def wanted(original, self, entry):
        return original(self, entry) and entry.member.state is not MemberState.FAILED

    patch.wrap(Gossiper, "_wanted", wanted)


@mutant(
    "gossip-stops-after-one-round",
    check=("broadcast-to-all", "convergence"),
    why="slip: the timer of the next round is set only when news arrives",
)
def gossip_stops_after_one_round(patch: Patch) -> None:
    """What is left in the queue after a round of gossip waits for the next news."""

    def tick(original, self):
        original(self)
        self._node.timers.cancel(("gossip", 0))

    patch.wrap(Gossiper, "tick", tick)


@mutant(
    "news-is-spent-on-its-subject",
    check=("convergence",),
    why="memberlist PR 350: in very small clusters the random picks can miss a member; here the"
    " last transmission goes to whom the news is about",
    needs=("small",),
)
def news_is_spent_on_its_subject(patch: Patch) -> None:
    """A member is told what it said itself, which costs one of the few transmissions."""

    def put(original, self, key, data, subject=None, source=None):
        original(self, key, data)

    patch.wrap(Lane, "put", put)


@mutant(
    "the-dead-count",
    check=("statistics-match-trace", "sends-per-rumour", "suspicion-duration"),
    why="memberlist counts every record in N, so that a cluster that lost half waits longer for the"
    " next failure",
    point=14,
)
def the_dead_count(patch: Patch) -> None:
    """Failed and left members count in all formulas."""

    def active(original, self):
        return len(self)

    patch.wrap(Membership, "active", active)
