"""The small parts of the evidence detector: times of answers, ring, loops, guard, helpers."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of
from tests.engine.detecting import (
    CALM,
    at_rest,
    doubt,
    is_suspected,
    last_ping,
    look,
    nack,
    refuse_packet,
    stream_connects,
    stream_fails,
    streams_to,
    suspicion_of,
    timers,
    watching,
)
from tests.engine.exchanging import record
from trio_gossip.codec.messages import (
    Ack,
    Dead,
    IndirectPing,
    Nack,
    Ping,
    StreamAck,
    Suspect,
)
from trio_gossip.config import Config
from trio_gossip.engine.guard import Guard
from trio_gossip.engine.questions import OVER_MAX
from trio_gossip.engine.rtt import RoundTrips
from trio_gossip.failures import DialFailure, Evidence
from trio_gossip.members import MemberState

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


def test_every_member_is_the_next_one_of_exactly_one_other() -> None:
    names = [f"n{number}" for number in range(20)]
    followers = []
    for me in names:
        bench = Bench(**(CALM | {"name": me}))
        bench.know(*[name for name in names if name != me])
        scanner = bench.engine._parts.prober
        followers.append(scanner._ring.next(scanner._near).member.name)
    assert sorted(followers) == sorted(names)


def test_the_ring_goes_on_to_the_next_one_behind_who_is_suspected_or_asked() -> None:
    bench = watching(*[f"n{number}" for number in range(20)])
    scanner = bench.engine._parts.prober
    first = scanner._ring.next(scanner._near).member.name
    look(bench, first)
    second = scanner._ring.next(scanner._near).member.name
    assert second != first
    bench.receive(first, Ack(last_ping(bench, first).sequence))
    accuser = next(name for name in ("n0", "n1", "n2") if name not in (first, second))
    bench.receive(accuser, Suspect(1, first, accuser))
    assert scanner._ring.next(scanner._near).member.name == second
    bench.receive(accuser, Dead(1, first, accuser))
    assert scanner._ring.next(scanner._near).member.name == second


def test_alone_or_behind_too_many_unwanted_ones_the_ring_finds_nobody() -> None:
    bench = Bench(**(CALM | {"ring_interval": 1.0}))
    bench.wait(5.0)
    assert not bench.sent
    bench = watching(*[f"n{number}" for number in range(30)])
    scanner = bench.engine._parts.prober
    scanner._ring.next(scanner._near)
    assert len(scanner._ring._order) == 16
    assert scanner._ring.next(lambda _: False) is None


def test_a_name_that_is_gone_since_the_order_was_made_is_left_out() -> None:
    bench = watching("a", "b")
    ring = bench.engine._parts.prober._ring
    ring.next(lambda _: True)
    ring._order.insert(0, "ghost")
    assert ring.next(lambda _: True).member.name in ("a", "b")


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


# -- doubts -----------------------------------------------------------------------------


def heard(bench: Bench, name: str, state: int, incarnation: int = 1) -> bool:
    """A peer's table has a member in that state; returns whether that was all about it."""
    parts = bench.engine._parts
    bench.take(bench.engine.handle_timeout(now=bench.now))
    entry = bench.engine._node.table.get(name)
    told = parts.claims.judge.hearsay(record(name, incarnation, state=state), entry, None)
    bench.take(bench.engine._node.outbox.take())
    return told


@pytest.mark.parametrize("state", [1, 2])
def test_a_table_that_has_a_member_suspect_or_failed_is_a_reason_to_ask_it(state: int) -> None:
    bench = watching("x", "a", "b")
    assert heard(bench, "x", state)
    assert last_ping(bench, "x").target == "x"
    assert not bench.messages(IndirectPing), "without any hurry"
    assert not is_suspected(bench, "x")
    bench.receive("x", Ack(last_ping(bench, "x").sequence))
    at_rest(bench)


def test_who_is_asked_because_of_a_higher_incarnation_hears_of_it() -> None:
    bench = watching("x", "a", "b")
    assert heard(bench, "x", 2, incarnation=4)
    (accusation,) = bench.messages(Suspect, to="x")
    assert accusation.incarnation == 4


def test_a_member_that_does_not_answer_a_doubt_is_suspected_at_the_higher_incarnation() -> None:
    bench = watching("x", "a", "b")
    heard(bench, "x", 2, incarnation=4)
    bench.wait(0.6)
    nack(bench, last_ping(bench, "x").sequence)
    assert suspicion_of(bench, "x").incarnation == 4
    assert not suspicion_of(bench, "x").private, "others suspect it already"


def test_a_table_says_nothing_new_of_a_suspect() -> None:
    bench = watching("x", "a", "b")
    bench.receive("a", Suspect(1, "x", "a"))
    bench.clear()
    assert heard(bench, "x", 2)
    assert not bench.sent


@pytest.mark.parametrize(
    ("name", "state", "incarnation"),
    [("ghost", 1, 1), ("me", 2, 99), ("x", 3, 1), ("old", 2, 1), ("x", 2, 2**50), ("gone", 2, 3)],
)
def test_of_others_a_table_is_weighed_as_an_accusation_would_be(
    name: str, state: int, incarnation: int
) -> None:
    bench = watching("x", "a", "gone")
    bench.know("old", incarnation=5)
    bench.receive("a", Dead(1, "gone", "a"))
    bench.clear()
    assert not heard(bench, name, state, incarnation)
    assert not bench.messages(Ping)


def test_so_many_doubts_are_looked_into_at_once_and_the_others_are_told_directly() -> None:
    names = [f"n{number}" for number in range(40)]
    bench = watching(*names)
    for name in names:
        heard(bench, name, 1)
    assert bench.count("looks") == 32
    assert bench.count("looks_full") == 8
    left = [message.name for message in bench.messages(Suspect)]
    assert len(left) == 8
    assert not set(left) & {ping.target for ping in bench.messages(Ping)}


def test_an_icmp_answer_beyond_that_number_begins_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_gossip.engine.scanner.LOOKS_MAX", 1)
    bench = watching("x", "y", "a")
    look(bench, "x")
    bench.clear()
    refuse_packet(bench, "y")
    assert not bench.sent
    assert bench.count("looks_full") == 1


def test_who_has_left_looks_into_nothing() -> None:
    bench = watching("x", "a", "b")
    bench.take(bench.engine.leave(token=1, now=bench.now))
    bench.clear()
    heard(bench, "x", 1)
    assert not bench.messages(Ping)


# -- late nacks -------------------------------------------------------------------------


def test_a_nack_that_comes_after_the_answer_is_late_and_not_forged() -> None:
    bench = watching("x", "a", "b", "c")
    ping = look(bench)
    bench.receive("x", Ack(ping.sequence))
    nack(bench, ping.sequence)
    assert bench.count("nack_late") == 3
    assert bench.count("nack_unexpected") == 0
    bench.receive("a", Nack(ping.sequence ^ 1))
    assert bench.count("nack_unexpected") == 1


def test_a_nack_that_comes_after_enough_was_found_is_late_as_well() -> None:
    bench = watching("x", "a", "b", "c")
    ping = look(bench)
    stream_fails(bench, "x", DialFailure.REFUSED)
    nack(bench, ping.sequence, REFUSED)
    assert bench.count("nack_late") == 2


def test_nacks_to_questions_that_nobody_is_to_answer_with_one_are_unexpected() -> None:
    bench = watching("x", "a", "b", "c")
    bench.receive("a", IndirectPing(7, "x", address_of("x"), "a", 400))
    relayed = last_ping(bench, "x").sequence
    bench.receive("x", Nack(relayed))
    bench.receive("x", Ack(relayed))
    bench.receive("x", Nack(relayed))
    assert bench.count("nack_unexpected") == 2
    assert not bench.count("nack_late")


def test_so_many_ended_questions_are_remembered() -> None:
    bench = watching("x", "a")
    sequences = []
    for _ in range(OVER_MAX + 1):
        sequences.append(look(bench).sequence)
        bench.receive("x", Ack(sequences[-1]))
        bench.wait(0.1)
    bench.receive("a", Nack(sequences[0]))
    assert bench.count("nack_unexpected") == 1
    bench.receive("a", Nack(sequences[1]))
    assert bench.count("nack_late") == 1


# -- helping ----------------------------------------------------------------------------


def helping(budget: int = 1000, **changes: object) -> tuple[Bench, Ping]:
    """A bench that was asked by "a" to try "x"."""
    bench = watching("x", "a", "b", **changes)
    bench.receive("a", IndirectPing(7, "x", address_of("x"), "a", budget))
    return bench, last_ping(bench, "x")


def test_a_helper_asks_twice_and_by_stream_before_it_says_that_it_failed() -> None:
    bench, _ = helping()
    bench.wait(0.39)
    assert len(bench.messages(Ping, to="x")) == 1
    bench.wait(0.02)
    assert len(bench.messages(Ping, to="x")) == 2
    assert len(streams_to(bench, "x")) == 1
    bench.wait(0.38)
    assert not bench.messages(Nack)
    bench.wait(0.02)
    assert bench.messages(Nack, to="a") == [Nack(7, SILENT)]
    at_rest(bench)


@pytest.mark.parametrize("heeded", [True, False])
def test_a_helper_tells_what_the_kernel_said(heeded: bool) -> None:
    for failure, connects, found in (
        (DialFailure.REFUSED, False, REFUSED),
        (DialFailure.TIMED_OUT, False, SILENT),
        (DialFailure.RESET, True, STALLED),
        (None, True, STALLED),
    ):
        bench, _ = helping(kernel_evidence=heeded)
        bench.wait(0.5)
        if connects:
            stream_connects(bench, "x")
        if failure is not None:
            stream_fails(bench, "x", failure)
        if failure is DialFailure.REFUSED:
            assert bench.messages(Nack), "there is no more to know"
        bench.wait(0.5)
        assert bench.messages(Nack, to="a") == [Nack(7, found if heeded else SILENT)]
        at_rest(bench)


def test_a_helper_passes_an_answer_by_stream_on() -> None:
    bench, _ = helping()
    bench.wait(0.5)
    exchange = stream_connects(bench, "x")
    (question,) = bench.frames_sent(exchange)
    bench.frames(exchange, StreamAck(question.sequence))
    assert bench.messages(Ack, to="a") == [Ack(7)]
    at_rest(bench)


def test_a_helper_asks_again_at_once_on_an_icmp_answer() -> None:
    bench, _ = helping()
    refuse_packet(bench, "b")
    assert not streams_to(bench, "x")
    bench.take(bench.engine.packet_refused(address_of("x"), now=bench.now))
    assert len(streams_to(bench, "x")) >= 1
    before = len(bench.messages(Ping, to="x"))
    bench.take(bench.engine.packet_refused(address_of("x"), now=bench.now))
    assert len(bench.messages(Ping, to="x")) == before


def test_a_helper_without_streams_still_answers_in_time() -> None:
    bench, _ = helping(stream_pings=False)
    bench.wait(0.81)
    assert bench.messages(Nack, to="a") == [Nack(7)]
    at_rest(bench)


@pytest.mark.parametrize("budget", [0, 1])
def test_a_helper_with_no_time_answers_at_once(budget: int) -> None:
    bench, _ = helping(budget)
    bench.wait(0.01)
    assert bench.messages(Nack, to="a") == [Nack(7)]
    at_rest(bench)


def test_a_helper_by_the_rules_of_memberlist_asks_once() -> None:
    bench, _ = helping(detector="memberlist", probe_interval=1e6)
    bench.wait(0.79)
    assert len(bench.messages(Ping, to="x")) == 1
    assert not bench.opened()
    bench.wait(0.02)
    assert bench.messages(Nack, to="a") == [Nack(7)]


def test_what_a_helper_said_is_its_own_word_for_a_minute() -> None:
    bench, _ = helping()
    said_of = bench.engine._parts.relay.said_of
    assert not said_of("x")
    bench.wait(1.0)
    assert said_of("x")
    bench.receive("a", Suspect(1, "x", "a", others=(("me", 0),)))
    assert not bench.count("accuser_is_me")
    assert list(suspicion_of(bench, "x").found) == ["a"], "it adds nothing to what we know"
    bench.wait(60.0)
    bench.know("later")
    assert not said_of("x")


def test_so_many_members_of_which_a_helper_spoke_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trio_gossip.engine.relay.SAID_MAX", 2)
    bench = watching("x", "y", "z", "a")
    for number, name in enumerate(("x", "y", "x", "z")):
        bench.receive("a", IndirectPing(number, name, address_of(name), "a", 10))
        bench.wait(0.1)
    relay = bench.engine._parts.relay
    assert [relay.said_of(name) for name in ("x", "y", "z")] == [True, False, True]


def test_a_member_whose_state_changed_is_still_asked_for_a_peer() -> None:
    bench, _ = helping()
    bench.receive("b", Dead(1, "x", "b"))
    bench.wait(1.0)
    assert bench.messages(Nack, to="a") == [Nack(7)]
    assert bench.state("x") is MemberState.FAILED
