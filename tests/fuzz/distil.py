"""Takes into the corpus what a run of the fuzzer found: few, small inputs with much new in them.

    python -m tests.fuzz.distil [--target NAME] [--keep 8]

Looks at ``build/fuzz/TARGET/found``. Of inputs of less than 1 KB it takes, one by one, the one
that runs most steps from line to line of the library that no input before it ran.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.run import WORK
from tests.fuzz.seeds import seeds_of
from tests.fuzz.targets import CORPUS, TARGETS

BYTES_MAX = 1024
LOOKED_AT = 1500
"""The smallest inputs of a run: tracing all of them takes long."""


class Tracer:
    """Steps from line to line inside the library."""

    def __init__(self) -> None:
        self.steps: set[tuple[str, int, int]] = set()

    def __call__(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        if "trio_gossip" not in frame.f_code.co_filename:
            return None
        last = frame.f_lineno
        name = frame.f_code.co_filename

        def local(frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
            nonlocal last
            self.steps.add((name, last, frame.f_lineno if event == "line" else -frame.f_lineno))
            last = frame.f_lineno
            return local

        return local


def steps_of(target: str, data: bytes) -> set[tuple[str, int, int]]:
    """What one input runs."""
    tracer = Tracer()
    before = sys.gettrace()  # perhaps one that measures coverage
    sys.settrace(tracer)
    try:
        TARGETS[target](data)
    finally:
        sys.settrace(before)
    return tracer.steps


def distil(target: str, keep: int) -> list[bytes]:
    """The inputs that are worth keeping, the best one first."""
    known: set[tuple[str, int, int]] = set()
    for data in seeds_of(target).values():
        known |= steps_of(target, data)
    found = sorted((WORK / target / "found").glob("*"), key=lambda path: path.stat().st_size)
    inputs = [path.read_bytes() for path in found[:LOOKED_AT] if path.stat().st_size <= BYTES_MAX]
    fresh = [(data, steps_of(target, data)) for data in inputs]
    taken: list[bytes] = []
    while len(taken) < keep and fresh:
        data, steps = max(fresh, key=lambda each: (len(each[1] - known), -len(each[0])))
        if not steps - known:
            break
        taken.append(data)
        known |= steps
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--keep", type=int, default=8, help="inputs for each target")
    options = parser.parse_args()
    for target in options.target or TARGETS:
        folder: Path = CORPUS / target
        for data in distil(target, options.keep):
            name = f"found_{hashlib.sha256(data).hexdigest()[:10]}"
            (folder / name).write_bytes(data)
            print(f"{target}: {name}, {len(data)} bytes")


if __name__ == "__main__":
    main()
