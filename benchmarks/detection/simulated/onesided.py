"""One member's own trouble: what it cannot hear or say must not become the death of others."""

from __future__ import annotations

from collections.abc import Iterator

from detection.simulated.losses import lossy
from detection.simulated.tally import Tally
from detection.simulated.world import World

LONG_SECONDS = 180.0
DEAF_SECONDS = (60.0, 180.0)
BAD_LOSS = 0.6
SLOW_MEMBERS = 3
SLOW_LATENCY = (0.05, 0.8)
"""Seconds until such a member sees what was sent to it, 0.4 in the mean."""


def one_way(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """Nothing of one member reaches half of the others; they reach it."""
    world = World(profile, seed, nodes)
    first, *others = world.names
    world.simulation.links.cut([(first, other) for other in others[: len(others) // 2]])
    world.run(LONG_SECONDS)
    yield f"N={nodes} one cannot reach half, {LONG_SECONDS:g} s", world.tally()


def bad_link(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """One member loses most packets, both ways."""
    world = World(profile, seed, nodes)
    first = world.names[0]
    for source, target in world.pairs([first]):
        world.simulation.links.change_one(source, target, **lossy(BAD_LOSS))
    world.sick.add(first)
    world.run(LONG_SECONDS)
    found = world.tally()
    found.sick_episodes = 1
    found.sick_deaths = int(world.was_declared(first, 0.0))
    yield f"N={nodes} one loses {BAD_LOSS:.0%} both ways, {LONG_SECONDS:g} s", found


def deaf(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """One member is heard and hears nothing: it is as good as dead, and alone in that."""
    for seconds in DEAF_SECONDS:
        world = World(profile, seed, nodes)
        first = world.names[0]
        world.simulation.links.cut(world.pairs([first], out=False))
        world.sick.add(first)
        world.run(seconds)
        found = world.tally()
        found.sick_episodes = 1
        found.sick_deaths = int(world.was_declared(first, 0.0))
        yield f"N={nodes} one is deaf, {seconds:g} s", found


def slow(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """Some members see everything late; nobody stands still."""
    world = World(profile, seed, nodes)
    these = world.names[:SLOW_MEMBERS]
    for source, target in world.pairs(these, out=False):
        world.simulation.links.change_one(source, target, latency=SLOW_LATENCY)
    world.run(LONG_SECONDS)
    yield f"N={nodes} {len(these)} slow to hear, {LONG_SECONDS:g} s", world.tally()


def rejected(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """Some firewalls refuse all streams in the name of living hosts, while packets get lost."""
    for share, what in ((0.3, "a third of the links"), (1.0, "all links")):
        world = World(profile, seed, nodes, **lossy(0.05))
        for source in world.names:
            for target in world.names:
                if source != target and world.rng.random() < share:
                    world.simulation.links.change_one(
                        source, target, dial_refuse=1.0, dial_hang=0.0
                    )
        world.run(LONG_SECONDS)
        yield f"N={nodes} streams refused on {what}, 5% loss", world.tally()
