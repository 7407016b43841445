"""Exchanges of the state service: they end, whatever a peer answers, and stay within bounds."""

from __future__ import annotations

import random

import attrs
import pytest

from tests.services.stating import StateWorld
from trio_gossip.codec.frames import SERVICE_BYTES_MAX
from trio_gossip.config_faults import STATE_PLANE_BYTES_MAX, STATE_PLANE_RECORDS_MAX
from trio_gossip.errors import RemoteProtocolError
from trio_gossip.services import state_allowance, state_exchange, state_vector
from trio_gossip.services.base import RequestRefusedError
from trio_gossip.services.state_allowance import (
    ANSWERS_BURST,
    ANSWERS_RATE,
    BYTES_OF_UNIT,
    RECORDS_OF_UNIT,
)
from trio_gossip.services.state_delta import Ask, Chunk, Closing, Legs
from trio_gossip.services.state_exchange import CHUNK_BYTES, CHUNKS_MAX, EXCHANGES_MAX
from trio_gossip.services.state_fitting import fit_chunk, fit_vector
from trio_gossip.services.state_intake import Intake
from trio_gossip.services.state_records import Plane, StateLimits
from trio_gossip.services.state_vector import Fold, Vector
from trio_gossip.services.state_wire import (
    LISTED_MAX,
    encode_ask,
    encode_chunk,
    parse_ask_untrusted,
    parse_chunk_untrusted,
)

LIVES = 9_000
NAME = "a-member-with-a-long-name-{:05}"


class Ended:
    """How exchanges ended."""

    def __init__(self) -> None:
        self.found: list[bool] = []

    def __call__(self, found: bool) -> None:
        self.found.append(found)


def begun(world: StateWorld, plane: Plane = Plane.STATE) -> Ended:
    """Let b ask a; a has a key that b lacks."""
    world.write("a", "k", b"v", plane)
    ended = Ended()
    world.plane("b", plane).reconcile("a", ended)
    return ended


def answer_of(world: StateWorld) -> Chunk:
    """What a would answer to what b asked."""
    letter = world.letters[0]
    return parse_chunk_untrusted(world.states["a"].answer_untrusted(letter.payload, "b"))


def answered(world: StateWorld, chunk: Chunk) -> None:
    world.letters.popleft().answered(encode_chunk(chunk))


# -- how they end ---------------------------------------------------------------------------


def test_an_exchange_ends_with_whether_it_found_anything() -> None:
    world = StateWorld()
    ended = begun(world)
    world.settle()
    world.plane("b").reconcile("a", ended)
    world.settle()
    assert ended.found == [True, False]
    assert world.hosts["b"].counters["state_exchanged"] == 2


def test_a_peer_that_is_gone_ends_it() -> None:
    world = StateWorld()
    ended = Ended()
    world.plane("b").reconcile("z", ended)
    assert ended.found == [False]
    begun(world)
    del world.states["a"]
    world.settle()
    assert world.hosts["b"].counters["state_exchange_failed"] == 2


def test_an_answer_that_makes_no_sense_ends_it() -> None:
    world = StateWorld()
    ended = begun(world)
    world.letters.popleft().answered(b"nonsense")
    assert ended.found == [False]
    assert world.hosts["b"].counters["state_malformed"] == 1
    assert world.settle() == 0


def test_a_peer_that_answers_with_our_own_cursor_is_asked_no_further() -> None:
    world = StateWorld()
    ended = begun(world)
    answered(world, attrs.evolve(answer_of(world), cursor=0, closing=None))
    assert ended.found == [True], "what came is kept"
    assert world.hosts["b"].counters["state_chunk_unexpected"] == 1
    assert world.settle() == 0


def test_a_peer_whose_cursor_goes_back_is_asked_no_further() -> None:
    world = StateWorld()
    ended = begun(world)
    chunk = attrs.evolve(answer_of(world), cursor=9, closing=None)
    answered(world, chunk)
    answered(world, attrs.evolve(chunk, cursor=5))
    assert ended.found == [True]
    assert world.hosts["b"].counters["state_chunk_unexpected"] == 1
    assert world.hosts["b"].counters["state_exchange_failed"] == 1
    assert world.settle() == 0


def test_a_peer_that_never_ends_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_exchange, "CHUNKS_MAX", 5)
    world = StateWorld()
    ended = begun(world)
    chunk = attrs.evolve(answer_of(world), closing=None)
    for number in range(5):
        answered(world, attrs.evolve(chunk, cursor=number + 1))
    assert ended.found == [True]
    assert world.hosts["b"].counters["state_chunk_unexpected"] == 1
    assert world.settle() == 0


def test_only_so_many_exchanges_run_at_once_and_one_with_each_peer() -> None:
    world = StateWorld("abcdefg")
    for name in "bbcdefg":
        world.plane("a").reconcile(name, Ended())
    assert len(world.letters) == EXCHANGES_MAX
    assert world.hosts["a"].counters["state_exchange_busy"] == 7 - EXCHANGES_MAX
    world.settle()
    world.plane("a").reconcile("b", Ended())
    assert world.settle() == 1


# -- asking back ------------------------------------------------------------------------------


@pytest.mark.parametrize("plane", Plane, ids=lambda plane: plane.name)
def test_who_is_asked_by_one_that_knows_more_asks_in_turn(plane: Plane) -> None:
    world = StateWorld()
    begun(world, plane)
    world.write("b", "k2", b"v", plane)
    world.plane("b", plane).reconcile("a", Ended())  # busy: one is under way already
    world.settle()
    assert world.plane("a", plane).digest != world.plane("b", plane).digest
    world.plane("b", plane).reconcile("a", Ended())
    assert world.settle() == 2
    assert world.plane("a", plane).digest == world.plane("b", plane).digest


def test_who_is_asked_by_a_new_life_that_wrote_nothing_drops_the_keys_of_the_former_one() -> None:
    world = StateWorld("abc")
    for name in "ac":
        world.write(name, "k", b"v")
        world.gossip(name, "b")
    world.now += 60.0
    world.add("a")
    world.states["a"].met("b", "push-pull")
    world.settle()
    assert world.get("b", "k", "a") is None
    assert world.get("b", "k", "c") == world.get("a", "k", "c") == b"v"
    assert world.plane("a").digest == world.plane("b").digest


def test_who_is_asked_twice_within_a_second_asks_back_once() -> None:
    world = StateWorld()
    counts = []
    for number in range(3):
        world.write("b", f"k{number}", b"v")
        world.plane("b").reconcile("a", Ended())
        counts.append(world.settle())
        world.now += 0.6
    assert counts == [2, 1, 2]


def test_a_writer_of_which_more_is_known_by_a_fold_is_asked_for() -> None:
    world = StateWorld()
    vector = Vector(Plane.SHARED, 1, {}, {"a": Fold(3, 2)})
    exchange = world.states["b"]._exchanges[Plane.SHARED]
    exchange.answer(Ask(vector), "a")
    assert not world.letters, "a fold of a writer that never folded here comes with a reset"
    world.replica("b", Plane.SHARED).fold("a", Fold(2, 1))
    exchange.answer(Ask(vector), "a")
    assert len(world.letters) == 1


def test_only_so_many_peers_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_exchange, "BACK_MAX", 2)
    monkeypatch.setattr(state_allowance, "PEERS_MAX", 2)
    world = StateWorld("abcd")
    world.write("a", "k", b"v")
    asked = encode_ask(Ask(world.replica("a").vector()))
    for name in "acd":
        world.states["b"].answer_untrusted(asked, name)
    assert list(world.states["b"]._exchanges[Plane.STATE]._back) == ["c", "d"]
    assert len(world.states["b"]._allowance) == 2


# -- how often --------------------------------------------------------------------------------


def asked_until_refused(world: StateWorld, payload: bytes, source: str = "b") -> int:
    """Ask a again and again; returns how often it answered."""
    for count in range(2 * int(ANSWERS_BURST)):
        try:
            world.states["a"].answer_untrusted(payload, source)
        except RequestRefusedError:
            assert world.hosts["a"].counters["state_asked_too_often"]
            return count
    raise AssertionError("it is never refused")


def test_a_peer_that_asks_too_often_is_refused_and_counted_until_it_has_rested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(state_allowance, "ANSWERS_BURST", 400.0)
    world = StateWorld()
    asked = encode_ask(Ask(world.replica("b").vector(), 1))
    count = asked_until_refused(world, asked)
    assert 360 < count < 400
    begun(world)
    assert isinstance(world.deliver(), RemoteProtocolError)
    assert world.hosts["a"].counters["state_asked_too_often"] == 2
    assert world.hosts["b"].counters["state_exchange_failed"] == 1
    world.states["a"].answer_untrusted(asked, "c")
    world.now += 1.0
    assert ANSWERS_RATE * 0.9 < asked_until_refused(world, asked) <= ANSWERS_RATE
    world.now += 1e6
    assert asked_until_refused(world, asked) == count, "nothing is saved beyond the burst"


def test_long_questions_cost_more_also_those_that_make_no_sense() -> None:
    world = StateWorld()
    with pytest.raises(RequestRefusedError):
        world.states["a"].answer_untrusted(b"\0" * int(ANSWERS_BURST) * BYTES_OF_UNIT, "b")
    assert asked_until_refused(world, b"") == 0


@pytest.mark.parametrize("plane", Plane, ids=lambda plane: plane.name)
def test_questions_for_which_many_records_are_looked_at_cost_more(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_allowance, "ANSWERS_BURST", 100.0)
    world = StateWorld()
    for number in range(900):
        world.write("a", f"k{number}", b"v", plane)
    world.gossip("a", "b")
    few = asked_until_refused(world, encode_ask(Ask(world.replica("a", plane).vector(), 2000)))
    world.now += 100.0
    many = asked_until_refused(world, encode_ask(Ask(world.replica("a", plane).vector())))
    assert few > 2.0 * many
    world.now += 100.0
    world.write("a", "k0", None, plane)
    world.replica("a", plane).collect(now_ms=2**42)
    resets = asked_until_refused(world, encode_ask(Ask(Vector(plane, 1, {}, {}))))
    assert resets < many / 1.4


def test_one_exchange_brings_all_that_settings_let_a_plane_hold() -> None:
    # A chunk with less than half of its bytes ends because the next record is longer than that.
    assert CHUNKS_MAX * CHUNK_BYTES // 2 >= STATE_PLANE_BYTES_MAX
    assert LISTED_MAX >= STATE_PLANE_RECORDS_MAX


def test_all_that_two_planes_hold_fits_into_what_one_peer_may_ask() -> None:
    limits = StateLimits()
    chunks = limits.bytes // CHUNK_BYTES
    question = len(encode_ask(Ask(Vector(Plane.STATE, 1, lives(100), {}))))
    each = chunks * (1 + question / BYTES_OF_UNIT) + limits.records / RECORDS_OF_UNIT
    assert 2 * each < ANSWERS_BURST


# -- how much ---------------------------------------------------------------------------------


@pytest.mark.parametrize("plane", Plane, ids=lambda plane: plane.name)
def test_more_writers_than_a_request_or_an_answer_holds_are_learned_in_several_exchanges(
    plane: Plane,
) -> None:
    world = StateWorld()
    for number in range(LIVES):
        name = NAME.format(number)
        world.known[name] = None
        world.replica("a", plane).seen.raise_to(name, 2**59 + number, 1)
    world.write("a", "long", b"x" * 65_536, plane)
    rounds = 0
    while world.plane("a", plane).digest != world.plane("b", plane).digest:
        world.plane("b", plane).reconcile("a", Ended())
        world.settle()
        rounds += 1
        assert rounds < 30
    assert rounds > 1
    assert world.get("b", "long", plane=plane) == b"x" * 65_536
    vector = world.replica("a", plane).vector()
    assert len(encode_ask(Ask(vector))) > SERVICE_BYTES_MAX
    world.now += 2.0
    world.write("b", "more", b"v", plane)
    world.plane("a", plane).reconcile("b", Ended())
    world.settle()
    assert world.get("a", "more", "b", plane) == b"v"


def lives(count: int) -> dict[tuple[str, int], int]:
    return {(f"n{number}", 5): 9 for number in range(count)}


def test_a_vector_that_is_too_long_is_cut_at_random() -> None:
    vector = Vector(Plane.SHARED, 1, lives(100), {f"n{n}": Fold(5, 4) for n in range(100)})
    cut = fit_vector(vector, random.Random(1), 700)
    assert len(encode_ask(Ask(cut, 2**40))) <= 700
    assert cut.tops
    assert cut.folds
    assert cut != fit_vector(vector, random.Random(2), 700)
    assert set(cut.tops) < set(vector.tops)
    assert fit_vector(vector, random.Random(1), 7000) is vector


def test_a_reset_of_a_life_that_is_cut_out_comes_another_time() -> None:
    listed = dict.fromkeys(lives(100), (1, 2, 3))
    closing = Closing(lives(100), {}, lives(100), 0, True, listed)
    chunk = Chunk(Plane.STATE, 1, 2, 3, (), closing)
    cut = fit_chunk(chunk, random.Random(1), 500)
    assert cut is not None
    assert len(cut) <= 500
    found = parse_chunk_untrusted(cut).closing
    assert found is not None
    assert found.resets
    assert found.tops.keys() == found.floors.keys() == found.listed.keys()
    nothing = fit_chunk(chunk, random.Random(1), 30)
    assert nothing is not None
    assert parse_chunk_untrusted(nothing).closing == Closing({}, {}, {}, 0, False, {})


def test_a_reset_of_shared_state_that_is_too_long_is_refused_and_counted() -> None:
    world = StateWorld()
    shared = world.replica("a", Plane.SHARED)
    for number in range(LIVES):
        shared.seen.raise_to(NAME.format(number), 2**59 + number, 1)
    shared.floors[NAME.format(0), 2**59] = 1
    ended = begun(world, Plane.SHARED)
    world.settle()
    assert world.hosts["a"].counters["state_answer_too_long"] == 1
    assert ended.found == [True], "the records came before that"
    assert world.get("b", "k", plane=Plane.SHARED) == b"v"
    chunk = Chunk(Plane.SHARED, 1, 2, 3, (), None)
    assert fit_chunk(chunk, random.Random(1), 10) is None


def test_only_so_many_folds_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_vector, "VECTOR_ENTRIES_MAX", 2)
    world = StateWorld()
    replica = world.replica("a", Plane.SHARED)
    folds = {name: Fold(9, 5) for name in "xyz"}
    Intake(replica).take(
        Chunk(Plane.SHARED, replica.mark, 1, 1, (), Closing({}, folds, {}, 0, True, {})), now_ms=1
    )
    assert list(replica.seen.folds) == ["x", "y"]
    assert world.hosts["a"].counters["state_writers_full"] == 1
    assert replica.seen.has_room_for_fold("x")


def test_an_ask_reads_back_as_it_was_written() -> None:
    vector = Vector(Plane.SHARED, 7, {("a", 5): 3}, {"b": Fold(5, 4)})
    ask = Ask(vector, 11, Legs.PULL)
    assert parse_ask_untrusted(encode_ask(ask)) == ask
