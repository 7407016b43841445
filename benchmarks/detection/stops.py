"""SIGSTOP to one member after another, for a while each: nobody is to be declared failed."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from harness import print_note

from detection.arena import FAILED, SUSPECTED, Arena, pump_all
from detection.tables import print_table

STOPS = (2.0, 5.0, 9.0)
AFTER_SECONDS = 4.0
"""Until what was said about the stopped member is over."""


def stop_all(
    arenas: Sequence[Arena], times: int, stops: Sequence[float] = STOPS
) -> dict[float, dict[str, list[tuple[int, int, int]]]]:
    """Stop a member of each cluster, so often for each length. By length and side: observers that
    suspected it, that declared it failed, and failures of anybody else.
    """
    found: dict[float, dict[str, list[tuple[int, int, int]]]] = {}
    for seconds in stops:
        results = found[seconds] = {arena.side.name: [] for arena in arenas}
        for number in range(times):
            stopped: dict[Arena, tuple[str, float]] = {}
            excuses = []
            for arena in arenas:
                victim = arena.rng.choice(arena.names)
                at = arena.signal(victim, signal.SIGSTOP)
                stopped[arena] = (victim, at)
                excuses.append(arena.excuse(victim, since=at))
            try:
                pump_all(arenas, seconds)
            finally:
                for arena, (victim, _) in stopped.items():
                    arena.signal(victim, signal.SIGCONT)
            pump_all(arenas, AFTER_SECONDS + arenas[0].rng.random())
            for arena, excuse in zip(arenas, excuses, strict=True):
                victim, at = stopped[arena]
                excuse.until = at + seconds + AFTER_SECONDS
                others = [said for said in arena.wrong(FAILED, at) if said.subject != victim]
                results[arena.side.name].append(
                    (
                        len(arena.heard(victim, SUSPECTED, at)),
                        len(arena.heard(victim, FAILED, at)),
                        len(others),
                    )
                )
                arena.wait(arena.is_whole, "all see all again")
            print_note(f"stopped {seconds:g} s, {number + 1} of {times}")
    return found


def report_stops(found: dict[float, dict[str, list[tuple[int, int, int]]]]) -> None:
    """Print how often a stopped member was suspected and declared failed."""
    rows = [
        (
            f"{seconds:g} s",
            name,
            f"{len(results)}",
            f"{sum(suspected > 0 for suspected, _, _ in results)}",
            f"{sum(failed > 0 for _, failed, _ in results)}",
            f"{sum(others for _, _, others in results)}",
            ("ok" if not any(f or o for _, f, o in results) else "MISSED") if name == "lan" else "",
        )
        for seconds, sides in found.items()
        for name, results in sides.items()
    ]
    head = ("SIGSTOP for", "", "times", "suspected", "declared failed", "others failed", "")
    print_table("A stopped process, and who was declared failed for it", head, rows, left=(0, 1))
