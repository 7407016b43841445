"""Attempts to reach a member: direct, wide, what comes back and what is made of it."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of
from tests.engine.detecting import (
    CALM,
    ROUND,
    at_rest,
    doubt,
    helpers_of,
    is_suspected,
    look,
    nack,
    stream_connects,
    stream_fails,
    streams_to,
    suspicion_of,
    watching,
)
from trio_gossip.codec.messages import (
    Ack,
    IndirectPing,
    Nack,
    Ping,
    StreamAck,
    StreamPing,
    Suspect,
)
from trio_gossip.events import MemberSuspected
from trio_gossip.failures import DialFailure, Evidence
from trio_gossip.members import MemberState

SILENT, STALLED, REFUSED = Evidence.SILENT, Evidence.STALLED, Evidence.REFUSED


def probing(*names: str, **changes: object) -> tuple[Bench, Ping]:
    """A bench just after its first probe was sent, before any answer has been measured."""
    bench = Bench(**(CALM | changes))
    bench.know(*names)
    bench.clear()
    _, ping = bench.wait_for(Ping)
    return bench, ping


# -- the questions ----------------------------------------------------------------------


def test_a_probe_that_is_answered_sends_one_ping() -> None:
    bench, ping = probing("a", "b")
    bench.receive(ping.target, Ack(ping.sequence))
    bench.clear()
    bench.wait(0.45)
    assert not bench.messages(Ping)
    assert not bench.messages(IndirectPing)
    assert bench.count("probe_acked") == 1


def test_the_same_ping_goes_out_again_at_half_of_the_timeout() -> None:
    bench, ping = probing("a", "b", "c")
    bench.wait(0.24)
    assert len(bench.messages(Ping, to=ping.target)) == 1
    bench.wait(0.02)
    first, second = bench.messages(Ping, to=ping.target)
    assert first.sequence == second.sequence
    bench.receive(ping.target, Ack(ping.sequence))
    bench.clear()
    bench.wait(0.4)
    assert not bench.messages(IndirectPing), "the answer to the second one will do"


def test_at_the_timeout_three_helpers_and_a_stream_are_asked_beside_a_third_ping() -> None:
    bench, ping = probing("a", "b", "c", "d", "e")
    bench.wait(0.49)
    assert not bench.messages(IndirectPing)
    bench.wait(0.02)
    asked = helpers_of(bench, ping.sequence)
    assert len(asked) == 3
    assert address_of(ping.target) not in [sent.address for sent in asked]
    for sent in asked:
        (request,) = (each for each in sent.messages if isinstance(each, IndirectPing))
        assert (request.target, request.address) == (ping.target, address_of(ping.target))
        assert request.budget == 1000, "twice the timeout, in milliseconds"
        assert request.want_nack
    assert len(streams_to(bench, ping.target)) == 1
    assert len(bench.messages(Ping, to=ping.target)) == 3
    bench.wait(0.5)
    assert len(bench.messages(Ping, to=ping.target)) == 4, "and again at half of the helpers' time"


@pytest.mark.parametrize("helpers", [0, 1, 6])
def test_as_many_helpers_are_asked_as_the_settings_say(helpers: int) -> None:
    bench = watching("x", *[f"n{number}" for number in range(9)], helpers=helpers)
    ping = look(bench)
    assert len(helpers_of(bench, ping.sequence)) == helpers


def test_no_stream_is_tried_where_the_settings_forbid_it() -> None:
    bench = watching("x", "a", stream_pings=False)
    ping = look(bench)
    bench.wait(2 * ROUND)
    assert not bench.opened()
    nack(bench, ping.sequence)


def test_a_suspect_hears_the_accusation_in_the_packet_of_the_ping() -> None:
    bench, _ = probing("a", "b")
    for name in ("a", "b"):
        bench.receive("b" if name == "a" else "a", Suspect(1, name, "b" if name == "a" else "a"))
    bench.clear()
    sent, ping = bench.wait_for(Ping)
    assert isinstance(sent.messages[1], Suspect)
    assert sent.messages[1].name == ping.target == sent.address.host.removeprefix("h-")


# -- answers ----------------------------------------------------------------------------


def test_an_answer_through_a_helper_ends_the_attempt() -> None:
    bench = watching("x", "a", "b")
    ping = look(bench)
    bench.receive(helpers_of(bench, ping.sequence)[0].address, Ack(ping.sequence))
    assert bench.count("probe_acked_indirectly") == 1
    bench.wait(30.0)
    assert bench.state("x") is MemberState.ALIVE
    at_rest(bench)


def test_an_answer_by_stream_ends_the_attempt() -> None:
    bench = watching("x", "a", "b")
    look(bench)
    exchange = stream_connects(bench, "x")
    (question,) = bench.frames_sent(exchange)
    assert isinstance(question, StreamPing)
    bench.frames(exchange, StreamAck(question.sequence))
    assert bench.count("probe_acked_by_stream") == 1
    at_rest(bench)


def test_any_answer_makes_our_health_better_and_ends_isolation() -> None:
    bench = watching("x", "a")
    node = bench.engine._node
    node.awareness.apply(3)
    for _ in range(9):
        node.guard.silent(bench.now)
    ping = look(bench)
    bench.receive("x", Ack(ping.sequence))
    assert bench.engine.health_score == 2
    assert not node.guard.isolated


def test_only_answers_to_the_first_questions_are_measured() -> None:
    bench = watching("x", "a")
    ping = look(bench)
    bench.wait(0.3)
    bench.receive("x", Ack(ping.sequence))
    times = bench.engine._node.round_trips
    assert times.timeout("x", 0) == times.timeout("nobody", 0) == 0.5, "that may be anything"
    bench, ping = probing("x")
    bench.wait(0.01)
    bench.receive("x", Ack(ping.sequence))
    assert bench.engine._node.round_trips.timeout("x", 0) == pytest.approx(0.1)


# -- silence ----------------------------------------------------------------------------


def test_an_attempt_ends_as_soon_as_every_helper_has_failed() -> None:
    bench = watching("x", "a", "b", "c", "d")
    ping = look(bench)
    names = nack(bench, ping.sequence, missing=1)
    assert not is_suspected(bench, "x"), "one of them may still say that it answers"
    bench.receive(names[0], Nack(ping.sequence))
    assert set(suspicion_of(bench, "x").found) == {"me", *names}
    assert bench.count("probe_failed") == 1


def test_an_attempt_ends_as_soon_as_two_paths_say_that_the_process_is_gone() -> None:
    bench = watching("x", "a", "b", "c", "d")
    ping = look(bench)
    stream_fails(bench, "x", DialFailure.REFUSED)
    assert not is_suspected(bench, "x"), "one path alone may be a firewall"
    helper = helpers_of(bench, ping.sequence)[0]
    bench.receive(helper.address, Nack(ping.sequence, int(REFUSED)))
    assert suspicion_of(bench, "x").evidence is REFUSED
    bench = watching("x", "a", "b", "c", "d")
    ping = look(bench)
    helper = helpers_of(bench, ping.sequence)[0]
    bench.receive(helper.address, Nack(ping.sequence, int(REFUSED)))
    stream_fails(bench, "x", DialFailure.REFUSED)
    assert suspicion_of(bench, "x").evidence is REFUSED, "in either order"


def test_without_all_nacks_the_attempt_ends_at_twice_the_timeout() -> None:
    bench = watching("x", "a", "b", "c", "d")
    ping = look(bench)
    nack(bench, ping.sequence, missing=2)
    bench.wait(0.99)
    assert not is_suspected(bench, "x")
    bench.wait(0.03)
    assert len(suspicion_of(bench, "x").found) == 2


@pytest.mark.parametrize(
    ("failure", "connected", "found"),
    [
        (DialFailure.REFUSED, False, REFUSED),
        (DialFailure.TIMED_OUT, False, SILENT),
        (DialFailure.UNREACHABLE, False, SILENT),
        (DialFailure.RESET, True, STALLED),
        (None, True, STALLED),
        (None, False, SILENT),
    ],
)
def test_what_the_kernel_says_tells_gone_from_stalled_from_silent(
    failure: DialFailure | None, connected: bool, found: Evidence
) -> None:
    for heeded in (True, False):
        bench = watching("x", "a", "b", "c", kernel_evidence=heeded)
        ping = doubt(bench)
        if connected:
            stream_connects(bench, "x")
        if failure is not None:
            stream_fails(bench, "x", failure)
        nack(bench, ping.sequence)
        expected = found if heeded else SILENT
        assert suspicion_of(bench, "x").found["me"] is expected


def test_what_helpers_found_counts_as_well_unless_the_kernel_is_not_to_be_heard() -> None:
    for heeded in (True, False):
        bench = watching("x", "a", "b", "c", kernel_evidence=heeded)
        names = nack(bench, doubt(bench).sequence, REFUSED, STALLED, SILENT)
        found = suspicion_of(bench, "x").found
        expected = [REFUSED, STALLED, SILENT] if heeded else [SILENT] * 3
        assert [found[name] for name in names] == expected


def test_when_all_helpers_answer_our_health_gets_better_since_it_is_the_target_that_fails() -> None:
    bench = watching("x", "a", "b", "c")
    bench.engine._node.awareness.apply(3)
    nack(bench, look(bench).sequence)
    assert bench.engine.health_score == 2
    bench = watching("x", "a", "b", "c")
    bench.engine._node.awareness.apply(3)
    nack(bench, look(bench).sequence, missing=1)
    bench.wait(4 * ROUND)
    assert bench.engine.health_score == 3


def test_without_any_nack_other_helpers_are_asked_twice_before_anybody_is_accused() -> None:
    bench = watching("x", *[f"n{number}" for number in range(9)], isolate_after=4)
    ping = look(bench)
    asked = []
    for stage in range(1, 4):
        asked.append([sent.address for sent in helpers_of(bench, ping.sequence)])
        bench.clear()
        bench.wait(1.011)
        assert bench.count("probe_unverified") == min(stage, 2)
        assert is_suspected(bench, "x") == (stage == 3), "each round was silent"
    assert len({address for each in asked for address in each}) == 9, "always others"
    assert bench.engine.health_score == 3, "each silent round is a sign that it is us"


def test_when_there_are_no_other_helpers_the_same_ones_are_asked_again() -> None:
    bench = watching("x", "a")
    ping = look(bench)
    for _ in range(2):
        bench.clear()
        bench.wait(1.01)
        assert [sent.address for sent in helpers_of(bench, ping.sequence)] == [address_of("a")]
    nack(bench, ping.sequence)
    assert set(suspicion_of(bench, "x").found) == {"me", "a"}


def test_a_nack_of_a_former_round_still_counts() -> None:
    bench = watching("x", *[f"n{number}" for number in range(9)])
    ping = look(bench)
    late = helpers_of(bench, ping.sequence)[0].address
    bench.wait(1.3)
    bench.receive(late, Nack(ping.sequence))
    bench.wait(1.0)
    assert set(suspicion_of(bench, "x").found) == {"me", late.host.removeprefix("h-")}


def test_a_refusal_needs_no_helper_to_be_heard_of() -> None:
    """The host answers us, so that we are not cut off; the class still wants a second accuser."""
    bench = watching("x", "a", "b", "c")
    look(bench)
    stream_fails(bench, "x", DialFailure.REFUSED)
    bench.wait(ROUND)
    assert suspicion_of(bench, "x").found == {"me": REFUSED}
    assert suspicion_of(bench, "x").evidence is SILENT
    assert bench.engine.health_score == 0
    assert not bench.engine._node.guard._silent_rounds


def test_who_takes_itself_for_cut_off_accuses_nobody_for_a_long_time() -> None:
    bench = watching("x", "a", "b", "c")
    for _ in range(2):
        bench.engine._node.guard.silent(bench.now)
    look(bench)
    bench.wait(15.0)
    assert bench.engine.is_isolated
    assert bench.state("x") is MemberState.ALIVE
    assert not bench.seen(MemberSuspected)
    at_rest(bench)
    bench.wait(10.0)
    look(bench)
    bench.wait(30.0)
    assert bench.seen(MemberSuspected), "after 24 s its own finding has to do"


def test_of_two_members_one_accuses_the_other_alone() -> None:
    bench = watching("x")
    look(bench)
    bench.wait(ROUND)
    assert suspicion_of(bench, "x").found == {"me": SILENT}
    assert bench.engine.health_score == 0


def test_who_was_silent_before_is_no_reason_to_take_ourselves_for_the_only_witness() -> None:
    # Seed 197: the one helper was silent twice and a suspect itself by then, so that in the third
    # stage nobody was asked. That was taken for "there is nobody else".
    bench = watching("x", "a", isolate_after=4)
    ping = look(bench)
    bench.wait(2.02)
    assert bench.count("probe_unverified") == 1
    bench.receive("x", Suspect(1, "a", "x"))
    bench.wait(2.03)
    assert bench.count("probe_unverified") == 2
    assert not helpers_of(bench, ping.sequence)[2:], "nobody is left to be asked"
    assert bench.engine.health_score == 3, "the third stage was silent as well"
