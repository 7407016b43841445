"""Bugs in statistics and counters, and in commands of the application that must end."""

from __future__ import annotations

import attrs

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.engine.core import Engine
from trio_gossip.engine.counters import Counters
from trio_gossip.engine.membership import Membership
from trio_gossip.engine.pinger import Pinger
from trio_gossip.engine.view import EngineView


@mutant(
    "statistics-count-the-dead",
    check=("statistics-match-trace",),
    why="slip: the number of rows instead of the number of active members",
)
def statistics_count_the_dead(patch: Patch) -> None:
    """``active`` counts failed and left members."""

    def statistics(original, self):
        found = original(self)
        return attrs.evolve(found, active=found.members)

    patch.wrap(EngineView, "statistics", statistics)


@mutant(
    "counters-count-to-one",
    check=("statistics-match-trace", "counters-monotone"),
    why="slip: = instead of +=",
)
def counters_count_to_one(patch: Patch) -> None:
    """A counter says that something happened and not how often."""

    def bump(original, self, name, by=1):
        self[name] = by

    patch.wrap(Counters, "bump", bump)


@mutant(
    "refused-packets-are-not-counted",
    check=("statistics-match-trace",),
    why="slip: what the network says of a closed port is dropped",
    point=8,
)
def refused_packets_are_not_counted(patch: Patch) -> None:
    """The word that nobody listens at an address leaves no trace."""

    def bump(original, self, name, by=1):
        if not name.startswith("packet_refused"):
            original(self, name, by)

    patch.wrap(Counters, "bump", bump)


@mutant(
    "n-drifts",
    check=("statistics-match-trace", "sends-per-rumour"),
    why="slip: the number of active members is counted up where they return and not down where they"
    " go",
)
def n_drifts(patch: Patch) -> None:
    """The N of all formulas grows with each death."""

    def replace(original, self, entry, member, *, now):
        active = self._active
        row = original(self, entry, member, now=now)
        self._active = max(active, self._active)
        return row

    patch.wrap(Membership, "replace", replace)


@mutant(
    "a-ping-never-ends-in-vain",
    check=("commands-complete",),
    why="slip: only the ack ends the command",
    needs=("loss",),
)
def a_ping_never_ends_in_vain(patch: Patch) -> None:
    """A ping of the application to a silent member never ends for the caller."""

    def timeout(original, self, sequence):
        del self._asked[sequence]
        self._node.questions.forget(sequence)

    patch.wrap(Pinger, "timeout", timeout)


@mutant(
    "bad-packets-are-not-counted",
    check=("statistics-match-trace", "counters-monotone"),
    why="slip: bad packets are dropped and not counted",
    needs=("corruption", "hostile"),
)
def bad_packets_are_not_counted(patch: Patch) -> None:
    """A packet that cannot be read leaves no trace in the counters."""

    def receive(original, self, data, source, *, now):
        counters = self._node.counters
        outputs = original(self, data, source, now=now)
        for name in [name for name in counters if name.startswith("packet_")]:
            if not name.startswith("packet_refused"):
                del counters[name]
        return outputs

    patch.wrap(Engine, "receive_packet", receive)
