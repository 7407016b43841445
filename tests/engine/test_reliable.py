"""Reliable messages by stream."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench
from tests.engine.exchanging import closes, refusal_of
from trio_gossip.codec.messages import (
    Frame,
    MessageAck,
    MessageChunk,
    MessageOpen,
    Refusal,
    StreamAck,
)
from trio_gossip.engine import CloseExchange
from trio_gossip.errors import LocalProtocolError, PeerUnreachableError, RemoteProtocolError
from trio_gossip.events import (
    Delivery,
    MessageReceived,
)
from trio_gossip.failures import DialFailure, RefusalReason


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


def test_messages_that_nobody_reads_are_held_up_to_a_bound() -> None:
    """256 streams with 20 MiB each would have been five gigabytes."""
    bench = Bench(message_bytes_max=100_000)
    waiting = []
    for _ in range(4):
        exchange = bench.accept("s")
        bench.frames(exchange, MessageOpen("s", "me", 100_000), MessageChunk(bytes(100_000)))
        waiting.append(exchange)
    assert len(bench.seen(MessageReceived)) == 4
    extra = bench.accept("s")
    bench.frames(extra, MessageOpen("s", "me", 10), MessageChunk(bytes(10)))
    assert refusal_of(bench, extra).reason == RefusalReason.BUSY
    bench.take(bench.engine.exchange_delivered(waiting[0], now=bench.now))
    bench.take(bench.engine.exchange_failed(waiting[1], DialFailure.RESET, now=bench.now))
    bench.frames(waiting[2], Refusal(RefusalReason.BUSY, ""))
    bench.wait(bench.config.stream_timeout + 0.1)
    assert bench.engine._parts.mail.held == 0
