"""Who is killed and started again at once, or under another port: when all see the new life."""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness import Measure, print_measures, print_note

from detection.arena import Arena, pump_all
from detection.sides import GO

BACK_SECONDS = 60.0
AIM_SECONDS = 2.0
IN_FLIGHT_SECONDS = 12.0
"""Suspicions of the former life may still be on their way."""


def return_all(arenas: Sequence[Arena], times: int) -> dict[str, list[float]]:
    """Kill and start a member at once, so often at its old port and at another one. Seconds from
    the launch, by cluster and way. memberlist takes a name back at its old address only.

    Raises:
        RuntimeError: somebody never saw the new life.
    """
    found: dict[str, list[float]] = {}
    for number in range(times):
        for same_port in (True, False):
            for arena in arenas:
                if not same_port and arena.side.name == GO:
                    continue
                where = "same port" if same_port else "other port"
                found.setdefault(f"{arena.side.name}: at once, {where}", []).append(
                    _return(arena, same_port=same_port)
                )
            pump_all(arenas, 2.0)
        print_note(f"return {number + 1} of {times}")
    return found


def _return(arena: Arena, *, same_port: bool) -> float:
    victim = arena.rng.choice(arena.names)
    excuse = arena.excuse(victim, since=arena.kill(victim))
    life = arena.launch(victim, same_port=same_port)
    arena.wait(
        lambda: arena.is_whole() and all(view[victim] == life for view in arena.views.values()),
        f"all see {victim} again",
        BACK_SECONDS,
    )
    launched = arena.agents[victim].launched
    seen = max(
        said.at
        for said in arena.log
        if said.at >= launched and said.subject == victim and said.meta == life
    )
    excuse.until = time.monotonic() + IN_FLIGHT_SECONDS
    return seen - launched


def report_returns(found: dict[str, list[float]]) -> None:
    """Print the seconds; Python's own start is in them."""
    measures = [Measure(how, "s", seconds, AIM_SECONDS) for how, seconds in found.items()]
    print_measures("Return under the same name, from the launch of its process", measures)
