"""Requests that services send to each other by stream, and their commands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from trio_gossip.codec.frames import REFUSAL_TEXT_MAX, SERVICE_BYTES_MAX
from trio_gossip.codec.messages import ServiceAnswer, ServiceNews, ServiceRequest
from trio_gossip.engine.session import Exchange, Session
from trio_gossip.engine.sync import describe, refusal_name
from trio_gossip.errors import LocalProtocolError, PeerUnreachableError, RemoteProtocolError
from trio_gossip.failures import DialFailure, RefusalReason
from trio_gossip.services.base import RequestRefusedError

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Frame, Refusal
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.outputs import Token
    from trio_gossip.engine.streams import Streams
    from trio_gossip.members import Member
    from trio_gossip.plane import Plane
    from trio_gossip.services.base import Answered, Service

NEWS_OVERHEAD: Final = 8
"""Bytes around the payload of news: an array of three, its code, the service, a length."""

REQUESTS_MAX: Final = 256
"""Requests of all services of a member that are under way at once; one more is refused."""


class Requests:
    """The services of a member, and the way between those of one kind.

    Attributes:
        asked: requests of ours that are under way.
    """

    def __init__(self, node: Node, streams: Streams, services: Sequence[Service]) -> None:
        self._node = node
        self._streams = streams
        self._services: dict[int, Service] = {}
        self.asked = 0
        for service in services:
            if service.code in self._services:
                raise LocalProtocolError(f"two services have the code {service.code}")
            self._services[service.code] = service
            service.attach(_EngineHost(self, node, service.code))

    def service(self, code: int) -> Service:
        """The service with this code.

        Raises:
            LocalProtocolError: there is none.
        """
        found = self.find(code)
        if found is None:
            raise LocalProtocolError(f"this member has no service {code}")
        return found

    def find(self, code: int) -> Service | None:
        """The service with this code, if there is one."""
        return self._services.get(code)

    def planes(self) -> list[Plane]:
        """What the services want to be kept alike at all members, by code."""
        found = [plane for service in self._services.values() for plane in service.planes]
        return sorted(found, key=lambda plane: plane.code)

    def news(self, message: ServiceNews, source: Address) -> None:
        """News for a service came. Only members are heard."""
        node = self._node
        name = node.table.name_at(source)
        service = self.find(message.service)
        if name is None or service is None:
            node.counters.bump("news_of_stranger" if name is None else "news_for_unknown_service")
            return
        service.news_untrusted(message.payload, name)

    def forget(self, name: str) -> None:
        """A member was reaped."""
        for service in self._services.values():
            service.forget(name)

    def counted(self, name: str, is_active: bool) -> None:
        """A member became active, or is active no more."""
        for service in self._services.values():
            service.counted(name, is_active)

    def met(self, name: str, mode: str) -> None:
        """Tables were exchanged with a member, in that mode."""
        for service in self._services.values():
            service.met(name, mode)

    def abandon(self, token: Token) -> None:
        """Nobody waits for this command any more."""
        for service in self._services.values():
            service.abandon(token)

    def timeout(self, code: int) -> None:
        """Timer: the deadline of a service."""
        self._services[code].handle_timeout()

    def ask(self, code: int, name: str, payload: bytes, answered: Answered) -> None:
        """Send a request; see :meth:`~trio_gossip.services.base.Host.request`."""
        node = self._node
        member = self._peer(name)
        if len(payload) > SERVICE_BYTES_MAX:
            raise LocalProtocolError(
                f"a request of {len(payload)} bytes is over the limit of {SERVICE_BYTES_MAX} bytes"
            )
        if self.asked >= REQUESTS_MAX:
            node.counters.bump("request_not_sent")
            raise LocalProtocolError(f"{REQUESTS_MAX} requests are under way already")
        self.asked += 1
        asking = _Asking(self, self._streams, ServiceRequest(node.name, name, code, payload))
        asking.answered = answered
        self._streams.dial(asking, member.address, member.name, node.config.stream_timeout)

    @property
    def news_room(self) -> int:
        """Bytes of the longest payload of news."""
        node = self._node
        return node.codec.room(node.packet_limit).free - NEWS_OVERHEAD

    def tell(self, code: int, key: object, payload: bytes) -> None:
        """Queue news; see :meth:`~trio_gossip.services.base.Host.tell`."""
        node = self._node
        data = node.codec.encode(self._news(code, payload))
        node.queue.news.put((code, key), data, source=node.told_by())
        node.wake_gossip()

    def send(self, code: int, name: str, payload: bytes) -> None:
        """Send news to one; see :meth:`~trio_gossip.services.base.Host.send`."""
        member = self._peer(name)
        message = self._news(code, payload)
        self._node.outbox.packet(member.address, member.name, message, piggyback=False)

    def _news(self, code: int, payload: bytes) -> ServiceNews:
        room = self.news_room
        if len(payload) > room:
            raise LocalProtocolError(f"news of {len(payload)} bytes is over the room of {room}")
        return ServiceNews(code, payload)

    def _peer(self, name: str) -> Member:
        node = self._node
        entry = node.table.get(name)
        if entry is None or entry is node.me or not entry.member.is_active:
            raise LocalProtocolError(f"{name!r} is no other alive or suspect member")
        return entry.member

    def received(self, exchange: Exchange, frame: ServiceRequest) -> None:
        """A peer opened a stream with a request: answer it and close."""
        node = self._node
        if frame.target != node.name:
            text = f"this is {node.name}, not {frame.target}"
            self._refuse(exchange, RefusalReason.WRONG_MEMBER, text)
            return
        entry = node.table.get(frame.source)
        if entry is None or entry is node.me or not entry.member.is_active:
            node.counters.bump("request_of_stranger")
            text = f"{frame.source} is no active member here"
            self._refuse(exchange, RefusalReason.NOT_ADMITTED, text)
            return
        service = self.find(frame.service)
        if service is None:
            node.counters.bump("request_for_unknown_service")
            text = f"{node.name} has no service {frame.service}"
            self._refuse(exchange, RefusalReason.INCOMPATIBLE, text)
            return
        try:
            answer = service.answer_untrusted(frame.payload, frame.source)
        except RequestRefusedError as error:
            node.counters.bump("request_refused_by_service")
            self._refuse(exchange, RefusalReason.MALFORMED, str(error))
            return
        if len(answer) > SERVICE_BYTES_MAX:
            node.counters.bump("answer_too_long")
            text = f"the answer is over the limit of {SERVICE_BYTES_MAX} bytes"
            self._refuse(exchange, RefusalReason.TOO_LARGE, text)
            return
        self._streams.send(exchange, ServiceAnswer(answer))
        self._streams.close(exchange)

    def _refuse(self, exchange: Exchange, reason: RefusalReason, text: str) -> None:
        self._streams.refuse(exchange, reason, text[:REFUSAL_TEXT_MAX])


class _Asking(Session):
    """One request of ours."""

    answered: Answered

    def __init__(self, requests: Requests, streams: Streams, request: ServiceRequest) -> None:
        self._requests = requests
        self._streams = streams
        self._request = request

    def opened(self, exchange: Exchange) -> None:
        self._streams.send(exchange, self._request)

    def frame(self, exchange: Exchange, frame: Frame) -> None:
        if isinstance(frame, ServiceAnswer):
            self._streams.close(exchange)
            self._end(frame.payload)
        else:
            self._streams.unexpected(exchange, frame)

    def refused(self, exchange: Exchange, refusal: Refusal) -> None:
        why = f"({refusal_name(refusal.reason)}): {refusal.text}"
        self._end(RemoteProtocolError(f"{self._request.target} refused the request {why}"))

    def failed(self, exchange: Exchange, failure: DialFailure) -> None:
        text = f"{self._request.target} at {exchange.address}: {describe(exchange, failure)}"
        self._end(PeerUnreachableError(text))

    def _end(self, answer: bytes | Exception) -> None:
        self._requests.asked -= 1
        self.answered(answer)


class _EngineHost:
    """The engine as one service sees it."""

    def __init__(self, requests: Requests, node: Node, code: int) -> None:
        self._requests = requests
        self._node = node
        self._code = code

    @property
    def name(self) -> str:
        return self._node.name

    @property
    def now(self) -> float:
        return self._node.now

    @property
    def rng(self) -> random.Random:
        return self._node.rng

    def members(self) -> tuple[Member, ...]:
        return tuple(entry.member for entry in self._node.table if entry.member.is_active)

    @property
    def room(self) -> int:
        return self._requests.news_room

    def is_known(self, name: str) -> bool:
        return self._node.table.get(name) is not None

    def tell(self, key: object, payload: bytes) -> None:
        self._requests.tell(self._code, key, payload)

    def send(self, member: str, payload: bytes) -> None:
        self._requests.send(self._code, member, payload)

    def request(self, member: str, payload: bytes, answered: Answered) -> None:
        self._requests.ask(self._code, member, payload, answered)

    def complete(self, token: int, result: object = None, error: Exception | None = None) -> None:
        self._node.outbox.complete(token, result, error)

    def set_deadline(self, at: float) -> None:
        key = ("service", self._code)
        if at == math.inf:
            self._node.timers.cancel(key)
        else:
            self._node.timers.set(key, at)

    def bump(self, counter: str) -> None:
        self._node.counters.bump(counter)
