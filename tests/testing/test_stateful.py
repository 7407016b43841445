"""Hypothesis over the simulator: what a machine does, finds and tells."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from trio_gossip.engine.presence import Presence
from trio_gossip.events import MemberFailed
from trio_gossip.members import Member
from trio_gossip.testing import ClusterMachine, Scenario, ScenarioError, play
from trio_gossip.testing.checkers.incarnations import OneContent
from trio_gossip.testing.scenarios.catalogue import GENTLE

FEW = settings(
    max_examples=8,
    stateful_step_count=8,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
MORE = settings(FEW, max_examples=60, stateful_step_count=20, report_multiple_bugs=False)


class Plain(ClusterMachine):
    nodes = 4


def test_a_sound_library_survives_whatever_hypothesis_does() -> None:
    run_state_machine_as_test(Plain, settings=FEW)


class Narrow(ClusterMachine):
    """Looks for one thing only, so that shrinking takes seconds."""

    nodes = 3
    kinds = ("broadcast", "meta", "pause")
    checkers = (OneContent,)


def test_a_planted_bug_is_found_shrunk_and_told_as_a_scenario(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def with_meta_alone(self: Presence, meta: bytes) -> Member:
        return attrs.evolve(self._node.me.member, meta=meta)

    monkeypatch.setattr(Presence, "_with_meta", with_meta_alone)
    with pytest.raises(AssertionError) as caught:
        run_state_machine_as_test(Narrow, settings=settings(MORE, stateful_step_count=6))
    text = str(caught.value)
    violations, _, found = text.partition("the scenario, for --replay:")
    assert violations.strip()
    scenario = Scenario.from_json(found)
    assert [step.kind for step in scenario.steps] == ["meta"], "it was shrunk"
    assert play(scenario).violations, "whoever replays it sees the same"
    monkeypatch.undo()
    assert not play(scenario).violations


class Followed(ClusterMachine):
    """Follows the events of its members, as a user's code would."""

    nodes = 5
    kinds = ("crash", "restart", "meta")
    settings_of_members = {"probe_interval": 0.5, "probe_timeout": 0.2}

    def __init__(self) -> None:
        super().__init__()
        self.alive: dict[Any, set[str]] = {}
        self.lives = 0
        self.has_settled = False

    def member_started(self, process: Any) -> None:
        assert process.config.probe_interval == 0.5
        self.alive[process] = {process.name}
        self.lives += 1

    def member_event(self, process: Any, event: Any) -> None:
        if hasattr(event, "member"):
            gone = isinstance(event, MemberFailed) or not event.member.is_active
            (self.alive[process].discard if gone else self.alive[process].add)(event.member.name)

    def member_ended(self, process: Any) -> None:
        del self.alive[process]

    @invariant()
    def its_view_is_the_engines(self) -> None:
        for process, names in self.alive.items():
            assert names == process.active_names()

    def settled(self) -> None:
        assert self.simulation.agree()
        assert set(map(frozenset, self.alive.values())) == {frozenset(self.simulation.processes)}
        assert {step.kind for step in self.scenario.steps} <= set(self.kinds)
        Followed.runs.append(self.lives)

    runs: list[int] = []


def test_a_machine_follows_its_members_from_birth_to_death() -> None:
    Followed.runs.clear()
    run_state_machine_as_test(Followed, settings=settings(FEW, max_examples=15))
    assert len(Followed.runs) >= 10
    assert max(Followed.runs) > 5, "somebody was restarted"


def test_what_may_happen_can_be_restricted_to_mild_things() -> None:
    class Mild(ClusterMachine):
        kinds = GENTLE

        def settled(self) -> None:
            assert self.scenario.is_gentle

    run_state_machine_as_test(Mild, settings=FEW)


class Failing(ClusterMachine):
    """Fails in what the user adds; in what depends on the class."""

    nodes = 2
    kinds = ("crash",)
    checkers = ()

    def crashed(self) -> bool:
        return "crash" in [step.kind for step in self.scenario.steps]


class FailsBetween(Failing):
    @invariant()
    def nobody_crashes(self) -> None:
        if self._playing is not None:
            assert not self.crashed(), "somebody crashed"

    def settled(self) -> None:
        assert not self.crashed(), "this would hide what has failed before"


class FailsAtTheEnd(Failing):
    def settled(self) -> None:
        assert not self.crashed(), "somebody crashed"


@pytest.mark.parametrize("machine", [FailsBetween, FailsAtTheEnd])
def test_whatever_fails_the_report_has_the_steps_and_the_scenario(
    machine: type[ClusterMachine],
) -> None:
    try:
        raise KeyError("somebody's, which has nothing to do with it")
    except KeyError:
        with pytest.raises(AssertionError, match="somebody crashed") as caught:
            run_state_machine_as_test(
                machine, settings=settings(FEW, max_examples=30, phases=[Phase.generate])
            )
    notes = "\n".join(caught.value.__notes__)
    assert re.search(r"^ +\d+\.\d+ crash n0", notes, re.MULTILINE)
    found = notes.partition("the scenario, for --replay:\n")[2]
    scenario = Scenario.from_json(found[: found.index("\n}") + 2])
    assert "crash" in [step.kind for step in scenario.steps]


WITHOUT_HYPOTHESIS = """
import sys
sys.modules["hypothesis"] = None
from trio_gossip.testing import *
import trio_gossip.testing
assert "ClusterMachine" in dir(trio_gossip.testing)
assert attach and ALL_CHECKERS and KINDS and play
try:
    from trio_gossip.testing import ClusterMachine
except ModuleNotFoundError as error:
    print(error)
"""


def test_without_hypothesis_all_else_can_be_imported_and_the_machine_says_what_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_HYPOTHESIS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == "ClusterMachine needs Hypothesis: pip install hypothesis\n"


def test_a_kind_that_nobody_knows_is_named() -> None:
    class Odd(ClusterMachine):
        kinds = ("crash", "earthquake")

    with pytest.raises(ScenarioError, match="'earthquake' is no kind of step"):
        run_state_machine_as_test(Odd, settings=FEW)
