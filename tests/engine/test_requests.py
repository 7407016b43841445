"""Requests between the services of members, and commands of services."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from tests.engine.bench import CODEC, Bench, address_of, alive
from tests.engine.exchanging import refusal_of
from trio_gossip.addresses import Address
from trio_gossip.codec.frames import REFUSAL_TEXT_MAX, SERVICE_BYTES_MAX
from trio_gossip.codec.messages import (
    Alive,
    Dead,
    Refusal,
    ServiceAnswer,
    ServiceRequest,
    StreamAck,
)
from trio_gossip.config import Config
from trio_gossip.engine import CloseExchange, Engine
from trio_gossip.engine.requests import REQUESTS_MAX
from trio_gossip.errors import LocalProtocolError, PeerUnreachableError, RemoteProtocolError
from trio_gossip.failures import DialFailure, RefusalReason
from trio_gossip.services.base import Host, RequestRefusedError, Service

ECHO = 7


class Echo(Service):
    """Answers with what it was asked; does as the command says."""

    code = ECHO

    def __init__(self, code: int = ECHO) -> None:
        self.code = code
        self.host: Host | None = None
        self.asked: list[tuple[bytes, str]] = []
        self.abandoned: list[int] = []
        self.woken: list[float] = []
        self.news: list[tuple[bytes, str]] = []
        self.forgotten: list[str] = []
        self.counts: list[tuple[str, bool]] = []
        self.friends: list[str] = []

    def attach(self, host: Host) -> None:
        assert self.host is None
        self.host = host

    def call(self, command: object, token: int) -> None:
        assert callable(command)
        command(self.host, token)

    def news_untrusted(self, payload: bytes, source: str) -> None:
        self.news.append((payload, source))

    def forget(self, name: str) -> None:
        self.forgotten.append(name)

    def counted(self, name: str, is_active: bool) -> None:
        self.counts.append((name, is_active))

    def met(self, member: str, mode: str) -> None:
        self.friends.append(member)

    def abandon(self, token: int) -> None:
        self.abandoned.append(token)

    def answer_untrusted(self, payload: bytes, source: str) -> bytes:
        if payload.startswith(b"bad"):
            raise RequestRefusedError("not that " + "!" * 500)
        self.asked.append((payload, source))
        return bytes(SERVICE_BYTES_MAX + 1) if payload == b"too much" else payload.upper()

    def handle_timeout(self) -> None:
        assert self.host is not None
        self.woken.append(self.host.now)


class ServiceBench(Bench):
    """A bench whose engine has the service; it knows ``a``."""

    def __init__(self, *, name: str = "me", services: list[Service] | None = None) -> None:
        super().__init__(name=name)
        self.echo = Echo()
        self.engine = Engine(
            Config.lan(name=name),
            address_of(name),
            rng=random.Random(1),
            packet_limit=1400,
            incarnation=10,
            services=[self.echo] if services is None else services,
        )
        self.take(self.engine.start(now=self.now))
        self.know("a")
        self.clear()

    def call(self, command: Callable[[Host, int], None], token: int = 5) -> None:
        self.take(self.engine.call_service(ECHO, command, token=token, now=self.now))

    def ask(self, payload: bytes = b"hi", name: str = "a") -> tuple[int, list[bytes | Exception]]:
        """Send a request by stream; returns the exchange and where the answer will be."""
        answers: list[bytes | Exception] = []
        self.call(lambda host, _: host.request(name, payload, answers.append))
        exchange = self.opened()[-1].exchange
        self.take(self.engine.exchange_opened(exchange, now=self.now))
        return exchange, answers

    def asked(self, *frame: object, names: tuple[str, ...] = ()) -> int:
        """A request comes; returns the exchange."""
        exchange = self.engine.new_exchange()
        where = Address("h-a", 40000)
        self.take(self.engine.exchange_accepted(exchange, where, names, now=self.now))
        self.frames(exchange, ServiceRequest(*frame))  # type: ignore[arg-type]
        return exchange


def test_a_request_is_answered_by_the_service_of_the_other_member() -> None:
    asking, answering = ServiceBench(name="a"), ServiceBench(name="b")
    asking.know("b")
    outgoing, answers = asking.ask(b"hello", "b")
    assert asking.opened()[-1].address == address_of("b")
    frames = asking.frames_sent(outgoing)
    assert frames == [ServiceRequest("a", "b", ECHO, b"hello")]
    incoming = answering.accept("a")
    answering.frames(incoming, *frames)
    assert answering.echo.asked == [(b"hello", "a")]
    [answer] = answering.frames_sent(incoming)
    assert answer == ServiceAnswer(b"HELLO")
    assert answering.outputs[-1] == CloseExchange(incoming)
    assert answers == []
    asking.frames(outgoing, answer)
    assert answers == [b"HELLO"]
    assert asking.outputs[-1] == CloseExchange(outgoing)
    assert answering.engine.statistics().exchanges == asking.engine.statistics().exchanges == 0


@pytest.mark.parametrize(
    ("frame", "reason", "text"),
    [
        (("a", "you", ECHO, b""), RefusalReason.WRONG_MEMBER, "this is me, not you"),
        (("a", "me", 8, b""), RefusalReason.INCOMPATIBLE, "me has no service 8"),
        (("ghost", "me", ECHO, b""), RefusalReason.NOT_ADMITTED, "ghost is no active member here"),
        (("gone", "me", ECHO, b""), RefusalReason.NOT_ADMITTED, "gone is no active member here"),
        (("me", "me", ECHO, b""), RefusalReason.NOT_ADMITTED, "me is no active member here"),
        (("a", "me", ECHO, b"bad"), RefusalReason.MALFORMED, "not that !"),
    ],
)
def test_a_request_that_is_not_for_the_service_is_refused_with_the_reason(
    frame: tuple[object, ...], reason: RefusalReason, text: str
) -> None:
    bench = ServiceBench()
    bench.receive("gone", Alive(1, "gone", address_of("gone"), b"", alive("x").versions))
    bench.receive("gone", Dead(1, "gone", "gone"))
    exchange = bench.asked(*frame)
    refusal = refusal_of(bench, exchange)
    assert refusal.reason == reason
    assert refusal.text.startswith(text)
    assert len(refusal.text) <= REFUSAL_TEXT_MAX
    assert bench.echo.asked == []
    assert bench.engine.statistics().exchanges == 0
    counters = {
        RefusalReason.NOT_ADMITTED: "request_of_stranger",
        RefusalReason.INCOMPATIBLE: "request_for_unknown_service",
        RefusalReason.MALFORMED: "request_refused_by_service",
        RefusalReason.WRONG_MEMBER: "exchange_refused_wrong_member",
    }
    assert bench.count(counters[reason]) == 1


def test_a_request_in_a_name_that_the_transport_does_not_vouch_for_is_refused() -> None:
    bench = ServiceBench()
    exchange = bench.asked("a", "me", ECHO, b"", names=("b", "c"))
    assert refusal_of(bench, exchange).text == "your certificate does not name a"
    assert bench.echo.asked == []
    bench.asked("a", "me", ECHO, b"", names=("b", "a"))
    assert bench.echo.asked == [(b"", "a")]


def test_a_member_without_services_says_so() -> None:
    bench = ServiceBench(services=[])
    exchange = bench.asked("a", "me", ECHO, b"")
    assert refusal_of(bench, exchange).text == f"me has no service {ECHO}"


@pytest.mark.parametrize("frame", [ServiceAnswer(b""), StreamAck(1)])
def test_an_answer_that_nobody_asked_for_is_malformed(frame: ServiceAnswer | StreamAck) -> None:
    bench = ServiceBench()
    exchange = bench.accept("a")
    bench.frames(exchange, frame)
    assert refusal_of(bench, exchange).reason == RefusalReason.MALFORMED


def test_a_refused_request_tells_the_service_why() -> None:
    bench = ServiceBench()
    exchange, answers = bench.ask()
    bench.frames(exchange, Refusal(RefusalReason.INCOMPATIBLE, "a has no service 7"))
    [error] = answers
    assert isinstance(error, RemoteProtocolError)
    assert str(error) == "a refused the request (incompatible): a has no service 7"


def test_a_request_that_cannot_be_sent_tells_the_service_why() -> None:
    bench = ServiceBench()
    exchange, answers = bench.ask()
    bench.take(bench.engine.exchange_failed(exchange, DialFailure.REFUSED, now=bench.now))
    [error] = answers
    assert isinstance(error, PeerUnreachableError)
    assert str(error) == "a at h-a:7946: refused"


def test_a_request_without_an_answer_times_out() -> None:
    bench = ServiceBench()
    _, answers = bench.ask()
    bench.answer("a")
    bench.wait(bench.config.stream_timeout + 0.1)
    assert isinstance(answers[0], PeerUnreachableError)
    assert "timed out" in str(answers[0])


def test_another_frame_is_no_answer() -> None:
    bench = ServiceBench()
    exchange, answers = bench.ask()
    bench.frames(exchange, StreamAck(1))
    assert isinstance(answers[0], PeerUnreachableError)
    assert bench.count("frame_unexpected") == 1


@pytest.mark.parametrize("name", ["ghost", "gone", "me"])
def test_only_another_active_member_can_be_asked(name: str) -> None:
    bench = ServiceBench()
    bench.know("gone")
    bench.receive("gone", Dead(1, "gone", "gone"))
    with pytest.raises(LocalProtocolError, match=f"'{name}' is no other alive or suspect member"):
        bench.ask(name=name)
    assert not bench.opened()


def test_a_request_has_a_largest_size() -> None:
    bench = ServiceBench()
    with pytest.raises(LocalProtocolError, match="262145 bytes is over the limit of 262144"):
        bench.ask(bytes(SERVICE_BYTES_MAX + 1))
    assert not bench.opened()
    exchange, answers = bench.ask(bytes(SERVICE_BYTES_MAX))
    bench.frames(exchange, ServiceAnswer(b"ok"))
    assert answers == [b"ok"]


def test_requests_under_way_are_bounded_and_each_end_makes_room() -> None:
    bench = ServiceBench()
    asked = [bench_token(bench, token) for token in range(REQUESTS_MAX)]
    with pytest.raises(LocalProtocolError, match="256 requests are under way"):
        bench_token(bench, 999)
    assert bench.count("request_not_sent") == 1
    engine = bench.engine
    ends = (
        lambda: engine.exchange_received(
            asked[0], CODEC.encode_frame(ServiceAnswer(b"")), now=bench.now
        ),
        lambda: engine.exchange_failed(asked[1], DialFailure.RESET, now=bench.now),
        lambda: engine.exchange_received(
            asked[2], CODEC.encode_frame(Refusal(1, "")), now=bench.now
        ),
    )
    for number, end in enumerate(ends):
        bench.take(end())
        bench_token(bench, 1000 + number)
        with pytest.raises(LocalProtocolError, match="under way"):
            bench_token(bench, 2000 + number)


def bench_token(bench: ServiceBench, token: int) -> int:
    bench.call(lambda host, _: host.request("a", b"", lambda _: None), token)
    return bench.opened()[-1].exchange


# -- commands ---------------------------------------------------------------------------


def test_a_command_completes_with_what_the_service_says() -> None:
    bench = ServiceBench()
    bench.call(lambda host, token: host.complete(token, "done"), 5)
    assert bench.results[5].result == "done"
    assert bench.results[5].error is None
    error = ValueError("no")
    bench.call(lambda host, token: host.complete(token, error=error), 5)
    assert bench.results[5].error is error


def test_a_command_may_complete_in_a_later_turn() -> None:
    bench = ServiceBench()
    bench.call(lambda host, token: host.request("a", b"", lambda got: host.complete(token, got)), 5)
    exchange = bench.opened()[-1].exchange
    bench.take(bench.engine.exchange_opened(exchange, now=bench.now))
    assert bench.results == {}
    bench.frames(exchange, ServiceAnswer(b"late"))
    assert bench.results[5].result == b"late"


def test_an_abandoned_command_completes_no_more() -> None:
    bench = ServiceBench()
    tokens: list[int] = []
    bench.call(lambda _, token: tokens.append(token), 5)
    bench.take(bench.engine.abandon(5, now=bench.now))
    assert bench.echo.abandoned == [5]
    assert bench.echo.host is not None
    bench.echo.host.complete(5, "late")
    bench.wait(1.0)
    assert bench.results == {}
    bench.call(lambda host, token: host.complete(token, "again"), 5)
    assert bench.results[5].result == "again"


def test_a_command_that_the_service_refuses_leaves_nothing_behind() -> None:
    bench = ServiceBench()

    def refuse(host: Host, token: int) -> None:
        raise LocalProtocolError("not like this")

    for _ in range(2):  # the token is free again
        with pytest.raises(LocalProtocolError, match="not like this"):
            bench.call(refuse, 5)


def test_a_command_for_no_service_is_misuse() -> None:
    bench = ServiceBench()
    with pytest.raises(LocalProtocolError, match="this member has no service 8"):
        bench.engine.call_service(8, None, token=5, now=bench.now)
    bench.call(lambda host, token: host.complete(token), 5)


def test_a_member_that_has_left_calls_no_service() -> None:
    bench = ServiceBench()
    bench.take(bench.engine.leave(token=1, now=bench.now))
    with pytest.raises(LocalProtocolError, match="left"):
        bench.call(lambda host, token: host.complete(token), 5)


def test_two_services_cannot_have_one_code() -> None:
    with pytest.raises(LocalProtocolError, match="two services have the code 7"):
        ServiceBench(services=[Echo(), Echo()])
    ServiceBench(services=[Echo(), Echo(8)])


# -- what a service sees ----------------------------------------------------------------


def test_a_service_sees_the_active_members_and_itself() -> None:
    bench = ServiceBench()
    host = bench.echo.host
    assert host is not None
    assert host.name == "me"
    bench.know("b", "c")
    bench.receive("b", Dead(1, "b", "b"))
    assert sorted(member.name for member in host.members()) == ["a", "c", "me"]


def test_a_service_is_woken_at_its_deadline_and_only_then() -> None:
    bench = ServiceBench()
    bench.answer("a")
    host = bench.echo.host
    assert host is not None
    bench.call(lambda host, token: host.set_deadline(host.now + 3.0))
    start = host.now
    bench.wait(2.9)
    assert bench.echo.woken == []
    bench.wait(5.0)
    assert bench.echo.woken == [pytest.approx(start + 3.0)]
    bench.call(lambda host, token: host.set_deadline(host.now + 3.0), 6)
    bench.call(lambda host, token: host.set_deadline(math.inf), 7)
    bench.wait(5.0)
    assert len(bench.echo.woken) == 1


def test_a_service_counts_in_the_statistics_and_has_the_engines_chance() -> None:
    bench = ServiceBench()
    host = bench.echo.host
    assert host is not None
    host.bump("echoed")
    assert bench.count("echoed") == 1
    assert isinstance(host.rng, random.Random)


def test_an_answer_that_is_too_long_is_not_sent_and_counted() -> None:
    bench = ServiceBench()
    exchange = bench.asked("a", "me", ECHO, b"too much")
    refusal = refusal_of(bench, exchange)
    assert refusal.reason == RefusalReason.TOO_LARGE
    assert refusal.text == "the answer is over the limit of 262144 bytes"
    assert bench.count("answer_too_long") == 1
