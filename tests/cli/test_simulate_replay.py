"""``trio-gossip simulate --replay``, and what checkers say of a run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cli.processes import environment, run_to_end
from trio_gossip.cli.commands import commands
from trio_gossip.testing import Checker
from trio_gossip.testing.checkers import catalogue
from trio_gossip.testing.scenarios.drawing import random_scenario
from trio_gossip.testing.scenarios.player import play
from trio_gossip.testing.scenarios.scenario import Scenario

CALM = Scenario(seed=5, nodes=4, seconds=5.0, calm=2.0, about="nothing\nhappens")
SMALL = ("--nodes", "4", "--kill", "1", "--seed", "7")


class Complainer(Checker):
    """Sees a violation wherever it looks."""

    name = "complainer"

    def finish(self) -> None:
        for number in range(12):
            self.wrong(f"number {number}")


class Idler(Checker):
    """Never has anything to check."""

    name = "idler"


def run(*options: str):
    return CliRunner().invoke(commands, ["simulate", *options])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.json"
    CALM.save(path)
    return path


@pytest.fixture
def complainers(monkeypatch):
    both = (Complainer, Idler)
    monkeypatch.setattr("trio_gossip.cli.simulation_replay.ALL", both)
    monkeypatch.setattr(catalogue.attach, "__defaults__", (both,))


# -- replay -----------------------------------------------------------------------------


def test_a_replay_is_the_same_run(file):
    result = run("--replay", str(file))
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == f"digest: {play(CALM).digest}"
    assert "nothing happens" in result.stdout, "what it is about, on one line"
    assert "passed: no rule was broken" in result.stdout


@pytest.mark.sockets
def test_a_scenario_with_faults_is_the_same_under_two_hash_seeds(tmp_path):
    path = tmp_path / "scenario.json"
    scenario = random_scenario(5, gentle=False)
    scenario.save(path)
    first, second = (
        run_to_end(
            *("simulate", "--replay", str(path), "--no-check"),
            env=environment() | {"PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    )
    assert first.stdout == second.stdout
    applied = re.search(r"^steps done +(.+)$", first.stdout, re.MULTILINE)[1]
    done = sum(int(count) for count in re.findall(r"\d+", applied))
    assert 0 < done <= len(scenario.steps)


def test_a_replay_as_json(file):
    record = json.loads(run("--replay", str(file), "--json").stdout)
    assert (record["passed"], record["nodes"], record["seed"]) == (True, 4, 5)
    assert record["digest"] == play(CALM).digest
    assert record["steps_done"] == {}


def test_a_replay_can_be_watched(file, tmp_path):
    page, trace = tmp_path / "out.html", tmp_path / "out.trace"
    result = run("--replay", str(file), "--html", str(page), "--trace", str(trace))
    assert result.exit_code == 0
    assert play(CALM).digest in page.read_text()
    assert " start    n00 " in trace.read_text()


def test_a_member_that_the_page_has_no_room_for_is_one_line(file, tmp_path, monkeypatch):
    """A scenario may start more members than it begins with."""
    monkeypatch.setattr("trio_gossip.testing.page.data.NODES_MAX", 3)
    monkeypatch.setattr("trio_gossip.cli.simulate._refuse_large", lambda nodes, page: None)
    result = run("--replay", str(file), "--html", str(tmp_path / "out.html"))
    assert result.exit_code == 2
    assert "trio-gossip: --html: a page shows 1 to 3 members, not 4" in result.stderr


BAD_FILES = [
    ("{", "not JSON"),
    ("[]", "not a scenario"),
    ('{"scenario": 99, "seed": 1}', "a scenario of format 99"),
    ('{"scenario": 1}', "it has no seed"),
    ('{"scenario": 1, "seed": "x"}', "seed must be a whole number"),
    ('{"scenario": 1, "seed": 1, "nodes": 0}', "nodes must be from 1 to"),
    ('{"scenario": 1, "seed": 1, "moon": 0}', "nobody knows what 'moon' means"),
    ('{"scenario": 1, "seed": 1, "steps": [{"at": 1, "kind": "x"}]}', "no such kind of step"),
    ("\ufffd\x1b[2J", "not JSON"),
]


@pytest.mark.parametrize(("text", "part"), BAD_FILES)
def test_a_bad_file_is_one_line(tmp_path, text, part):
    path = tmp_path / "scenario.json"
    path.write_text(text)
    assert_one_line(run("--replay", str(path)), part)


def assert_one_line(result, part: str) -> None:
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("trio-gossip: ")
    assert part in result.stderr


@pytest.mark.parametrize("path", ["/nowhere.json", "/", "a\0b", "\x1b[2J"])
def test_a_file_that_cannot_be_read_is_one_line(path):
    assert_one_line(run("--replay", path), "--replay")


@pytest.mark.parametrize(
    "options",
    [("--nodes", "3"), ("--kill", "3"), ("--loss", "0"), ("--seed", "0"), ("--seconds", "9")],
)
def test_what_the_file_says_cannot_be_said_beside_it(file, options):
    assert_one_line(run("--replay", str(file), *options), f"{options[0]} and --replay")


def test_a_page_is_refused_before_a_large_scenario_is_played(tmp_path):
    path = tmp_path / "scenario.json"
    Scenario(seed=1, nodes=301).save(path)
    options = ("--replay", str(path), "--html", str(tmp_path / "out.html"))
    assert_one_line(run(*options), "--html shows at most 300 members, not 301")


# -- checkers ---------------------------------------------------------------------------


def test_a_plan_is_checked_and_idle_checkers_are_named():
    result = run(*SMALL)
    assert result.exit_code == 0
    assert re.search(r"^rules +\d\d checked, no violations$", result.stdout, re.MULTILINE)
    idle = re.search(r"\nnothing to check +for \d+: (.+?)\n\n", result.stdout, re.DOTALL)[1]
    assert "broadcast-once" in idle, "nothing is broadcast here"
    assert "detection-bound" not in idle


def test_checking_changes_nothing():
    checked, unchecked = run(*SMALL), run(*SMALL, "--no-check")
    assert checked.stdout.splitlines()[-1] == unchecked.stdout.splitlines()[-1]
    assert re.search(r"^rules +not checked$", unchecked.stdout, re.MULTILINE)
    assert json.loads(run(*SMALL, "--no-check", "--json").stdout)["violations"] is None


@pytest.mark.usefixtures("complainers")
def test_a_violation_is_exit_code_1_and_is_told():
    result = run(*SMALL)
    assert result.exit_code == 1
    assert "failed: all survivors agree, but a rule was broken" in result.stdout
    assert "1 checked, 12 violations" in result.stdout
    assert result.stdout.count("complainer: number") == 8
    assert "and 4 more" in result.stdout
    assert re.search(r"^nothing to check +for 1: idler$", result.stdout, re.MULTILINE)
    assert json.loads(run(*SMALL, "--json").stdout)["passed"] is False


def test_a_replay_without_checks_claims_nothing(file):
    result = run("--replay", str(file), "--no-check")
    assert result.exit_code == 0
    assert re.search(r"^rules +not checked$", result.stdout, re.MULTILINE)
    assert "ended: nothing was checked, but all agree" in result.stdout
    assert "passed" not in result.stdout
    record = json.loads(run("--replay", str(file), "--no-check", "--json").stdout)
    assert (record["checked"], record["nothing_to_check"]) == (None, None)
    assert record["violations"] == [], "what the run itself looks at"


def test_a_replay_without_checks_tells_what_went_wrong_by_itself(file, monkeypatch):
    monkeypatch.setattr("trio_gossip.testing.simulation.simulation.Simulation.agree", never)
    monkeypatch.setattr("trio_gossip.testing.scenarios.player.FORM_SECONDS", 1.0)
    monkeypatch.setattr(Scenario, "patience", lambda self: 1.0)
    result = run("--replay", str(file), "--no-check")
    assert result.exit_code == 1
    assert "forming: the members never found each other" in result.stdout
    assert "failed: the run itself went wrong" in result.stdout


def never(*_, **__) -> bool:
    return False


@pytest.mark.usefixtures("complainers")
@pytest.mark.parametrize("replayed", [True, False])
def test_the_page_says_what_it_is_about_and_what_was_broken(file, tmp_path, replayed):
    page = tmp_path / "out.html"
    options = ("--replay", str(file)) if replayed else SMALL
    assert run(*options, "--html", str(page)).exit_code == 1
    found = json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)[1])
    assert found["about"] == ("nothing happens" if replayed else "")
    assert found["broken"] == len(found["breaches"]) == 12
    assert found["breaches"][7][1] == "rule broken: complainer: number 7"


@pytest.mark.usefixtures("complainers")
def test_a_violation_in_a_replay_is_exit_code_1_too(file):
    result = run("--replay", str(file))
    assert result.exit_code == 1
    assert "failed: a rule was broken" in result.stdout
    assert "complainer: number 7" in result.stdout
    assert run("--replay", str(file), "--no-check").exit_code == 0
