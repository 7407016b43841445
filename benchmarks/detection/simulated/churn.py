"""Members that come, go and come back while others are in trouble."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from detection.simulated.tally import Tally
from detection.simulated.world import World

CHURN_SECONDS = 120.0
CHURN_EVERY = 3.0
SPELL_SECONDS = 2.048
SPELL_GAP = 2.048
SPELL_MEMBERS = 8
DOWN_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)


def churn(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """Joins and goodbyes all the time, while eight members are blocked or paused in turn."""
    for mode in ("io", "pause"):
        world = World(profile, seed, nodes)
        sick = world.rng.sample(world.names[1:], min(SPELL_MEMBERS, nodes // 4))
        world.sick.update(sick)
        comings: Counter[str] = Counter()
        _keep_churning(world, sick, comings)
        ends = world.now + CHURN_SECONDS
        spells = deaths = 0
        while world.now < ends:
            began = world.now
            if mode == "io":
                world.block(sick, SPELL_SECONDS)
            else:
                world.pause(sick, SPELL_SECONDS)
            world.run(SPELL_SECONDS + SPELL_GAP)
            spells += len(sick)
            deaths += sum(world.was_declared(name, began) for name in sick)
        found = world.tally()
        found.sick_episodes, found.sick_deaths = spells, deaths
        found.counts += comings
        yield f"N={nodes} joins and goodbyes, {len(sick)} under {mode}", found


def _keep_churning(world: World, sick: list[str], comings: Counter[str]) -> None:
    """Somebody new joins, or somebody who joined so leaves, each few seconds."""
    simulation, guests = world.simulation, []
    names = iter(f"guest{number:04}" for number in range(10_000))

    def step() -> None:
        if guests and world.rng.random() < 0.5:
            name = guests.pop(0)
            # It leaves of itself: whoever declares it failed is wrong.
            simulation.leave(name)
            comings["goodbyes"] += 1
        else:
            name = next(names)
            simulation.start(name, **world.changes)
            seeds = [other for other in world.names if other not in sick]
            simulation.join(name, world.rng.choice(seeds))
            world.names.append(name)
            guests.append(name)
            comings["joins"] += 1
        simulation.at(world.rng.expovariate(1 / CHURN_EVERY), step)

    simulation.at(world.rng.expovariate(1 / CHURN_EVERY), step)


def restarts(profile: str, seed: int, nodes: int) -> Iterator[tuple[str, Tally]]:
    """A process is killed and soon there again, at the same port: seen as dead or not at all."""
    for seconds in DOWN_SECONDS:
        world = World(profile, seed, nodes)
        simulation = world.simulation
        victim, seed_name = world.rng.sample(world.names, 2)
        began = world.now
        world.kill(victim)
        world.run(seconds)
        simulation.start(victim, **world.changes)
        simulation.join(victim, seed_name)
        back = world.now
        tally = Tally()
        done = simulation.run_until(simulation.agree, 60.0)
        tally.seconds["all see it again"] = [world.now - back if done else float("inf")]
        world.run(10.0)
        tally += world.tally()
        tally.sick_episodes = 1
        tally.sick_deaths = int(world.was_declared(victim, began))
        yield f"N={nodes} restarted after {seconds:g} s", tally
