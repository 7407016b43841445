"""What every benchmark shares: samples, their spread, and one kind of table.

A measure is a list of samples of one quantity. Its verdict compares the median (where it says so
the mean) with the aim: single samples on a busy machine say more about the machine.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parent.parent

# A clone in which nothing is installed, only the dependencies, is enough to measure.
for folder in (ROOT / "transports", ROOT):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@attrs.frozen
class Measure:
    """Samples of one quantity, and what they are held against.

    Attributes:
        what: the quantity, with how it was taken where that matters.
        unit: of samples and aim.
        samples: one for each round, member or event; empty when nothing was observed.
        aim: the project's own aim; None for figures that explain others.
        at_least: True when more is better.
        memberlist: the figure of hashicorp/memberlist, as text, with its circumstances.
        by_mean: judge the mean, where memberlist's own figure is a mean.
    """

    what: str
    unit: str
    samples: Sequence[float]
    aim: float | None = None
    at_least: bool = False
    memberlist: str = ""
    by_mean: bool = False

    @property
    def verdict(self) -> str:
        """``ok``, ``MISSED`` or nothing."""
        if self.aim is None:
            return ""
        if not self.samples:
            return "NO DATA"
        middle = (statistics.fmean if self.by_mean else statistics.median)(self.samples)
        return "ok" if (middle >= self.aim if self.at_least else middle <= self.aim) else "MISSED"


def describe_run(title: str, parameters: dict[str, object]) -> None:
    """Print what is run, with what and where."""
    print(f"\n=== {title} ===")
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.python_implementation()}", end=" ")
    print(f"{platform.python_version()}, {platform.system()} {platform.release()}", end=", ")
    print(f"{os.cpu_count()} cores, {_cpu_model()}")
    print(f"load before: {_load()}")
    print("parameters: " + ", ".join(f"{key}={value}" for key, value in parameters.items()))
    sys.stdout.flush()


def print_measures(title: str, measures: Sequence[Measure]) -> None:
    """Print a table: median and spread, the aim and memberlist beside them."""
    head = ("", "unit", "min", "median", "mean", "p90", "max", "n", "aim", "", "memberlist")
    rows = [head, *(_row(measure) for measure in measures)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    print(f"\n{title}")
    for number, row in enumerate(rows):
        left = {0, 1, 9, 10}
        cells = (
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())
        if not number:
            print("  ".join("-" * width for width in widths))
    sys.stdout.flush()


def as_rates(measures: Sequence[Measure]) -> list[Measure]:
    """Microseconds for each turn, told as turns a second."""
    return [
        Measure(measure.what, "1/s", [1e6 / sample for sample in measure.samples])
        for measure in measures
    ]


def finish() -> None:
    """Print the machine's load again: a busy machine explains a bad figure."""
    print(f"\nload after: {_load()}\n")


def print_note(text: str) -> None:
    """Print one line of progress on standard error, so that a table can be piped away."""
    print(f"... {text}", file=sys.stderr, flush=True)


def cpu_microseconds(work: Callable[[], object], turns: int) -> float:
    """CPU time of one of ``turns`` turns that ``work`` does, in microseconds.

    CPU time, not wall time: what other programs on the machine take does not count.
    """
    before = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - before) / turns / 1000


def percentile(samples: Sequence[float], share: float) -> float:
    """The sample below which ``share`` of all lie, the nearest one that was observed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def _row(measure: Measure) -> tuple[str, ...]:
    samples = measure.samples
    if samples:
        figures = (
            min(samples),
            statistics.median(samples),
            statistics.fmean(samples),
            percentile(samples, 0.9),
            max(samples),
        )
        numbers = tuple(_number(figure) for figure in figures)
    else:
        numbers = ("-",) * 5
    aim = ""
    if measure.aim is not None:
        aim = f"{'>=' if measure.at_least else '<='} {_number(measure.aim)}"
    count = str(len(samples))
    return (
        *(measure.what, measure.unit, *numbers, count),
        *(aim, measure.verdict, measure.memberlist),
    )


def _number(value: float) -> str:
    """Three digits that count, without an exponent."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 0.1 else f"{value:.3f}"


def _load() -> str:
    return " ".join(f"{load:.2f}" for load in os.getloadavg()) + " (1, 5, 15 minutes)"


def _cpu_model() -> str:
    try:
        with Path("/proc/cpuinfo").open() as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()
