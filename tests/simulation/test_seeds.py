"""Seeded clusters of 5 to 20 nodes with faults; a thousand seeds are run by ``make seeds``."""

from __future__ import annotations

import pytest

from tests.simulation.chaos import run_seed

CHUNK = 25


@pytest.mark.parametrize("first", range(0, 300, CHUNK))
def test_no_member_that_answers_is_declared_failed_and_all_views_agree(first: int) -> None:
    faults: dict[str, int] = {}
    for seed in range(first, first + CHUNK):
        report = run_seed(seed)
        assert not report.violations, (seed, report.violations)
        for fault, count in report.faults.items():
            faults[fault] = faults.get(fault, 0) + count
    expected = {"crash", "restart", "move", "leave", "message", "meta", "pause"}
    assert set(faults) == expected, "a run that injects nothing proves nothing"
