"""The end of the quiet time of a suspicion: confirmed by others, or let go."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.engine.bench import Bench, alive
from tests.engine.detecting import (
    OTHERS,
    ROUND,
    ack,
    at_rest,
    helpers_of,
    in_private,
    is_suspected,
    last_ping,
    look,
    nack,
    recovered,
    stream_connects,
    stream_fails,
    suspicion_of,
    timers,
    told,
    watching,
)
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import Ack, Dead, IndirectPing, Ping, Suspect
from trio_gossip.events import (
    MemberFailed,
    MemberJoined,
    MemberLeft,
    Reason,
)
from trio_gossip.failures import DialFailure, Evidence
from trio_gossip.members import MemberState

SILENT, STALLED, REFUSED = Evidence.SILENT, Evidence.STALLED, Evidence.REFUSED


def rechecking(bench: Bench, **changes: object) -> Ping:
    """Let the quiet time pass, until helpers are asked again; returns the question."""
    bench.clear()
    _, request = bench.wait_for(IndirectPing, limit=3.0)
    return last_ping(bench, request.target)


# -- the quiet time is over -------------------------------------------------------------


def test_at_the_end_of_the_quiet_time_other_helpers_are_asked() -> None:
    bench = watching("x", *OTHERS)
    first = nack(bench, look(bench).sequence)
    began = bench.now
    ping = rechecking(bench)
    assert bench.now - began == pytest.approx(2.0)
    second = nack(bench, ping.sequence, missing=3)
    assert len(second) == 3
    assert not set(first) & set(second)


def test_confirmed_again_it_is_told_with_its_age() -> None:
    bench = watching("x", *OTHERS)
    in_private(bench)
    nack(bench, rechecking(bench).sequence)
    suspicion = suspicion_of(bench, "x")
    assert not suspicion.private
    assert len(suspicion.found) == 5, "so many count, and two to spare"
    bench.clear()
    bench.wait(0.1)
    (accusation, *_) = told(bench)
    assert 2000 <= accusation.age < 2100
    assert bench.messages(Suspect, to="x"), "and the suspect hears it from us at once"
    began = suspicion.started
    bench.wait(3.0)
    (event,) = bench.seen(MemberFailed)
    steps = dict(event.steps)
    assert steps["suspected"] == pytest.approx(4.0), "four seconds in all"
    assert bench.now - began >= 4.0
    assert steps["probed"] >= steps["suspected"] > steps["told"] > steps["final_ping"] > 0


def test_an_answer_to_the_second_round_ends_it() -> None:
    bench = watching("x", *OTHERS)
    in_private(bench)
    ping = rechecking(bench)
    bench.receive(helpers_of(bench, ping.sequence)[0].address, Ack(ping.sequence))
    assert recovered(bench) == [Reason.ANSWERED]
    bench.wait(10.0)
    at_rest(bench)
    assert not told(bench)


def test_an_answer_to_a_ping_ends_the_second_round() -> None:
    bench = watching("x", *OTHERS)
    in_private(bench)
    bench.wait(1.0)
    sequence = last_ping(bench, "x").sequence
    rechecking(bench)
    bench.receive("x", Ack(sequence))
    assert recovered(bench) == [Reason.ANSWERED]
    at_rest(bench)


def test_unconfirmed_three_times_it_is_let_go() -> None:
    bench = watching("x", *OTHERS, isolate_after=64)
    in_private(bench)
    rounds = []
    for _ in range(3):
        rechecking(bench)
        rounds.append(bench.now)
        bench.wait(3 * ROUND)
    assert [b - a for a, b in pairwise(rounds)] == pytest.approx([4.0, 4.0], abs=1.2), (
        "three rounds of helpers each, and a second between them"
    )
    bench.wait(20.0)
    assert recovered(bench) == [Reason.UNCONFIRMED]
    assert not told(bench)
    at_rest(bench)


def test_a_refusal_of_two_needs_no_further_witness() -> None:
    bench = watching("x", *OTHERS)
    in_private(bench, "x", REFUSED, SILENT)
    assert suspicion_of(bench, "x").evidence is SILENT
    rechecking(bench)
    stream_fails(bench, "x", DialFailure.REFUSED)
    bench.wait(ROUND)
    assert suspicion_of(bench, "x").evidence is REFUSED
    assert not suspicion_of(bench, "x").private


def test_of_two_members_the_other_is_told_of_without_a_witness() -> None:
    bench = watching("x")
    look(bench)
    bench.wait(ROUND + 2.0 + ROUND)
    assert not suspicion_of(bench, "x").private
    bench.wait(1.0)
    (event,) = bench.seen(MemberFailed)
    assert event.accusers == ("me",)


def test_when_no_question_is_free_the_second_round_counts_as_unconfirmed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = watching("x", *OTHERS)
    in_private(bench)
    monkeypatch.setattr("trio_gossip.engine.questions.QUESTIONS_MAX", 0)
    bench.wait(10.0)
    assert recovered(bench) == [Reason.UNCONFIRMED]
    assert bench.count("questions_full") >= 3
    at_rest(bench)


def test_an_age_is_never_more_than_the_quiet_time_and_one_attempt() -> None:
    """Without this bound others declared a member failed half a second after they first heard."""
    bench = watching("x", *OTHERS, isolate_after=64)
    in_private(bench)
    for _ in range(2):
        rechecking(bench)
        bench.wait(3 * ROUND)
    ping = rechecking(bench)
    assert bench.now - suspicion_of(bench, "x").started > 8.0
    nack(bench, ping.sequence)
    bench.clear()
    bench.wait(0.05)
    assert 4000 <= told(bench)[0].age < 4100, "2 s in private and four timeouts"


def test_a_refutation_ends_a_private_suspicion_and_its_age() -> None:
    """It went on counting once, and what was told of the next suspicion was far too old."""
    bench = watching("x", *OTHERS)
    in_private(bench)
    bench.wait(1.5)
    bench.receive("g", alive("x", 2))
    assert recovered(bench) == [Reason.REFUTED]
    at_rest(bench)
    bench.wait(30.0)
    began = bench.now
    in_private(bench)
    assert suspicion_of(bench, "x").started == began
    nack(bench, rechecking(bench).sequence)
    bench.clear()
    bench.wait(0.05)
    assert 2000 <= told(bench)[0].age < 2100


# -- other ends of it -------------------------------------------------------------------


@pytest.mark.parametrize("rechecked", [False, True])
@pytest.mark.parametrize("end", ["dead", "goodbye", "alive", "moved", "leave"])
def test_whatever_ends_a_private_suspicion_leaves_nothing_behind(end: str, rechecked: bool) -> None:
    bench = watching("x", *OTHERS)
    in_private(bench)
    if rechecked:
        rechecking(bench)
    new = Address("h-new", 1)
    if end == "dead":
        bench.receive("g", Dead(1, "x", "g"))
        assert bench.seen(MemberFailed)
    elif end == "goodbye":
        bench.receive("g", Dead(1, "x", "x"))
        assert bench.seen(MemberLeft)
    elif end == "alive":
        bench.receive("x", alive("x", 2))
        assert recovered(bench) == [Reason.REFUTED]
    elif end == "moved":
        bench.receive("g", alive("x", 2, address=new, vouched_by="g"))
        assert recovered(bench) == [Reason.TAKEOVER]
        assert bench.member("x").address == new
    else:
        bench.take(bench.engine.leave(token=1, now=bench.now))
        assert recovered(bench) == [Reason.UNCONFIRMED]
        bench.wait(0.2)
        bench.take(bench.engine.leave(token=2, now=bench.now))
        bench.wait(20.0)
    assert not timers(bench, "suspicion")
    assert not timers(bench, "reprobe")
    at_rest(bench)
    bench.wait(30.0)


def test_a_suspect_that_is_reaped_and_comes_back_is_not_suspected() -> None:
    bench = watching("x", *OTHERS, reap_time=0.1, gossip_to_dead_time=0.1)
    in_private(bench)
    bench.receive("g", Dead(1, "x", "g"))
    bench.wait(1.0)
    assert bench.engine.member("x") is None
    bench.receive("x", alive("x", 2))
    assert bench.state("x") is MemberState.ALIVE
    assert bench.seen(MemberJoined)
    at_rest(bench)


def test_after_so_many_private_suspicions_no_more_are_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trio_gossip.engine.inquiry.PRIVATE_MAX", 1)
    bench = watching("x", "y", *OTHERS)
    in_private(bench, "x")
    nack(bench, look(bench, "y").sequence)
    assert not is_suspected(bench, "y")
    assert bench.count("private_full") == 1
    bench.wait(0.3)
    ack(bench, "x")
    in_private(bench, "y")


def test_a_stream_that_connects_in_the_second_round_makes_it_stalled() -> None:
    bench = watching("x", *OTHERS)
    in_private(bench)
    ping = rechecking(bench)
    stream_connects(bench, "x")
    nack(bench, ping.sequence)
    assert suspicion_of(bench, "x").evidence is STALLED
    assert suspicion_of(bench, "x").due == pytest.approx(suspicion_of(bench, "x").started + 10.0)
