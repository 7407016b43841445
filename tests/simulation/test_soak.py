"""The soak: many seeds, totals, and what happens to a failing one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys

import pytest

from trio_gossip.testing.scenarios import soak
from trio_gossip.testing.scenarios.catalogue import KINDS
from trio_gossip.testing.scenarios.player import Report
from trio_gossip.testing.scenarios.scenario import Scenario


def test_fixed_seeds_are_played_and_counted(capsys, tmp_path) -> None:
    done = soak.main(
        ["--seeds", "3", "--first", "7", "--jobs", "1", "--save", str(tmp_path / "saved")]
    )
    out = capsys.readouterr().out
    assert done == 0, out
    assert out.startswith("seeds from 7 on, 1 processes\n")
    assert "3 runs, " in out
    assert "failing seeds: none" in out
    assert "checkers that never had anything to check: " in out
    assert not (tmp_path / "saved").exists()


def test_no_time_is_over_at_once_and_fresh_seeds_are_printed(capsys) -> None:
    assert soak.main(["--minutes", "0", "--jobs", "1"]) == 0
    first = int(capsys.readouterr().out.split()[2])
    assert first > 1_000_000_000_000, "from the clock"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seeds", "-1"], "--seeds: must be at least 0, not -1"),
        (["--seeds", "x"], "--seeds: must be a whole number, not 'x'"),
        (["--minutes", "nan"], "--minutes: must be at least 0, not nan"),
        (["--jobs", "0"], "--jobs: must be at least 1, not 0"),
        (["--node", "3"], "unrecognized arguments"),
        (["--seeds", "9" * 5000], "--seeds: must be a whole number, not '999"),
        (["--first", str(2**64)], "--first: must be at most 18446744073709551615, not 184"),
        (["--minutes", "x\ny"], "--minutes: must be a number, not 'x"),
        (["--jobs", "100000"], "--jobs: must be at most 1024"),
    ],
)
def test_wrong_options_give_one_clear_line(capsys, arguments, words: str) -> None:
    with pytest.raises(SystemExit) as caught:
        soak.main(arguments)
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("soak: ")
    assert words in line
    assert len(line) < 150


def test_the_help_says_what_no_number_of_seeds_means(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        soak.main(["--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--seeds SEEDS how many; 0: as many as --minutes allows (default 0)" in text


def totals_with(*reports: Report) -> soak.Totals:
    totals = soak.Totals()
    for report in reports:
        totals.add(report)
    return totals


def test_what_never_came_is_named() -> None:
    report = Report(1, 5, node_seconds=7200.0, steps=100)
    report.applied["crash"] = 2
    report.findings.checked.update({"busy": 3, "idle": 0})
    lines = list(totals_with(report).lines(60.0))
    assert lines[0].startswith("1 runs, 2.0 node-hours, 100 steps of simulation in 60 s")
    assert "crash 2" in lines[1]
    assert lines[3].startswith("kinds that never came: loss, ")
    assert "crash" not in lines[3].replace(",", " ").split()
    assert lines[3].count("\n") > 2
    assert all(len(line) <= 100 for line in lines[3].splitlines())
    assert all(line.startswith("  ") for line in lines[3].splitlines()[1:])
    assert {name for name in KINDS if name != "crash"} <= set(lines[3].replace(",", " ").split())
    assert lines[4] == "checkers that never had anything to check: idle"
    assert lines[5] == "failing seeds: none"


def failing_play(scenario: Scenario) -> Report:
    """As if every crash broke a rule."""
    report = Report(scenario.seed, scenario.nodes, digest="d")
    if any(step.kind == "crash" for step in scenario.steps):
        report.add(1.0, "rule", f"with {scenario.nodes} members")
    return report


def test_a_failing_run_is_shrunk_shown_and_saved(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(soak, "play", failing_play)
    seed = next(n for n in range(100) if soak.run_seed(n).violations)
    said: list[str] = []
    soak.show_failures(totals_with(soak.run_seed(seed)), tmp_path / "new", said.append)
    saved = Scenario.load(tmp_path / "new" / f"seed-{seed}.json")
    assert [step.kind for step in saved.steps] == ["crash"]
    assert saved.nodes == 2
    assert saved.about == f"seed {seed}: t=1.000 rule: with 2 members"
    text = "\n".join(said)
    assert f"crash {saved.steps[0].names[0]}" in text
    assert f"trio-gossip simulate --replay {tmp_path / 'new' / f'seed-{seed}.json'}" in text


def test_only_the_first_failing_runs_are_shrunk(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(soak, "play", failing_play)
    reports = [report for n in range(200) if (report := soak.run_seed(n)).violations]
    assert len(reports) > soak.SHRUNK_MOST
    soak.show_failures(totals_with(*reports), tmp_path, lambda line: None)
    assert len(list(tmp_path.iterdir())) == soak.SHRUNK_MOST


def test_a_run_that_does_not_replay_is_a_violation(monkeypatch) -> None:
    digests = iter("abcdef")
    monkeypatch.setattr(soak, "play", lambda s: Report(s.seed, s.nodes, digest=next(digests)))
    report = soak.run_seed(soak.REPLAY_EVERY)
    assert report.broken == ("determinism",)
    assert soak.fails_like(report)(Scenario(seed=1))
    assert not soak.run_seed(soak.REPLAY_EVERY + 1).violations


def test_failing_seeds_make_the_command_fail(monkeypatch, capsys, tmp_path) -> None:
    report = Report(3, 5)
    report.add(0.0, "rule", "broken")
    monkeypatch.setattr(soak, "run_seeds", lambda *arguments: (totals_with(report), 1.0))
    monkeypatch.setattr(soak, "show_failures", lambda *arguments: None)
    assert soak.main(["--seeds", "1"]) == 1
    assert "failing seeds: 3" in capsys.readouterr().out


def test_an_interrupt_ends_the_runs_and_prints_the_totals(monkeypatch, capsys, tmp_path) -> None:
    """As if Ctrl-C came after the first run."""
    told: list[str] = []

    def say(line: str) -> None:
        told.append(line)
        if len(told) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(soak, "_PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(soak, "say", say)
    arguments = ["--seeds", "50", "--first", "7", "--jobs", "1", "--save", str(tmp_path)]
    assert soak.main(arguments) == soak.EXIT_INTERRUPTED == 130
    assert told[2].startswith("1 runs, ")
    assert told[-2].startswith("failing seeds: ")
    assert told[-1] == "interrupted"
    assert not multiprocessing.active_children()


def test_an_interrupt_of_the_shrinking_prints_the_totals_too(monkeypatch, capsys) -> None:
    report = Report(3, 5)
    report.add(0.0, "rule", "broken")

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(soak, "run_seeds", lambda *arguments: (totals_with(report), 1.0))
    monkeypatch.setattr(soak, "show_failures", interrupted)
    assert soak.main(["--seeds", "1"]) == 130
    assert capsys.readouterr().out.endswith("failing seeds: 3\ninterrupted\n")


TALKATIVE = """
import sys
from trio_gossip.testing.scenarios import soak

soak._PROGRESS_SECONDS = 0.0
sys.exit(soak.main(["--jobs", "2"]))
"""


@pytest.mark.sockets
@pytest.mark.skipif(os.name != "posix", reason="needs a group of processes")
@pytest.mark.parametrize("lines", [1, 2], ids=["while it begins", "in the middle of runs"])
def test_an_interrupt_from_a_terminal_hits_all_processes_and_none_complains(lines: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TALKATIVE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as soaking:
        told = [soaking.stdout.readline() for _ in range(lines)]
        os.killpg(soaking.pid, signal.SIGINT)
        out, err = soaking.communicate(timeout=60)
    assert told[0].startswith(b"seeds from ")
    assert (soaking.returncode, err) == (130, b"")
    assert out.endswith(b"interrupted\n")


def test_seeds_end_where_scenarios_end(monkeypatch) -> None:
    given: list[int] = []

    def run_seeds(seeds, *arguments: object):
        given.extend(seeds)
        return soak.Totals(), 1.0

    monkeypatch.setattr(soak, "run_seeds", run_seeds)
    for more in (["--seeds", "5"], []):
        assert soak.main(["--first", str(2**64 - 2), *more]) == 0
        assert given == [2**64 - 2, 2**64 - 1]
        given.clear()


def test_a_scenario_that_cannot_be_saved_is_printed(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(soak, "play", failing_play)
    seed = next(n for n in range(100) if soak.run_seed(n).violations)
    (tmp_path / "taken").write_text("")
    said: list[str] = []
    soak.show_failures(totals_with(soak.run_seed(seed)), tmp_path / "taken", said.append)
    assert said[-1].startswith(f"cannot save {tmp_path / 'taken' / f'seed-{seed}.json'}: ")
    assert Scenario.from_json(said[-1].split("the scenario:")[1]).steps
