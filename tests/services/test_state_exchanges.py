"""Exchanges of versioned state, whole and cut."""

from __future__ import annotations

import pytest

from tests.services.state_world import NOW, PLANES, World, pull, values
from trio_gossip.services.state_intake import Intake
from trio_gossip.services.state_records import Plane
from trio_gossip.services.state_replica import Outcome
from trio_gossip.services.state_sending import make_chunk


@pytest.fixture
def state() -> World:
    return World(Plane.STATE)


@pytest.fixture
def shared() -> World:
    return World(Plane.SHARED)


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
