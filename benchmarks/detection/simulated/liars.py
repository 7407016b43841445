"""One member lies: it accuses others with invented accusers, of the strongest class and age."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from detection.simulated.tally import Tally
from detection.simulated.world import World
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Suspect

EVERY_SECONDS = 0.5
LIVING_SECONDS = 120.0
PAUSE_SECONDS = 8.0
OLD_MILLISECONDS = 600_000
"""The greatest age that is well-formed."""

REFUSED = 2
"""The class with the shortest time to refute, as a number."""


def liar(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """One accuses a living, a paused and a vanished member, to everybody and all the time."""
    world = World(profile, seed, nodes)
    _accuse(world, None)
    world.run(LIVING_SECONDS)
    yield f"N={nodes} a liar accuses the living, {LIVING_SECONDS:g} s", world.tally()

    world = World(profile, seed, nodes)
    victim = world.names[1]
    began = world.now
    _accuse(world, victim)
    world.pause([victim], PAUSE_SECONDS)
    world.run(2 * PAUSE_SECONDS)
    found = world.tally()
    found.sick_episodes, found.sick_deaths = 1, int(world.was_declared(victim, began))
    yield f"N={nodes} a liar accuses one paused for {PAUSE_SECONDS:g} s", found

    world = World(profile, seed, nodes)
    victim = world.names[1]
    _accuse(world, victim)
    world.take_away(victim)
    deaths = Tally()
    world.watch_deaths([victim], deaths)
    deaths += world.tally()
    yield f"N={nodes} a liar accuses a host that is gone", deaths


def _accuse(world: World, victim: str | None) -> None:
    """Send accusations to all others from now on, of one member or of others in turn."""
    codec, simulation, first = NativeCodec(), world.simulation, world.names[0]
    source = simulation.processes[first].address

    def step() -> None:
        for name in world.names[1:]:
            subject = victim or world.rng.choice(world.names[1:])
            process = simulation.processes[name]
            row = process.engine.member(subject)
            if row is None or subject == name:
                continue
            others = [other for other in world.names if other not in (first, name, subject)]
            claim = _claim(row.incarnation, subject, first, world.rng.sample(others, 3))
            simulation.inject(name, codec.pack([codec.encode(claim)]), source)
        simulation.at(EVERY_SECONDS, step)

    simulation.at(0.0, step)


def _claim(incarnation: int, subject: str, accuser: str, others: list[str]) -> Suspect:
    known = {field.name for field in attrs.fields(Suspect)}
    more: dict[str, Any] = {}
    if "evidence" in known:
        more["evidence"] = REFUSED
        more["age"] = OLD_MILLISECONDS
        more["others"] = tuple((other, REFUSED) for other in others)
    return Suspect(incarnation, subject, accuser, **more)
