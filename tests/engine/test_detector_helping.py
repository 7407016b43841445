"""Doubts that others have, nacks that come late, and help for those who ask for it."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of
from tests.engine.detecting import (
    at_rest,
    is_suspected,
    last_ping,
    look,
    nack,
    refuse_packet,
    stream_connects,
    stream_fails,
    streams_to,
    suspicion_of,
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
from trio_gossip.engine.questions import OVER_MAX
from trio_gossip.failures import DialFailure, Evidence
from trio_gossip.members import MemberState

SILENT, STALLED, REFUSED = Evidence.SILENT, Evidence.STALLED, Evidence.REFUSED


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
    told = [message.name for message in bench.messages(Suspect)]
    assert sorted(told) == sorted(names), "everybody hears what is held against it"
    assert len({ping.target for ping in bench.messages(Ping)}) == 32


def test_who_is_asked_for_hearsay_hears_what_is_held_against_it_in_the_same_packet() -> None:
    # Seed 47: it answered, and nobody had told it that others thought it dead at this incarnation.
    bench = watching("x", "a", "b")
    heard(bench, "x", 2)
    (packet,) = [sent for sent in bench.sent if any(isinstance(m, Ping) for m in sent.messages)]
    assert Suspect(1, "x", "me") in packet.messages


def test_who_is_being_asked_already_is_told_as_well() -> None:
    bench = watching("x", "a", "b")
    look(bench, "x")
    bench.clear()
    heard(bench, "x", 2)
    assert bench.messages(Suspect) == [Suspect(1, "x", "me")]
    assert not bench.messages(Ping)


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
