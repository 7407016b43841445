"""Lossy links: at rest, a quarter of all packets, and losses that come in bursts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from detection.simulated.tally import Tally
from detection.simulated.world import World

HEAVY_LOSS = 0.25
HEAVY_SECONDS = 600.0
REST_LOSSES = (0.0, 0.01, 0.05)
REST_SECONDS = 120.0

BURST_EVERY = 5.0
BURST_MEAN = 0.3
"""Seconds, both exponential: a host hears and says nothing in 6 % of the time."""

RACK_EVERY = 20.0
RACK_SIZE = 8
"""Hosts behind one switch, whose bursts come together."""

BURST_SECONDS = 300.0


def lossy(loss: float) -> dict[str, Any]:
    """Faults of links that lose packets of streams as well: a connection is there in time only if
    neither SYN nor its answer is lost, since the kernel tries again after a second at the soonest.
    """
    return {"loss": loss, "dial_hang": 1.0 - (1.0 - loss) ** 2}


def loss(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """A quarter of all packets vanish, for ten minutes."""
    world = World(profile, seed, nodes, **lossy(HEAVY_LOSS))
    world.run(HEAVY_SECONDS)
    yield f"N={nodes} {HEAVY_LOSS:.0%} loss, {HEAVY_SECONDS:g} s", world.tally()


def killed_in_loss(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """A death while a quarter of all packets vanish."""
    for gone in (False, True):
        world = World(profile, seed, nodes, **lossy(HEAVY_LOSS))
        victim = world.rng.choice(world.names)
        (world.take_away if gone else world.kill)(victim)
        deaths = Tally()
        world.watch_deaths([victim], deaths)
        deaths += world.tally()
        how = "host gone" if gone else "process killed"
        yield f"N={nodes} {how}, {HEAVY_LOSS:.0%} loss", deaths


def rest(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """Nothing happens, with little or no loss: what it costs, and what is suspected for nothing."""
    for share in REST_LOSSES:
        world = World(profile, seed, nodes, **lossy(share))
        world.run(REST_SECONDS)
        yield f"N={nodes} at rest, {share:.0%} loss", world.tally()


def bursts(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """Hosts lose all packets for a moment, each by itself or a whole rack together."""
    world = World(profile, seed, nodes)
    for name in world.names:
        _next_burst(world, [name], BURST_EVERY, BURST_MEAN)
    world.run(BURST_SECONDS)
    yield f"N={nodes} bursts of {BURST_MEAN:g} s at each host", world.tally()

    world = World(profile, seed, nodes)
    for first in range(0, nodes, RACK_SIZE):
        _next_burst(world, world.names[first : first + RACK_SIZE], RACK_EVERY, 4 * BURST_MEAN)
    world.run(BURST_SECONDS)
    yield f"N={nodes} bursts of {4 * BURST_MEAN:g} s at racks of {RACK_SIZE}", world.tally()


def _next_burst(world: World, names: list[str], every: float, mean: float) -> None:
    """Cut these hosts off after a while, mend it after a moment, and so on."""
    inside = set(names)
    pairs = [
        pair for pair in world.pairs(names) if not (len(names) > 1 and inside.issuperset(pair))
    ]
    links, rng = world.simulation.links, world.rng

    def begin() -> None:
        links.cut(pairs)
        world.simulation.at(min(rng.expovariate(1 / mean), 2.5), end)

    def end() -> None:
        links.mend(pairs)
        world.simulation.at(rng.expovariate(1 / every), begin)

    world.simulation.at(rng.expovariate(1 / every), begin)
