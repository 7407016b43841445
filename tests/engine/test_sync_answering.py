"""Push/pull that others begin, refusals, and what else arrives on streams."""

from __future__ import annotations

from tests.engine.bench import CODEC, Bench, address_of, alive
from tests.engine.exchanging import closes, join, record, refusal_of, table
from trio_gossip.codec.messages import (
    Refusal,
    StreamAck,
    StreamPing,
    SyncEnd,
    SyncMembers,
    SyncOpen,
)
from trio_gossip.engine import CloseExchange, Engine
from trio_gossip.errors import PeerUnreachableError
from trio_gossip.failures import DialFailure, RefusalReason
from trio_gossip.members import Versions


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


def test_frames_after_the_end_of_a_table_are_refused() -> None:
    """Each further end made us walk the whole table again; further members went unchecked."""
    bench = Bench()
    exchange = bench.accept()
    bench.frames(exchange, *table(record("peer")), SyncMembers([record("late")]))
    assert bench.count("frame_unexpected") == 1
    assert bench.engine.member("late") is None
    assert bench.engine._parts.sync.answering == 0


def test_tables_that_wait_to_be_merged_keep_their_place() -> None:
    bench = Bench(sync_concurrent_max=1, members_max=1000)
    exchange = bench.accept()
    names = ["peer", *(f"n{number}" for number in range(400))]
    opening = SyncOpen("peer", address_of("peer"), False)
    chunks = [SyncMembers([record(name) for name in names[at : at + 200]]) for at in (0, 200, 400)]
    bench.frames(exchange, opening, *chunks, SyncEnd(401))
    bench.frames_sent(exchange)
    assert len(bench.engine.members()) < 401, "it is still being merged"
    other = bench.accept()
    bench.frames(other, opening)
    assert refusal_of(bench, other).reason == RefusalReason.BUSY
    bench.wait(0.0)
    assert len(bench.engine.members()) == 402
    third = bench.accept()
    bench.frames(third, *table(record("peer")))
    assert isinstance(bench.frames_sent(third)[-1], SyncEnd)
