"""Processes that stop for a while: how long is forgiven, with a living host and without."""

from __future__ import annotations

from collections.abc import Iterator

from detection.simulated.tally import Tally
from detection.simulated.world import World

PAUSES = (1.5, 2.0, 2.5, 3.0, 5.0, 6.0, 8.0, 10.0, 12.0, 20.0)
SILENCES = (1.5, 2.0, 2.5, 4.0, 5.0, 6.0, 8.0, 10.0)
AFTER_SECONDS = 15.0
"""Until the last deadline of a suspicion is over, had it not been refuted."""

STALLS = ((0.02, 0.15, 10.0), (0.1, 0.6, 20.0))
"""From, to, and mean seconds between two at each member."""

STALL_SECONDS = 120.0


def pause(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """One process stops, its host answers for it; then goes on."""
    for seconds in PAUSES:
        yield f"N={nodes} process paused {seconds:g} s", _spell(profile, seed, nodes, seconds)


def silence(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """One whole machine is silent, as in a live migration; then goes on."""
    for seconds in SILENCES:
        found = _spell(profile, seed, nodes, seconds, silent=True)
        yield f"N={nodes} machine silent {seconds:g} s", found


def no_streams(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """A firewall drops all streams, so that no kernel can speak for a paused process."""
    for seconds in (2.0, 4.0, 5.0, 8.0):
        found = _spell(profile, seed, nodes, seconds, dial_hang=1.0)
        yield f"N={nodes} no streams, process paused {seconds:g} s", found


def stalls(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """Short stalls everywhere and all the time: a loaded machine, a collector of garbage."""
    for low, high, every in STALLS:
        world = World(profile, seed, nodes)
        for name in world.names:
            _next_stall(world, name, low, high, every)
        world.run(STALL_SECONDS)
        yield f"N={nodes} stalls of {low:g} to {high:g} s each {every:g} s", world.tally()


def _spell(
    profile: str,
    seed: int,
    nodes: int,
    seconds: float,
    *,
    silent: bool = False,
    dial_hang: float = 0.0,
) -> Tally:
    world = World(profile, seed, nodes, dial_hang=dial_hang)
    victim = world.rng.choice(world.names)
    pairs = world.pairs([victim])
    began = world.now
    if silent:
        world.simulation.links.cut(pairs)
    world.pause([victim], seconds)
    world.run(seconds)
    if silent:
        world.simulation.links.mend(pairs)
    world.run(AFTER_SECONDS)
    found = world.tally()
    found.sick_episodes = 1
    found.sick_deaths = int(world.was_declared(victim, began))
    return found


def _next_stall(world: World, name: str, low: float, high: float, every: float) -> None:
    def stall() -> None:
        seconds = world.rng.uniform(low, high)
        world.simulation.pause(name)
        world.simulation.at(seconds, lambda: world.simulation.resume(name))
        world.simulation.at(seconds + world.rng.expovariate(1 / every), stall)

    world.simulation.at(world.rng.expovariate(1 / every), stall)
