"""Random schedules of faults: nothing deleted comes back, and all agree in the end."""

from __future__ import annotations

import pytest

from tests.services.state_model import Broken, Model
from tests.services.state_mutants import MUTANTS, STEPS, broken
from trio_gossip.services.state_records import Plane

PLANES = pytest.mark.parametrize("plane", Plane, ids=lambda plane: plane.name)

CATCHES = {
    ("no reset", Plane.STATE): 0,
    ("no reset", Plane.SHARED): 10,
    ("a reset drops tombstones", Plane.STATE): 1,
    ("a reset drops tombstones", Plane.SHARED): 7,
    ("a horizon does not move the clock", Plane.SHARED): 7,
    ("no floor", Plane.STATE): 0,
    ("no floor", Plane.SHARED): 10,
    ("no horizon", Plane.SHARED): 15,
    ("no generations", Plane.STATE): 0,
    ("former life ignored", Plane.STATE): 2,
    ("generation reused", Plane.STATE): 3,
    ("generation reused", Plane.SHARED): 1,
    ("seen versions believed again", Plane.STATE): 45,
    ("source not compared", Plane.STATE): 21,
    ("a cut answer adopted", Plane.STATE): 0,
    ("a cut answer adopted", Plane.SHARED): 0,
    ("records not in the order of arrival", Plane.STATE): 0,
    ("records not in the order of arrival", Plane.SHARED): 0,
}
"""A seed of a schedule that each broken rule does not survive."""


@PLANES
def test_nothing_deleted_comes_back_and_all_agree(plane: Plane) -> None:
    assert broken(plane, range(100)) == {}


@PLANES
def test_the_same_holds_through_the_bytes_of_the_wire(plane: Plane) -> None:
    assert broken(plane, range(1000, 1015), wired=True) == {}


@pytest.mark.parametrize("ttl_steps", [1, 300])
@PLANES
def test_the_same_holds_for_tombstones_that_live_a_moment_or_for_ever(
    plane: Plane, ttl_steps: int
) -> None:
    assert broken(plane, range(2000, 2010), ttl_steps=ttl_steps) == {}


@PLANES
def test_the_same_holds_for_members_that_lose_their_state_all_the_time(plane: Plane) -> None:
    assert broken(plane, range(3000, 3015), restarts=0.2) == {}


@pytest.mark.slow
@PLANES
def test_nothing_deleted_comes_back_in_twenty_thousand_schedules(plane: Plane) -> None:
    assert broken(plane, range(10_000, 20_000)) == {}


@PLANES
def test_a_schedule_is_a_function_of_its_seed(plane: Plane) -> None:
    one, other = Model(7, plane), Model(7, plane)
    one.run(STEPS)
    other.run(STEPS)
    assert one.counts == other.counts
    assert one.stores() == other.stores()
    assert one.digests() == other.digests()


def test_the_schedules_meet_every_rule() -> None:
    counts: set[str] = set()
    for seed, plane in [(seed, plane) for seed in range(8) for plane in Plane]:
        model = Model(seed, plane, restarts=0.1)
        model.run(STEPS)
        counts |= set(model.counts)
    wanted = {"old", "reborn", "reset", "collected", "late", "folded", "mark_old"}
    assert {f"state_{each}" for each in wanted} <= counts


@pytest.mark.parametrize(("mutant", "plane"), CATCHES, ids=lambda part: str(part))
def test_a_broken_rule_is_noticed(mutant: str, plane: Plane) -> None:
    with pytest.raises(Broken):
        Model(CATCHES[mutant, plane], plane, **MUTANTS[mutant]).run(STEPS)


def test_every_mutant_is_tried() -> None:
    assert {name for name, _ in CATCHES} == set(MUTANTS)
