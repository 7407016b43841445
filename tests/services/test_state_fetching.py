"""Records that no packet takes: announced by gossip, fetched by stream from who has them."""

from __future__ import annotations

import math

import pytest

from tests.services.stating import StateWorld
from trio_gossip.errors import PeerUnreachableError
from trio_gossip.services import state_allowance, state_fetching
from trio_gossip.services.state import COLLECT_SECONDS
from trio_gossip.services.state_delta import Announced
from trio_gossip.services.state_fetching import (
    FETCH_SECONDS,
    FETCHES_EACH_MAX,
    FETCHES_MAX,
    GIVE_UP_SECONDS,
    TELLERS_MAX,
    WANTED_EACH_MAX,
    WANTED_MAX,
    Fetching,
)
from trio_gossip.services.state_records import Plane, Record
from trio_gossip.services.state_wire import encode_announced, encode_news

BOTH = pytest.mark.parametrize("plane", Plane, ids=lambda plane: plane.name)
LONG = b"x" * 60_000


def fetching(world: StateWorld, name: str = "b") -> Fetching:
    return world.states[name]._fetching


def announce(
    world: StateWorld, source: str, *, of: str = "a", key: str = "k", version: int
) -> None:
    """Tell b that ``source`` has a record."""
    gen = world.replica(of).gen
    news = Announced(Plane.STATE, of, gen, version, key)
    world.states["b"].news_untrusted(encode_announced(news), source)


def written(names: str = "ab", *, told: str = "b") -> StateWorld:
    """a has a long record and has told the others of it."""
    world = StateWorld(names)
    world.write("a", "k", LONG)
    world.gossip("a", *told)
    return world


@BOTH
def test_a_long_record_is_announced_fetched_and_announced_by_who_has_it(plane: Plane) -> None:
    world = StateWorld("abc")
    world.write("a", "k", LONG, plane)
    assert [len(news) < 100 for news in world.hosts["a"].told.values()] == [True]
    world.gossip("a", "b")
    assert not world.hosts["b"].told, "it does not have it yet"
    assert world.settle() == 1
    world.gossip("b", "c", "a")
    assert world.letters[0].target == "b"
    assert world.settle() == 1
    assert [world.get(name, "k", plane=plane) for name in "abc"] == [LONG] * 3
    assert world.plane("a", plane).digest == world.plane("c", plane).digest
    assert not len(fetching(world))
    assert world.hosts["b"].deadline == math.inf


def test_a_newer_short_value_replaces_the_announcement() -> None:
    world = StateWorld()
    world.write("a", "k", LONG)
    world.write("a", "k", b"short")
    world.gossip("a", "b")
    assert world.settle() == 0
    assert world.get("b", "k") == b"short"


def test_what_is_known_or_no_members_or_our_own_is_not_fetched() -> None:
    world = written()
    world.settle()
    for owner, version in (("a", 1), ("b", 5), ("a", 2**40)):
        announce(world, "a", of=owner, version=version)
    old = Announced(Plane.STATE, "a", world.replica("a").gen - 1, 1, "k")
    world.states["b"].news_untrusted(encode_announced(old), "a")
    stranger = Announced(Plane.STATE, "z", 5, 1, "k")
    world.states["b"].news_untrusted(encode_announced(stranger), "a")
    assert world.settle() == 0
    assert world.hosts["b"].counters["state_old"] == 5


def test_another_one_that_has_it_is_asked_when_the_first_is_silent() -> None:
    world = written("abcd")
    announce(world, "c", version=1)
    announce(world, "c", version=1)
    announce(world, "d", version=1)
    assert [letter.target for letter in world.letters] == ["a"]
    for _ in range(2):
        world.now = world.hosts["b"].deadline
        world.states["b"].handle_timeout()
    assert world.now == 100.0 + 2 * FETCH_SECONDS
    assert sorted(letter.target for letter in world.letters) == ["a", "c", "d"]
    world.settle()
    assert world.get("b", "k") == LONG
    assert world.hosts["b"].counters["state_fetched"] == 1
    assert world.hosts["b"].counters["state_fetch_failed"] == 2, "the others did not have it"


@pytest.mark.parametrize("wrong", ["nonsense", "announcement", "another", "other plane", "error"])
def test_who_gives_something_else_is_not_asked_again(wrong: str) -> None:
    world = written("abc")
    announce(world, "c", version=1)
    gen = world.replica("a").gen
    other = Record("a", gen, 2, "k", 5, b"v")
    answers: dict[str, bytes | Exception] = {
        "nonsense": b"\xff",
        "announcement": encode_announced(Announced(Plane.STATE, "a", gen, 1, "k")),
        "another": encode_news(Plane.STATE, other),
        "other plane": encode_news(Plane.SHARED, Record("a", gen, 1, "k", 5, b"v")),
        "error": PeerUnreachableError("timed out"),
    }
    world.letters.popleft().answered(answers[wrong])
    assert world.hosts["b"].counters["state_fetch_failed"] == 1
    assert [letter.target for letter in world.letters] == ["c"], "at once"
    world.letters.popleft().answered(answers[wrong])
    assert world.hosts["b"].counters["state_fetch_lost"] == 1
    assert world.get("b", "k") is None
    assert not len(fetching(world))
    announce(world, "a", version=1)
    world.settle()
    assert world.get("b", "k") == LONG, "its next announcement begins anew"


def test_who_is_gone_is_not_asked() -> None:
    world = StateWorld("abc")
    world.write("a", "k", LONG)
    del world.states["c"]
    announce(world, "c", version=1)
    assert world.hosts["b"].counters["state_fetch_lost"] == 1
    assert not world.letters


def test_what_was_replaced_meanwhile_is_refused_and_the_newer_one_is_fetched() -> None:
    world = written()
    world.write("a", "k", LONG + b"2")
    world.gossip("a", "b")
    world.settle()
    assert world.get("b", "k") == LONG + b"2"
    assert world.hosts["b"].counters["state_fetch_failed"] == 1
    assert world.hosts["b"].counters["state_fetched"] == 1
    assert world.hosts["a"].counters["state_given"] == 1


def test_news_of_an_older_record_of_a_key_do_not_replace_those_of_a_newer_one() -> None:
    world = StateWorld("abc")
    for version in (3, 2):
        announce(world, "a", version=version)
    assert len(world.letters) == len(fetching(world)) == 1


def test_what_came_otherwise_is_not_waited_for() -> None:
    world = written("abc")
    announce(world, "c", version=1)
    world.states["b"].news_untrusted(encode_news(Plane.STATE, world.replica("a").items()[0]), "a")
    world.now += FETCH_SECONDS
    world.states["b"].handle_timeout()
    assert [letter.target for letter in world.letters] == ["a"]
    assert not len(fetching(world))
    world.settle()
    assert world.hosts["b"].counters["state_fetched"] == 1, "it was under way"


def test_what_nobody_gives_is_given_up() -> None:
    world = written()
    world.now += GIVE_UP_SECONDS
    assert world.hosts["b"].deadline == world.now
    world.states["b"].handle_timeout()
    assert world.hosts["b"].counters["state_fetch_lost"] == 1
    assert world.hosts["b"].deadline == math.inf
    world.settle()
    assert world.get("b", "k") == LONG, "a late answer is taken"


def test_a_record_that_is_not_held_is_refused() -> None:
    world = StateWorld()
    for version in (1, 2):
        announce(world, "a", key=f"k{version}", version=version)
    world.settle()
    assert world.hosts["b"].counters["state_fetch_lost"] == 2
    assert world.hosts["a"].counters["state_given"] == 0


# -- bounds -----------------------------------------------------------------------------------


def test_only_so_many_are_under_way_from_one_member_and_in_all() -> None:
    names = "abcdefgh"
    world = StateWorld(names)
    for source in names[2:]:
        for number in range(FETCHES_EACH_MAX + 1):
            key = f"{source}{number}"
            announce(world, source, of="a", key=key, version=1 + 10 * ord(source) + number)
    targets = [letter.target for letter in world.letters]
    assert len(targets) == FETCHES_MAX
    assert {targets.count(source) for source in targets} == {FETCHES_EACH_MAX}
    count = world.settle()
    assert count == 6 * (FETCHES_EACH_MAX + 1), "the others had their turn"
    assert not fetching(world)._under_way


def test_only_so_many_are_wanted_and_of_one_member() -> None:
    names = "abcdefgh"
    world = StateWorld(names)
    for source in names[2:]:
        for number in range(WANTED_EACH_MAX + 1):
            version = 1 + 100 * (ord(source) - 90) + number
            announce(world, source, key=f"{source}{number}", version=version)
        assert len(fetching(world)) <= WANTED_MAX
    assert world.hosts["b"].counters["state_not_fetched"] == 6 * 65 - WANTED_MAX
    announce(world, "c", key="d0", version=1 + 100 * (ord("d") - 90))
    assert world.hosts["b"].counters["state_not_fetched"] == 6 * 65 - WANTED_MAX


def test_only_so_many_tellers_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_fetching, "TELLERS_MAX", 2)
    world = written("abcdef")
    for teller in "cdef":
        announce(world, teller, version=1)
    (wanted,) = fetching(world)._wanted.values()
    assert wanted.tellers == ["c", "d"]
    assert TELLERS_MAX > 2


def test_who_asks_for_records_too_often_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_allowance, "ANSWERS_BURST", 10.0)
    world = written()
    for _ in range(9):
        world.states["a"].answer_untrusted(world.letters[0].payload, "b")
    world.deliver()
    assert world.hosts["a"].counters["state_asked_too_often"] == 1
    assert world.hosts["b"].counters["state_fetch_lost"] == 1


def test_tombstones_are_collected_while_something_is_fetched() -> None:
    world = written()
    world.write("b", "own", b"v")
    world.write("b", "own", None)
    assert world.hosts["b"].deadline == world.now + GIVE_UP_SECONDS
    world.settle()
    assert world.hosts["b"].deadline == world.now + 60.0
    world.now += 10.0
    world.states["b"].handle_timeout()
    assert world.hosts["b"].deadline == world.now + 50.0


def test_a_deadline_that_comes_a_moment_early_was_set_again_and_again() -> None:
    world = written("abc")
    announce(world, "c", version=1)
    world.write("b", "own", b"v")
    world.write("b", "own", None)
    for seconds in (FETCH_SECONDS, GIVE_UP_SECONDS, COLLECT_SECONDS):
        world.now = 100.0 + seconds - 1e-9
        assert world.hosts["b"].deadline == 100.0 + seconds
        world.states["b"].handle_timeout()
        assert world.hosts["b"].deadline > 100.0 + seconds
