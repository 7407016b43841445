"""SIGKILL to one member after another, in all clusters at once; each comes back afterwards."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from harness import Measure, print_measures, print_note

from detection.arena import FAILED, SUSPECTED, Arena, pump_all, wait_all

GONE_SECONDS = 60.0
BACK_SECONDS = 60.0
"""Longer than the interval of push/pull: who was missed by gossip hears of it then."""

IN_FLIGHT_SECONDS = 2.0
"""A probe of the former life may still be under way when the next one is there."""

AIM_N = 30
AIM_KNOWN = 1.6
AIM_BACK = 2.0


@attrs.define
class Deaths:
    """Seconds from SIGKILL, of all victims of one side."""

    suspected: list[float] = attrs.Factory(list)
    first: list[float] = attrs.Factory(list)
    known: list[float] = attrs.Factory(list)
    back: list[float] = attrs.Factory(list)
    """From the launch of the process again until all see it."""


def kill_all(arenas: Sequence[Arena], kills: int) -> dict[str, Deaths]:
    """One victim in each cluster, so many times. What was found before an error is kept by the
    clusters' own logs.

    Raises:
        RuntimeError: somebody never heard of a death or of a return.
    """
    found = {arena.side.name: Deaths() for arena in arenas}
    for number in range(kills):
        _one_round(arenas, found)
        seen = ", ".join(
            f"{name} {deaths.suspected[-1]:.2f} / {deaths.known[-1]:.2f}"
            for name, deaths in found.items()
        )
        print_note(f"kill {number + 1}: first suspicion / all know: {seen}")
    return found


def _one_round(arenas: Sequence[Arena], found: dict[str, Deaths]) -> None:
    # Kills at the same phase of every probe round would be no sample of anything.
    pump_all(arenas, 1.0 + arenas[0].rng.random())
    killed: dict[Arena, tuple[str, float]] = {}
    excuses = []
    for arena in arenas:
        victim = arena.rng.choice(arena.names)
        killed[arena] = (victim, arena.kill(victim))
        excuses.append(arena.excuse(victim, since=killed[arena][1]))
    wait_all(
        arenas,
        lambda arena: (
            len(arena.heard(killed[arena][0], FAILED, killed[arena][1])) == len(arena.agents)
        ),
        "all know of a death",
        GONE_SECONDS,
    )
    lives: dict[Arena, str] = {}
    for arena, (victim, at) in killed.items():
        deaths = found[arena.side.name]
        failed = arena.heard(victim, FAILED, at).values()
        suspected = arena.heard(victim, SUSPECTED, at).values()
        deaths.first.append(min(failed) - at)
        deaths.known.append(max(failed) - at)
        deaths.suspected.append(min((*suspected, min(failed))) - at)
        lives[arena] = arena.launch(victim)
    wait_all(
        arenas,
        lambda arena: (
            arena.is_whole()
            and all(view[killed[arena][0]] == lives[arena] for view in arena.views.values())
        ),
        "all see it again",
        BACK_SECONDS,
    )
    for arena, excuse in zip(arenas, excuses, strict=True):
        victim = killed[arena][0]
        launched = arena.agents[victim].launched
        seen = [
            said.at
            for said in arena.log
            if said.at >= launched and said.subject == victim and said.meta == lives[arena]
        ]
        found[arena.side.name].back.append(max(seen) - launched)
        excuse.until = max(seen) + IN_FLIGHT_SECONDS


def report_kills(n: int, found: dict[str, Deaths], arenas: Sequence[Arena]) -> None:
    """Print the table, and how often members that were up were accused."""
    measures = []
    for name, deaths in found.items():
        aim = AIM_KNOWN if name == "lan" and n == AIM_N else None
        measures += [
            Measure(f"{name}: first suspicion anywhere", "s", deaths.suspected),
            Measure(f"{name}: first declares it failed", "s", deaths.first),
            Measure(f"{name}: all others know", "s", deaths.known, aim, by_mean=True),
            Measure(f"{name}: back, all see it again", "s", deaths.back, AIM_BACK),
        ]
    print_measures(f"Death of one of {n} members, from SIGKILL; p99 of so few is the max", measures)
    report_wrong(arenas)


def report_wrong(arenas: Sequence[Arena], since: float = 0.0) -> None:
    """Print accusations of members that were up."""
    print()
    for arena in arenas:
        suspected, failed = arena.wrong(SUSPECTED, since), arena.wrong(FAILED, since)
        print(
            f"{arena.side.name}: accusations of members that were up: {len(suspected)} suspicions,"
            f" {len(failed)} failures (events, counted at each observer)"
        )
