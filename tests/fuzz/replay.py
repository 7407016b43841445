"""Inputs again without instrumentation: how long each takes, and if memory grows.

    python -m tests.fuzz.replay TARGET FOLDER...

prints one JSON object. Started by ``tests.fuzz.run`` in a process of its own.
"""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.steps import timed
from tests.fuzz.targets import TARGETS

INPUTS_MAX = 2000
"""Inputs that are replayed: the slow ones first."""

REPEATS = 30
ROUNDS = 12
LIMIT_MS = 1.0
"""No packet, and no bytes of a stream that come at once, are to keep a parser busy for longer."""


def fastest_ms(target: Callable[[bytes], None], data: bytes) -> float:
    """CPU milliseconds of an input's longest call. The best of many where it looks slow, since all
    above that is this machine's doing.
    """
    best = _once_ms(target, data)
    for _ in range(REPEATS if best > LIMIT_MS / 2 else 1):
        best = min(best, _once_ms(target, data))
    return best


def _once_ms(target: Callable[[bytes], None], data: bytes) -> float:
    timed.read()
    target(data)
    return timed.read() / 1e6


def resident_kilobytes() -> int:
    """RSS of this process; 0 where there is no Linux to ask."""
    path = Path("/proc/self/status")
    if not path.exists():
        return 0
    status = path.read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def play(target: Callable[[bytes], None], inputs: list[bytes], rounds: int) -> None:
    """All inputs, over and over."""
    for _ in range(rounds):
        for data in inputs:
            target(data)


def report(name: str, folders: list[Path]) -> dict[str, object]:
    """Times in milliseconds, memory in kilobytes before and after the rounds."""
    target = TARGETS[name]
    paths = [path for folder in folders for path in sorted(folder.glob("*")) if path.is_file()]
    paths = paths[:INPUTS_MAX]
    inputs = [path.read_bytes() for path in paths]
    play(target, inputs, ROUNDS)  # until caches, which have their bounds, are full
    times = sorted(
        ((fastest_ms(target, data), path.name) for data, path in zip(inputs, paths, strict=True)),
        reverse=True,
    )
    gc.collect()
    resident = resident_kilobytes()
    play(target, inputs, ROUNDS)
    gc.collect()
    grown = resident_kilobytes() - resident
    tracemalloc.start()
    play(target, inputs, 1)
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    play(target, inputs, 3)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    slowest, slowest_name = times[0] if times else (0.0, "")
    return {
        "inputs": len(inputs),
        "slowest_ms": slowest,
        "slowest": slowest_name,
        "over": [each for taken, each in times if taken > LIMIT_MS],
        "resident_kb": resident,
        "grown_kb": grown,
        "traced_growth_bytes": after - before,
    }


if __name__ == "__main__":
    print(json.dumps(report(sys.argv[1], [Path(each) for each in sys.argv[2:]])))
