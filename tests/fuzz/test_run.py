"""What ``make fuzz`` makes of the fuzzer's words, without the fuzzer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import replay, run
from tests.fuzz.distil import steps_of
from tests.fuzz.steps import Meter, timed
from tests.fuzz.targets import TARGETS

WORDS = """
#2      INITED cov: 12 ft: 20 corp: 2/9b exec/s: 0 rss: 64Mb
#1500   NEW    cov: 205 ft: 451 corp: 71/2030b lim: 71 exec/s: 0 rss: 65Mb L: 20/71
#2000   DONE   cov: 205 ft: 452 corp: 72/2041b lim: 80 exec/s: 500 rss: 65Mb
stat::number_of_executed_units: 2000
stat::peak_rss_mb:              65
"""


def test_the_last_figures_count() -> None:
    outcome = run.read_log("packet", WORDS)
    assert (outcome.runs, outcome.edges, outcome.features) == (2000, 205, 452)
    assert (outcome.corpus, outcome.peak_mb) == (72, 65)


def test_each_kind_of_finding_is_one(tmp_path: Path) -> None:
    for name in ("crash-1", "timeout-2", "oom-3", "log.txt", "slow-unit-4"):
        (tmp_path / name).touch()
    assert sorted(path.name for path in run.broken(tmp_path)) == ["crash-1", "oom-3", "timeout-2"]


@pytest.mark.parametrize(
    ("crash", "again", "is_good"),
    [
        ("", {"over": [], "grown_kb": 100}, True),
        ("crash-1", {}, False),
        ("", {"over": ["input"], "grown_kb": 0}, False),
        ("", {"over": [], "grown_kb": run.GROWTH_KB + 1}, False),
    ],
)
def test_a_run_is_good_without_crash_slow_call_and_growth(
    crash: str, again: dict, is_good: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = run.Outcome("packet", runs=1, seconds=1.0, crash=crash, replay=again)
    assert outcome.is_good == is_good
    run.tell([outcome])
    assert (capsys.readouterr().out.rstrip().endswith("  ok")) == is_good


def test_a_replay_times_every_input_and_names_the_slow_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10**15, 2_000_000))  # each call takes two milliseconds
    monkeypatch.setattr("time.process_time_ns", lambda: next(clock))
    (tmp_path / "one").write_bytes(b"\x82\x01\x82\x03\x01")
    found = replay.report("packet", [tmp_path])
    assert found["inputs"] == 1
    assert found["over"] == ["one"]
    assert found["slowest_ms"] == 2.0


def test_the_meter_keeps_the_longest_call_and_lets_errors_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([0, 5, 5, 12, 20, 21])
    monkeypatch.setattr("time.process_time_ns", lambda: next(times))
    meter = Meter()
    assert meter(int, "7") == 7
    with pytest.raises(ValueError, match="invalid literal"):
        meter(int, "x")
    assert meter(int, "8") == 8
    assert meter.read() == 7
    assert meter.read() == 0


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_goes_through_the_meter_and_into_the_library(target: str) -> None:
    timed.read()
    assert steps_of(target, b"\x01\x01\x00\x03abc")
    assert timed.read() > 0
