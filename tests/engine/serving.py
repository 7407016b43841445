"""A service that echoes, and an engine with it on a workbench."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.engine.bench import Bench, address_of
from trio_gossip.addresses import Address
from trio_gossip.codec.frames import SERVICE_BYTES_MAX
from trio_gossip.codec.messages import (
    ServiceRequest,
)
from trio_gossip.config import Config
from trio_gossip.engine import Engine
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

    def met(self, member: str) -> None:
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
