"""What an accuser goes on asking, the final ping, and the verdict on a suspect."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, alive
from tests.engine.detecting import (
    OTHERS,
    accuse,
    ack,
    at_rest,
    doubt,
    fails_after,
    in_public,
    is_suspected,
    nack,
    stream_connects,
    streams_to,
    suspicion_of,
    watching,
)
from trio_gossip.codec.messages import (
    Ack,
    Alive,
    Dead,
    IndirectPing,
    Ping,
    StreamAck,
    Suspect,
)
from trio_gossip.events import MemberFailed, MemberRecovered, MemberSuspected, Reason
from trio_gossip.failures import Evidence
from trio_gossip.members import MemberState

SILENT, STALLED, REFUSED = Evidence.SILENT, Evidence.STALLED, Evidence.REFUSED


def accusing(*changed: Evidence, **changes: object) -> Bench:
    """A bench that accuses a member in public itself, with two helpers."""
    bench = watching("x", *OTHERS, quiet=0.0, helpers=2, **changes)
    nack(bench, doubt(bench).sequence, *changed)
    assert not suspicion_of(bench, "x").private
    bench.clear()
    return bench


# -- the accusers go on asking ----------------------------------------------------------


def test_an_accuser_tells_the_suspect_every_half_second() -> None:
    bench = accusing()
    began = bench.now
    bench.wait(3.2)
    pings = [
        sent
        for sent in bench.sent
        if isinstance(sent.messages[0], Ping) and sent.messages[0].target == "x"
    ]
    assert len(pings) == 7
    assert bench.now - began == pytest.approx(3.2)
    for sent in pings:
        assert isinstance(sent.messages[1], Suspect), "so that it can refute at once"
        assert (sent.messages[1].name, sent.messages[1].incarnation) == ("x", 1)


def test_an_accuser_asks_at_a_slower_pace_after_eight_times() -> None:
    bench = accusing(STALLED)
    bench.wait(3.9)
    assert len(bench.messages(Ping, to="x")) == 8
    bench.clear()
    bench.wait(4.0)
    assert len(bench.messages(Ping, to="x")) == 2


def test_who_does_not_accuse_only_asks_before_its_verdict() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c")
    bench.wait(3.5)
    assert not bench.messages(Ping, to="x")
    fails_after(bench)
    assert len(bench.messages(Ping, to="x")) == 1


def test_an_accuser_tries_a_stream_each_second_time() -> None:
    bench = accusing()
    bench.wait(0.4)
    assert not streams_to(bench, "x")
    bench.wait(0.2)
    assert len(streams_to(bench, "x")) == 1
    bench.wait(1.0)
    assert len(streams_to(bench, "x")) == 2
    bench = accusing(stream_pings=False)
    bench.wait(2.0)
    assert not bench.opened()


def test_one_stream_at_a_time_is_tried() -> None:
    bench = accusing()
    bench.wait(0.6)
    exchange = stream_connects(bench, "x")
    bench.engine._parts.streams.find(exchange).patience = 100.0
    bench.engine._parts.streams._progress(bench.engine._parts.streams.find(exchange))
    bench.wait(2.0)
    assert len(streams_to(bench, "x")) == 1


@pytest.mark.parametrize("heeded", [True, False])
def test_an_accuser_learns_by_stream_that_a_silent_process_is_stalled(heeded: bool) -> None:
    bench = accusing(kernel_evidence=heeded)
    bench.wait(0.6)
    stream_connects(bench, "x")
    bench.wait(2.0)
    assert suspicion_of(bench, "x").evidence is (STALLED if heeded else SILENT)
    assert suspicion_of(bench, "x").stream is None or len(streams_to(bench, "x")) > 1


def test_an_answer_by_stream_is_a_sign_of_life() -> None:
    bench = accusing()
    bench.wait(3.6)
    exchange = stream_connects(bench, "x")
    while suspicion_of(bench, "x").final is None:
        bench.wait(0.02)
    (question,) = bench.frames_sent(exchange)
    bench.frames(exchange, StreamAck(question.sequence))
    bench.wait(0.6)
    assert is_suspected(bench, "x")
    assert bench.count("suspicion_extended") == 1


# -- the final ping ---------------------------------------------------------------------


def test_one_timeout_before_the_verdict_the_suspect_is_asked_a_last_time() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c")
    due = suspicion_of(bench, "x").due
    sent, _ping = bench.wait_for(Ping)
    assert bench.now == pytest.approx(due - 0.5)
    assert isinstance(sent.messages[1], Suspect)
    bench.wait(0.51)
    assert bench.state("x") is MemberState.FAILED
    at_rest(bench)


def test_an_answer_to_the_final_ping_puts_the_verdict_off_by_a_whole_time() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c")
    bench.wait_for(Ping)
    ack(bench, "x")
    bench.wait(0.51)
    assert bench.state("x") is MemberState.SUSPECT, "only it itself can refute"
    assert bench.count("suspicion_extended") == 1
    took = fails_after(bench)
    assert 4.3 <= took <= 4.61


def test_an_answer_before_the_final_ping_does_not_count() -> None:
    bench = accusing()
    bench.wait(1.2)
    ack(bench, "x")
    assert bench.state("x") is MemberState.SUSPECT
    bench.clear()
    fails_after(bench)
    assert not bench.count("suspicion_extended")


def test_a_refutation_between_the_final_ping_and_the_verdict_is_in_time() -> None:
    bench = accusing()
    while suspicion_of(bench, "x").final is None:
        bench.wait(0.05)
    bench.receive("x", alive("x", 2))
    (event,) = bench.seen(MemberRecovered)
    assert event.reason is Reason.REFUTED
    bench.wait(1.0)
    assert bench.state("x") is MemberState.ALIVE
    at_rest(bench)


def test_a_new_question_is_found_after_an_answer() -> None:
    bench = accusing()
    bench.wait(0.1)
    first = bench.messages(Ping, to="x")[-1].sequence
    bench.receive("x", Ack(first))
    bench.wait(0.5)
    second = bench.messages(Ping, to="x")[-1].sequence
    assert second != first, "an answer is good for one question"
    bench.receive("x", Ack(second))


def test_a_verdict_without_a_free_question_still_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c")
    monkeypatch.setattr("trio_gossip.engine.questions.QUESTIONS_MAX", 0)
    assert 4.3 <= fails_after(bench) <= 4.61
    at_rest(bench)


# -- when we should not trust ourselves -------------------------------------------------


def test_after_a_stall_of_ours_nobody_is_declared_failed_for_a_while() -> None:
    for stall, hold in ((0.25, 0.3), (0.7, 0.7), (5.0, 1.0)):
        bench = accusing()
        while suspicion_of(bench, "x").final is None:
            bench.wait(0.05)
        bench.now = bench.engine.next_deadline + stall
        bench.take(bench.engine.handle_timeout(now=bench.now))
        node = bench.engine._node
        assert node.guard.hold == pytest.approx(node.now + hold)
        node.awareness.apply(-7)  # a stall makes it worse, which would put it off as well
        assert not bench.seen(MemberFailed)
        assert fails_after(bench) == pytest.approx(hold + 0.5), "with a last ping after it"


def test_a_short_stall_holds_nothing_back() -> None:
    bench = accusing()
    bench.now = bench.engine.next_deadline + 0.15
    bench.take(bench.engine.handle_timeout(now=bench.now))
    assert bench.count("stalled") == 1
    assert bench.engine._node.guard.hold < bench.now


def test_who_takes_itself_for_cut_off_declares_nobody_failed() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c")
    guard = bench.engine._node.guard
    for _ in range(3):
        guard.silent(bench.engine._node.now)
    bench.wait(20.0)
    assert bench.state("x") is MemberState.SUSPECT
    bench.wait(6.0)
    assert bench.state("x") is MemberState.FAILED, "after 24 s it has to do without others"
    bench.clear()
    bench.wait(5.0)
    assert not bench.messages(Dead), "but tells nobody"
    assert bench.count("gossip_withheld")


def test_the_verdict_comes_at_once_when_the_isolation_ends() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c")
    guard = bench.engine._node.guard
    for _ in range(3):
        guard.silent(bench.engine._node.now)
    bench.wait(10.0)
    guard.heard()
    assert fails_after(bench) <= 1.1


def test_who_is_cut_off_passes_on_no_accusation_but_its_own_news_and_goodbyes() -> None:
    bench = watching("x", "y", *OTHERS)
    guard = bench.engine._node.guard
    for _ in range(3):
        guard.silent(bench.engine._node.now)
    bench.receive("a", accuse("x", "a"), Dead(1, "y", "a"))
    bench.clear()
    bench.wait(1.0)
    assert not bench.messages(Suspect)
    assert not bench.messages(Dead)
    bench.receive("a", Dead(1, "b", "b"), alive("new", 1))
    bench.wait(1.0)
    assert bench.messages(Dead)[0].is_goodbye
    assert bench.messages(Alive)


# -- the end ----------------------------------------------------------------------------


def test_an_unconfirmed_verdict_is_counted() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a")
    fails_after(bench)
    assert bench.count("suspicion_unconfirmed") == 1


def test_the_event_of_a_failure_tells_the_class_the_evidence_and_the_steps() -> None:
    bench = accusing(STALLED, SILENT)
    fails_after(bench)
    (event,) = bench.seen(MemberFailed)
    assert event.reason is Reason.SUSPICION_EXPIRED
    assert event.evidence is STALLED
    assert event.accusers[0] == "me"
    assert sorted(dict(event.testimony).values()) == [SILENT, SILENT, STALLED]
    assert [step for step, _ in event.steps] == ["probed", "suspected", "told", "final_ping"]
    ages = [age for _, age in event.steps]
    assert ages == sorted(ages, reverse=True)


def test_a_failure_that_others_declare_has_their_grounds() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", evidence=STALLED)
    bench.receive("b", Dead(1, "x", "b"))
    (event,) = bench.seen(MemberFailed)
    assert (event.reason, event.accusers) == (Reason.REPORTED, ("a", "b"))
    assert event.evidence is STALLED
    at_rest(bench)


def test_an_accuser_that_leaves_asks_no_more_after_the_verdict() -> None:
    bench = accusing()
    bench.take(bench.engine.leave(token=1, now=bench.now))
    bench.wait(20.0)
    at_rest(bench)
    bench.clear()
    bench.wait(20.0)
    assert not bench.sent


def test_a_member_that_comes_back_while_it_is_suspected_is_suspected_no_more() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c")
    bench.receive("x", alive("x", 7, meta=b"second life"))
    assert bench.seen(MemberRecovered)
    assert bench.seen(MemberSuspected)
    at_rest(bench)


def test_an_accusation_at_a_higher_incarnation_begins_anew() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c")
    bench.wait(3.0)
    bench.receive("a", accuse("x", "a", "b", "c", incarnation=2))
    assert 4.3 <= fails_after(bench) <= 4.61
    assert bench.member("x").incarnation == 2


def test_helpers_that_are_asked_for_a_suspect_hear_nothing_of_the_accusation() -> None:
    bench = accusing()
    bench.wait(3.0)
    assert not bench.messages(IndirectPing)
