"""Other programs take the CPU: nobody is to be declared failed for being slow."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from detection.arena import FAILED, SUSPECTED, Arena, pump_all
from detection.tables import print_table

HOG = "while True: pass"


@contextmanager
def hogs(count: int, nice: int) -> Iterator[None]:
    """So many programs that compute without end."""
    command = ["nice", "-n", str(nice), sys.executable, "-c", HOG]
    running = []
    try:
        running += [subprocess.Popen(command) for _ in range(count)]
        yield
    finally:
        for hog in running:
            hog.kill()
        for hog in running:
            hog.wait()


def starve(
    arenas: Sequence[Arena], seconds: float, per_core: int, nice: int
) -> list[tuple[str, ...]]:
    """Let hogs run for a while; one row for each cluster."""
    began = time.monotonic()
    with hogs(per_core * (os.cpu_count() or 1), nice):
        pump_all(arenas, seconds)
    pump_all(arenas, 3.0)
    rows = []
    for arena in arenas:
        suspected, failed = arena.wrong(SUSPECTED, began), arena.wrong(FAILED, began)
        late = [line["lateness"] for line in arena.ask().values() if "lateness" in line]
        rows.append(
            (
                arena.side.name,
                f"{per_core} a core, nice {nice}",
                f"{len(suspected)}",
                f"{len(failed)}",
                f"{max(late):.2f} s" if late else "",
                "" if arena.side.name != "lan" else "MISSED" if failed else "ok",
            )
        )
    return rows


def report_starving(rows: Sequence[tuple[str, ...]], seconds: float) -> None:
    """Print false verdicts by cluster and strength."""
    head = ("", "hogs", "suspicions", "declared failed", "worst wake-up so far", "")
    title = f"Members that get no CPU for {seconds:g} s (events, counted at each observer)"
    print_table(title, head, rows, left=(0, 1, 5))
