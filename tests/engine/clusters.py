"""Small clusters of engines in virtual time."""

from __future__ import annotations

from typing import Any

from trio_gossip.testing import Simulation


def cluster(
    *names: str, seed: int = 1, faults: dict[str, Any] | None = None, **changes: Any
) -> Simulation:
    """A cluster whose members all know each other; ``changes`` are of the LAN profile."""
    world = Simulation(seed, **(faults or {}))
    for name in names:
        world.start(name, **changes)
        if name != names[0]:
            world.join(name, names[0])
    assert world.run_until(world.agree, 30.0), "the cluster never formed"
    return world


def states(world: Simulation, subject: str) -> set[str]:
    """What all other members think of one."""
    found = set()
    for name, process in world.processes.items():
        if name != subject:
            member = process.engine.member(subject)
            found.add("unknown" if member is None else member.state.value)
    return found


def active(world: Simulation, name: str) -> set[str]:
    """The members that one counts."""
    return world.processes[name].active_names()


def split(world: Simulation, *side: str) -> None:
    """Cut every link between ``side`` and the others."""
    for one in side:
        for other in sorted(set(world.processes) - set(side)):
            world.links.cut([(one, other), (other, one)])
