"""Many random scenarios on all cores: ``python -m trio_gossip.testing.scenarios.soak``.

With ``--minutes`` it takes fresh seeds until the time is over, with ``--seeds`` a fixed number. It
ends with what was simulated and injected. Each failing run is shrunk, shown, and saved for
``trio-gossip simulate --replay FILE``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.testing.scenarios.catalogue import KINDS
from trio_gossip.testing.scenarios.drawing import random_scenario
from trio_gossip.testing.scenarios.player import Report, play
from trio_gossip.testing.scenarios.shrinking import shrink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trio_gossip.testing.scenarios.scenario import Scenario

REPLAY_EVERY: Final = 20
"""One seed in so many is played twice: both runs must have the same digest."""

SHRUNK_MOST: Final = 5
"""Failing runs that are shrunk and saved; of more only the seeds are shown."""

_PROGRESS_SECONDS: Final = 10.0
_MINUTES: Final = 10.0
_BATCH: Final = 32


@attrs.define
class Totals:
    """What all runs together did."""

    runs: int = 0
    node_seconds: float = 0.0
    steps: int = 0
    applied: Counter[str] = attrs.Factory(Counter[str])
    injected: Counter[str] = attrs.Factory(Counter[str])
    checked: Counter[str] = attrs.Factory(Counter[str])
    failing: list[Report] = attrs.Factory(list[Report])

    def add(self, report: Report) -> None:
        """Take one run."""
        self.runs += 1
        self.node_seconds += report.node_seconds
        self.steps += report.steps
        self.applied.update(report.applied)
        self.injected.update(report.injected)
        self.checked.update(report.findings.checked)
        if report.violations:
            self.failing.append(report)

    def lines(self, seconds: float) -> Iterator[str]:
        """The totals for people."""
        hours = self.node_seconds / 3600.0
        yield (
            f"{self.runs} runs, {hours:.1f} node-hours, {self.steps} steps of simulation"
            f" in {seconds:.0f} s ({hours / max(seconds, 1e-9) * 60.0:.0f} node-hours a minute)"
        )
        yield f"steps of scenarios, by kind: {_by_count(self.applied)}"
        yield f"faults that hit something, by kind: {_by_count(self.injected)}"
        never = [kind for kind in KINDS if not self.applied[kind]]
        yield f"kinds that never came: {', '.join(never) or 'none'}"
        idle = sorted(name for name, count in self.checked.items() if not count)
        yield f"checkers that never had anything to check: {', '.join(idle) or 'none'}"
        seeds = sorted(report.seed for report in self.failing)
        yield f"failing seeds: {', '.join(map(str, seeds)) or 'none'}"


def _by_count(counts: Counter[str]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count}" for name, count in ordered) or "none"


def run_seed(seed: int) -> Report:
    """Play the random scenario of a seed, some of them twice."""
    scenario = random_scenario(seed)
    report = play(scenario)
    if seed % REPLAY_EVERY == 0:
        again = play(scenario).digest
        report.findings.checked["determinism"] += 1
        if again != report.digest:
            report.add(0.0, "determinism", f"digest {report.digest}, the second time {again}")
    return report


def fails_like(report: Report) -> Callable[[Scenario], bool]:
    """Whether a scenario breaks the rule that a run has broken first."""
    first = report.broken[0]

    def fails(scenario: Scenario) -> bool:
        again = play(scenario)
        if first == "determinism":
            return play(scenario).digest != again.digest
        return first in again.broken

    return fails


def run_seeds(
    seeds: Iterator[int], jobs: int, end: float, say: Callable[[str], None]
) -> tuple[Totals, float]:
    """Play seeds on several cores until they or the time are over; returns the real seconds too."""
    totals = Totals()
    began = spoken = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        while batch := [seed for _, seed in zip(range(_BATCH * jobs), seeds, strict=False)]:
            for report in pool.imap_unordered(run_seed, batch):
                totals.add(report)
                if report.violations:
                    say("\n".join(report.lines()))
                now = time.monotonic()
                if now - spoken >= _PROGRESS_SECONDS:
                    spoken = now
                    hours = totals.node_seconds / 3600.0
                    say(f"  {totals.runs} runs, {hours:.0f} node-hours, {now - began:.0f} s")
                if now - began >= end:
                    return totals, now - began
    return totals, time.monotonic() - began


def show_failures(totals: Totals, folder: Path, say: Callable[[str], None]) -> None:
    """Shrink, print and save the first failing runs."""
    for report in sorted(totals.failing, key=lambda report: report.seed)[:SHRUNK_MOST]:
        say(f"shrinking seed {report.seed} ...")
        small = shrink(random_scenario(report.seed), fails_like(report))
        again = play(small)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"seed-{report.seed}.json"
        what = str(again.violations[0]) if again.violations else str(report.violations[0])
        attrs.evolve(small, about=f"seed {report.seed}: {what}").save(path)
        say(f"{small.nodes} members, {small.profile}, {small.links}, {dict(small.config)}")
        for step in small.steps:
            say(f"  {step}")
        say("\n".join(again.lines()))
        say(f"saved: {path}  (trio-gossip simulate --replay {path})")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 1 if any run failed."""
    options = _parser().parse_args(arguments)
    first: int = options.first
    if first < 0:
        first = time.time_ns() // 1_000_000
    seeds = range(first, first + options.seeds) if options.seeds else _endless(first)
    end = float("inf") if options.seeds else 60.0 * options.minutes
    say(f"seeds from {first} on, {options.jobs} processes")
    totals, seconds = run_seeds(iter(seeds), options.jobs, end, say)
    show_failures(totals, options.save, say)
    for line in totals.lines(seconds):
        say(line)
    return 1 if totals.failing else 0


def say(line: str) -> None:
    """Print at once, also into a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _endless(first: int) -> Iterator[int]:
    while True:
        yield first
        first += 1


def _above(least: float, kind: type[int | float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = kind(text)
        if not value >= least:
            raise argparse.ArgumentTypeError(f"must be at least {least:g}, not {text}")
        return value

    read.__name__ = "whole number" if kind is int else "number"
    return read


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="soak", description="Play random scenarios and look for broken rules."
    )
    add = parser.add_argument
    add("--minutes", type=_above(0.0, float), default=_MINUTES, help="for how long (10)")
    add("--seeds", type=_above(0, int), default=0, help="how many, instead of a time")
    add("--first", type=_above(-1, int), default=-1, help="first seed; -1: from the clock (-1)")
    add("--jobs", type=_above(1, int), default=multiprocessing.cpu_count(), help="processes")
    add("--save", type=Path, default=Path("build/soak"), help="where failing scenarios go")
    return parser


if __name__ == "__main__":
    sys.exit(main())
