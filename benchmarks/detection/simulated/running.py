"""Runs cases with several profiles on the same seeds, and prints and writes what they found."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness

from detection.simulated.catalogue import CASES, Case
from detection.simulated.tally import Tally
from detection.tables import print_table

HEAD = (
    *("", "profile", "first suspicion", "first dead", "all know", "false deaths"),
    *("of whom", "sick buried", "susp./min", "packets/s", "bytes/s", "runs", ""),
)
"""Of the table of a case. Times are ``mean/p50/p99`` in seconds."""


RUNS_FOR_P99 = 100
"""With fewer deaths p99 is the worst of them, and a mean may be off by luck: a verdict says so."""


def run_case(
    name: str, profiles: Sequence[str], runs: int | None, nodes: int | None, seed: int
) -> dict[str, dict[str, Tally]]:
    """Tallies of one case, by line and profile. Every profile gets the same seeds."""
    case = CASES[name]
    found: dict[str, dict[str, Tally]] = {}
    for profile in profiles:
        began = time.monotonic()
        for number in range(seed, seed + (runs or case.runs)):
            for label, tally in case.run(profile, number, nodes or case.nodes):
                lines = found.setdefault(label, {})
                if profile in lines:
                    lines[profile] += tally
                else:
                    lines[profile] = tally
        harness.print_note(f"{name}: {profile} took {time.monotonic() - began:.0f} s")
    return found


def print_case(name: str, found: dict[str, dict[str, Tally]]) -> None:
    """The table of one case, with what else it counted below."""
    case = CASES[name]
    rows = [
        row(case, label if not number else "", profile, tally)
        for label, lines in found.items()
        for number, (profile, tally) in enumerate(lines.items())
    ]
    print_table(f"{name}: {case.about}", HEAD, rows, left=(0, 1, len(HEAD) - 1))
    for label, lines in found.items():
        for profile, tally in lines.items():
            more = [f"{key} {count:,}" for key, count in tally.counts.items() if count]
            more += [f"{key} {spread(values)} s" for key, values in tally.seconds.items()]
            if more:
                print(f"{label}, {profile}: {', '.join(more)}")


def row(case: Case, label: str, profile: str, tally: Tally) -> tuple[str, ...]:
    """One line: a case, what was done in it, and one profile."""
    sick = f"{tally.sick_deaths}/{tally.sick_episodes}" if tally.sick_episodes else ""
    return (
        *(label, profile, spread(tally.suspicion), spread(tally.dead), spread(tally.known)),
        f"{tally.false_deaths:,}" + (f" ({tally.false_both:,})" if tally.false_deaths else ""),
        f"{tally.false_subjects:,}" if tally.false_deaths else "",
        *(sick, f"{tally.suspicion_rate:.2f}", f"{tally.packet_rate:.2f}"),
        *(f"{tally.byte_rate:.0f}", str(tally.runs), verdict(case, profile, tally)),
    )


def spread(samples: Sequence[float]) -> str:
    """``mean/p50/p99``; who never heard of it is told apart."""
    if not samples:
        return ""
    seen = [sample for sample in samples if math.isfinite(sample)]
    never = len(samples) - len(seen)
    if not seen:
        return f"never ({never})"
    middle = f"{statistics.fmean(seen):.2f}/{statistics.median(seen):.2f}"
    tail = f"{harness.percentile(seen, 0.99):.2f}"
    return f"{middle}/{tail}" + (f", never {never}" if never else "")


def verdict(case: Case, profile: str, tally: Tally) -> str:
    """``ok`` where all aims are met, ``clean`` where the only aim is not to bury the healthy."""
    problems = []
    aim = case.aims.get(profile)
    if aim is not None and tally.known:
        mean = statistics.fmean(tally.known)
        p99 = harness.percentile(tally.known, 0.99)
        if mean > aim.mean or p99 > aim.p99:
            problems.append(f"aim {aim.mean:g}/{aim.p99:g}")
    if profile == "lan" and case.must_be_clean and tally.false_deaths:
        problems.append("false deaths")
    if problems:
        return "MISSED " + ", ".join(problems)
    if aim is not None:
        return "ok" if len(tally.known) >= RUNS_FOR_P99 else f"ok, only {len(tally.known)} deaths"
    return "clean" if profile == "lan" and case.must_be_clean else ""


def write_json(
    path: Path, found: dict[str, dict[str, dict[str, Tally]]], parameters: dict[str, Any]
) -> None:
    """All samples, by case, line and profile; ``bench_detection.py --svg`` can draw them."""
    cases = {
        name: {
            label: {profile: tally.as_json() for profile, tally in lines.items()}
            for label, lines in labels.items()
        }
        for name, labels in found.items()
    }
    path.write_text(json.dumps({"parameters": parameters, "cases": cases}, indent=1) + "\n")
