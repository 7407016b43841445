"""Deaths: of a process, of a host, of many at once, and of one that hangs for ever."""

from __future__ import annotations

from collections.abc import Iterator

from detection.simulated.tally import Tally
from detection.simulated.world import World

MASS_SHARES = (0.3, 0.6)
SMALL = (2, 3, 5)
AFTERMATH_SECONDS = 5.0
"""What a death costs in false deaths is counted for a while after it is known."""


def killed(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """A process is killed; its host lives and refuses what comes."""
    world = World(profile, seed, nodes)
    victim = world.rng.choice(world.names)
    world.kill(victim)
    yield f"N={nodes} process killed", _watched(world, [victim])


def host_gone(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """A host is gone: nothing comes back."""
    world = World(profile, seed, nodes)
    victim = world.rng.choice(world.names)
    world.take_away(victim)
    yield f"N={nodes} host gone", _watched(world, [victim])


def small(profile: str, seed: int, _: int) -> Iterator[tuple[str, Tally]]:
    """Clusters of two, three and five, in which there are few or no helpers."""
    for size in SMALL:
        yield from killed(profile, seed, size)
        yield from host_gone(profile, seed, size)


def mass(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """Many die in the same moment."""
    for share in MASS_SHARES:
        for gone in (False, True):
            world = World(profile, seed, nodes)
            victims = world.rng.sample(world.names, round(share * nodes))
            for victim in victims:
                if gone:
                    world.take_away(victim)
                else:
                    world.kill(victim)
            how = "hosts gone" if gone else "processes killed"
            yield f"N={nodes} {share:.0%} {how}", _watched(world, victims)


def hung(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """A process hangs for ever; its kernel goes on accepting connections."""
    world = World(profile, seed, nodes)
    victim = world.rng.choice(world.names)
    world.pause([victim], 1e6)
    yield f"N={nodes} process hangs for ever", _watched(world, [victim])


def _watched(world: World, victims: list[str]) -> Tally:
    deaths = Tally()
    world.watch_deaths(victims, deaths)
    world.run(AFTERMATH_SECONDS)
    deaths += world.tally()
    return deaths
