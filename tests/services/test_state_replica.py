"""What a replica writes, and what it makes of single records of others."""

from __future__ import annotations

import attrs
import pytest

from tests.services.state_world import NOW, PLANES, STAMP, World, pull, values
from trio_gossip.errors import LocalProtocolError
from trio_gossip.services import state_vector
from trio_gossip.services.state_records import VALUE_BYTES_MAX, Plane, Record
from trio_gossip.services.state_replica import OLD_GENERATIONS_MAX, Outcome
from trio_gossip.services.state_vector import WINDOW


@pytest.fixture
def state() -> World:
    return World(Plane.STATE)


@pytest.fixture
def shared() -> World:
    return World(Plane.SHARED)


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
