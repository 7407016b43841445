"""The benchmark of floods runs: real processes on loopback, shortly, and what it says of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "bench_floods.py"
PATIENCE = 300
"""Seconds; a run takes five on a quiet machine. Never part of a result."""

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(
        not hasattr(os, "sched_setaffinity") or not Path("/proc/net/udp").exists(),
        reason="the benchmarks read what Linux tells of processes and sockets",
    ),
]


def run(*options: str) -> str:
    """What the benchmark prints; no flood of more than half a second."""
    command = [sys.executable, str(SCRIPT), "--quick", "--seconds", "0.5", "--calm", "0.8"]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def counted(text: str, kind: str) -> dict[str, int]:
    """The counters that it prints for a kind of flood."""
    (line,) = re.findall(rf"^{kind}: (.*)$", text, re.MULTILINE)
    return {
        name: int(n.replace(",", "")) for name, n in re.findall(r"([^,]+?) ([\d,]+)(?:, |$)", line)
    }


def verdict(text: str, what: str) -> str:
    """``ok`` or ``MISSED``, for one of the aims."""
    (line,) = [line for line in text.splitlines() if line.startswith(what)]
    (word,) = re.findall(r"\b(ok|MISSED)\b", line)
    return word


def test_replays_against_a_sealed_member_are_counted_and_none_is_accepted():
    text = run("--sealed", "--only", "replayed", "--only", "to-others")
    assert "The sealed cluster" in text
    assert "The plain cluster" not in text
    assert verdict(text, "replays accepted") == "ok"
    assert counted(text, "replayed")["replayed"] > 100
    assert counted(text, "to-others")["unknown_token"] > 100


def test_streams_and_joins_against_a_member_in_plain_are_counted():
    text = run("--plain", "--only", "joins", "--only", "half-open", "--held", "200")
    assert "The sealed cluster" not in text
    assert counted(text, "joins")["sync_answered"] > 0
    assert counted(text, "half-open")["streams_rejected"] > 0
    assert "replays accepted" not in text
