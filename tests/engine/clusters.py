"""Small clusters of engines in virtual time."""

from __future__ import annotations

from tests.simulation.world import Links, World


def cluster(*names: str, seed: int = 1, links: Links | None = None, **changes: object) -> World:
    """A cluster whose members all know each other."""
    world = World(seed, links)
    for name in names:
        world.start(name, **changes)
        if name != names[0]:
            world.join(name, names[0])
    assert world.run_until(world.agree, 30.0), "the cluster never formed"
    return world


def states(world: World, subject: str) -> set[str]:
    """What all other members think of one."""
    found = set()
    for name, process in world.processes.items():
        if name != subject:
            member = process.engine.member(subject)
            found.add("unknown" if member is None else member.state.value)
    return found
