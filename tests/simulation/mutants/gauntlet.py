"""Short runs in which, between them, every planted bug changes something.

A run without the bug is recorded line by line; with the bug it stops at the first line that
differs. That proves that a mutant is a bug at all: that what it changes is really used.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from tests.simulation.mutants.catalogue import Mutant
from trio_gossip.engine import Output
from trio_gossip.testing import Observer, Process, Simulation

TURNS_MAX = 200_000
"""Turns of engines; a run that takes more has become a storm, which is a difference as well."""


class DivergedError(Exception):
    """The run is not the recorded one."""


class Recorder:
    """Notes what happens, or compares it with what happened."""

    def __init__(self, expected: list[int] | None = None, detector: str = "memberlist") -> None:
        self.detector = detector
        self.lines: list[int] = []
        self._expected = expected

    def note(self, *what: object) -> None:
        # The hash of a string differs between processes, and a recording never leaves its own.
        line = hash(repr(what))
        self.lines.append(line)
        if self._expected is not None and (
            len(self.lines) > len(self._expected) or self._expected[len(self.lines) - 1] != line
        ):
            raise DivergedError

    def end(self) -> None:
        if self._expected is not None and len(self.lines) != len(self._expected):
            raise DivergedError


class RecordedWorld(Simulation):
    """A simulation that notes every output and, at the end, what each engine says of itself."""

    def __init__(self, recorder: Recorder, seed: int, **faults: Any) -> None:
        super().__init__(seed, **faults)
        self.recorder = recorder
        self.observe(_Tap(self))

    def start(self, name: str, **options: Any) -> Process:
        """Start a member with the detector of this run."""
        if options.get("config") is None:
            options.setdefault("detector", self.recorder.detector)
        return super().start(name, **options)

    def look(self) -> None:
        """Note what can be seen from outside."""
        for name, process in self.processes.items():
            engine = process.engine
            self.recorder.note(name, engine.members(all=True), engine.version)
            self.recorder.note(name, engine.statistics())

    def attempt(self, call: Callable[..., object], *arguments: object, **changes: object) -> None:
        """Do something that may be refused, and note how."""
        try:
            call(*arguments, **changes)
        except Exception as error:
            if isinstance(error, DivergedError):
                raise
            self.recorder.note(repr(error))

    def crowd(self, count: int, **changes: Any) -> list[str]:
        """Start members that all join the first one."""
        names = [f"n{number:02}" for number in range(count)]
        for name in names:
            self.start(name, **changes)
            if name != names[0]:
                self.join(name, names[0])
            self.run(0.05)
        return names


class _Tap(Observer):
    def __init__(self, world: RecordedWorld) -> None:
        self._world = world
        self._turns = 0

    def turned(self, process: Process, outputs: list[Output]) -> None:
        self._turns += 1
        if self._turns > TURNS_MAX:
            raise DivergedError
        if outputs:
            self._world.recorder.note(self._world.now, process.name, outputs)


Scenario = Callable[[Recorder], None]


@functools.cache
def recording(scenario: Scenario, detector: str) -> list[int]:
    """What a scenario does without a bug; to be asked for before one is planted."""
    recorder = Recorder(detector=detector)
    scenario(recorder)
    return recorder.lines


def difference(scenario: Scenario, mutant: Mutant | None, detector: str = "memberlist") -> str:
    """Run again, with a bug if one is given; says how that differs, empty if not at all."""
    recorder = Recorder(recording(scenario, detector), detector)
    try:
        with mutant.applied() if mutant else nullcontext():
            scenario(recorder)
        recorder.end()
    except DivergedError:
        return f"{scenario.__name__}: line {len(recorder.lines)}"
    except Exception as error:  # the bug broke the engine, which counts
        return f"{scenario.__name__}: {error!r}"
    return ""
