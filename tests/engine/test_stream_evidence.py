"""Stream pings as evidence: refused, stalled or silent, and how they are closed."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of
from tests.engine.exchanging import closes
from trio_gossip.codec.messages import StreamAck, StreamPing
from trio_gossip.engine import CloseExchange
from trio_gossip.engine.session import Exchange
from trio_gossip.failures import DialFailure


def pinging() -> tuple[Bench, int, list[str]]:
    """A bench that pings a member by stream; the exchange, and where the answer is noted."""
    bench = Bench()
    bench.know("a")
    bench.clear()
    answers: list[str] = []
    member = bench.member("a")
    streams = bench.engine._parts.streams
    bench.wait(0.0)
    exchange = streams.ping(member, 0.2, lambda: answers.append("a"))
    bench.take(bench.engine._node.outbox.take())
    return bench, exchange, answers


def found(bench: Bench, exchange: int) -> Exchange:
    exchange_of = bench.engine._parts.streams.find(exchange)
    assert exchange_of is not None
    return exchange_of


def connect(bench: Bench, exchange: int) -> None:
    bench.take(bench.engine.exchange_connected(exchange, now=bench.now))


def test_a_dial_is_not_connected_before_somebody_says_so() -> None:
    bench, exchange, _ = pinging()
    assert not found(bench, exchange).connected


def test_a_taken_connection_is_connected_and_nothing_is_sent_on_it_yet() -> None:
    bench, exchange, _ = pinging()
    connect(bench, exchange)
    assert found(bench, exchange).connected
    assert bench.frames_sent(exchange) == []


def test_an_open_stream_was_connected_also_where_nobody_said_so() -> None:
    bench, exchange, _ = pinging()
    bench.take(bench.engine.exchange_opened(exchange, now=bench.now))
    assert found(bench, exchange).connected
    assert isinstance(bench.frames_sent(exchange)[0], StreamPing)


def test_a_taken_connection_is_no_progress() -> None:
    """A handshake that nobody answers ends when the dial would have ended."""
    bench, exchange, _ = pinging()
    bench.wait(0.15)
    connect(bench, exchange)
    bench.wait(0.06)
    assert bench.engine._parts.streams.find(exchange) is None
    assert bench.count("dial_timed_out") == 1


def test_a_connection_that_is_taken_too_late_is_ignored() -> None:
    bench, exchange, _ = pinging()
    bench.wait(0.3)
    bench.clear()
    connect(bench, exchange)
    assert bench.opened() == []
    assert bench.frames_sent(exchange) == []


def test_an_answered_ping_aborts_its_stream() -> None:
    bench, exchange, answers = pinging()
    bench.take(bench.engine.exchange_opened(exchange, now=bench.now))
    [question] = bench.frames_sent(exchange)
    bench.frames(exchange, StreamAck(question.sequence))
    assert answers == ["a"]
    assert closes(bench, exchange) == [CloseExchange(exchange, abort=True)]


def test_a_cancelled_ping_aborts_its_stream() -> None:
    bench, exchange, _ = pinging()
    bench.engine._parts.streams.cancel(exchange)
    bench.take(bench.engine._node.outbox.take())
    assert closes(bench, exchange) == [CloseExchange(exchange, abort=True)]


@pytest.mark.parametrize("opened", [False, True])
def test_a_ping_without_an_answer_aborts_its_stream(opened: bool) -> None:
    bench, exchange, answers = pinging()
    if opened:
        bench.take(bench.engine.exchange_opened(exchange, now=bench.now))
    bench.wait(0.5)
    assert answers == []
    assert closes(bench, exchange) == [CloseExchange(exchange, abort=True)]


def test_a_refused_ping_aborts_its_stream() -> None:
    bench, exchange, _ = pinging()
    bench.take(bench.engine.exchange_failed(exchange, DialFailure.REFUSED, now=bench.now))
    assert closes(bench, exchange) == [CloseExchange(exchange, abort=True)]
    assert bench.count("dial_refused") == 1


def test_other_exchanges_are_not_aborted() -> None:
    bench = Bench()
    bench.know("a")
    bench.take(bench.engine.join(address_of("a"), token=1, now=bench.now))
    [opened] = bench.opened()
    bench.take(bench.engine.exchange_failed(opened.exchange, DialFailure.RESET, now=bench.now))
    assert closes(bench, opened.exchange) == [CloseExchange(opened.exchange)]
