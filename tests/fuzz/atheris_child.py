"""One target under atheris, in a process of its own: started by ``tests.fuzz.run``.

    python -m tests.fuzz.atheris_child TARGET FOLDER [options of libFuzzer]

Inputs that were slow go to ``FOLDER/slow``; they are timed again without instrumentation.
"""

from __future__ import annotations

import hashlib
import heapq
import sys
from pathlib import Path

import atheris

# What is imported inside is instrumented: all of the library, and the targets themselves, whose
# branches are worth covering too. Its dependencies are not.
with atheris.instrument_imports(include=["trio_gossip", "trio_gossip_transports", "tests"]):
    from tests.fuzz.steps import timed
    from tests.fuzz.targets import INPUT_BYTES_MAX, TARGETS

SLOW_MAX = 24
"""Slow inputs that are kept: the slowest ones."""


class Stopwatch:
    """Runs a target and keeps the inputs that took longest, as files."""

    def __init__(self, name: str, folder: Path) -> None:
        self._target = TARGETS[name]
        self._folder = folder
        self._slowest: list[tuple[int, str]] = []
        self._folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, data: bytes) -> None:
        self._target(data)
        taken = timed.read()
        if len(self._slowest) < SLOW_MAX or taken > self._slowest[0][0]:
            self._keep(data, taken)

    def _keep(self, data: bytes, taken: int) -> None:
        name = hashlib.sha256(data).hexdigest()[:16]
        if any(kept == name for _, kept in self._slowest):
            return
        (self._folder / name).write_bytes(data)
        heapq.heappush(self._slowest, (taken, name))
        if len(self._slowest) > SLOW_MAX:
            _, dropped = heapq.heappop(self._slowest)
            (self._folder / dropped).unlink(missing_ok=True)


def main() -> None:
    name, folder, *options = sys.argv[1:]
    watched = Stopwatch(name, Path(folder) / "slow")
    atheris.Setup([sys.argv[0], f"-max_len={INPUT_BYTES_MAX}", *options], watched)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
