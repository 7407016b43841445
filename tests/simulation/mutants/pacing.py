"""Bugs in the pace of gossip: how soon news is told again, and what is dropped."""

from __future__ import annotations

import attrs

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.engine.broadcast import BroadcastQueue
from trio_gossip.engine.gossiper import Gossiper
from trio_gossip.engine.lane import Lane
from trio_gossip.engine.pacing import Pace


@mutant(
    "news-is-told-without-a-pause",
    check=("news-is-paced",),
    why="slip: the gaps between transmissions are settings that nobody reads",
)
def news_is_told_without_a_pause(patch: Patch) -> None:
    """All transmissions of a piece of news follow each other at once: who is deaf then misses
    all.
    """

    def gap(original, self, sent):
        return 0.0

    patch.wrap(Pace, "gap", gap)


@mutant(
    "nothing-is-told-at-once",
    check=("news-is-hot",),
    why="slip: the first transmissions wait as long as the later ones",
)
def nothing_is_told_at_once(patch: Patch) -> None:
    """News spreads at the pace of its last transmissions."""

    def gap(original, self, sent):
        return self.gaps[0] if sent and sent < self.eager else original(self, sent)

    patch.wrap(Pace, "gap", gap)


@mutant(
    "a-full-queue-drops-the-newest",
    check=("drops-the-most-told",),
    why="slip: a full queue refuses what comes, whatever it holds",
    needs=("full queue", "broadcasts"),
    point=12,
)
def a_full_queue_drops_the_newest(patch: Patch) -> None:
    """What was told often keeps its place, and what nobody has heard of is dropped."""

    def drop(original, self):
        sent = next(at for at, level in enumerate(self._levels) if level)
        self._remove(sent, next(reversed(self._levels[sent])))
        self._dropped()

    patch.wrap(Lane, "_drop", drop)


@mutant(
    "a-round-goes-to-everybody",
    check=("rounds-are-small",),
    why="slip: the number of packets of a round is a setting that nobody reads",
    needs=("crowd",),
)
def a_round_goes_to_everybody(patch: Patch) -> None:
    """Each round of gossip is told to as many members as there are."""

    def tick(original, self):
        queue = self._node.queue
        before, queue.pace = queue.pace, attrs.evolve(queue.pace, packets=1 << 20)
        try:
            original(self)
        finally:
            queue.pace = before

    patch.wrap(Gossiper, "tick", tick)


@mutant(
    "news-of-services-comes-last",
    check=("lanes-share",),
    why="slip: a share is kept for user messages and none for what services tell",
    needs=("state", "meta"),
    point=12,
)
def news_of_services_comes_last(patch: Patch) -> None:
    """What services tell gets what members and the application leave of a packet."""

    def init(original, self, **settings):
        original(self, **{**settings, "news_share": 0.0})
        self._shares = self._shares[::-1]

    patch.wrap(BroadcastQueue, "__init__", init)
