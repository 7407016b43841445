"""The benchmark of sealing runs, and says what it found. Its figures are for people to judge."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def run(part: str, tmp_path: Path, *options: str) -> tuple[str, dict]:
    """One part, as short as possible; its table and what it wrote."""
    written = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARKS / "bench_crypto.py"), "--quick", "--only", part]
    done = subprocess.run(
        [*command, "--json", str(written), *options],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(written.read_text())


@pytest.mark.parametrize("part", ["packets", "junk"])
def test_packets_and_junk_are_measured(part: str, tmp_path: Path) -> None:
    shown, figures = run(part, tmp_path, "--rounds", "2", "--turns", "50")
    assert "load before" in shown
    assert "Python" in shown
    assert len(figures) == 2
    for title, measures in figures.items():
        assert title in shown
        for measure in measures:
            assert measure["what"] in shown
            assert len(measure["samples"]) == 2
            assert all(sample > 0 for sample in measure["samples"])
            assert (measure["verdict"] in ("ok", "MISSED")) == (measure["aim"] is not None)
    aims = {each["aim"] for measures in figures.values() for each in measures} - {None}
    assert aims == ({4.0} if part == "packets" else {3.0})


@pytest.mark.sockets
@pytest.mark.parametrize("part", ["streams", "send"])
def test_plain_and_both_formats_are_compared(part: str, tmp_path: Path) -> None:
    options = ["--rounds", "1", "--seconds", "0.1"]
    _, figures = run(part, tmp_path, *options)
    (measures,) = figures.values()
    for name in ("plain", "native", "memberlist"):
        own = [each for each in measures if each["what"].startswith(f"{name}:")]
        assert own
        assert all(each["samples"] for each in own)
