"""The benchmark of broadcasts runs, shortly, and says of both ways what it measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "bench_broadcast.py"
PATIENCE = 300
"""Seconds; a part takes a few on a quiet machine. Never part of a result."""


@pytest.mark.parametrize(
    ("part", "rows"),
    [
        ("single", ("to 99 %", "to all", "sends a node")),
        ("storm", ("to 99 %", "to all", "kilobytes a node until then")),
        ("losses", ("missed somebody",)),
        pytest.param("sockets", ("the last member", "packets a node"), marks=pytest.mark.sockets),
    ],
)
def test_a_part_runs_and_measures_both_ways(part: str, rows: tuple[str, ...]) -> None:
    command = [sys.executable, str(SCRIPT), "--quick", "--only", part, "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    for mode in ("eager", "rounds"):
        for row in rows:
            assert f"{mode}: {row}" in done.stdout
    assert "load before" in done.stdout
    assert "NO DATA" not in done.stdout
