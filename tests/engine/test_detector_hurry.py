"""Attempts that are hurried by the kernel, and what changes while they run."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of, alive
from tests.engine.detecting import (
    CALM,
    ROUND,
    at_rest,
    helpers_of,
    last_ping,
    look,
    nack,
    refuse_packet,
    watching,
)
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import (
    Ack,
    Dead,
    IndirectPing,
    Ping,
)
from trio_gossip.engine.attempt import Step
from trio_gossip.events import MemberSuspected, Reason
from trio_gossip.failures import Evidence
from trio_gossip.members import MemberState

SILENT, STALLED, REFUSED = Evidence.SILENT, Evidence.STALLED, Evidence.REFUSED


def probing(*names: str, **changes: object) -> tuple[Bench, Ping]:
    """A bench just after its first probe was sent, before any answer has been measured."""
    bench = Bench(**(CALM | changes))
    bench.know(*names)
    bench.clear()
    _, ping = bench.wait_for(Ping)
    return bench, ping


# -- hurry ------------------------------------------------------------------------------


def test_an_icmp_answer_hurries_an_attempt_that_is_under_way() -> None:
    bench, ping = probing("x", "a", "b")
    target = ping.target
    refuse_packet(bench, target)
    assert helpers_of(bench, ping.sequence)
    bench.clear()
    refuse_packet(bench, target)
    assert not bench.sent, "but only once"


def test_an_icmp_answer_for_a_member_that_is_not_asked_begins_an_attempt() -> None:
    bench = watching("x", "a", "b")
    ping = look(bench)
    assert len(helpers_of(bench, ping.sequence)) == 2
    assert bench.count("looks") == 1


def test_an_icmp_answer_alone_says_nothing_of_a_member() -> None:
    bench = watching("x", "a", "b")
    for _ in range(100):
        refuse_packet(bench, "x")
    bench.receive("x", Ack(last_ping(bench, "x").sequence))
    bench.wait(10.0)
    assert not bench.seen(MemberSuspected)
    at_rest(bench)


def test_an_icmp_answer_of_a_stranger_is_counted_and_nothing_else() -> None:
    bench = watching("x", "a")
    bench.take(bench.engine.packet_refused(Address("h-nobody", 1), now=bench.now))
    bench.take(bench.engine.packet_refused(address_of("me"), now=bench.now))
    assert not bench.sent
    assert bench.count("packet_refused_stranger") == 1


def test_an_icmp_answer_is_only_counted_where_the_kernel_is_not_to_be_heard() -> None:
    bench = watching("x", "a", kernel_evidence=False)
    refuse_packet(bench, "x")
    assert not bench.sent
    assert bench.count("packet_refused") == 1


def test_a_flood_of_icmp_answers_begins_twenty_attempts_a_second() -> None:
    names = [f"n{number}" for number in range(60)]
    bench = watching(*names)
    for name in names:
        refuse_packet(bench, name)
    assert bench.count("looks") == 20
    bench.answer(*names)
    bench.wait(1.1)
    for name in names:
        refuse_packet(bench, name)
    assert bench.count("looks") <= 41


# -- what changed meanwhile -------------------------------------------------------------


def test_findings_about_a_member_that_spoke_up_meanwhile_count_nothing() -> None:
    bench = watching("x", "a", "b")
    ping = look(bench)
    bench.know("x", incarnation=2)
    nack(bench, ping.sequence)
    assert bench.state("x") is MemberState.ALIVE
    assert bench.count("findings_outdated") == 1
    bench.wait(5.0)
    at_rest(bench)


def test_findings_about_a_member_that_failed_or_left_meanwhile_count_nothing() -> None:
    for accuser in ("a", "x"):
        bench = watching("x", "a", "b")
        ping = look(bench)
        bench.receive("a", Dead(1, "x", accuser))
        nack(bench, ping.sequence)
        assert bench.count("findings_outdated") == 1
        bench.wait(5.0)
        at_rest(bench)


def test_findings_about_a_member_that_was_reaped_meanwhile_count_nothing() -> None:
    bench = watching("x", "a", "b", reap_time=0.1, gossip_to_dead_time=0.1)
    ping = look(bench)
    bench.receive("a", Dead(1, "x", "a"))
    bench.wait(0.6)
    assert bench.engine.member("x") is None
    nack(bench, ping.sequence)
    assert bench.count("findings_outdated") == 1
    bench.wait(5.0)
    at_rest(bench)


def test_a_member_that_moves_while_it_is_asked_is_asked_anew() -> None:
    bench = watching("x", "a", "b")
    ping = look(bench)
    bench.receive("x", Dead(1, "x", "x"))
    bench.receive(Address("h-new", 1), alive("x", 5, address=Address("h-new", 1)))
    nack(bench, ping.sequence)
    assert bench.state("x") is MemberState.ALIVE
    assert bench.count("findings_outdated") == 1
    at_rest(bench)


def test_leaving_ends_all_attempts_and_their_streams() -> None:
    bench = watching("x", "a", "b", "c", "d", "e")
    for name in ("x", "a", "b"):
        look(bench, name)
    bench.take(bench.engine.leave(token=1, now=bench.now))
    parts = bench.engine._parts
    assert not len(parts.prober._attempts)
    assert not len(parts.streams)
    bench.clear()
    refuse_packet(bench, "x")
    assert not bench.messages(IndirectPing), "and none begins after that"
    bench.wait(30.0)


def test_who_comes_back_after_a_leave_probes_again() -> None:
    bench = watching("x", "a", "b", scan_interval=1.0)
    bench.take(bench.engine.leave(token=1, now=bench.now))
    bench.wait(10.0)
    bench.clear()
    bench.take(bench.engine.join(address_of("a"), token=2, now=bench.now))
    bench.answer("x", "a", "b")
    bench.wait(3.0)
    assert len(bench.messages(Ping)) >= 2


def test_when_too_many_questions_are_open_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_gossip.engine.questions.QUESTIONS_MAX", 0)
    bench = Bench(**CALM)
    bench.know("x", "a")
    refuse_packet(bench, "x")
    bench.wait(4.0)
    assert not bench.messages(Ping)
    assert bench.count("questions_full") >= 3
    assert not bench.engine._parts.prober._busy


def test_bad_health_stretches_the_timeout_and_is_counted() -> None:
    bench = Bench(**CALM)
    bench.know("x", "a", "b")
    bench.engine._node.awareness.apply(1)
    bench.clear()
    _, ping = bench.wait_for(Ping)
    bench.wait(0.95)
    assert not helpers_of(bench, ping.sequence)
    bench.wait(0.1)
    assert helpers_of(bench, ping.sequence)
    assert bench.count("probe_degraded") == 1


def test_the_steps_of_an_attempt_are_in_order() -> None:
    assert [step.name for step in Step] == ["REPEAT", "WIDEN", "REPEAT_WIDE", "JUDGE"]


def test_the_event_says_in_which_ways_the_member_was_tried() -> None:
    bench = watching("x", "a", "b")
    nack(bench, look(bench).sequence, STALLED)
    (event,) = bench.seen(MemberSuspected)
    assert event.tried == ("direct", "relayed", "stream")
    assert event.reason is Reason.PROBE_FAILED
    assert event.accusers[0] == "me"
    assert dict(event.testimony)["me"] is SILENT
    assert event.evidence is STALLED
    assert dict(event.steps)["probed"] >= 0.0
    bench = watching("x", stream_pings=False)
    look(bench)
    bench.wait(ROUND)
    (event,) = bench.seen(MemberSuspected)
    assert event.tried == ("direct",)
