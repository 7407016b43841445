"""The quiet time of a suspicion: asked again and again, and told to nobody."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench
from tests.engine.detecting import (
    OTHERS,
    accuse,
    ack,
    at_rest,
    helpers_of,
    in_private,
    is_suspected,
    last_ping,
    look,
    nack,
    recovered,
    stream_fails,
    suspicion_of,
    timers,
    told,
    watching,
)
from trio_gossip.codec.messages import Ack, Alive, IndirectPing, Nack, Ping, Suspect
from trio_gossip.events import (
    MemberSuspected,
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


# -- asked in private -------------------------------------------------------------------


def test_a_suspicion_is_told_to_the_application_at_once_and_to_nobody_else() -> None:
    bench = watching("x", *OTHERS)
    in_private(bench)
    (event,) = bench.seen(MemberSuspected)
    assert (event.reason, event.member.state) == (Reason.PROBE_FAILED, MemberState.SUSPECT)
    assert [step for step, _ in event.steps] == ["probed", "suspected"]
    bench.clear()
    bench.wait(1.99)
    assert bench.messages(Ping, to="x")
    assert not bench.messages(Suspect), "not even to the suspect"
    assert not bench.engine.statistics().membership_queue


def test_others_see_a_private_suspect_as_alive() -> None:
    bench = watching("x", *OTHERS)
    in_private(bench)
    parts = bench.engine._parts
    assert bench.state("x") is MemberState.SUSPECT
    assert parts.merge.shown(bench.member("x")).state is MemberState.ALIVE
    assert parts.merge.shown(bench.member("a")) == bench.member("a")
    claim = parts.buckets._hearsay.about("x")
    assert isinstance(claim, Alive)
    assert claim.incarnation == 1


def test_a_private_suspect_is_asked_five_times_before_its_quiet_time_is_over() -> None:
    bench = watching("x", *OTHERS)
    in_private(bench)
    bench.clear()
    began = bench.now
    asked = []
    while bench.now < began + 1.99:
        bench.wait(0.05)
        asked += [round(bench.now - began, 2) for _ in bench.messages(Ping, to="x")]
        bench.clear()
    assert asked == pytest.approx([0.25, 0.5, 0.75, 1.25, 1.75], abs=0.051)


def test_one_answer_ends_a_private_suspicion_without_a_trace() -> None:
    bench = watching("x", *OTHERS)
    in_private(bench)
    bench.wait(0.3)
    ack(bench, "x")
    assert recovered(bench) == [Reason.ANSWERED]
    assert bench.member("x").incarnation == 1
    bench.wait(10.0)
    assert not told(bench)
    at_rest(bench)


def test_an_answer_to_any_of_the_pings_will_do() -> None:
    bench = watching("x", *OTHERS)
    in_private(bench)
    bench.wait(0.3)
    first = last_ping(bench, "x").sequence
    bench.wait(1.0)
    assert last_ping(bench, "x").sequence == first
    bench.receive("x", Ack(first))
    bench.receive("x", Ack(first))
    assert recovered(bench) == [Reason.ANSWERED]
    assert bench.count("ack_unexpected") == 1


def test_a_forged_answer_does_not_save_a_private_suspect() -> None:
    bench = watching("x", *OTHERS)
    in_private(bench)
    bench.wait(0.3)
    sequence = last_ping(bench, "x").sequence
    for forged in (sequence ^ 1, 0, 2**32 - 1):
        bench.receive("x", Ack(forged))
    assert bench.count("ack_unexpected") == 3
    assert suspicion_of(bench, "x").private


def test_two_silences_are_not_mixed_up() -> None:
    bench = watching("x", "y", *OTHERS)
    in_private(bench, "x")
    in_private(bench, "y")
    bench.wait(0.3)
    ack(bench, "y")
    assert suspicion_of(bench, "x").private
    assert not is_suspected(bench, "y")


def test_neither_loop_nor_a_doubt_asks_for_a_private_suspect() -> None:
    bench = watching("x", "a", "b", "c")
    in_private(bench)
    bench.answer("a", "b", "c")
    scanner = bench.engine._parts.prober
    node = bench.engine._node
    for _ in range(20):
        entry = node.table.next_in_walk(scanner._wanted, node.rng)
        assert entry.member.name in "abc"
    scanner.look(node.table.get("x"), 1)
    assert not len(scanner._attempts)


# -- what makes it public at once -------------------------------------------------------


def test_a_process_that_is_gone_is_told_at_once() -> None:
    bench = watching("x", *OTHERS)
    ping = look(bench)
    stream_fails(bench, "x", DialFailure.REFUSED)
    helper = helpers_of(bench, ping.sequence)[0]
    bench.receive(helper.address, Nack(ping.sequence, int(REFUSED)))
    assert not suspicion_of(bench, "x").private
    bench.wait(0.1)
    assert {each.age for each in told(bench)} == {0}


def test_without_a_quiet_time_each_suspicion_is_told_at_once() -> None:
    bench = watching("x", *OTHERS, quiet=0.0)
    nack(bench, look(bench).sequence)
    assert not suspicion_of(bench, "x").private
    bench.wait(0.1)
    assert told(bench)


def test_what_we_find_of_a_suspect_of_others_is_told_at_once() -> None:
    bench = watching("x", *OTHERS)
    ping = look(bench)
    bench.receive("g", accuse("x", "g"))
    names = nack(bench, ping.sequence)
    suspicion = suspicion_of(bench, "x")
    assert not suspicion.private
    assert set(suspicion.found) == {"g", "me", *names}
    assert suspicion.patience == 0.0, "we are an accuser now"
    assert "x" in timers(bench, "reprobe")


def test_an_accusation_by_others_makes_a_private_suspicion_public() -> None:
    bench = watching("x", *OTHERS)
    in_private(bench)
    bench.wait(1.0)
    bench.receive("g", accuse("x", "g", evidence=REFUSED))
    suspicion = suspicion_of(bench, "x")
    assert not suspicion.private
    assert suspicion.found["g"] is REFUSED
    bench.wait(0.1)
    accusation = told(bench)[0]
    assert accusation.accuser == "me"
    assert 950 < accusation.age < 1150, "the quiet time was not lost"
    assert dict(accusation.others)["g"] == REFUSED


def test_a_higher_accusation_replaces_a_private_suspicion() -> None:
    bench = watching("x", *OTHERS)
    in_private(bench)
    bench.receive("g", accuse("x", "g", incarnation=3))
    suspicion = suspicion_of(bench, "x")
    assert (suspicion.incarnation, list(suspicion.found)) == (3, ["g"])
    assert not bench.engine._parts.claims.judge._private
    assert not timers(bench, "reprobe"), "we have not asked this incarnation"
