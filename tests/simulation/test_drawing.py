"""Random scenarios: from the seed alone, half of them gentle, every kind often."""

from __future__ import annotations

from collections import Counter

from trio_gossip.testing.scenarios.catalogue import KINDS
from trio_gossip.testing.scenarios.drawing import random_scenario
from trio_gossip.testing.scenarios.layers import LOSS_MILD, loss_of

SEEDS = 1000
OFTEN = 40
"""Times that each kind must come in a thousand seeds."""


def test_a_scenario_follows_from_its_seed() -> None:
    assert random_scenario(5) == random_scenario(5)
    assert random_scenario(5) != random_scenario(6)
    assert random_scenario(5).seed == 5


def test_every_kind_comes_often_and_half_of_the_seeds_are_gentle() -> None:
    drawn: Counter[str] = Counter()
    nodes: set[int] = set()
    profiles: Counter[str] = Counter()
    gentle = 0
    for seed in range(SEEDS):
        scenario = random_scenario(seed)
        drawn.update(step.kind for step in scenario.steps)
        nodes.add(scenario.nodes)
        profiles[scenario.profile] += 1
        gentle += scenario.is_gentle
    assert set(drawn) == set(KINDS)
    rare = {kind: count for kind, count in drawn.items() if count < OFTEN}
    assert not rare, "a kind that never comes proves nothing"
    assert nodes == set(range(3, 21))
    assert 0.4 * SEEDS < gentle < 0.65 * SEEDS
    assert min(profiles[name] for name in ("lan", "fast", "safe", "wan", "local")) > 0.05 * SEEDS


def test_a_gentle_scenario_has_nothing_that_excuses_a_wrong_detector() -> None:
    for seed in range(300):
        scenario = random_scenario(seed, gentle=True)
        assert scenario.is_gentle
        drawn = Counter(step.kind for step in scenario.steps)
        assert all(count <= KINDS[kind].gentle_most for kind, count in drawn.items())
        assert loss_of(scenario.links) <= LOSS_MILD


def test_a_rough_scenario_may_have_everything() -> None:
    drawn: Counter[str] = Counter()
    for seed in range(200):
        scenario = random_scenario(seed, nodes=(6, 8), gentle=False)
        assert 6 <= scenario.nodes <= 8
        drawn.update(step.kind for step in scenario.steps)
    assert set(drawn) == set(KINDS)


def test_one_scenario_in_eight_gossips_in_rounds_alone() -> None:
    settings = [random_scenario(seed).config.get("eager_copies") for seed in range(SEEDS)]
    assert set(settings) == {None, 0}
    assert 0.09 * SEEDS < settings.count(0) < 0.16 * SEEDS


def test_half_of_the_scenarios_announce_what_fits_no_packet_and_half_refuse_it() -> None:
    settings = [random_scenario(seed).config.get("lazy_bytes") for seed in range(SEEDS)]
    assert set(settings) == {None, 65536}
    assert 0.45 * SEEDS < settings.count(None) < 0.55 * SEEDS
