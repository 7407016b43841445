"""Shrinking: on made-up failures the smallest scenario is known."""

from __future__ import annotations

import attrs
import pytest

from trio_gossip.testing import LinkFaults
from trio_gossip.testing.scenarios.drawing import random_scenario
from trio_gossip.testing.scenarios.kind import Step
from trio_gossip.testing.scenarios.scenario import Scenario
from trio_gossip.testing.scenarios.shrinking import shrink


def kinds(scenario: Scenario) -> set[str]:
    return {step.kind for step in scenario.steps}


def large(*extra: Step, seed: int = 1) -> Scenario:
    """A rough scenario of many steps, with some more among them."""
    drawn = random_scenario(seed, nodes=(18, 20), gentle=False)
    steps = (*(step for step in drawn.steps if step.kind not in {e.kind for e in extra}), *extra)
    return attrs.evolve(drawn, steps=tuple(sorted(steps, key=lambda step: step.at)))


CRASH = Step(at=9.0, kind="crash", names=("n17",))
FLOOD = Step(at=12.0, kind="flood", names=("n05",), amount=64.0)
ISOLATED = Step(at=5.0, kind="isolated", names=("n11",), seconds=8.0)


@pytest.mark.parametrize("seed", range(6))
def test_only_the_steps_that_are_needed_are_left(seed: int) -> None:
    scenario = large(CRASH, FLOOD, ISOLATED, seed=seed)
    small = shrink(scenario, lambda s: kinds(s) >= {"crash", "isolated"})
    assert sorted(step.kind for step in small.steps) == ["crash", "isolated"]
    assert small.nodes == 2
    assert {name for step in small.steps for name in step.names} <= {"n00", "n01"}
    assert small.seconds < 1.0
    assert small.links == LinkFaults()
    assert dict(small.config) == {}
    assert small.profile == "lan"


def test_a_failure_that_needs_no_step_keeps_none() -> None:
    small = shrink(large(), lambda s: True)
    assert small.steps == ()
    assert small.nodes == 2
    assert small.calm == small.calm_needed()


def test_what_the_failure_needs_is_kept() -> None:
    def fails(s: Scenario) -> bool:
        return (
            s.nodes >= 7
            and s.profile == "wan"
            and s.links.loss > 0.0
            and s.config.get("gossip_nodes") == 2
            and any(step.kind == "flood" and step.amount >= 20 for step in s.steps)
        )

    scenario = attrs.evolve(
        large(FLOOD),
        profile="wan",
        links=LinkFaults(loss=0.04, tail=0.02),
        config={"gossip_nodes": 2, "leave_acks": 4},
    )
    small = shrink(scenario, fails)
    assert fails(small)
    assert small.nodes == 7
    assert small.links == LinkFaults(loss=0.04)
    assert dict(small.config) == {"gossip_nodes": 2}
    (step,) = small.steps
    assert step.amount == 32.0, "half of it would not do"


def test_a_step_is_made_shorter_and_names_fewer_members() -> None:
    step = Step(at=0.0, kind="halves", names=("n00", "n01", "n02", "n03"), seconds=16.0)
    scenario = Scenario(seed=1, nodes=9, seconds=20.0, steps=(step,))
    small = shrink(scenario, lambda s: bool(s.steps) and s.steps[0].seconds >= 3.0)
    assert small.steps[0].seconds == 4.0
    assert len(small.steps[0].names) == 1


def test_it_takes_no_more_trials_than_it_may() -> None:
    calls: list[str] = []

    def fails(scenario: Scenario) -> bool:
        calls.append(scenario.to_json())
        return len(scenario.steps) > 3

    small = shrink(large(CRASH, FLOOD, ISOLATED), fails, trials=25)
    assert len(calls) == 25
    assert len(set(calls)) == 25, "nothing is tried twice"
    assert fails(small)


def test_it_is_a_function_of_its_arguments() -> None:
    def fails(scenario: Scenario) -> bool:
        return hash_of(scenario) % 3 != 0 and len(scenario.steps) >= 2

    def hash_of(scenario: Scenario) -> int:
        return sum(scenario.to_json().encode())

    scenario = next(s for seed in range(50) if fails(s := large(CRASH, seed=seed)))
    assert shrink(scenario, fails) == shrink(scenario, fails)
    assert fails(shrink(scenario, fails))


def test_another_seed_may_do_when_a_step_less_shifts_all_chance() -> None:
    """A failure that needs luck: with fewer steps it comes only with another seed."""
    scenario = large(CRASH, seed=2)

    def fails(s: Scenario) -> bool:
        lucky = s.seed == 2 if len(s.steps) > 2 else s.seed == 4
        return lucky and "crash" in kinds(s)

    small = shrink(scenario, fails)
    assert [step.kind for step in small.steps] == ["crash"]
    assert small.seed == 4


def test_a_calm_that_was_chosen_is_kept() -> None:
    scenario = attrs.evolve(large(CRASH), calm=11.0)
    assert shrink(scenario, lambda s: "crash" in kinds(s)).calm == 11.0
