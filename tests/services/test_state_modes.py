"""Exchanges of state that go one way or both, and what a push brings."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.services.stating import StateWorld
from trio_gossip.members import EXCHANGE_MODES
from trio_gossip.services import state_pushing
from trio_gossip.services.state_exchange import WILL_ASK, WILL_NOT_ASK
from trio_gossip.services.state_pushing import PUSH_OFFER, PUSHED_MAX
from trio_gossip.services.state_records import Plane

BOTH = pytest.mark.parametrize("plane", Plane, ids=lambda plane: plane.name)


class Ended:
    """How exchanges ended."""

    def __init__(self) -> None:
        self.found: list[bool] = []

    def __call__(self, found: bool) -> None:
        self.found.append(found)


def differing(exchange: str, plane: Plane) -> StateWorld:
    """Two members, each of which lacks a key of the other."""
    world = StateWorld("ab", exchange)
    for name in "ab":
        world.write(name, f"of {name}", b"v", plane)
        world.hosts[name].told.clear()
    return world


def knows(world: StateWorld, name: str, plane: Plane) -> int:
    return len(world.replica(name, plane).items())


@BOTH
@pytest.mark.parametrize(
    ("exchange", "expected", "found"),
    [("push-pull", (2, 2), True), ("pull", (2, 1), True), ("push", (1, 2), True)],
)
def test_records_go_the_way_that_the_setting_says(
    exchange: str, expected: tuple[int, int], found: bool, plane: Plane
) -> None:
    world = differing(exchange, plane)
    ended = Ended()
    world.plane("a", plane).reconcile("b", ended)
    world.settle()
    assert (knows(world, "a", plane), knows(world, "b", plane)) == expected
    assert ended.found == [found]


@BOTH
@pytest.mark.parametrize("exchange", EXCHANGE_MODES)
def test_each_mode_comes_to_one_view_when_both_begin(exchange: str, plane: Plane) -> None:
    world = differing(exchange, plane)
    for name, other in ("ab", "ba"):
        world.now += 2.0
        world.plane(name, plane).reconcile(other, Ended())
        world.settle()
    assert world.plane("a", plane).digest == world.plane("b", plane).digest
    assert knows(world, "a", plane) == 2


@pytest.mark.parametrize("exchange", EXCHANGE_MODES)
def test_who_joins_exchanges_both_ways_whatever_the_setting(exchange: str) -> None:
    world = differing(exchange, Plane.STATE)
    world.states["a"].met("b", "push-pull")
    world.settle()
    assert knows(world, "a", Plane.STATE) == knows(world, "b", Plane.STATE) == 2


def test_members_with_different_settings_understand_each_other() -> None:
    world = StateWorld("a", "push")
    world.exchange = "pull"
    world.add("b")
    world.write("a", "k", b"v")
    world.hosts["a"].told.clear()
    world.plane("a").reconcile("b", Ended())
    world.settle()
    assert world.get("b", "k") == b"v"


@pytest.mark.parametrize("exchange", ["push", "pull"])
def test_after_one_in_vain_the_next_one_goes_both_ways_until_one_brings_something(
    exchange: str,
) -> None:
    world = StateWorld("abc", exchange)
    world.plane("a").reconcile("c", Ended())
    world.settle()
    for name in "ab":
        world.write(name, f"of {name}", b"v")
    world.plane("a").reconcile("b", Ended())
    world.settle()
    assert knows(world, "a", Plane.STATE) == knows(world, "b", Plane.STATE) == 2
    world.now += 2.0
    for name in "ab":
        world.write(name, f"more of {name}", b"v")
    world.plane("a").reconcile("b", Ended())
    world.settle()
    known = knows(world, "a", Plane.STATE), knows(world, "b", Plane.STATE)
    assert known == ((3, 4) if exchange == "push" else (4, 3))


# -- offers -----------------------------------------------------------------------------------


def test_an_offer_to_who_lacks_nothing_finds_nothing() -> None:
    world = StateWorld("ab", "push")
    ended = Ended()
    world.plane("a").reconcile("b", ended)
    assert world.deliver() == WILL_NOT_ASK
    assert ended.found == [False]
    assert world.settle() == 0


def test_an_offer_is_taken_once_in_a_second() -> None:
    world = StateWorld("ab", "push")
    answers = []
    for number in range(2):
        world.write("a", f"k{number}", b"v")
        world.plane("a").reconcile("b", Ended())
        answers.append(world.deliver())
        world.settle()
    assert answers == [WILL_ASK, WILL_NOT_ASK]


@pytest.mark.parametrize("answer", [b"", b"\x02", b"\x01\x01"])
def test_an_answer_to_an_offer_that_makes_no_sense_ends_it(answer: bytes) -> None:
    world = differing("push", Plane.STATE)
    ended = Ended()
    world.plane("a").reconcile("b", ended)
    world.letters.popleft().answered(answer)
    assert ended.found == [False]
    assert world.hosts["a"].counters["state_malformed"] == 1


def test_an_offer_to_who_is_gone_ends() -> None:
    world = StateWorld("ab", "push")
    ended = Ended()
    world.plane("a").reconcile("b", ended)
    del world.states["b"]
    world.deliver()
    world.plane("a").reconcile("z", ended)
    assert ended.found == [False, False]
    assert world.hosts["a"].counters["state_exchange_failed"] == 2


# -- pushes -----------------------------------------------------------------------------------


def round_of(world: StateWorld, source: str = "a", target: str = "b") -> tuple[int, int]:
    """One periodic push; returns how many datagrams and offers there were."""
    world.states[source].met(target, "push")
    host = world.hosts[source]
    sent, host.sent = host.sent, []
    for member, payload in sent:
        world.states[member].news_untrusted(payload, source)
    offers = sum(letter.source == source for letter in world.letters)
    world.settle()
    return len(sent), offers


def test_a_push_is_an_offer_at_first_and_each_fourth_time() -> None:
    world = StateWorld("ab", "push")
    rounds = [round_of(world) for _ in range(2 * PUSH_OFFER)]
    assert rounds == [(0, 2), (0, 0), (0, 0), (0, 0)] * 2, "two planes"


@BOTH
def test_what_changed_is_pushed_in_datagrams_for_some_rounds(plane: Plane) -> None:
    world = StateWorld("ab", "push")
    round_of(world)
    world.write("a", "k", b"v", plane)
    rounds = [round_of(world) for _ in range(PUSH_OFFER - 1)]
    assert rounds == [(1, 0)] * 3
    assert world.get("b", "k", plane=plane) == b"v"
    for _ in range(PUSH_OFFER):
        round_of(world)
    assert sum(sent for sent, _ in (round_of(world) for _ in range(8))) == 0, "all know it"


def test_who_was_told_pushes_it_on() -> None:
    world = StateWorld("abc", "push")
    round_of(world)
    round_of(world, "b", "c")
    world.write("a", "k", b"v")
    round_of(world)
    assert round_of(world, "b", "c") == (1, 0)
    assert world.get("c", "k") == b"v"


@pytest.mark.parametrize(("count", "size"), [(PUSHED_MAX + 1, 1), (1, 5000)])
def test_what_is_too_much_for_datagrams_is_offered(count: int, size: int) -> None:
    world = StateWorld("ab", "push")
    round_of(world)
    for number in range(count):
        world.write("a", f"k{number}", b"x" * size)
    assert round_of(world) == (0, 1)
    assert len(world.replica("b").items()) == count


def test_a_key_that_went_meanwhile_is_not_pushed() -> None:
    world = StateWorld("abc", "push")
    round_of(world, "b", "c")
    world.write("a", "k", b"v")
    world.gossip("a", "b")
    world.states["b"].forget("a")
    assert round_of(world, "b", "c") == (0, 0)


def test_a_push_to_who_is_gone_brings_nothing() -> None:
    world = StateWorld("ab", "push")
    round_of(world)
    world.write("a", "k", b"v")
    del world.states["b"]
    assert round_of(world) == (0, 0)


def test_only_so_many_keys_wait_to_be_pushed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_pushing, "CHANGED_MAX", 2)
    world = StateWorld("ab", "push")
    round_of(world)
    for key in "xyz":
        world.write("a", key, b"v")
    pushing = world.states["a"]._pushings[Plane.STATE]
    assert len(pushing) == 2
    assert world.hosts["a"].counters["state_push_dropped"] == 1
    assert round_of(world) == (2, 0)
    assert Counter(record.key for record in world.replica("b").items()) == Counter("yz")


def test_what_an_exchange_brought_is_pushed_on() -> None:
    world = StateWorld("abc", "push")
    round_of(world, "b", "c")
    for number in range(PUSHED_MAX + 1):
        world.write("a", f"k{number}", b"v")
    world.plane("a").reconcile("b", Ended())
    world.settle()
    assert not world.hosts["b"].told, "it is b that was away"
    assert round_of(world, "b", "c") == (0, 1)


@pytest.mark.parametrize("exchange", ["push-pull", "pull"])
def test_where_exchanges_do_not_push_no_change_is_remembered(exchange: str) -> None:
    world = StateWorld("ab", exchange)
    world.write("a", "k", b"v")
    assert not len(world.states["a"]._pushings[Plane.STATE])
