"""The state service: writes spread, what was missed is told or fetched, the old is collected."""

from __future__ import annotations

import math

import pytest

from tests.services.stating import START_MS, StateWorld
from trio_gossip.config import Config
from trio_gossip.errors import LocalProtocolError
from trio_gossip.services import state_plane
from trio_gossip.services.base import RequestRefusedError
from trio_gossip.services.state import COLLECT_SECONDS, COLLECT_SECONDS_MIN, RETOLD_MAX, State
from trio_gossip.services.state_delta import Legs
from trio_gossip.services.state_plane import BEHIND_MAX, TOLD_MAX
from trio_gossip.services.state_records import Plane, Record, StateLimits
from trio_gossip.services.state_wire import encode_news, parse_ask_untrusted, parse_news_untrusted

BOTH = pytest.mark.parametrize("plane", Plane, ids=lambda plane: plane.name)


def nothing(found: bool) -> None: ...


# -- writing and gossip -----------------------------------------------------------------


@BOTH
def test_a_write_is_shown_and_told_and_passed_on(plane: Plane) -> None:
    world = StateWorld("abc")
    assert world.write("a", "k", b"1", plane) is True
    world.gossip("a", "b")
    world.gossip("b", "c", "a")
    assert [world.get(name, "k", plane=plane) for name in "abc"] == [b"1"] * 3
    assert [change[0] for change in world.shown] == ["a", "b", "c"]
    assert not world.hosts["a"].told, "what it knew is not told on"


@BOTH
def test_a_newer_write_of_a_key_takes_the_place_of_the_older_one_in_the_queue(plane: Plane) -> None:
    world = StateWorld()
    world.write("a", "k", b"1", plane)
    world.write("a", "k", b"2", plane)
    assert len(world.hosts["a"].told) == 1
    world.gossip("a", "b")
    assert world.get("b", "k", plane=plane) == b"2"


@BOTH
def test_deleting_what_is_not_there_writes_nothing(plane: Plane) -> None:
    world = StateWorld()
    assert world.write("a", "k", None, plane) is False
    assert not world.hosts["a"].told


def test_what_is_no_command_of_state_is_refused() -> None:
    world = StateWorld()
    with pytest.raises(LocalProtocolError, match="is no command of state"):
        world.states["a"].call("set k", 1)
    assert not world.results


def test_nobody_has_to_listen_to_changes() -> None:
    world = StateWorld()
    state = world.states["a"] = State(lambda: START_MS)
    state.attach(world.hosts["a"])
    world.write("a", "k", b"1")
    assert world.get("a", "k") == b"1"
    assert not world.shown


def test_a_value_that_no_packet_takes_and_of_which_nobody_heard_goes_by_exchange() -> None:
    world = StateWorld()
    world.write("a", "k", b"x" * 60_000)
    assert world.hosts["a"].counters["state_by_stream"] == 1
    world.plane("b").reconcile("a", nothing)
    world.settle()
    assert world.get("b", "k") == b"x" * 60_000


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x80", b"\x82\x01\x00", b"\xff" * 40])
def test_news_that_make_no_sense_are_counted_and_dropped(payload: bytes) -> None:
    world = StateWorld()
    world.states["b"].news_untrusted(payload, "a")
    assert world.hosts["b"].counters == {"state_malformed": 1}
    with pytest.raises(RequestRefusedError, match="no question about state"):
        world.states["b"].answer_untrusted(payload, "a")
    assert world.hosts["b"].counters == {"state_malformed": 2}


def test_news_of_an_owner_that_nobody_knows_are_counted_and_dropped() -> None:
    world = StateWorld()
    record = Record("z", 5, 1, "k", 5, b"v")
    world.states["b"].news_untrusted(encode_news(Plane.STATE, record), "a")
    assert world.hosts["b"].counters == {"state_stranger": 1}
    assert world.get("b", "k", "z") is None
    assert not world.hosts["b"].told


@BOTH
def test_who_hears_writes_of_its_own_name_that_it_did_not_make_says_its_own_anew(
    plane: Plane,
) -> None:
    world = StateWorld()
    world.write("a", "k", b"mine", plane)
    world.gossip("a", "b")
    own = world.replica("a", plane)
    forged = Record("a", own.gen, 7, "other", 5, b"forged")
    world.states["b"].news_untrusted(encode_news(plane, forged), "a")
    world.gossip("b", "a")
    assert world.hosts["a"].counters["state_reborn"] == 1
    world.gossip("a", "b")
    assert world.get("b", "k", plane=plane) == b"mine"
    if plane is Plane.STATE:
        assert [record.key for record in world.replica("b").items()] == ["k"]


def test_the_settings_say_how_much_is_held_and_how_exchanges_go() -> None:
    assert StateLimits.of(Config.lan(name="a")) == StateLimits()
    config = Config.lan(
        name="a",
        exchange="push",
        state_records_max=1,
        state_owner_records_max=2,
        state_bytes_max=3,
        state_owner_bytes_max=4,
        state_tombstone_time=5.5,
        state_clock_skew=0.25,
    )
    limits = StateLimits(
        records=1, owner_records=2, bytes=3, owner_bytes=4, tombstone_ms=5500, clock_skew_ms=250
    )
    assert StateLimits.of(config) == limits
    world = StateWorld()
    state = world.states["a"] = State.of(config, lambda: START_MS)
    state.attach(world.hosts["a"])
    assert state.replica(Plane.SHARED).limits == limits
    state.planes[0].reconcile("b", nothing)
    assert parse_ask_untrusted(world.letters[0].payload).legs is Legs.PUSH


# -- repair ---------------------------------------------------------------------------


@BOTH
def test_what_one_packet_lost_is_told_with_an_answer_to_a_ping(plane: Plane) -> None:
    world = StateWorld()
    for number in range(BEHIND_MAX + 1):
        world.write("a", f"k{number}", b"v", plane)
        if not number:
            world.gossip("a", "b")
    a, b = world.plane("a", plane), world.plane("b", plane)
    other = world.plane("a", Plane.SHARED if plane is Plane.STATE else Plane.STATE)
    difference = (a.digest - b.digest) % 2**64
    assert other.explain(difference) == [], "the other plane does not know it"
    told = a.explain(difference)
    assert [parse_news_untrusted(news.payload)[1].version for news in told] == [2, 3, 4, 5]
    for news in told:
        world.states["b"].news_untrusted(news.payload, "a")
    assert a.digest == b.digest
    assert b.changed_at == world.now


def test_what_is_longer_ago_is_left_to_an_exchange() -> None:
    world = StateWorld()
    world.write("a", "k", b"v")
    world.gossip("a", "b")
    for number in range(BEHIND_MAX + 1):
        world.write("a", f"k{number}", b"v")
    a, b = world.plane("a"), world.plane("b")
    assert a.explain((a.digest - b.digest) % 2**64) == []


def test_a_peer_that_says_there_are_very_many_versions_costs_no_time() -> None:
    world = StateWorld()
    world.write("a", "k", b"v")
    world.gossip("a", "b")
    b = world.plane("b")
    before = b.digest
    seen = world.replica("b").seen
    seen.raise_to("a", world.replica("a").gen, 2**48)
    assert b.explain((b.digest - before) % 2**64) == []
    before = b.digest
    seen.raise_to("a", world.replica("a").gen + 1, TOLD_MAX + 1)
    assert b.explain((b.digest - before) % 2**64) == []


def test_records_that_would_leave_a_gap_are_not_told() -> None:
    world = StateWorld("abc")
    world.write("a", "k", b"1", Plane.SHARED)
    world.gossip("a", "b", "c")
    world.write("a", "k", b"2", Plane.SHARED)
    world.gossip("a", "b")
    world.now += 1.0
    world.write("b", "k", b"3", Plane.SHARED)
    b, c = world.plane("b", Plane.SHARED), world.plane("c", Plane.SHARED)
    world.gossip("b", "c")
    # What c lacks is a version that nobody holds any more.
    assert b.explain((b.digest - c.digest) % 2**64) == []


def test_records_that_fit_no_packet_are_not_told() -> None:
    world = StateWorld()
    world.write("a", "k", b"x" * 5000)
    a, b = world.plane("a"), world.plane("b")
    assert a.digest != b.digest
    assert a.explain((a.digest - b.digest) % 2**64) == []


def test_only_so_many_writers_are_remembered_for_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_plane, "LIVES_MAX", 2)
    world = StateWorld("abcd")
    for name in "bcd":
        world.write(name, "k", b"v")
        world.gossip(name, "a")
    a = world.plane("a")
    assert [life[0] for life in a._tops] == ["c", "d"]
    assert sorted(life[0] for life, _ in a._lives.values()) == ["c", "d"]
    world.states["a"].forget("c")
    assert [life[0] for life in a._tops] == ["d"]
    assert len(a._lives) == 1


# -- coming and going -----------------------------------------------------------------------


def test_after_a_join_all_is_fetched_from_whom_was_met() -> None:
    world = StateWorld()
    for number in range(RETOLD_MAX + 1):
        world.write("a", f"k{number}", b"v")
    world.write("a", "shared", b"v", Plane.SHARED)
    world.add("c")
    world.states["c"].met("a", "push-pull")
    world.settle()
    assert len(world.replica("c").items()) == RETOLD_MAX + 1
    assert world.get("c", "shared", plane=Plane.SHARED) == b"v"
    keys = [parse_news_untrusted(news)[1].key for news in world.hosts["c"].told.values()]
    assert keys == ["shared"], "what one member lacked alone is not told to all"


def test_the_keys_of_a_reaped_member_go_and_what_it_shared_stays() -> None:
    world = StateWorld()
    for plane in Plane:
        world.write("a", "k", b"v", plane)
    world.gossip("a", "b")
    world.states["b"].forget("a")
    assert world.get("b", "k") is None
    assert world.get("b", "k", plane=Plane.SHARED) == b"v"


@BOTH
@pytest.mark.parametrize(
    ("lasting", "step"),
    [(90_000, 22.5), (280_000, COLLECT_SECONDS), (100, COLLECT_SECONDS_MIN)],
)
def test_tombstones_are_collected_after_their_time_and_then_no_timer_stays(
    lasting: int, step: float, plane: Plane
) -> None:
    world = StateWorld(tombstone_ms=lasting)
    world.write("a", "k", b"v", plane)
    assert world.hosts["a"].deadline == math.inf
    assert world.write("a", "k", None, plane) is True
    began = world.now
    assert world.hosts["a"].deadline == began + step
    world.now += step / 2
    world.write("a", "l", b"v", plane)
    assert world.hosts["a"].deadline == began + step, "a write does not put it off"
    while world.hosts["a"].deadline < math.inf:
        assert world.hosts["a"].counters["state_collected"] == 0
        world.now = world.hosts["a"].deadline
        world.states["a"].handle_timeout()
    assert world.hosts["a"].counters["state_collected"] == 1
    assert lasting / 1000 <= world.now - began < lasting / 1000 + step
    world.write("a", "l", None, plane)
    assert world.hosts["a"].deadline == world.now + step
