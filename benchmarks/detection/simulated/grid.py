"""The experiment of the Lifeguard paper: some members are blocked again and again, together.

C members at once, for D seconds, with a gap between two spells, during 45 s + D. *io* is the
paper's own: timers run, what is sent and received waits until the end. *pause* stops the whole
process. What counts is who else is declared dead for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from detection.simulated.tally import Tally
from detection.simulated.world import World

SIZES = (1, 8, 32)
SPELLS = (0.512, 2.048, 8.192, 32.768)
GAPS = (0.064, 2.048)
BASE_SECONDS = 45.0


def grid_io(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """Members that can neither send nor receive for a while, while their timers run."""
    return _cells(profile, seed, nodes, "io")


def grid_pause(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """Processes that are stopped for a while and go on, several at once."""
    return _cells(profile, seed, nodes, "pause")


def _cells(profile: str, seed: int, nodes: int, mode: str) -> Iterator[tuple[str, Tally]]:
    """One line for each size and length of a spell, both gaps together."""
    for spell in SPELLS:
        for size in sorted({min(size, nodes // 4) for size in SIZES}):
            total = Tally()
            for gap in GAPS:
                total += cell(profile, seed, nodes, mode, size, spell, gap)
            total.runs = 1
            yield f"N={nodes} {mode} C={size} D={spell:g} s", total


def cell(
    profile: str, seed: int, nodes: int, mode: str, size: int, spell: float, gap: float
) -> Tally:
    """One cell of the grid."""
    world = World(profile, seed, nodes)
    blocked = world.rng.sample(world.names, size)
    world.sick.update(blocked)
    duration = BASE_SECONDS + spell
    episodes = int(duration / (spell + gap))
    ends = world.now + duration
    deaths = 0
    for _ in range(episodes):
        began = world.now
        if mode == "io":
            world.block(blocked, spell)
        else:
            world.pause(blocked, spell)
        world.run(spell + gap)
        deaths += sum(world.was_declared(name, began) for name in blocked)
    world.run(max(0.0, ends - world.now))
    found = world.tally()
    found.sick_episodes = episodes * size
    found.sick_deaths = deaths
    return found
