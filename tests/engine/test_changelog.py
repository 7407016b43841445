"""Which records make the difference between two digests."""

from __future__ import annotations

from itertools import pairwise

import pytest

from trio_gossip.engine import changelog
from trio_gossip.engine.changelog import RUN_MAX, VERSIONS_MAX, ChangeLog
from trio_gossip.plane import SUM_MASK


def term(name: str, version: int) -> int:
    """A number as unlike all others as a hash."""
    return pow(3, 1 + 1009 * version + sum(map(ord, name)), 2**64)


def changed(log: ChangeLog, name: str, *versions: int) -> None:
    """The record went through these versions; 0 is none."""
    numbers = [term(name, version) if version else 0 for version in versions]
    for old, new in pairwise(numbers):
        log.note(name, old, new)


def test_one_missed_change_is_found() -> None:
    log = ChangeLog()
    changed(log, "a", 0, 1)
    changed(log, "b", 0, 1)
    assert log.explain(term("a", 1)) == ["a"]
    assert log.explain(term("b", 1)) == ["b"]
    assert log.explain(12345) == []


def test_the_end_of_a_record_is_a_change_as_well() -> None:
    log = ChangeLog()
    changed(log, "a", 1, 0)
    assert log.explain(-term("a", 1) & SUM_MASK) == ["a"]


def test_a_peer_may_have_missed_as_many_versions_as_are_remembered() -> None:
    log = ChangeLog()
    changed(log, "a", *range(1, VERSIONS_MAX + 3))
    last = VERSIONS_MAX + 2
    for version in range(1, last):
        found = log.explain((term("a", last) - term("a", version)) & SUM_MASK)
        assert found == (["a"] if version >= last - VERSIONS_MAX else [])


def test_what_led_to_a_version_that_is_no_longer_there_is_forgotten() -> None:
    log = ChangeLog()
    changed(log, "a", 1, 2, 3)
    assert log.explain((term("a", 2) - term("a", 1)) & SUM_MASK) == []


def test_two_missed_changes_are_found_when_one_is_recent() -> None:
    log = ChangeLog()
    for name in ("a", *(f"x{number}" for number in range(RUN_MAX + 5)), "z"):
        changed(log, name, 0, 1)
    assert log.explain((term("a", 1) + term("z", 1)) & SUM_MASK) == ["a", "z"]
    assert log.explain((term("a", 1) + term("x0", 1)) & SUM_MASK) == []  # both long ago


def test_one_record_is_not_two() -> None:
    log = ChangeLog()
    changed(log, "a", 0, 1)
    assert log.explain(2 * term("a", 1) & SUM_MASK) == []


def test_all_changes_of_a_moment_are_found_together_and_told_in_order() -> None:
    log = ChangeLog()
    names = [f"n{number:02}" for number in range(RUN_MAX + 2)]
    for name in names:
        changed(log, name, 1, 2)
    for missed in (3, RUN_MAX):
        parts = [term(name, 2) - term(name, 1) for name in names[-missed:]]
        assert log.explain(sum(parts) & SUM_MASK) == names[-missed:]
    parts = [term(name, 2) - term(name, 1) for name in names[1:]]
    assert log.explain(sum(parts) & SUM_MASK) == []


def test_a_record_that_comes_back_to_what_it_was_explains_nothing_of_that() -> None:
    log = ChangeLog()
    changed(log, "a", 1, 2, 1)
    assert log.explain((term("a", 1) - term("a", 2)) & SUM_MASK) == ["a"]
    assert log.explain(0) == []


def test_the_change_of_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changelog, "CHANGES_MAX", 3)
    log = ChangeLog()
    for name in ("a", "b", "c"):
        changed(log, name, 0, 1)
    changed(log, "a", 1, 2)
    changed(log, "d", 0, 1)
    assert len(log) == 3
    assert log.explain(term("b", 1)) == []
    assert log.explain((term("a", 2) - term("a", 1)) & SUM_MASK) == ["a"]
