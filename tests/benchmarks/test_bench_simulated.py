"""The benchmarks that run in the simulator: they end, and what they print is what they measured."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300
"""Seconds; a run takes two on a quiet machine. Never part of a result."""


def run(script: str, *options: str) -> str:
    """What a benchmark prints."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), *options],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def figures(text: str, line: str) -> list[float]:
    """The numbers in a line of a table, from the least to the most."""
    (found,) = re.findall(rf"^{re.escape(line)} (.*)$", text, re.MULTILINE)
    return [float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", found)]


def test_a_healed_partition_is_measured_until_there_is_one_view() -> None:
    printed = run("bench_heal.py", "--runs", "1", "--nodes", "6", "--cut", "90")
    contact = figures(printed, "N=6: first member of the other half")[0]
    whole = figures(printed, "N=6: one view everywhere")[0]
    assert 0.0 < contact <= whole < 300.0
    assert figures(printed, "N=6: packets per member")[0] > 10.0


def test_each_exchange_mode_is_measured_and_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "plot.svg"
    printed = run("bench_exchange.py", "--nodes", "10", "--svg", str(picture))
    for mode in ("push, 1 leg", "pull, 2 legs", "push-pull, 2 legs"):
        assert figures(printed, f"N=10 {mode}: bytes")[0] > 0.1
        assert re.search(rf"N=10 {mode}: to 100% \(theory \d\) +rounds +\d", printed)
    drawn = ET.parse(picture).getroot()
    assert len(drawn.findall("{http://www.w3.org/2000/svg}polyline")) == 6
