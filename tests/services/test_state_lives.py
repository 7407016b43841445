"""Lives of writers, deletions, and what comes late."""

from __future__ import annotations

import random

import pytest

from tests.services.state_world import NOW, PLANES, STAMP, World, pull, values
from trio_gossip.services.state_clock import HybridClock
from trio_gossip.services.state_local import first_generation
from trio_gossip.services.state_records import GENERATION_MAX, Plane, Record
from trio_gossip.services.state_replica import OLD_GENERATIONS_MAX, Outcome, Replica
from trio_gossip.services.state_vector import WINDOW


@pytest.fixture
def state() -> World:
    return World(Plane.STATE)


@pytest.fixture
def shared() -> World:
    return World(Plane.SHARED)


def test_a_new_life_ends_the_keys_of_the_former_one(state: World) -> None:
    one, other = state.make("a"), state.make("b")
    other.receive(one.set("k", b"1", now_ms=NOW), now_ms=NOW)
    old = one.set("l", b"2", now_ms=NOW)
    one.delete("l", now_ms=NOW)
    pull(other, one)
    other.collect(now_ms=NOW + 1000)
    again = state.make("a", gen=20)
    record = again.set("m", b"3", now_ms=NOW)
    other.receive(record, now_ms=NOW)
    assert values(other) == {"m": b"3"}
    assert other.receive(old, now_ms=NOW) is Outcome.KNOWN
    assert other.floors == {}


def test_a_new_life_ends_the_former_one_before_it_has_written(state: World) -> None:
    one, other = state.make("a"), state.make("b")
    one.set("k", b"1", now_ms=NOW)
    pull(other, one)
    again = state.make("a", gen=20)
    assert again.digest != other.digest
    pull(other, again)
    assert values(other) == {}
    assert again.digest == other.digest
    pull(other, one)
    assert values(other) == {}


def test_who_meets_a_former_life_outbids_it_and_writes_its_keys_anew(state: World) -> None:
    former, one, other = state.make("a", gen=20), state.make("a"), state.make("b")
    for number in range(3):
        former.set(f"old{number}", b"", now_ms=NOW)
    pull(other, former)
    one.set("k", b"1", now_ms=NOW)
    one.set("l", b"2", now_ms=NOW)
    one.delete("l", now_ms=NOW)
    pull(one, other)
    assert one.gen > 20
    assert state.counts["state_reborn"] == 1
    assert values(one) == {"k": b"1"}
    pull(other, one)
    assert values(other) == {"k": b"1"}
    assert other.digest == one.digest


def test_a_former_life_that_cannot_be_outbid_is_counted(state: World) -> None:
    one = state.make("a")
    record = Record("a", GENERATION_MAX, 1, "k", STAMP, b"")
    assert one.receive(record, now_ms=GENERATION_MAX >> 20) is Outcome.KNOWN
    assert state.counts == {"state_generation_exhausted": 1}
    assert one.gen == 10


def test_a_generation_in_use_twice_is_left(shared: World) -> None:
    former, one, other = (shared.make(name) for name in "aab")
    for number in range(4):
        former.set(f"old{number}", b"1", now_ms=NOW)
    pull(other, former)
    one.set("k", b"2", now_ms=NOW)
    one.set("l", b"3", now_ms=NOW)
    one.delete("l", now_ms=NOW)
    pull(one, other)
    pull(one, other)
    pull(other, one)
    assert one.gen > 10
    assert values(one) == {"k": b"2", **{f"old{number}": b"1" for number in range(4)}}
    assert one.items() == other.items()
    assert one.digest == other.digest


def test_a_generation_in_use_twice_is_left_before_the_first_write(shared: World) -> None:
    former, one = shared.make("a"), shared.make("a")
    record = former.set("k", b"1", now_ms=NOW)
    assert one.receive(record, now_ms=NOW) is Outcome.STORED
    assert one.gen > 10
    assert shared.counts == {"state_reborn": 1}


def test_a_larger_generation_of_ours_leaves_our_shared_keys_alone(shared: World) -> None:
    former, one = shared.make("a", gen=20), shared.make("a")
    one.set("k", b"1", now_ms=NOW)
    one.take_news()
    assert one.receive(former.set("l", b"2", now_ms=NOW), now_ms=NOW) is Outcome.STORED
    assert one.take_news() == []
    assert one.set("m", b"3", now_ms=NOW).gen > 20
    assert values(one) == {"k": b"1", "l": b"2", "m": b"3"}


def test_a_writer_folds_its_oldest_lives_and_all_agree_on_what_is_left(shared: World) -> None:
    other = shared.make("b")
    for life in range(OLD_GENERATIONS_MAX + 3):
        one = shared.make("a", gen=100 + life)
        pull(one, other)
        one.set(f"k{life}", b"", now_ms=NOW)
        if life == 1:
            # Deleted and collected in a life that is folded later.
            other.receive(one.take_news()[-1], now_ms=NOW)
            one.delete("k1", now_ms=NOW)
            one.collect(now_ms=NOW + 1000)
        pull(other, one)
    assert shared.counts["state_folded"]
    pull(one, other)
    assert one.seen.folds == other.seen.folds
    assert one.seen.folds["a"].gen == 101
    assert other.floors == {}
    assert len(one.seen.lives["a"]) <= OLD_GENERATIONS_MAX + 1
    assert one.digest == other.digest
    assert sorted(values(other)) == ["k0", "k2", "k3", "k4", "k5", "k6"]
    # A write of a folded life that nobody knew comes too late.
    lost = Record("a", 100, 9, "lost", STAMP, b"")
    assert other.receive(lost, now_ms=NOW) is Outcome.KNOWN
    assert other.vector().covers("a", 100, 9)
    other.seen.raise_to("a", 100, 9)
    other.seen.add("a", 100, 9)
    assert other.digest == one.digest


def test_who_holds_an_unknown_write_of_a_folded_life_drops_it(shared: World) -> None:
    other, away = shared.make("b"), shared.make("c")
    away.receive(Record("a", 100, 5, "lost", STAMP, b""), now_ms=NOW)
    gone = Record("a", 100, 6, "gone", STAMP, None)
    away.receive(gone, now_ms=NOW)
    for life in range(OLD_GENERATIONS_MAX + 2):
        one = shared.make("a", gen=100 + life)
        pull(one, other)
        one.set("k", b"", now_ms=NOW)
        pull(other, one)
    pull(one, other)
    pull(away, one)
    pull(one, away)
    assert sorted(values(away)) == ["k"]
    assert away.digest == one.digest
    assert away.collect(now_ms=NOW + 1000) == 1
    assert ("a", 100) not in away.floors


def test_a_replica_needs_no_callbacks() -> None:
    one = Replica(Plane.STATE, "a", 1, rng=random.Random(1), clock=HybridClock(60_000))
    record = Record("b", 10, WINDOW + 1, "k", STAMP, b"v")
    assert one.receive(record, now_ms=NOW) is Outcome.REFUSED
    assert one.receive(record, now_ms=NOW, in_exchange=True) is Outcome.STORED


def test_generations_carry_the_time_and_chance() -> None:
    chance = random.Random(5)
    first, second = (first_generation(NOW, chance) for _ in range(2))
    assert first != second
    assert first >> 20 == second >> 20 == NOW
    assert first_generation(2**41, chance) < GENERATION_MAX


@PLANES
def test_a_deletion_does_not_come_back_from_who_was_away(plane: Plane) -> None:
    world = World(plane)
    one, away, late = (world.make(name) for name in "abc")
    one.set("k", b"1", now_ms=NOW)
    one.set("l", b"2", now_ms=NOW)
    pull(away, one)
    away.set("own", b"3", now_ms=NOW + 1)
    one.delete("k", now_ms=NOW)
    assert one.collect(now_ms=NOW + 999) == 0
    assert one.collect(now_ms=NOW + 1000) == 1
    pull(late, one)
    pull(late, away)
    assert values(late) == {"l": b"2", "own": b"3"}
    # Who learned of the floor at second hand passes it on.
    pull(away, late)
    assert values(away) == {"l": b"2", "own": b"3"}
    assert away.digest == late.digest
    assert world.counts["state_reset"] == 2


@PLANES
def test_a_tombstone_above_a_gap_is_not_collected(plane: Plane) -> None:
    world = World(plane)
    one, other = world.make("a"), world.make("b")
    first = one.set("x", b"", now_ms=NOW)
    one.set("k", b"1", now_ms=NOW)
    gone = one.delete("k", now_ms=NOW)
    assert gone is not None
    other.receive(gone, now_ms=NOW)
    assert other.collect(now_ms=NOW + 5000) == 0
    other.receive(first, now_ms=NOW)
    assert other.collect(now_ms=NOW + 5000) == 1


def test_a_late_write_that_may_have_been_deleted_is_deleted_for_all(shared: World) -> None:
    one, away = shared.make("a"), shared.make("b")
    away.set("k", b"1", now_ms=NOW)
    away.set("l", b"2", now_ms=NOW + 10)
    one.set("x", b"", now_ms=NOW + 5)
    one.delete("x", now_ms=NOW + 5)
    one.collect(now_ms=NOW + 2000)
    pull(one, away, now_ms=NOW + 2000)
    assert shared.counts["state_late"] == 1
    assert values(one) == {"l": b"2"}
    pull(away, one, now_ms=NOW + 2000)
    assert values(away) == {"l": b"2"}
    assert away.digest == one.digest


def test_a_late_write_is_deleted_by_its_writer_when_that_asks_first(shared: World) -> None:
    one, away = shared.make("a"), shared.make("b")
    away.set("k", b"1", now_ms=NOW)
    away.set("l", b"2", now_ms=NOW + 10)
    one.set("x", b"", now_ms=NOW + 5)
    one.delete("x", now_ms=NOW + 5)
    one.collect(now_ms=NOW + 2000)
    pull(away, one, now_ms=NOW + 2000)
    assert values(away) == {"l": b"2"}
    # The tombstone is newer by one and no more: what was written meanwhile stays.
    (gone,) = [record for record in away.take_news() if record.value is None]
    assert gone.stamp == (NOW << 16) + 1
    assert away.set("m", b"", now_ms=NOW).stamp > one.horizon


def test_a_late_write_is_refused_where_there_is_no_room_for_its_tombstone(shared: World) -> None:
    one, away = shared.make("a", records=1), shared.make("b")
    late = away.set("k", b"1", now_ms=NOW)
    one.set("x", b"", now_ms=NOW + 5)
    one.delete("x", now_ms=NOW + 5)
    one.collect(now_ms=NOW + 2000)
    one.set("y", b"", now_ms=NOW + 2000)
    assert one.receive(late, now_ms=NOW + 2000) is Outcome.REFUSED
    assert one.seen.top("b", 10) == 0


def test_a_horizon_from_the_future_is_not_adopted(shared: World) -> None:
    one, other = shared.make("a"), shared.make("b")
    other.set("x", b"", now_ms=NOW + 70_000)
    other.delete("x", now_ms=NOW + 70_000)
    other.collect(now_ms=NOW + 80_000)
    assert not pull(one, other).is_adopted
    assert shared.counts["state_clock_ahead"] == 1
    assert one.horizon == 0
