"""Playing: the same run each time, all steps accounted for, and whatever goes wrong is seen."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from trio_gossip.engine import Engine
from trio_gossip.testing import Checker, Trace
from trio_gossip.testing.scenarios.drawing import random_scenario
from trio_gossip.testing.scenarios.kind import Step
from trio_gossip.testing.scenarios.player import play
from trio_gossip.testing.scenarios.scenario import Scenario

ROUGH = 191
"""A seed whose scenario with few members has cuts, restarts, storms and hostile packets."""

FEW = (5, 7)


def short(*steps: Step, **changes: object) -> Scenario:
    return Scenario(**{"seed": 1, "seconds": 10.0, "calm": 20.0, "steps": steps, **changes})


def test_a_scenario_plays_the_same_twice() -> None:
    scenario = random_scenario(ROUGH, nodes=FEW, gentle=False)
    first, second = play(scenario, checkers=()), play(scenario, checkers=())
    assert first == second
    assert first.digest
    assert sum(first.applied.values()) + sum(first.skipped.values()) == len(scenario.steps)


def test_looking_changes_nothing() -> None:
    """Checkers and a trace that is kept see the run that would be without them."""
    scenario = random_scenario(ROUGH, nodes=FEW, gentle=False)
    trace = Trace()
    assert play(scenario, checkers=()).digest == play(scenario, trace=trace).digest
    assert any(" fault " in line for line in trace.lines())


def test_another_seed_is_another_run() -> None:
    assert play(short()).digest != play(short(seed=2)).digest


def test_a_seed_replays_byte_for_byte_under_two_hash_seeds_in_two_processes() -> None:
    code = (
        "from trio_gossip.testing.scenarios.drawing import random_scenario\n"
        "from trio_gossip.testing.scenarios.player import play\n"
        "for gentle in (True, False):\n"
        f"    print(play(random_scenario({ROUGH}, nodes={FEW}, gentle=gentle)).digest)"
    )
    found = set()
    for hash_seed in ("1", "2"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": os.pathsep.join([".", "transports"]),
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(done.stdout)
    ours = [
        play(random_scenario(ROUGH, nodes=FEW, gentle=gentle)).digest for gentle in (True, False)
    ]
    assert found == {"".join(f"{digest}\n" for digest in ours)}


def test_a_saved_scenario_replays_its_digest(tmp_path) -> None:
    scenario = random_scenario(ROUGH, nodes=FEW, gentle=False)
    scenario.save(tmp_path / "case.json")
    again = Scenario.load(tmp_path / "case.json")
    assert play(again, checkers=()).digest == play(scenario, checkers=()).digest


def test_the_report_counts_what_was_done() -> None:
    crash = Step(at=1.0, kind="crash", names=("n01",))
    report = play(short(crash, Step(at=2.0, kind="pause", names=("n01",), seconds=1.0)))
    assert report.applied == {"crash": 1}
    assert report.skipped == {"pause": 1}
    assert report.nodes == 5
    assert report.node_seconds == pytest.approx(5 * 30.0, rel=0.5)
    assert report.steps > 100
    assert not report.violations
    assert "amplification" in report.idle, "a run without strangers says nothing about them"
    assert next(iter(report.lines())).startswith("seed 1: 5 members, digest ")


def test_what_a_step_began_is_over_at_the_calm() -> None:
    class Look(Checker):
        name = "look"

        def calm(self) -> None:
            links = self.simulation.links
            if links.faults.is_plain and not links.cut_pairs:
                self.ok()
            else:
                self.wrong(f"{links.faults}")

    steps = (
        Step(at=1.0, kind="restart", names=("n01",), seconds=3000.0),
        Step(at=1.0, kind="heavy-loss", amount=0.3, seconds=3000.0),
        Step(at=2.0, kind="isolated", names=("n02",), seconds=3000.0),
        Step(at=3.0, kind="pause", names=("n03",), seconds=1.5),
    )
    report = play(short(*steps, calm=60.0), checkers=(Look,))
    assert report.findings.checked["look"] == 1
    assert not report.violations, "and everybody is back"


def test_an_exception_out_of_an_engine_is_a_violation(monkeypatch) -> None:
    ping = Engine.ping

    def broken(self: Engine, name: str, **arguments: object) -> object:
        if name == "n02":
            raise ZeroDivisionError("nobody had thought of that")
        return ping(self, name, **arguments)

    monkeypatch.setattr(Engine, "ping", broken)
    report = play(short(Step(at=1.0, kind="ping", names=("n01", "n02"))))
    assert report.broken == ("no-crash",)
    assert "nobody had thought of that" in report.violations[0].text
    assert "\n" not in report.violations[0].text
    assert report.digest


def test_a_cluster_that_never_forms_is_a_violation(monkeypatch) -> None:
    monkeypatch.setattr(Engine, "join", lambda self, address, *, token, now: [])
    report = play(short(nodes=2), checkers=())
    assert "forming" in report.broken
    assert "agreement" in report.broken


def test_a_cluster_that_does_not_agree_is_watched_for_longer(monkeypatch) -> None:
    """Members that lost each other meet by chance: the calm is stretched, within a bound."""
    step = Step(at=0.0, kind="isolated", names=("n01",), seconds=100.0)
    scenario = Scenario(seed=1, nodes=2, seconds=100.0, calm=1.0, steps=(step,))
    report = play(scenario, checkers=())
    assert not report.violations
    assert report.node_seconds > 2 * 101.0  # without it: so much and not more
    monkeypatch.setattr("trio_gossip.engine.rejoin.Rejoin.tick", lambda self: None)
    report = play(scenario, checkers=())
    assert report.broken == ("agreement",)
    assert "n00 lacks n01" in report.violations[0].text
    assert report.node_seconds < 2 * (102.0 + scenario.patience() + 10.0)


def test_a_grave_step_excuses_for_a_while_and_a_mild_one_does_not() -> None:
    class Excused(Checker):
        name = "excused"

        def finish(self) -> None:
            self.wrong(f"{self.simulation.excuses.until > 0.0}")

    pause = Step(at=1.0, kind="pause", names=("n03",), seconds=1.5)
    mild = play(short(pause), checkers=(Excused,))
    grave = play(short(Step(at=1.0, kind="ring", seconds=1.0)), checkers=(Excused,))
    assert mild.violations[0].text == "False"
    assert grave.violations[0].text == "True"
