"""The soak: many seeds, totals, and what happens to a failing one."""

from __future__ import annotations

import pytest

from trio_gossip.testing.scenarios import soak
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
        (["--seeds", "x"], "--seeds: invalid whole number value: 'x'"),
        (["--minutes", "nan"], "--minutes: must be at least 0, not nan"),
        (["--jobs", "0"], "--jobs: must be at least 1, not 0"),
        (["--node", "3"], "unrecognized arguments"),
    ],
)
def test_wrong_options_give_one_clear_line(capsys, arguments, words: str) -> None:
    with pytest.raises(SystemExit) as caught:
        soak.main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


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
    assert "crash" not in lines[3].split(", ")
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
    assert "crash n00" in text
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
