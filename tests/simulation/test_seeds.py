"""Random scenarios from fixed seeds, and every scenario that ever failed.

These are small clusters; ``make seeds`` plays a thousand larger ones.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.forming import OF_SEALED
from trio_gossip.testing.scenarios.catalogue import KINDS
from trio_gossip.testing.scenarios.drawing import random_scenario
from trio_gossip.testing.scenarios.player import play
from trio_gossip.testing.scenarios.scenario import Scenario

CHUNK = 20
NODES = (5, 9)
REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.json"))


@pytest.mark.parametrize("first", range(0, 200, CHUNK))
def test_no_rule_is_broken_whatever_happens(first: int) -> None:
    applied: Counter[str] = Counter()
    checked: Counter[str] = Counter()
    for seed in range(first, first + CHUNK):
        report = play(random_scenario(seed, nodes=NODES))
        assert not report.violations, "\n".join(report.lines())
        assert sum(report.injected.values()) + sum(report.applied.values()) > 0
        applied.update(report.applied)
        checked.update(report.findings.checked)
    assert len(applied) > len(KINDS) // 2, "runs in which little happens prove little"
    # Of sealed clusters there need not be any among so few seeds.
    idle = [name for name, count in checked.items() if not count and name not in OF_SEALED]
    assert len(idle) <= 3, f"nothing to check for {idle}"


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.stem)
def test_what_went_wrong_once_does_not_do_so_again(path: Path) -> None:
    scenario = Scenario.load(path)
    report = play(scenario)
    assert not report.violations, "\n".join([scenario.about, *report.lines()])
    assert not report.skipped, "every step of a regression has to be played"


def test_there_are_regressions_and_each_says_what_went_wrong() -> None:
    assert REGRESSIONS
    for path in REGRESSIONS:
        assert len(Scenario.load(path).about) > 20, path
