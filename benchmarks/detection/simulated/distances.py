"""Members near and far: some links take a hundred times longer than others."""

from __future__ import annotations

from collections.abc import Iterator

from detection.simulated.losses import lossy
from detection.simulated.tally import Tally
from detection.simulated.world import World

FAR = (0.09, 0.12)
"""Seconds one way between sites: across an ocean, with some jitter."""

SITES = 3
REST_SECONDS = 180.0
LOSS = 0.02


def distances(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """Three sites far apart: at rest, then with a death in one of them."""
    world = _sites(profile, seed, nodes)
    world.run(REST_SECONDS)
    yield f"N={nodes} in {SITES} sites, {LOSS:.0%} loss, {REST_SECONDS:g} s", world.tally()
    for gone in (False, True):
        world = _sites(profile, seed, nodes)
        world.run(REST_SECONDS / 6)
        world.begin()
        victim = world.rng.choice(world.names)
        (world.take_away if gone else world.kill)(victim)
        deaths = Tally()
        world.watch_deaths([victim], deaths)
        deaths += world.tally()
        how = "host gone" if gone else "process killed"
        yield f"N={nodes} in {SITES} sites, {how}", deaths


def lone(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """One member far from all others."""
    world = World(profile, seed, nodes, **lossy(LOSS))
    for source, target in world.pairs(world.names[:1]):
        world.simulation.links.change_one(source, target, latency=FAR)
    world.run(REST_SECONDS)
    yield f"N={nodes} one far from all, {LOSS:.0%} loss, {REST_SECONDS:g} s", world.tally()


def _sites(profile: str, seed: int, nodes: int) -> World:
    world = World(profile, seed, nodes, **lossy(LOSS))
    site = {name: number % SITES for number, name in enumerate(world.names)}
    for source in world.names:
        for target in world.names:
            if site[source] != site[target]:
                world.simulation.links.change_one(source, target, latency=FAR)
    return world
