"""Many random scenarios on all cores: ``python -m trio_gossip.testing.scenarios.soak``.

With ``--minutes`` it takes fresh seeds until the time is over, with ``--seeds`` a fixed number. It
ends with what was simulated and injected. Each failing run is shrunk, shown, and saved for
``trio-gossip simulate --replay FILE``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import sys
import textwrap
import time
from collections import Counter
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import attrs

from trio_gossip.testing.scenarios.catalogue import KINDS
from trio_gossip.testing.scenarios.drawing import random_scenario
from trio_gossip.testing.scenarios.player import Report, play
from trio_gossip.testing.scenarios.scenario import SEED_END, Scenario
from trio_gossip.testing.scenarios.shrinking import shrink
from trio_gossip.testing.simulation.arguments import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from multiprocessing.pool import Pool

REPLAY_EVERY: Final = 20
"""One seed in so many is played twice: both runs must have the same digest."""

SHRUNK_MOST: Final = 5
"""Failing runs that are shrunk and saved; of more only the seeds are shown."""

JOBS_MOST: Final = 1024
"""Processes at a time; more is refused as a wrong option."""

EXIT_INTERRUPTED: Final = 130
"""After Ctrl-C, as shells have it."""

_PROGRESS_SECONDS: Final = 10.0
_MINUTES: Final = 10.0
_BATCH: Final = 32
_COLUMNS: Final = 100


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
    interrupted: bool = False

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
        """The totals for people, wrapped: there are many kinds."""
        for line in self._sentences(seconds):
            yield textwrap.fill(
                line,
                _COLUMNS,
                subsequent_indent="  ",
                break_on_hyphens=False,
                break_long_words=False,
            )

    def _sentences(self, seconds: float) -> Iterator[str]:
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
    try:
        with _pool(jobs) as pool:
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
    except KeyboardInterrupt:
        totals.interrupted = True
    return totals, time.monotonic() - began


@contextmanager
def _pool(jobs: int) -> Generator[Pool]:
    """Processes that leave Ctrl-C to this one: all of a terminal's processes get it.

    They inherit that it is blocked, so that it cannot hit them while they begin either.
    """
    resource_tracker.ensure_running()  # its start would unblock the signal again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        pool = multiprocessing.get_context("spawn").Pool(jobs)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with pool:
        yield pool


def show_failures(totals: Totals, folder: Path, say: Callable[[str], None]) -> None:
    """Shrink, print and save the first failing runs."""
    for report in sorted(totals.failing, key=lambda report: report.seed)[:SHRUNK_MOST]:
        say(f"shrinking seed {report.seed} ...")
        small = shrink(random_scenario(report.seed), fails_like(report))
        again = play(small)
        path = folder / f"seed-{report.seed}.json"
        what = str(again.violations[0]) if again.violations else str(report.violations[0])
        saved = attrs.evolve(small, about=f"seed {report.seed}: {what}")
        say(f"{small.nodes} members, {small.profile}, {small.links}, {dict(small.config)}")
        for step in small.steps:
            say(f"  {step}")
        say("\n".join(again.lines()))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            saved.save(path)
        except OSError as error:  # hours of work must not be lost with it
            say(f"cannot save {path}: {error.strerror}; the scenario:\n{saved.to_json()}")
        else:
            say(f"saved: {path}  (trio-gossip simulate --replay {path})")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 1 if any run failed, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        totals = _soak(options)
    except KeyboardInterrupt:  # before there was anything to tell, or in the middle of telling it
        totals = Totals(interrupted=True)
    if totals.interrupted:
        say("interrupted")
        return EXIT_INTERRUPTED
    return 1 if totals.failing else 0


def _soak(options: argparse.Namespace) -> Totals:
    first: int = options.first
    if first < 0:
        first = time.time_ns() // 1_000_000
    seeds = range(first, min(first + options.seeds, SEED_END) if options.seeds else SEED_END)
    end = float("inf") if options.seeds else 60.0 * options.minutes
    say(f"seeds from {first} on, {options.jobs} processes")
    totals, seconds = run_seeds(iter(seeds), options.jobs, end, say)
    for line in totals.lines(seconds):
        say(line)
    if not totals.interrupted:
        try:  # takes minutes for each, and may well be cut short
            show_failures(totals, options.save, say)
        except KeyboardInterrupt:
            totals.interrupted = True
    return totals


def say(line: str) -> None:
    """Print at once, also into a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")


def _from(
    least: float, kind: type[int | float], most: float = float("inf")
) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            what = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"must be a {what}, not {shown(text)}") from None
        if not least <= value <= most:
            bound = f"at least {least:g}" if not value > most else f"at most {most}"
            raise argparse.ArgumentTypeError(f"must be {bound}, not {shown(value)}")
        return value

    return read


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="soak", description="Play random scenarios and look for broken rules.")
    add = parser.add_argument
    add(
        "--minutes",
        type=_from(0.0, float),
        default=_MINUTES,
        help=f"for how long, if --seeds is 0 (default {_MINUTES:g})",
    )
    add(
        "--seeds",
        type=_from(0, int),
        default=0,
        help="how many; 0: as many as --minutes allows (default 0)",
    )
    add(
        "--first",
        type=_from(-1, int, SEED_END - 1),
        default=-1,
        help="first seed; -1: from the clock (default -1)",
    )
    add(
        "--jobs",
        type=_from(1, int, JOBS_MOST),
        default=multiprocessing.cpu_count(),
        help="processes at a time (default: one for each core)",
    )
    add(
        "--save",
        type=Path,
        default=Path("build/soak"),
        help="where failing scenarios go (default build/soak)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
