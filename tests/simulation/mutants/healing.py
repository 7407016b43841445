"""Bugs in finding lost members again, and in exchanges that begin or end by a timer."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.engine import rejoin
from trio_gossip.engine.merge import Merge
from trio_gossip.engine.rejoin import Rejoin
from trio_gossip.engine.streams import Streams
from trio_gossip.engine.sync import Sync


@mutant(
    "periodic-exchanges-stop",
    check=("convergence", "healing", "timers-kept"),
    why="slip: the timer of the next exchange is set by the start alone",
    needs=("loss",),
)
def periodic_exchanges_stop(patch: Patch) -> None:
    """A member exchanges its table once in its life, when it has not joined others."""

    def schedule(original, self):
        pass

    patch.wrap(Sync, "schedule", schedule)


@mutant(
    "a-hung-exchange-stays",
    check=("queue-bounds", "commands-complete", "timers-kept"),
    why="al8n/memberlist 166: half-open streams stayed for ever",
    needs=("stream cut",),
)
def a_hung_exchange_stays(patch: Patch) -> None:
    """An exchange that makes no progress is never given up."""

    def register(original, self, exchange):
        original(self, exchange)
        for kind in ("exchange", "exchange_life"):
            self._node.timers.cancel((kind, exchange.id))

    def progress(original, self, exchange):
        pass

    patch.wrap(Streams, "_register", register)
    patch.wrap(Streams, "_progress", progress)


@mutant(
    "two-members-exchange-for-ever",
    check=("quiescence", "exchange-rate"),
    why="ringpop 143: two members kept sending each other their full tables",
    needs=("loss",),
)
def two_members_exchange_for_ever(patch: Patch) -> None:
    """An exchange that found two views is followed by another one, whatever that one finds."""

    def diverged(original, self, address, left=rejoin.FOLLOW_UPS):
        original(self, address, max(1, left))

    def contradicts(original, self, record):
        return record.name != self._node.name

    patch.wrap(Rejoin, "diverged", diverged)
    patch.wrap(Merge, "_contradicts", contradicts)


@mutant(
    "lost-members-are-never-tried",
    check=("healing", "lost-are-tried"),
    why="memberlist 222, serf 605, antrea 4491, weaviate 10698: after a long partition two clusters"
    " remain for ever",
    needs=("partition",),
    point=5,
)
def lost_members_are_never_tried(patch: Patch) -> None:
    """Nobody tries to reach seeds or failed members again."""

    def lost(original, self):
        return []

    patch.wrap(Rejoin, "lost", lost)


@mutant(
    "lost-members-are-tried-once",
    check=("healing", "timers-kept"),
    why="slip: the timer of the next try is set by the start alone",
    needs=("partition", "long run"),
    point=5,
)
def lost_members_are_tried_once(patch: Patch) -> None:
    """A member tries lost ones once in its life."""

    def tick(original, self):
        original(self)
        self._node.timers.cancel(("rejoin", 0))

    patch.wrap(Rejoin, "tick", tick)


@mutant(
    "only-seeds-are-tried",
    check=("healing", "lost-are-tried"),
    why="weaviate 8246: only the configured addresses are tried, and they were all on one side",
    needs=("partition",),
    point=5,
)
def only_seeds_are_tried(patch: Patch) -> None:
    """Failed members that are no seeds are never looked for."""

    def lost(original, self):
        return [(address, name) for address, name in original(self) if name is None]

    patch.wrap(Rejoin, "lost", lost)


@mutant(
    "a-contradiction-is-not-followed-up",
    check=("healing",),
    why="slip: one exchange is thought to heal a partition, though each side holds the other dead"
    " until the dead have spoken",
    needs=("partition",),
    point=5,
)
def a_contradiction_is_not_followed_up(patch: Patch) -> None:
    """After an exchange that found two views the next one is the periodic one."""

    def contradicts(original, self, record):
        return False

    patch.wrap(Merge, "_contradicts", contradicts)
