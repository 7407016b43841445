"""Probe rounds: direct, relayed and stream pings, nacks, the health score, the buddy system."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of, alive
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import (
    Ack,
    Alive,
    Dead,
    IndirectPing,
    Nack,
    Ping,
    StreamAck,
    StreamPing,
    Suspect,
)
from trio_gossip.events import MemberSuspected, Reason
from trio_gossip.failures import DialFailure
from trio_gossip.members import MemberState


def probing(*names: str, **changes: object) -> tuple[Bench, Ping, float]:
    """A bench just after its first probe was sent."""
    bench = Bench(**changes)
    bench.know(*names)
    bench.clear()
    _, ping = bench.wait_for(Ping)
    return bench, ping, bench.now


def test_every_member_is_probed_once_in_each_round() -> None:
    bench = Bench()
    names = [f"n{number}" for number in range(10)]
    bench.know(*names)
    bench.answer(*names)
    bench.wait(10.0)  # a round that began with fewer members
    for _ in range(3):
        bench.clear()
        bench.wait(10.0)
        assert sorted(ping.target for ping in bench.messages(Ping)) == sorted(names)


def test_an_answered_probe_sends_two_packets_and_nothing_more() -> None:
    bench, ping, _ = probing("a", "b")
    bench.receive(ping.target, Ack(ping.sequence))
    bench.clear()
    bench.wait(0.99)
    assert not bench.messages(IndirectPing)
    assert not bench.opened()
    assert bench.count("probe_acked") == 1


def test_after_the_timeout_helpers_and_a_stream_are_asked() -> None:
    bench, ping, _began = probing("a", "b", "c", "d", "e")
    bench.wait(0.49)
    assert not bench.messages(IndirectPing)
    bench.wait(0.02)
    requests = bench.messages(IndirectPing)
    assert len(requests) == 3
    assert all(r.target == ping.target and r.sequence == ping.sequence for r in requests)
    assert all(r.budget == 500 for r in requests), "what is left of the round, in milliseconds"
    helpers = {sent.address for sent in bench.sent if isinstance(sent.messages[0], IndirectPing)}
    assert len(helpers) == 3
    assert address_of(ping.target) not in helpers
    [opened] = bench.opened()
    assert (opened.address, opened.peer_name) == (address_of(ping.target), ping.target)


def test_an_answer_after_the_timeout_says_nothing_good_of_the_network() -> None:
    bench, ping, _ = probing("a", "b")
    bench.wait(0.6)
    lost = bench.engine._node.losses.share
    bench.receive(ping.target, Ack(ping.sequence))
    assert bench.engine._node.losses.share == lost > 0.0
    assert bench.count("probe_acked") == 1


def test_two_names_at_one_address_are_one_helper_and_no_alias_of_the_target() -> None:
    bench = Bench(indirect_probes=5)
    bench.know("a")
    bench.receive("x", alive("x"), alive("y", address=address_of("x")))
    bench.receive("a", alive("alias", address=address_of("a")))
    bench.receive("a", alive("twin", address=address_of("me")))
    bench.clear()
    while True:
        _, ping = bench.wait_for(Ping)
        if ping.target == "a":
            break
        bench.receive(address_of(ping.target), Ack(ping.sequence))
    bench.clear()
    bench.wait(0.51)
    targets = [sent.address for sent in bench.sent if isinstance(sent.messages[0], IndirectPing)]
    assert targets == [address_of("x")]


def test_a_relayed_answer_ends_the_probe() -> None:
    bench, ping, _ = probing("a", "b", "c")
    bench.wait(0.6)
    helper = next(s.address for s in bench.sent if isinstance(s.messages[0], IndirectPing))
    bench.receive(helper, Ack(ping.sequence))
    assert bench.count("probe_acked_indirectly") == 1
    bench.wait(0.39)
    assert bench.state(ping.target) is MemberState.ALIVE


def test_an_answer_by_stream_ends_the_probe() -> None:
    bench, ping, _ = probing("a", "b")
    bench.wait(0.6)
    [opened] = bench.opened()
    bench.take(bench.engine.exchange_opened(opened.exchange, now=bench.now))
    [question] = bench.frames_sent(opened.exchange)
    assert isinstance(question, StreamPing)
    assert question.target == ping.target
    bench.frames(opened.exchange, StreamAck(question.sequence))
    assert bench.count("probe_acked_by_stream") == 1
    bench.wait(0.39)
    assert bench.state(ping.target) is MemberState.ALIVE


def test_a_wrong_answer_by_stream_is_none() -> None:
    bench, ping, _ = probing("a", "b")
    bench.wait(0.6)
    [opened] = bench.opened()
    bench.take(bench.engine.exchange_opened(opened.exchange, now=bench.now))
    [question] = bench.frames_sent(opened.exchange)
    bench.frames(opened.exchange, StreamAck(question.sequence ^ 1))
    assert bench.count("frame_unexpected") == 1
    bench.wait(0.5)
    assert bench.state(ping.target) is MemberState.SUSPECT


@pytest.mark.parametrize("changes", [{"stream_pings": False}, {"stream_ping_filter": bool}])
def test_stream_pings_can_be_switched_off_for_all_or_for_a_member(changes: dict) -> None:
    if "stream_ping_filter" in changes:
        changes = {"stream_ping_filter": lambda member: member.name not in ("a", "b")}
    bench, _, _ = probing("a", "b", **changes)
    bench.wait(1.1)
    assert not bench.opened()
    [event] = bench.seen(MemberSuspected)
    assert event.tried == ("direct", "relayed")


def test_a_silent_member_is_suspected_and_the_event_says_what_was_tried() -> None:
    bench, ping, _ = probing("a", "b")
    bench.wait(1.01)
    [event] = bench.seen(MemberSuspected)
    assert event.member.name == ping.target
    assert event.reason is Reason.PROBE_FAILED
    assert event.accusers == ("me",)
    assert event.tried == ("direct", "relayed", "stream")
    assert event.health_score == 1, "the helper stayed silent as well"


def test_nacks_clear_our_own_health() -> None:
    bench, ping, _ = probing("a", "b", "c", "d")
    bench.wait(0.6)
    for sent in list(bench.sent):
        if isinstance(sent.messages[0], IndirectPing):
            bench.receive(sent.address, Nack(ping.sequence))
    bench.wait(0.45)
    assert bench.state(ping.target) is MemberState.SUSPECT
    assert bench.engine.health_score == 0


def test_a_missed_nack_costs_one_and_a_flood_of_nacks_from_one_helper_counts_once() -> None:
    """A nack flood from one peer must not hide our own bad health."""
    bench, ping, _ = probing("a", "b", "c", "d")
    bench.wait(0.6)
    helpers = [s.address for s in bench.sent if isinstance(s.messages[0], IndirectPing)]
    for _ in range(5):
        bench.receive(helpers[0], Nack(ping.sequence))
    bench.receive(Address("h-stranger", 1), Nack(ping.sequence))
    bench.receive(helpers[1], Nack(ping.sequence ^ 1))
    assert bench.count("nack_unexpected") == 6
    bench.wait(0.45)
    assert bench.engine.health_score == 2


def test_without_helpers_a_failed_probe_costs_one() -> None:
    bench, _, _ = probing("a")
    bench.wait(1.01)
    assert bench.engine.health_score == 1


def test_a_success_improves_our_health() -> None:
    bench, _ping, _ = probing("a")
    bench.wait(1.01)
    assert bench.engine.health_score == 1
    bench.receive("a", Ack(bench.messages(Ping)[-1].sequence))
    assert bench.engine.health_score == 0


def test_bad_health_stretches_the_round_but_not_the_timeout() -> None:
    bench, _, _ = probing("a", "b", "c")
    bench.wait(1.01)
    assert bench.engine.health_score == 2, "two helpers stayed silent"
    bench.clear()
    bench.wait(0.48)  # the next round began at once, as the first took all of its interval
    assert not bench.messages(IndirectPing)
    bench.wait(0.02)
    [request] = bench.messages(IndirectPing)
    assert request.budget == 2500, "three intervals, less the timeout"
    bench.wait(2.4)
    assert bench.count("probe_failed") == 1
    bench.wait(0.2)
    assert bench.count("probe_failed") == 2
    assert bench.count("probe_degraded") >= 1


def test_one_missed_tick_is_made_up_for_at_once() -> None:
    bench, first, _ = probing("a")
    bench.wait(1.01)
    second = bench.messages(Ping)[-1]
    assert second.sequence != first.sequence
    bench.clear()
    bench.wait(1.9)  # this round takes two intervals, in which two ticks fall
    assert not bench.messages(Ping)
    bench.wait(0.15)
    assert len(bench.messages(Ping)) == 1


def test_a_suspect_learns_of_it_from_the_very_ping() -> None:
    bench, _ping, _ = probing("a")
    bench.clear()
    bench.wait(1.01)
    sent = next(sent for sent in bench.sent if isinstance(sent.messages[0], Ping))
    assert [type(message) for message in sent.messages] == [Ping, Suspect]
    assert sent.messages[1].name == "a"


def test_a_probe_started_before_a_refutation_accuses_the_old_incarnation() -> None:
    bench, _ping, _ = probing("a")
    bench.wait(0.9)
    bench.receive("a", alive("a", 5))
    bench.wait(0.2)
    assert bench.state("a") is MemberState.ALIVE


def test_failed_and_left_members_are_not_probed() -> None:
    bench = Bench()
    bench.know("a", "b", "c")
    bench.receive("c", Dead(1, "a", "c"), Dead(1, "b", "b"))
    bench.answer("c")
    bench.clear()
    bench.wait(8.0)
    assert {ping.target for ping in bench.messages(Ping)} == {"c"}


def test_alone_there_is_nobody_to_probe() -> None:
    bench = Bench()
    bench.wait(5.0)
    assert not bench.sent


def test_a_ping_for_us_is_answered_to_its_source() -> None:
    bench = Bench()
    stranger = Address("h-stranger", 5)
    bench.clear()
    bench.receive(stranger, Ping(7, "me", "x"))
    [sent] = bench.sent
    assert (sent.address, sent.messages) == (stranger, [Ack(7)])


def test_no_news_ride_along_to_a_stranger() -> None:
    bench = Bench()
    bench.know("a")
    bench.clear()
    bench.receive(Address("h-stranger", 5), Ping(7, "me", "x"))
    assert [type(m) for m in bench.sent[0].messages] == [Ack]
    bench.receive("a", Ping(8, "me", "a"))
    assert Alive in [type(m) for m in bench.sent[1].messages]


def test_the_reply_address_counts_when_a_member_lives_there() -> None:
    bench = Bench()
    bench.know("a")
    bench.clear()
    stranger = Address("h-stranger", 5)
    bench.receive(stranger, Ping(7, "me", "a", reply_to=address_of("a")))
    bench.receive(stranger, Ping(8, "me", "a", reply_to=Address("h-victim", 9)))
    assert [sent.address for sent in bench.sent] == [address_of("a"), stranger]


def test_a_ping_for_another_name_is_not_answered() -> None:
    bench = Bench()
    bench.clear()
    bench.receive("a", Ping(7, "you", "a"))
    assert not bench.sent
    assert bench.count("ping_for_another") == 1


def test_an_unexpected_ack_is_counted() -> None:
    bench, ping, _ = probing("a")
    bench.receive("a", Ack(ping.sequence ^ 1))
    assert bench.count("ack_unexpected") == 1
    bench.receive("a", Ack(ping.sequence))
    bench.receive("a", Ack(ping.sequence))
    assert bench.count("ack_unexpected") == 2, "a replayed ack answers nothing"


def test_a_member_held_failed_that_pings_us_is_told() -> None:
    bench = Bench()
    bench.know("a", "b")
    bench.receive("b", Dead(1, "a", "b"))
    bench.clear()
    bench.receive("a", Ping(7, "me", "a"))
    assert [m.incarnation for m in bench.messages(Dead, to="a") if m.name == "a"]


def test_a_stream_ping_that_cannot_be_dialled_is_evidence_and_no_verdict() -> None:
    bench, ping, _ = probing("a", "b")
    bench.wait(0.6)
    [opened] = bench.opened()
    refused = DialFailure.REFUSED
    bench.take(bench.engine.exchange_failed(opened.exchange, refused, now=bench.now))
    assert bench.state(ping.target) is MemberState.ALIVE
    assert bench.count("dial_refused") == 1


@pytest.mark.parametrize(("interval", "timeout", "late"), [(700.0, 0.5, 0.0), (1.0, 0.95, 0.08)])
def test_the_budget_of_a_helper_stays_within_what_the_wire_takes(
    interval: float, timeout: float, late: float
) -> None:
    """A round of 700 s, or a wake-up 80 ms late, made packets that every receiver dropped."""
    bench = Bench(probe_interval=interval, probe_timeout=timeout)
    bench.know("a", "b")
    _, ping = bench.wait_for(Ping, limit=1000.0)
    bench.wait(timeout - 0.001)
    bench.now += late + 0.001
    bench.take(bench.engine.handle_timeout(now=bench.now))
    [request] = bench.messages(IndirectPing)
    assert 0 <= request.budget <= 600_000
    assert request.sequence == ping.sequence
