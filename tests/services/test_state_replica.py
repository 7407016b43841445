"""Single rules of versioned state, one at a time."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import attrs
import pytest

from trio_gossip.errors import LocalProtocolError
from trio_gossip.services import state_vector
from trio_gossip.services.state_clock import HybridClock
from trio_gossip.services.state_intake import Intake
from trio_gossip.services.state_local import first_generation
from trio_gossip.services.state_records import (
    GENERATION_MAX,
    VALUE_BYTES_MAX,
    Plane,
    Record,
    StateLimits,
)
from trio_gossip.services.state_replica import OLD_GENERATIONS_MAX, Outcome, Replica
from trio_gossip.services.state_sending import make_chunk
from trio_gossip.services.state_vector import WINDOW

NOW = 1_000_000
STAMP = NOW << 16
PLANES = pytest.mark.parametrize("plane", Plane, ids=lambda plane: plane.name)


@attrs.define
class World:
    """Replicas of one plane, what each was told, and what it counted."""

    plane: Plane
    told: list[tuple[Any, Any, Any]] = attrs.field(factory=list)
    counts: Counter[str] = attrs.field(factory=Counter)
    strangers: set[str] = attrs.field(factory=set)

    def make(self, name: str, gen: int = 10, **limits: int) -> Replica:
        def changed(slot: Any, before: Record | None, after: Record | None) -> None:
            values = [each and each.value for each in (before, after)]
            self.told.append((slot, *values))

        return Replica(
            self.plane,
            name,
            gen,
            rng=random.Random(1),
            clock=HybridClock(60_000),
            limits=StateLimits(**{"tombstone_ms": 1000, **limits}),
            is_member=lambda name: name not in self.strangers,
            changed=changed,
            bump=lambda name: self.counts.update([name]),
        )


@pytest.fixture
def state() -> World:
    return World(Plane.STATE)


@pytest.fixture
def shared() -> World:
    return World(Plane.SHARED)


def pull(asker: Replica, giver: Replica, now_ms: int = NOW, chunk_bytes: int = 10**6) -> Intake:
    intake, vector = Intake(asker), asker.vector()
    while not intake.is_done:
        intake.take(make_chunk(giver, vector, intake.cursor, chunk_bytes), now_ms=now_ms)
    return intake


def values(replica: Replica, **how: Any) -> dict[str, bytes | None]:
    return {record.key: record.value for record in replica.items(**how)}


# -- local calls ------------------------------------------------------------------------


@PLANES
def test_what_is_written_is_read_and_told(plane: Plane) -> None:
    world = World(plane)
    one = world.make("a")
    owner = "a" if plane is Plane.STATE else ""
    first = one.set("x/1", b"1", now_ms=NOW)
    one.set("x/2", b"2", now_ms=NOW)
    one.set("y", b"3", now_ms=NOW)
    second = one.set("x/1", b"4", now_ms=NOW)
    gone = one.delete("y", now_ms=NOW)
    assert one.delete("y", now_ms=NOW) is None
    assert values(one) == {"x/1": b"4", "x/2": b"2"}
    assert values(one, prefix="x/2", owner=owner) == {"x/2": b"2"}
    assert values(one, owner="nobody") == {}
    assert one.get((owner, "x/1")) is second
    assert one.get((owner, "y")) is None
    assert second.covers == (first.version,)
    assert gone is not None
    assert not gone.is_live
    assert first.stamp < second.stamp < gone.stamp
    assert world.told[-2:] == [((owner, "x/1"), b"1", b"4"), ((owner, "y"), b"3", None)]
    assert [record.version for record in one.take_news()] == [1, 2, 3, 4, 5]
    assert one.take_news() == []


def test_a_record_names_the_last_eight_that_it_replaces(state: World) -> None:
    one = state.make("a")
    for _ in range(12):
        last = one.set("k", b"", now_ms=NOW)
    assert last.covers == tuple(range(4, 12))


@pytest.mark.parametrize("key", ["", "k" * 257, "é" * 129, "\ud800"])
def test_a_key_that_cannot_be_is_refused(state: World, key: str) -> None:
    one = state.make("a")
    with pytest.raises(LocalProtocolError, match="1 to 256 bytes of UTF-8"):
        one.set(key, b"", now_ms=NOW)
    assert one.delete(key, now_ms=NOW) is None


def test_a_value_that_is_too_long_is_refused(state: World) -> None:
    one = state.make("a")
    one.set("k", bytes(VALUE_BYTES_MAX), now_ms=NOW)
    with pytest.raises(LocalProtocolError, match="65537 bytes"):
        one.set("k", bytes(VALUE_BYTES_MAX + 1), now_ms=NOW)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"records": 2}, "2 records of all"),
        ({"owner_records": 2}, "2 records of a"),
        ({"bytes": 10}, "10 bytes of all"),
        ({"owner_bytes": 10}, "10 bytes of a"),
    ],
)
def test_a_write_without_room_raises_and_changes_nothing(
    state: World, limits: dict[str, int], words: str
) -> None:
    one = state.make("a", **limits)
    one.set("k", b"123", now_ms=NOW)
    one.set("l", b"456", now_ms=NOW)
    before = one.digest, values(one), one.take_news()
    with pytest.raises(LocalProtocolError, match=words):
        one.set("m", b"789", now_ms=NOW)
    assert (one.digest, values(one)) == before[:2]
    assert one.take_news() == []
    one.set("k", b"321", now_ms=NOW)
    one.delete("k", now_ms=NOW)
    assert values(one) == {"l": b"456"}


def test_a_life_too_many_is_refused(shared: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, third = (shared.make(name) for name in "abc")
    record = third.set("m", b"", now_ms=NOW)
    pull(other, third)
    # It hides the only record of the third, so that only the vector tells of that.
    other.set("m", b"1", now_ms=NOW + 1)
    monkeypatch.setattr(state_vector, "VECTOR_ENTRIES_MAX", 1)
    pull(one, other)
    assert shared.counts["state_writers_full"] == 1
    assert one.receive(record, now_ms=NOW) is Outcome.REFUSED
    assert shared.counts["state_writers_full"] == 2
    with pytest.raises(LocalProtocolError, match="writers"):
        one.set("l", b"", now_ms=NOW)
    assert values(one) == {"m": b"1"}


# -- single records ---------------------------------------------------------------------


@PLANES
def test_a_record_is_news_once(plane: Plane) -> None:
    world = World(plane)
    one, other = world.make("a"), world.make("b")
    record = one.set("k", b"1", now_ms=NOW)
    assert other.receive(record, now_ms=NOW) is Outcome.STORED
    assert other.receive(record, now_ms=NOW) is Outcome.KNOWN
    assert one.receive(record, now_ms=NOW) is Outcome.KNOWN
    assert one.items() == other.items()
    assert one.digest == other.digest


def test_a_newer_record_closes_the_gap_of_what_it_replaces(state: World) -> None:
    one, other = state.make("a"), state.make("b")
    one.set("k", b"1", now_ms=NOW)
    one.set("k", b"2", now_ms=NOW)
    other.receive(one.set("k", b"3", now_ms=NOW), now_ms=NOW)
    assert other.seen.top("a", 10) == 3


def test_a_gap_is_seen_in_the_digest_until_it_is_closed(state: World) -> None:
    one, other = state.make("a"), state.make("b")
    first = one.set("k", b"1", now_ms=NOW)
    other.receive(one.set("l", b"2", now_ms=NOW), now_ms=NOW)
    assert other.digest != one.digest
    other.receive(first, now_ms=NOW)
    assert other.digest == one.digest


@PLANES
def test_a_version_from_the_far_future_is_refused_but_an_exchange_may_bring_it(
    plane: Plane,
) -> None:
    world = World(plane)
    one, record = world.make("a"), Record("b", 10, WINDOW + 1, "k", STAMP, b"v")
    assert one.receive(record, now_ms=NOW) is Outcome.REFUSED
    assert world.counts == {"state_far": 1}
    assert one.receive(record, now_ms=NOW, in_exchange=True) is Outcome.STORED
    assert one.receive(record, now_ms=NOW, in_exchange=True) is Outcome.KNOWN
    near = attrs.evolve(record, version=WINDOW, key="l")
    assert one.receive(near, now_ms=NOW) is Outcome.STORED


@PLANES
def test_a_stamp_from_the_future_is_refused_whole_and_may_come_again(plane: Plane) -> None:
    world = World(plane)
    one = world.make("a")
    record = Record("b", 10, 1, "k", NOW + 60_001 << 16, b"v")
    assert one.receive(record, now_ms=NOW) is Outcome.REFUSED
    assert world.counts == {"state_clock_ahead": 1}
    assert values(one) == {}
    assert one.receive(record, now_ms=NOW + 1) is Outcome.STORED
    # Our clock is never behind what was believed.
    assert one.set("k", b"", now_ms=NOW).stamp > record.stamp


def test_a_refused_record_is_not_adopted_with_the_vector(state: World) -> None:
    one, other = state.make("a"), state.make("b")
    other.set("k", b"v", now_ms=NOW + 60_001)
    intake = pull(one, other)
    assert (intake.stored, intake.refused, intake.is_adopted) == (0, 1, True)
    assert one.seen.top("b", 10) == 0
    assert pull(one, other, now_ms=NOW + 1).stored == 1


def test_nothing_is_adopted_of_a_life_of_which_a_record_was_refused(shared: World) -> None:
    one, other = shared.make("a"), shared.make("b", gen=100)
    other.set("gone", b"", now_ms=NOW)
    other.delete("gone", now_ms=NOW)
    for life in range(OLD_GENERATIONS_MAX + 2):
        again = shared.make("b", gen=101 + life)
        again.set(f"k{life}", b"", now_ms=NOW)
        pull(other, again)
    pull(again, other)
    again.collect(now_ms=NOW + 1000)
    again.set("k", b"", now_ms=NOW + 70_000)
    again.delete("k0", now_ms=NOW)
    again.set("late", b"", now_ms=NOW + 70_000)
    assert again.seen.folds
    pull(one, again, now_ms=NOW)
    assert one.seen.folds == {}
    assert one.seen.top("b", again.gen) < again.seen.top("b", again.gen)
    pull(one, again, now_ms=NOW + 80_000)
    assert one.digest == again.digest
    pull(one, again, now_ms=NOW + 80_000)
    assert one.digest == again.digest


def test_the_floor_of_a_refused_life_is_not_adopted(shared: World) -> None:
    one, other = shared.make("a"), shared.make("b")
    other.set("k", b"", now_ms=NOW)
    other.delete("k", now_ms=NOW)
    other.collect(now_ms=NOW + 1000)
    other.set("late", b"", now_ms=NOW + 70_000)
    pull(one, other)
    assert one.floors == {}
    pull(one, other, now_ms=NOW + 70_000)
    assert one.floors == other.floors == {("b", 10): 2}


def test_a_stranger_that_never_wrote_is_not_adopted_either(state: World) -> None:
    state.strangers = {"b"}
    one = state.make("a")
    pull(one, state.make("b"))
    assert list(one.seen.lives) == ["a"]


def test_a_stranger_has_no_state_but_may_have_written_what_is_shared(
    state: World, shared: World
) -> None:
    for world, found in ((state, {}), (shared, {"k": b"v"})):
        world.strangers = {"b"}
        one, other = world.make("a"), world.make("b")
        record = other.set("k", b"v", now_ms=NOW)
        expected = Outcome.STORED if found else Outcome.REFUSED
        assert one.receive(record, now_ms=NOW) is expected
        pull(one, other)
        assert values(one) == found
    assert state.counts == {"state_stranger": 2}


@PLANES
def test_a_remote_value_without_room_counts_as_seen_and_is_not_asked_for_again(
    plane: Plane,
) -> None:
    world = World(plane)
    one, other = world.make("a", records=1), world.make("b")
    other.set("k", b"1", now_ms=NOW)
    other.set("l", b"2", now_ms=NOW)
    assert pull(one, other).stored == 1
    assert world.counts == {"state_full": 1}
    assert pull(one, other).stored == 0
    assert world.counts == {"state_full": 1}
    assert one.seen.top("b", 10) == 2


@PLANES
def test_a_remote_tombstone_without_room_may_come_again(plane: Plane) -> None:
    world = World(plane)
    one, other = world.make("a", records=1), world.make("b")
    one.receive(Record("c", 10, 1, "x", STAMP, b""), now_ms=NOW)
    other.set("k", b"1", now_ms=NOW)
    gone = other.delete("k", now_ms=NOW)
    assert gone is not None
    assert one.receive(gone, now_ms=NOW) is Outcome.REFUSED
    assert one.seen.top("b", 10) == 0


def test_the_last_writer_wins_and_names_break_ties(shared: World) -> None:
    one = shared.make("z")
    records = [Record(name, 10, 1, "k", STAMP, name.encode()) for name in "abc"]
    late = Record("a", 10, 2, "k", STAMP + 1, b"late")
    for record in (records[1], records[2], records[0]):
        one.receive(record, now_ms=NOW)
    assert values(one) == {"k": b"c"}
    one.receive(late, now_ms=NOW)
    assert values(one) == {"k": b"late"}
    assert shared.counts == {}


# -- lives ------------------------------------------------------------------------------


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
    assert one.receive(record, now_ms=NOW) is Outcome.KNOWN
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


# -- deletions --------------------------------------------------------------------------


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


# -- exchanges --------------------------------------------------------------------------


@PLANES
def test_a_cut_exchange_hides_no_gap(plane: Plane) -> None:
    world = World(plane)
    one, other = world.make("a"), world.make("b")
    for number in range(5):
        one.set(f"k{number}", b"", now_ms=NOW)
    last = one.set("k0", b"new", now_ms=NOW)
    intake, vector = Intake(other), other.vector()
    assert len(intake.take(make_chunk(one, vector, 0, 1), now_ms=NOW)) == 1
    assert not intake.is_done
    assert other.digest != one.digest
    assert pull(other, one).stored == 4
    assert other.digest == one.digest
    assert other.receive(last, now_ms=NOW) is Outcome.KNOWN


@PLANES
def test_what_replaced_a_record_during_the_exchange_is_in_a_later_chunk(plane: Plane) -> None:
    world = World(plane)
    one, other = world.make("a"), world.make("b")
    for number in range(3):
        one.set(f"k{number}", b"old", now_ms=NOW)
    intake, vector = Intake(other), other.vector()
    intake.take(make_chunk(one, vector, 0, 1), now_ms=NOW)
    for number in range(3):
        one.set(f"k{number}", b"new", now_ms=NOW)
    while not intake.is_done:
        intake.take(make_chunk(one, vector, intake.cursor, 1), now_ms=NOW)
    assert set(values(other).values()) == {b"new"}
    assert other.digest == one.digest


def test_an_answer_of_another_life_of_the_sender_is_not_adopted(state: World) -> None:
    one, other = state.make("a"), state.make("b")
    one.set("k", b"", now_ms=NOW)
    one.set("l", b"", now_ms=NOW)
    intake, vector = Intake(other), other.vector()
    intake.take(make_chunk(one, vector, 0, 1), now_ms=NOW)
    again = state.make("a", gen=20)
    again.set("m", b"", now_ms=NOW)
    assert intake.take(make_chunk(again, vector, intake.cursor, 1), now_ms=NOW) == []
    assert (intake.is_done, intake.is_adopted) == (True, False)
    assert intake.take(make_chunk(one, vector, intake.cursor, 1), now_ms=NOW) == []
    assert state.counts == {"state_chunk_unexpected": 2}


def test_an_answer_to_who_forgot_something_since_is_not_adopted(state: World) -> None:
    one, other, third = (state.make(name) for name in "abc")
    third.set("k", b"1", now_ms=NOW)
    pull(one, third)
    pull(other, third)
    vector = other.vector()
    other.forget("c")
    other.forget("c")
    other.forget("b")
    assert values(other) == {}
    intake = Intake(other)
    intake.take(make_chunk(one, vector, 0, 10**6), now_ms=NOW)
    assert not intake.is_adopted
    assert state.counts == {"state_mark_old": 1}
    assert pull(other, one).stored == 1


def test_shared_keys_outlive_who_wrote_them(shared: World) -> None:
    one, other = shared.make("a"), shared.make("b")
    other.receive(one.set("k", b"1", now_ms=NOW), now_ms=NOW)
    other.forget("a")
    assert values(other) == {"k": b"1"}


def test_who_knows_a_newer_life_is_not_sent_the_older_one(state: World) -> None:
    one, holder = state.make("a"), state.make("b")
    one.set("k", b"", now_ms=NOW)
    pull(holder, one)
    asker = state.make("c")
    asker.receive(state.make("a", gen=20).set("l", b"", now_ms=NOW), now_ms=NOW)
    assert make_chunk(holder, asker.vector(), 0, 10**6).records == ()
    # Without the check of the sender, the asker refuses it all the same.
    pull(asker, holder)
    assert values(asker) == {"l": b""}


def test_the_order_of_arrival_survives_many_replacements(state: World) -> None:
    one, other = state.make("a"), state.make("b")
    for number in range(500):
        one.set(f"k{number % 7}", b"%d" % number, now_ms=NOW)
    arrivals = [held.arrival for held in one.slots.after(0)]
    assert arrivals == list(range(494, 501))
    assert [held.arrival for held in one.slots.after(497)] == [498, 499, 500]
    assert pull(other, one, chunk_bytes=1).stored == 7


@PLANES
def test_room_is_counted_by_who_wrote_what_is_held(plane: Plane) -> None:
    world = World(plane)
    one, other = world.make("a"), world.make("b")
    other.receive(one.set("k", b"123", now_ms=NOW), now_ms=NOW)
    other.set("k", b"12", now_ms=NOW + 1)
    uses = {name: (use.records, use.bytes) for name, use in other.slots.use_of.items()}
    both = {"a": (1, 4), "b": (1, 3)}
    assert uses == (both if plane is Plane.STATE else {"b": (1, 3)})
    total = other.slots.use
    assert (total.records, total.bytes) == ((2, 7) if plane is Plane.STATE else (1, 3))
    other.drop(("", "nothing"))
