"""Streams: push/pull, refusals, reliable messages, stream pings, deadlines."""

from __future__ import annotations

import pytest

from tests.engine.bench import CODEC, Bench, address_of, alive
from trio_gossip.codec.messages import (
    Frame,
    MessageAck,
    MessageChunk,
    MessageOpen,
    Record,
    Refusal,
    StreamAck,
    StreamPing,
    SyncEnd,
    SyncMembers,
    SyncOpen,
)
from trio_gossip.engine import CloseExchange, Engine
from trio_gossip.engine.core import COMMANDS_MAX
from trio_gossip.errors import LocalProtocolError, PeerUnreachableError, RemoteProtocolError
from trio_gossip.events import (
    Delivery,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberSuspected,
    MessageReceived,
    Reason,
)
from trio_gossip.failures import DialFailure, RefusalReason
from trio_gossip.members import VERSIONS_DEFAULT, Member, MemberState, Versions


def record(name: str, incarnation: int = 1, state: int = 0, **changes: object) -> Record:
    values: dict = {
        "address": address_of(name),
        "meta": b"",
        "versions": VERSIONS_DEFAULT,
        "incarnation": incarnation,
        "state": state,
    }
    return Record(name, **(values | changes))


def table(*records: Record, source: str = "peer", joining: bool = False) -> list[Frame]:
    return [
        SyncOpen(source, address_of(source), joining),
        SyncMembers(list(records)),
        SyncEnd(len(records)),
    ]


def closes(bench: Bench, exchange: int) -> list[CloseExchange]:
    return [
        output
        for output in bench.outputs
        if isinstance(output, CloseExchange) and output.exchange == exchange
    ]


def join(bench: Bench, seed: str = "peer", token: int = 1) -> int:
    bench.take(bench.engine.join(address_of(seed), token=token, now=bench.now))
    exchange = bench.opened()[-1].exchange
    bench.take(bench.engine.exchange_opened(exchange, now=bench.now))
    return exchange


# -- the asking side --------------------------------------------------------------------


def test_a_join_sends_our_table_and_merges_the_seeds() -> None:
    bench = Bench()
    exchange = join(bench)
    sent = bench.frames_sent(exchange)
    assert [type(frame) for frame in sent] == [SyncOpen, SyncMembers, SyncEnd]
    assert sent[0].joining
    assert [r.name for r in sent[1].records] == ["me"]
    bench.frames(exchange, *table(record("peer"), record("a", 4)))
    assert bench.results[1].result == 2
    assert {member.name for member in bench.engine.members()} == {"me", "peer", "a"}
    joined = [event for event in bench.seen(MemberJoined) if event.member.name == "a"]
    assert joined[0].reason is Reason.SYNCED
    assert closes(bench, exchange) == [CloseExchange(exchange)]


def test_a_large_table_goes_in_chunks_one_for_each_turn() -> None:
    bench = Bench(sync_chunk_members=100)
    for number in range(250):
        bench.receive("x", alive(f"n{number}"))
    exchange = join(bench)
    sent = bench.frames_sent(exchange)
    assert [len(f.records) for f in sent if isinstance(f, SyncMembers)] == [100, 100, 51]
    assert sent[-1].count == 251


def test_a_large_table_is_merged_in_slices() -> None:
    bench = Bench()
    exchange = join(bench)
    records = [record("peer")] + [record(f"n{number}") for number in range(299)]
    frames = [
        SyncOpen("peer", address_of("peer"), False),
        SyncMembers(records[:150]),
        SyncMembers(records[150:]),
        SyncEnd(300),
    ]
    bench.frames(exchange, *frames)
    known = len(bench.engine.members())
    assert 1 < known < 301, "one slice in each turn"
    assert bench.engine.next_deadline <= bench.now
    bench.wait(0.0)
    assert len(bench.engine.members()) == 301
    assert bench.results[1].result == 300


def test_the_states_of_a_table_become_claims() -> None:
    bench = Bench()
    bench.know("suspected", "failed", "left")
    bench.clear()
    bench.frames(
        join(bench),
        *table(
            record("peer"),
            record("suspected", 1, 1),
            record("failed", 1, 2),
            record("left", 1, 3),
            record("unknown1", 1, 1),
            record("unknown2", 1, 2),
            record("unknown3", 1, 3),
        ),
    )
    assert bench.state("suspected") is MemberState.SUSPECT
    assert bench.state("failed") is MemberState.SUSPECT, "hearsay never declares a failure"
    assert bench.state("left") is MemberState.LEFT
    assert not bench.seen(MemberFailed)
    assert {event.reason for event in bench.seen(MemberSuspected)} == {Reason.SYNCED}
    assert len(bench.seen(MemberLeft)) == 1
    assert len(bench.engine.members(all=True)) == 5


@pytest.mark.parametrize("failure", list(DialFailure))
def test_a_join_that_cannot_be_dialled_says_why(failure: DialFailure) -> None:
    bench = Bench()
    bench.take(bench.engine.join(address_of("peer"), token=1, now=bench.now))
    exchange = bench.opened()[-1].exchange
    bench.take(bench.engine.exchange_failed(exchange, failure, now=bench.now))
    error = bench.results[1].error
    assert isinstance(error, PeerUnreachableError)
    assert failure.value.replace("_", " ") in str(error)
    assert bench.count(f"dial_{failure.value}") == 1


def test_a_join_that_is_refused_says_why() -> None:
    bench = Bench()
    exchange = join(bench)
    bench.frames(exchange, Refusal(RefusalReason.BUSY, "come back later"))
    error = bench.results[1].error
    assert isinstance(error, RemoteProtocolError)
    assert "busy" in str(error)
    assert "come back later" in str(error)


def test_a_refusal_of_a_later_version_is_understood_as_one() -> None:
    bench = Bench()
    bench.frames(join(bench), Refusal(77, "because"))
    assert "unknown" in str(bench.results[1].error)


def test_a_peer_that_we_do_not_admit_is_told() -> None:
    bench = Bench(admit=lambda member: member.name != "peer")
    exchange = join(bench)
    bench.frames_sent(exchange)
    bench.frames(exchange, *table(record("peer"), record("a")))
    assert isinstance(bench.results[1].error, RemoteProtocolError)
    assert [type(f) for f in bench.frames_sent(exchange)][-1] is Refusal
    assert closes(bench, exchange) == [CloseExchange(exchange, drain=True)]
    assert [member.name for member in bench.engine.members()] == ["me"]


def test_a_seed_without_progress_times_out() -> None:
    bench = Bench()
    exchange = join(bench)
    bench.wait(bench.config.stream_timeout + 0.1)
    assert "timed out" in str(bench.results[1].error)
    assert closes(bench, exchange) == [CloseExchange(exchange)]
    assert bench.count("exchange_timed_out") == 1


def test_a_seed_that_drips_does_not_hold_its_place_for_ever() -> None:
    bench = Bench()
    exchange = join(bench)
    bench.frames(exchange, SyncOpen("peer", address_of("peer"), False))
    for _ in range(15):
        bench.wait(9.0)
        bench.frames(exchange, SyncMembers([]))
    assert "timed out" in str(bench.results[1].error)


def test_an_abandoned_join_closes_its_stream_and_tells_nobody() -> None:
    bench = Bench()
    exchange = join(bench)
    bench.take(bench.engine.abandon(1, now=bench.now))
    bench.take(bench.engine.abandon(1, now=bench.now))
    assert closes(bench, exchange) == [CloseExchange(exchange)]
    bench.frames(exchange, *table(record("peer")))
    assert not bench.results


def test_tokens_are_used_once_at_a_time_and_bounded() -> None:
    bench = Bench()
    bench.take(bench.engine.join(address_of("a"), token=1, now=bench.now))
    with pytest.raises(LocalProtocolError, match="in use"):
        bench.engine.join(address_of("a"), token=1, now=bench.now)
    for token in range(2, COMMANDS_MAX + 1):
        bench.engine.join(address_of("a"), token=token, now=bench.now)
    with pytest.raises(LocalProtocolError, match="under way"):
        bench.engine.join(address_of("a"), token=COMMANDS_MAX + 1, now=bench.now)


# -- the answering side -----------------------------------------------------------------


def test_an_answer_holds_what_was_known_before_the_merge() -> None:
    bench = Bench()
    bench.know("a")
    exchange = bench.accept()
    bench.frames(exchange, *table(record("peer"), record("b")))
    sent = bench.frames_sent(exchange)
    assert [type(frame) for frame in sent] == [SyncOpen, SyncMembers, SyncEnd]
    assert {r.name for r in sent[1].records} == {"me", "a"}
    assert {member.name for member in bench.engine.members()} == {"me", "a", "b", "peer"}
    assert closes(bench, exchange) == [CloseExchange(exchange)]


def test_a_table_that_was_read_is_merged_even_when_the_peer_does_not_wait_for_ours() -> None:
    bench = Bench()
    exchange = bench.accept()
    bench.frames(exchange, *table(record("peer"), record("b")))
    assert bench.engine.member("b") is None
    bench.take(bench.engine.exchange_failed(exchange, DialFailure.RESET, now=bench.now))
    assert bench.engine.member("b") is not None


def refusal_of(bench: Bench, exchange: int) -> Refusal:
    frames = bench.frames_sent(exchange)
    assert isinstance(frames[-1], Refusal)
    assert closes(bench, exchange) == [CloseExchange(exchange, drain=True)]
    return frames[-1]


def test_a_joiner_that_is_not_admitted_is_told_and_nothing_is_learned() -> None:
    bench = Bench(admit=lambda member: member.name != "peer")
    exchange = bench.accept()
    bench.frames(exchange, *table(record("peer"), record("b")))
    assert refusal_of(bench, exchange).reason == RefusalReason.NOT_ADMITTED
    assert [member.name for member in bench.engine.members()] == ["me"]


def test_a_member_that_is_not_admitted_does_not_get_in_with_the_next_exchange() -> None:
    """memberlist asks its merge delegate at joins only."""
    bench = Bench(admit=lambda member: member.name != "intruder")
    bench.know("a")
    exchange = bench.accept()
    bench.frames(exchange, *table(record("peer"), record("intruder")))
    bench.frames_sent(exchange)
    bench.receive("a", alive("intruder"))
    assert bench.engine.member("intruder") is None
    assert bench.engine.member("peer") is not None
    assert bench.count("refused_by_hook") == 2


def test_an_incompatible_peer_is_refused_with_both_versions() -> None:
    bench = Bench(versions=Versions(1, 2, 2, 3, 5, 4))
    exchange = bench.accept()
    bench.frames(exchange, *table(record("peer", versions=bytes((1, 1, 1, 3, 5, 4)))))
    refusal = refusal_of(bench, exchange)
    assert refusal.reason == RefusalReason.INCOMPATIBLE
    assert "peer speaks protocol 1" in refusal.text
    bench.frames(
        exchange := bench.accept(), *table(record("peer", versions=bytes((1, 2, 2, 0, 3, 1))))
    )
    assert "user protocol 1" in refusal_of(bench, exchange).text
    exchange = bench.accept()
    bench.frames(exchange, *table(record("peer", versions=bytes((1, 2, 2, 3, 5, 4)))))
    bench.frames_sent(exchange)
    assert bench.engine.member("peer") is not None


def test_a_peer_that_is_missing_in_its_own_table_is_refused() -> None:
    bench = Bench()
    exchange = bench.accept()
    bench.frames(exchange, *table(record("somebody")))
    assert refusal_of(bench, exchange).reason == RefusalReason.MALFORMED


def test_a_table_with_members_missing_is_refused_as_a_whole() -> None:
    bench = Bench()
    exchange = bench.accept()
    bench.frames(
        exchange,
        SyncOpen("peer", address_of("peer"), True),
        SyncMembers([record("peer")]),
        SyncEnd(2),
    )
    assert refusal_of(bench, exchange).reason == RefusalReason.MALFORMED
    assert bench.engine.member("peer") is None


def test_a_table_that_is_too_large_is_refused() -> None:
    bench = Bench(members_max=10)
    exchange = bench.accept()
    bench.frames(
        exchange,
        SyncOpen("peer", address_of("peer"), True),
        SyncMembers([record(f"n{number}") for number in range(11)]),
    )
    assert refusal_of(bench, exchange).reason == RefusalReason.TOO_LARGE


def test_exchanges_beyond_the_limit_are_refused_as_busy_and_others_free_their_place() -> None:
    bench = Bench(sync_concurrent_max=2)
    opening = SyncOpen("peer", address_of("peer"), True)
    first, second, third = bench.accept(), bench.accept(), bench.accept()
    for exchange in (first, second, third):
        bench.frames(exchange, opening)
    assert refusal_of(bench, third).reason == RefusalReason.BUSY
    bench.take(bench.engine.exchange_failed(first, DialFailure.RESET, now=bench.now))
    bench.frames(second, Refusal(RefusalReason.LEAVING, ""))
    fourth, fifth, sixth = bench.accept(), bench.accept(), bench.accept()
    for exchange in (fourth, fifth):
        bench.frames(exchange, *table(record("peer")))
        assert isinstance(bench.frames_sent(exchange)[-1], SyncEnd)
    bench.frames(sixth, SyncMembers([]))
    assert refusal_of(bench, sixth).reason == RefusalReason.MALFORMED
    for _ in range(3):
        exchange = bench.accept()
        bench.frames(exchange, opening, opening)
        assert refusal_of(bench, exchange).reason == RefusalReason.MALFORMED
    assert bench.engine._parts.sync.answering == 0


def test_a_leaving_member_refuses_exchanges() -> None:
    bench = Bench()
    bench.know("a")
    bench.take(bench.engine.leave(token=1, now=bench.now))
    exchange = bench.accept()
    bench.frames(exchange, *table(record("peer"), joining=True))
    assert refusal_of(bench, exchange).reason == RefusalReason.LEAVING


def test_garbage_on_an_accepted_stream_is_refused_and_counted() -> None:
    bench = Bench()
    exchange = bench.accept()
    bench.take(bench.engine.exchange_received(exchange, b"GET / HTTP/1.1\r\n", now=bench.now))
    assert refusal_of(bench, exchange).reason == RefusalReason.MALFORMED
    assert bench.count("frame_frame_length") == 1


def test_garbage_on_a_stream_that_we_opened_ends_the_exchange() -> None:
    bench = Bench()
    exchange = join(bench)
    bench.take(bench.engine.exchange_received(exchange, b"\xff" * 20, now=bench.now))
    assert isinstance(bench.results[1].error, PeerUnreachableError)
    assert closes(bench, exchange) == [CloseExchange(exchange)]


def test_frames_after_the_end_are_counted() -> None:
    bench = Bench()
    exchange = bench.accept()
    data = b"".join(
        CODEC.encode_frame(frame) for frame in (SyncMembers([]), SyncMembers([]), SyncMembers([]))
    )
    bench.take(bench.engine.exchange_received(exchange, data, now=bench.now))
    assert bench.count("frame_after_end") == 1


def test_a_stream_on_which_nothing_comes_is_closed() -> None:
    bench = Bench()
    exchange = bench.accept()
    bench.wait(bench.config.stream_timeout + 0.1)
    assert closes(bench, exchange) == [CloseExchange(exchange)]


def test_a_stream_ping_for_us_is_answered_and_for_another_refused() -> None:
    bench = Bench()
    exchange = bench.accept()
    bench.frames(exchange, StreamPing(5, "me", "peer"))
    assert bench.frames_sent(exchange) == [StreamAck(5)]
    exchange = bench.accept()
    bench.frames(exchange, StreamPing(5, "you", "peer"))
    assert refusal_of(bench, exchange).reason == RefusalReason.WRONG_MEMBER


def test_inputs_for_an_exchange_that_has_ended_are_ignored() -> None:
    bench = Bench()
    exchange = bench.accept()
    bench.frames(exchange, StreamPing(5, "me", "peer"))
    bench.clear()
    engine: Engine = bench.engine
    for outputs in (
        engine.exchange_opened(exchange, now=bench.now),
        engine.exchange_received(exchange, b"x", now=bench.now),
        engine.exchange_writable(exchange, now=bench.now),
        engine.exchange_delivered(exchange, now=bench.now),
        engine.exchange_failed(exchange, DialFailure.RESET, now=bench.now),
    ):
        assert outputs == []


# -- periodic exchanges -----------------------------------------------------------------


def test_tables_are_exchanged_periodically_and_rarer_in_large_clusters() -> None:
    bench = Bench(probe_interval=1e6, probe_timeout=1.0, rejoin_interval=1e6)
    bench.know("a")
    bench.clear()
    bench.wait(121.0)
    assert len(bench.opened()) in (4, 5)
    for number in range(99):
        bench.receive("x", alive(f"n{number}"))
    bench.wait(60.0)
    bench.clear()
    bench.wait(361.0)
    assert len(bench.opened()) == 4, "every 90 seconds at 101 members"


def test_alone_no_tables_are_exchanged() -> None:
    bench = Bench()
    bench.wait(100.0)
    assert not bench.opened()


# -- reliable messages ------------------------------------------------------------------


def send(bench: Bench, payload: bytes, name: str = "a") -> int:
    bench.take(bench.engine.send_reliable(name, payload, token=5, now=bench.now))
    exchange = bench.opened()[-1].exchange
    bench.take(bench.engine.exchange_opened(exchange, now=bench.now))
    return exchange


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, 200_000])
def test_a_reliable_message_travels_in_chunks_and_is_acknowledged(size: int) -> None:
    sender, receiver = Bench(name="s"), Bench(name="r")
    sender.know("r")
    payload = bytes(size)
    outgoing = send(sender, payload, "r")
    incoming = receiver.accept("s")
    frames = sender.frames_sent(outgoing)
    assert frames[0] == MessageOpen("s", "r", size)
    assert all(len(frame.data) <= 64 * 1024 for frame in frames[1:])
    receiver.frames(incoming, *frames)
    [message] = receiver.seen(MessageReceived)
    assert (message.sender, message.payload, message.delivery) == ("s", payload, Delivery.STREAM)
    assert not receiver.frames_sent(incoming), "not acknowledged before it is delivered"
    receiver.take(receiver.engine.exchange_delivered(incoming, now=receiver.now))
    answers = receiver.frames_sent(incoming)
    assert answers == [MessageAck()]
    assert 5 not in sender.results
    sender.frames(outgoing, *answers)
    assert sender.results[5].error is None


def test_a_message_over_the_limit_is_refused_at_the_call() -> None:
    bench = Bench(message_bytes_max=1000)
    bench.know("a")
    with pytest.raises(LocalProtocolError, match="1001 bytes is over the limit of 1000"):
        bench.engine.send_reliable("a", bytes(1001), token=5, now=bench.now)
    send(bench, bytes(1000))


def test_a_message_to_nobody_is_refused_at_the_call() -> None:
    bench = Bench()
    for name in ("ghost", "a"):
        with pytest.raises(LocalProtocolError, match="no alive or suspect member"):
            bench.engine.send_reliable(name, b"", token=5, now=bench.now)
    bench.know("a")


def test_an_acknowledgement_before_the_whole_message_is_none() -> None:
    bench = Bench()
    bench.know("a")
    exchange = send(bench, bytes(100))
    bench.frames(exchange, MessageAck())
    assert isinstance(bench.results[5].error, PeerUnreachableError)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([MessageOpen("s", "you", 5)], RefusalReason.WRONG_MEMBER),
        ([MessageOpen("s", "me", 2001)], RefusalReason.TOO_LARGE),
        ([MessageOpen("s", "me", 5), MessageChunk(b"123456")], RefusalReason.MALFORMED),
        ([MessageOpen("s", "me", 5), MessageChunk(b"")], RefusalReason.MALFORMED),
        ([MessageOpen("s", "me", 5), StreamAck(1)], RefusalReason.MALFORMED),
    ],
)
def test_a_message_that_makes_no_sense_is_refused(
    frames: list[Frame], reason: RefusalReason
) -> None:
    bench = Bench(message_bytes_max=2000)
    exchange = bench.accept()
    bench.frames(exchange, *frames)
    assert refusal_of(bench, exchange).reason == reason
    assert not bench.seen(MessageReceived)


def test_a_refused_message_raises_at_the_sender() -> None:
    bench = Bench()
    bench.know("a")
    exchange = send(bench, b"x")
    bench.frames(exchange, Refusal(RefusalReason.WRONG_MEMBER, "this is b"))
    assert isinstance(bench.results[5].error, RemoteProtocolError)
    assert "this is b" in str(bench.results[5].error)


def test_a_message_that_is_not_taken_in_time_fails_at_both_ends() -> None:
    receiver = Bench()
    exchange = receiver.accept("s")
    receiver.frames(exchange, MessageOpen("s", "me", 1), MessageChunk(b"x"))
    receiver.wait(receiver.config.stream_timeout + 0.1)
    assert closes(receiver, exchange) == [CloseExchange(exchange)]


def test_an_exchange_with_ourselves_is_harmless() -> None:
    bench = Bench()
    asking = join(bench, "me")
    answering = bench.accept("me")
    bench.frames(answering, *bench.frames_sent(asking))
    bench.frames(asking, *bench.frames_sent(answering))
    assert bench.results[1].result == 1
    assert bench.engine.members() == (Member("me", address_of("me"), MemberState.ALIVE, 10),)
