"""Bugs in what is done about members that were buried and live, and about addresses once known."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.codec.messages import Dead
from trio_gossip.engine import returns
from trio_gossip.engine.node import Node
from trio_gossip.engine.rejoin import Rejoin
from trio_gossip.engine.relay import Relay
from trio_gossip.engine.returns import Returns
from trio_gossip.members import MemberState


@mutant(
    "the-buried-are-not-asked",
    check=("convergence", "healing"),
    why="slip: what a peer's table says of a buried member is old news and dropped",
    needs=("partition",),
    point=5,
)
def the_buried_are_not_asked(patch: Patch) -> None:
    """After a partition nobody asks the members of the other side whether they are there."""

    def begin(original, self, name, asked):
        return None

    patch.wrap(Returns, "_begin", begin)


@mutant(
    "the-buried-are-asked-for-ever",
    check=("quiescence", "memory-bounds"),
    why="slip: tries are counted and never compared",
    needs=("partition",),
)
def the_buried_are_asked_for_ever(patch: Patch) -> None:
    """A member that is really gone is asked twice a second, for ever."""
    patch.value(returns, "TRIES", 1 << 30)


@mutant(
    "hearsay-of-the-reaped-is-believed",
    check=("no-resurrection", "convergence"),
    why="atomix 962 and the notes of quickwit/chitchat: a push/pull brought removed members back",
    needs=("long run", "partition"),
)
def hearsay_of_the_reaped_is_believed(patch: Patch) -> None:
    """Who was away for long brings back members that all others have reaped."""

    def must_verify(original, self, claim, stone, origin):
        return False

    patch.wrap(Returns, "must_verify", must_verify)


@mutant(
    "the-accusation-stays-at-home",
    check=("convergence", "healing"),
    why="slip: a buried member is pinged, and does not hear what it has to refute",
    needs=("partition",),
    point=5,
)
def the_accusation_stays_at_home(patch: Patch) -> None:
    """The other side of a partition is asked whether it is there and not told that it is dead."""

    def begin(original, self, name, asked):
        asked.held = None
        return original(self, name, asked)

    patch.wrap(Returns, "_begin", begin)


@mutant(
    "seeds-are-forgotten",
    check=("healing", "forming"),
    why="weaviate 8246: after a restart of all members nobody knew where to look",
    needs=("partition",),
)
def seeds_are_forgotten(patch: Patch) -> None:
    """The addresses that the application gave are dialled once and not remembered."""

    def remember(original, self, seeds):
        pass

    patch.wrap(Rejoin, "remember", remember)


@mutant(
    "the-reaped-are-not-looked-for",
    check=("healing", "lost-are-tried"),
    why="slip: only rows of the table are tried, and a long partition outlives them",
    needs=("partition", "long run"),
    point=5,
)
def the_reaped_are_not_looked_for(patch: Patch) -> None:
    """A part of the cluster that was reaped is lost for ever."""

    def lost(original, self):
        table = self._node.table
        found = original(self)
        return [(at, name) for at, name in found if name is None or table.get(name) is not None]

    patch.wrap(Rejoin, "lost", lost)


@mutant(
    "those-who-left-are-looked-for",
    check=("tries-are-few",),
    why="slip: all rows that are not active count as lost",
    needs=("leave", "long run"),
)
def those_who_left_are_looked_for(patch: Patch) -> None:
    """Members that said goodbye are dialled as long as they are in the table."""

    def lost(original, self):
        left = [
            (entry.member.address, entry.member.name)
            for entry in self._node.table
            if entry.member.state is MemberState.LEFT
        ]
        return original(self) + left

    patch.wrap(Rejoin, "lost", lost)


@mutant(
    "everybody-tries-at-once",
    check=("tries-are-few",),
    why="slip: the chance of a try is computed and not used; a hundred members dial one address",
    needs=("partition",),
)
def everybody_tries_at_once(patch: Patch) -> None:
    """Each member tries a lost address in each interval, not one of all."""

    def tick(original, self):
        rng = self._node.rng
        self._node.rng = _Certain(rng)
        try:
            original(self)
        finally:
            self._node.rng = rng

    patch.wrap(Rejoin, "tick", tick)


class _Certain:
    """The first number is drawn for the wait, the second one decides whether to try."""

    def __init__(self, rng) -> None:
        self._rng = rng
        self._drawn = 0

    def random(self) -> float:
        self._drawn += 1
        found = self._rng.random()
        return 0.0 if self._drawn == 2 else found


@mutant(
    "the-failed-who-ping-hear-nothing",
    check=("pings-answered", "convergence"),
    why="slip: a ping is answered whoever sends it, and that is all",
    needs=("partition", "pause"),
)
def the_failed_who_ping_hear_nothing(patch: Patch) -> None:
    """A member that others hold failed, and that pings them, is not told so."""

    failed = []

    def ping(original, self, message, source):
        asker = self._node.table.get(message.source)
        failed.append(asker is not None and asker.member.state is MemberState.FAILED)
        original(self, message, source)
        failed.pop()

    def answer(original, self, source, peer_name, message, also=()):
        if not (failed and failed[-1] and type(message) is Dead):
            original(self, source, peer_name, message, also)

    patch.wrap(Relay, "ping", ping)
    patch.wrap(Node, "answer", answer)


@mutant(
    "the-reaped-who-ping-hear-nothing",
    check=("pings-answered", "convergence"),
    why="slip: the same is done for failed rows and not for tombstones",
    needs=("partition", "long run"),
)
def the_reaped_who_ping_hear_nothing(patch: Patch) -> None:
    """A member that was reaped, and that pings, is not told what is held against it."""

    def answer(original, self, name, to):
        pass

    patch.wrap(Relay, "_answer_the_buried", answer)


@mutant(
    "a-heal-is-not-settled",
    check=("convergence",),
    why="slip: the timer of the exchange after a heal is never set",
    needs=("partition",),
)
def a_heal_is_not_settled(patch: Patch) -> None:
    """What gossip missed when many came back at once waits for the periodic exchange."""

    def came_back(original, self, name):
        original(self, name)
        self._node.timers.cancel(("settle", 0))

    patch.wrap(Returns, "came_back", came_back)
