"""What a member that lies can do to state: made-up names, made-up lives, words in our name."""

from __future__ import annotations

import attrs
import pytest

from tests.services.state_world import NOW, PLANES, STAMP, World, pull, values
from trio_gossip.errors import LocalProtocolError
from trio_gossip.services import state_replica, state_vector
from trio_gossip.services.state_delta import Chunk, Closing
from trio_gossip.services.state_intake import Intake
from trio_gossip.services.state_records import GENERATION_MAX, Plane, Record
from trio_gossip.services.state_replica import (
    OLD_GENERATIONS_MAX,
    REBIRTH_MS,
    REBIRTHS_BURST,
    Outcome,
    Replica,
)
from trio_gossip.services.state_vector import LIVES_EACH_MAX, STRANGERS_MAX, Fold

UNBORN = (NOW + 60_001) << 20


@pytest.fixture
def shared() -> World:
    return World(Plane.SHARED)


def closed(replica: Replica, closing: Closing, *records: Record) -> Intake:
    """Let a replica take an exchange that ends so."""
    intake = Intake(replica)
    intake.take(Chunk(replica.plane, replica.mark, 1, 1, records, closing), now_ms=NOW)
    return intake


def end(**changes: object) -> Closing:
    return attrs.evolve(Closing({}, {}, {}, 0, False, {}), **changes)


# -- lives from the future --------------------------------------------------------------------


@PLANES
@pytest.mark.parametrize("gen", [UNBORN, GENERATION_MAX])
@pytest.mark.parametrize("writer", ["a", "b"])
def test_a_life_from_the_future_ends_nothing(plane: Plane, gen: int, writer: str) -> None:
    world = World(plane)
    one, other = world.make("a"), world.make("b")
    one.set("k", b"1", now_ms=NOW)
    pull(other, one)
    forged = Record(writer, gen, 1, "l", STAMP, b"forged")
    assert other.receive(forged, now_ms=NOW) is Outcome.REFUSED
    closed(other, end(tops={(writer, gen): 9}), forged)
    assert values(other) == {"k": b"1"}
    assert other.gen == 10
    assert world.counts["state_clock_ahead"] == 3
    again = one.set("k", b"2", now_ms=NOW)
    assert other.receive(again, now_ms=NOW) is Outcome.STORED


def test_a_life_within_the_skew_of_clocks_is_believed(shared: World) -> None:
    one = shared.make("a")
    record = Record("b", UNBORN - 1, 1, "k", STAMP, b"")
    assert one.receive(record, now_ms=NOW) is Outcome.STORED


def test_a_fold_from_the_future_is_not_adopted(shared: World) -> None:
    one, other = shared.make("a"), shared.make("b")
    closed(other, end(folds={"a": Fold(UNBORN, UNBORN)}, resets=True))
    record = one.set("k", b"1", now_ms=NOW)
    assert other.receive(record, now_ms=NOW) is Outcome.STORED
    assert not other.seen.folds


@pytest.mark.parametrize("gen", [10, 11, 10_000])
def test_a_fold_of_ours_that_we_did_not_make_does_not_swallow_what_we_write(
    shared: World, gen: int
) -> None:
    one, other = shared.make("a"), shared.make("b")
    one.set("k", b"1", now_ms=NOW)
    closing = end(folds={"a": Fold(gen + 1, gen)}, resets=True)
    closed(one, closing)
    closed(other, closing)
    assert one.gen > gen
    one.set("l", b"2", now_ms=NOW)
    pull(other, one)
    assert values(other)["l"] == b"2"
    assert one.seen.top("a", one.gen) == len([r for r in one.slots.of("a") if r.gen == one.gen])


def test_a_fold_that_is_known_changes_nothing(shared: World) -> None:
    one = shared.make("a")
    for _ in range(2):
        closed(one, end(folds={"b": Fold(30, 20)}, resets=True))
    assert one.seen.folds == {"b": Fold(30, 20)}
    assert shared.counts["state_folded"] == 1


# -- words in our name ------------------------------------------------------------------------


def lie(replica: Replica, now_ms: int) -> Outcome:
    """Somebody tells a member of a write of its own that it did not make."""
    record = Record(replica.name, replica.gen, 2**40, "forged", STAMP, b"forged")
    return replica.receive(record, now_ms=now_ms, in_exchange=True)


@PLANES
def test_keys_are_written_anew_only_so_often(plane: Plane) -> None:
    world = World(plane)
    one = world.make("a")
    for number in range(100):
        one.set(f"k{number}", b"", now_ms=NOW)
    one.take_news()
    written = []
    for _ in range(REBIRTHS_BURST + 2):
        lie(one, NOW)
        written.append(len(one.take_news()))
    assert written[:REBIRTHS_BURST] == sorted(written[:REBIRTHS_BURST])
    assert written[0] == 100
    assert written[REBIRTHS_BURST:] == [0, 0]
    assert world.counts["state_rebirth_held"] == 2
    lie(one, NOW + REBIRTH_MS - 1)
    assert not one.take_news()
    lie(one, NOW + REBIRTH_MS)
    assert one.take_news()
    lie(one, NOW - 900_000)
    assert not one.take_news()
    lie(one, NOW - 900_000 + REBIRTH_MS)
    assert one.take_news(), "a clock that was set back does not hold it up"


@PLANES
def test_a_write_in_our_name_that_is_held_does_not_count_as_seen(plane: Plane) -> None:
    world = World(plane)
    one, other = world.make("a"), world.make("b")
    for _ in range(REBIRTHS_BURST):
        lie(one, NOW)
    assert lie(one, NOW) is Outcome.REFUSED
    closed(one, end(tops={("a", one.gen): 99}, folds={}))
    if plane is Plane.SHARED:
        closed(one, end(folds={"a": Fold(one.gen, one.gen)}, resets=True))
        assert not one.seen.folds
    top = one.seen.top("a", one.gen)
    record = one.set("own", b"1", now_ms=NOW)
    assert record.version == top + 1 < 99
    pull(other, one)
    assert values(other)["own"] == b"1"


# -- made-up writers --------------------------------------------------------------------------


def test_made_up_names_leave_room_for_members(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert STRANGERS_MAX == state_vector.VECTOR_ENTRIES_MAX // 2
    monkeypatch.setattr(state_vector, "VECTOR_ENTRIES_MAX", 20)
    monkeypatch.setattr(state_vector, "STRANGERS_MAX", 10)
    one, other = shared.make("a"), shared.make("b")
    shared.strangers = {f"s{number}" for number in range(30)}
    for number in range(30):
        record = Record(f"s{number}", 5, 1, f"k{number}", STAMP, b"")
        outcome = one.receive(record, now_ms=NOW)
        assert outcome is (Outcome.STORED if number < 10 else Outcome.REFUSED)
    assert shared.counts["state_writers_full"] == 20
    closed(one, end(tops={("s29", 5): 1}))
    assert one.seen.size == 10
    assert one.receive(other.set("k", b"1", now_ms=NOW), now_ms=NOW) is Outcome.STORED
    one.set("own", b"1", now_ms=NOW)


def test_made_up_lives_of_one_writer_leave_room_for_others_and_it_folds_them(
    shared: World,
) -> None:
    one, other = shared.make("a"), shared.make("b", gen=1000)
    for number in range(LIVES_EACH_MAX + 1):
        record = Record("b", 1001 + number, 1, f"k{number}", STAMP, b"")
        outcome = one.receive(record, now_ms=NOW)
        assert outcome is (Outcome.STORED if number < LIVES_EACH_MAX else Outcome.REFUSED)
    assert not one.lacks("b", 2000, 1)
    for _ in range(2):  # it begins a new life in the first, and adopts the second
        pull(other, one)
    own = other.set("own", b"1", now_ms=NOW)
    assert one.receive(own, now_ms=NOW) is Outcome.REFUSED
    assert other.seen.folds, "it has folded what it met"
    pull(one, other)
    pull(one, other)
    assert values(one)["own"] == b"1"
    assert len(one.seen.lives["b"]) <= OLD_GENERATIONS_MAX + 1
    assert one.digest == other.digest


def test_our_own_lives_are_not_limited_so(shared: World) -> None:
    one = shared.make("a")
    for number in range(2 * LIVES_EACH_MAX):
        lie(one, NOW + number * REBIRTH_MS)
    assert len(one.seen.lives["a"]) > LIVES_EACH_MAX
    one.set("k", b"1", now_ms=NOW)


def test_own_writes_without_room_raise(shared: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one = shared.make("a")
    monkeypatch.setattr(state_vector, "VECTOR_ENTRIES_MAX", 0)
    with pytest.raises(LocalProtocolError, match="writers"):
        one.set("k", b"1", now_ms=NOW)


# -- what single records may cost -------------------------------------------------------------


def test_versions_above_gaps_have_a_bound_over_all_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_replica, "SPARSE_MAX", 5)
    world = World(Plane.STATE)
    one, other = world.make("a"), world.make("b")
    outcomes = []
    for number in range(4):
        for version in (3, 5):
            record = Record(f"w{number}", 5, version, f"k{version}", STAMP, b"")
            outcomes.append(one.receive(record, now_ms=NOW))
    assert outcomes == [Outcome.STORED] * 5 + [Outcome.REFUSED] * 3
    assert world.counts["state_far"] == 3
    assert not one.lacks("w3", 5, 3)
    assert one.seen.sparse == 5
    assert one.receive(other.set("k", b"", now_ms=NOW), now_ms=NOW) is Outcome.STORED, "no gap"
    for version in (1, 2):
        record = Record("w0", 5, version, f"k{version}", STAMP, b"")
        assert one.receive(record, now_ms=NOW) is Outcome.STORED
    assert (one.seen.top("w0", 5), one.seen.sparse) == (3, 4)
    closed(one, end(tops={("w0", 5): 9, ("w1", 5): 4}))
    assert (one.seen.top("w1", 5), one.seen.sparse) == (5, 1)
    one.forget("w2")
    assert one.seen.sparse == 0


@PLANES
def test_the_records_of_a_writer_are_found_in_the_order_in_which_they_came(plane: Plane) -> None:
    one, other = World(plane).make("a"), World(plane).make("b")
    for key in "xyzx":
        one.set(key, b"", now_ms=NOW)
        one.receive(other.set(f"b{key}", b"", now_ms=NOW), now_ms=NOW)
    assert [record.key for record in one.slots.of("a")] == ["y", "z", "x"]
    assert [record.key for record in one.slots.of("b")] == ["by", "bz", "bx"]
    assert one.slots.of("nobody") == []
    assert one.slots.count(0, 10**6) == 8
    assert one.slots.count(2, 5) == 3
    if plane is Plane.STATE:
        one.forget("b")
        assert one.slots.of("b") == []


@PLANES
def test_the_floors_of_a_writer_go_with_it(plane: Plane) -> None:
    one, other = World(plane).make("a"), World(plane).make("b", gen=20)
    for writer in (one, other):
        writer.set("k", b"", now_ms=NOW)
        writer.delete("k", now_ms=NOW)
    pull(one, other)
    one.collect(now_ms=NOW + 2000)
    if plane is Plane.STATE:
        assert one.floors.keys() == {("a", 10), ("b", 20)}
        one.forget("b")
        assert one.floors.keys() == {("a", 10)}
    else:
        assert one.floors.keys() == {("b", 20)}, "its tombstone is the newer one"
        one.fold("b", Fold(30, 19))
        assert one.floors
        one.fold("b", Fold(31, 20))
        assert not one.floors
