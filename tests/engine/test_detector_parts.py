"""The small parts of the evidence detector: times of answers, guard, loops."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench
from tests.engine.detecting import (
    CALM,
    doubt,
    last_ping,
    look,
    refuse_packet,
    timers,
    watching,
)
from trio_gossip.codec.messages import (
    Ack,
    Dead,
    Ping,
    Suspect,
)
from trio_gossip.config import Config
from trio_gossip.engine.guard import Guard
from trio_gossip.engine.rtt import RoundTrips
from trio_gossip.failures import Evidence

SILENT, STALLED, REFUSED = Evidence.SILENT, Evidence.STALLED, Evidence.REFUSED


# -- how long to wait -------------------------------------------------------------------


def times(**changes: object) -> RoundTrips:
    return RoundTrips(Config.lan(name="me", **changes))


def test_where_nothing_is_known_the_longest_time_is_waited() -> None:
    assert times().timeout("a", 0) == 0.5


def test_a_member_is_given_four_times_its_usual_time_within_bounds() -> None:
    for rtt, timeout in ((0.0, 0.1), (0.001, 0.1), (0.05, 0.2), (0.1, 0.4), (0.4, 0.5), (9.0, 0.5)):
        found = times()
        for _ in range(50):
            found.note("a", rtt)
        assert found.timeout("a", 0) == pytest.approx(timeout, abs=0.01)


def test_a_member_with_jitter_is_given_more() -> None:
    steady, jumpy = times(), times()
    for number in range(100):
        steady.note("a", 0.04)
        jumpy.note("a", 0.04 + 0.03 * (-1) ** number)
    assert jumpy.timeout("a", 0) > steady.timeout("a", 0) + 0.05


def test_near_and_far_members_of_one_pool_have_times_of_their_own() -> None:
    found = times(rto_ceil=3.0)
    for _ in range(20):
        found.note("near", 0.001)
        found.note("far", 0.3)
    assert found.timeout("near", 0) == pytest.approx(0.1, abs=0.01)
    assert found.timeout("far", 0) == pytest.approx(1.2, abs=0.1)
    assert found.timeout("unknown", 0) == pytest.approx(1.2, abs=0.1), "nearly the worst of all"


def test_one_slow_answer_in_thirty_does_not_slow_down_strangers() -> None:
    found = times()
    for number in range(60):
        found.note(f"n{number}", 0.5 if number == 7 else 0.01)
    assert found.timeout("unknown", 0) == pytest.approx(0.1)


def test_bad_health_stretches_a_timeout_up_to_four_times_the_longest() -> None:
    found = times()
    found.note("a", 0.02)
    usual = found.timeout("a", 0)
    assert found.timeout("a", 1) == pytest.approx(2 * usual)
    assert found.timeout("a", 7) == pytest.approx(8 * usual)
    assert found.timeout("a", 1000) == 2.0


def test_of_so_many_members_the_one_measured_longest_ago_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trio_gossip.engine.rtt.PEERS_MAX", 2)
    found = times()
    for name, rtt in (("a", 0.1), ("b", 0.1), ("a", 0.1), ("c", 0.001)):
        found.note(name, rtt)
    assert set(found._peers) == {"a", "c"}
    found.forget("a")
    found.forget("a")
    assert set(found._peers) == {"c"}


def test_a_member_that_is_reaped_is_forgotten() -> None:
    bench = watching("x", "a", reap_time=0.1, gossip_to_dead_time=0.1)
    ping = doubt(bench, wide=False)
    bench.receive("x", Ack(ping.sequence))
    peers = bench.engine._node.round_trips._peers
    assert "x" in peers
    bench.receive("a", Dead(1, "x", "a"))
    bench.wait(1.0)
    assert "x" not in peers


# -- the guard --------------------------------------------------------------------------


def test_so_many_silent_rounds_in_a_row_mean_that_we_are_cut_off() -> None:
    guard = Guard(Config.lan(name="me", isolate_after=3))
    for at in (1.0, 2.0):
        guard.silent(at)
        assert not guard.isolated
        assert guard.trusted_at < 0.0
    guard.silent(3.0)
    assert guard.isolated
    assert guard.isolated_since == 1.0
    assert guard.trusted_at == 1.0 + 24.0
    guard.heard()
    assert not guard.isolated
    guard.silent(4.0)
    assert not guard.isolated, "it counts from the beginning again"


def test_a_stall_holds_verdicts_back_for_its_own_length_within_bounds() -> None:
    guard = Guard(Config.lan(name="me"))
    for seconds, until in ((0.2, -1.0), (0.21, 10.3), (0.5, 10.5), (0.8, 10.8), (60.0, 11.0)):
        guard.hold = -1.0
        guard.stalled(seconds, 10.0)
        assert guard.hold == pytest.approx(until)
    guard.stalled(0.3, 10.1)
    assert guard.hold == 11.0, "a shorter one does not end a longer one"


# -- the loops --------------------------------------------------------------------------


def test_ring_and_scan_ask_once_a_second_each() -> None:
    bench = Bench(**(CALM | {"ring_interval": 1.0}))
    names = [f"n{number}" for number in range(10)]
    bench.know(*names)
    bench.answer(*names)
    bench.wait(5.0)
    bench.clear()
    bench.wait(20.0)
    asked = [ping.target for ping in bench.messages(Ping)]
    assert len(asked) == 40
    usual = max(set(asked), key=asked.count)
    assert asked.count(usual) == 22, "the next one in the ring each time, and the scan twice"


def test_the_ring_can_be_switched_off() -> None:
    bench = Bench(**CALM)
    bench.know("a", "b")
    bench.answer("a", "b")
    bench.wait(3.0)
    bench.clear()
    bench.wait(10.0)
    assert len(bench.messages(Ping)) == 10
    assert timers(bench, "probe_tick") == {1}


def next_of(bench: Bench) -> str:
    """Whom the ring would ask now."""
    return bench.engine._node.successors(bench.engine._parts.prober._near)[0].member.name


def test_the_ring_goes_on_to_the_next_one_behind_who_is_suspected_or_asked() -> None:
    bench = watching(*[f"n{number}" for number in range(20)])
    first = next_of(bench)
    look(bench, first)
    second = next_of(bench)
    assert second != first
    bench.receive(first, Ack(last_ping(bench, first).sequence))
    accuser = next(name for name in ("n0", "n1", "n2") if name not in (first, second))
    bench.receive(accuser, Suspect(1, first, accuser))
    assert next_of(bench) == second
    bench.receive(accuser, Dead(1, first, accuser))
    assert next_of(bench) == second


def test_alone_the_ring_finds_nobody() -> None:
    bench = Bench(**(CALM | {"ring_interval": 1.0}))
    bench.wait(5.0)
    assert not bench.sent


def test_a_loop_whose_last_attempt_goes_on_is_left_out_and_counted() -> None:
    bench = Bench(**(CALM | {"rto_ceil": 2.0}))
    bench.know("a", "b", "c", "d", "e", "f")
    bench.wait(10.0)
    assert bench.count("probe_skipped") >= 5
    assert len(bench.engine._parts.prober._attempts) == 1


def test_one_member_is_not_asked_twice_at_once() -> None:
    bench = Bench(**(CALM | {"ring_interval": 1.0}))
    bench.know("a")
    bench.wait(1.01)
    assert len({ping.sequence for ping in bench.messages(Ping)}) == 1
    refuse_packet(bench, "a")
    assert len({ping.sequence for ping in bench.messages(Ping)}) == 1


def test_after_a_stall_each_loop_asks_once_and_does_not_catch_up() -> None:
    bench = Bench(**(CALM | {"ring_interval": 1.0}))
    names = [f"n{number}" for number in range(10)]
    bench.know(*names)
    bench.answer(*names)
    bench.wait(5.0)
    bench.clear()
    bench.now += 100.0
    bench.wait(0.001)
    assert len(bench.messages(Ping)) <= 2
    bench.wait(10.0)
    assert len(bench.messages(Ping)) <= 22


def test_a_far_member_among_near_ones_gets_a_timeout_of_its_own_from_late_answers() -> None:
    trips = RoundTrips(Config.lan(name="a"))
    for _ in range(64):
        trips.note("near", 0.001)
    assert trips.timeout("far", 0) == 0.1, "nobody knows it yet"
    trips.note("far", 0.2, is_late=True)
    assert trips.timeout("far", 0) == 0.5
    assert trips.timeout("unknown", 0) == 0.1, "late answers say nothing of others"
