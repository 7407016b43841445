"""Messages of the application: to everybody, to one, and reliably to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.codec.messages import (
    PARCEL_BYTES_MAX,
    Announce,
    Broadcast,
    MessageAck,
    MessageChunk,
    MessageOpen,
    Refusal,
    UserMessage,
)
from trio_gossip.engine.bucket import TokenBucket
from trio_gossip.engine.parcels import Parcels
from trio_gossip.engine.seen import Seen
from trio_gossip.engine.session import Exchange, Session
from trio_gossip.engine.sync import describe, refusal_name
from trio_gossip.errors import (
    BroadcastRateError,
    LocalProtocolError,
    PeerUnreachableError,
    RemoteProtocolError,
)
from trio_gossip.events import Delivery, MessageReceived
from trio_gossip.failures import DialFailure, RefusalReason

if TYPE_CHECKING:
    from trio_gossip.codec.messages import Frame
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.outputs import Token
    from trio_gossip.engine.streams import Streams
    from trio_gossip.members import Member

BROADCAST_UNIT: Final = 100
"""Bytes of a broadcast for which one token of ``broadcast_rate`` is taken; a smaller one takes one
as well. Large messages fill packets sooner, and it is packets of which there are not enough."""

PARCEL_UNIT: Final = 1000
"""The same for one that is announced and goes by stream."""

HELD_MESSAGES: Final = 4
"""Reliable messages of the largest size whose bytes are held at once, complete or not; what
comes beyond is refused as busy."""


class Mail:
    """Sends and receives the application's messages."""

    def __init__(self, node: Node, streams: Streams) -> None:
        self._node = node
        self._streams = streams
        self._seen = Seen()
        self.parcels = Parcels(node, self._seen.is_new)
        self._counter = 0
        self._rate = TokenBucket(node.config.broadcast_rate, node.config.broadcast_burst)
        self.held = 0
        """Bytes of reliable messages that have come and are not delivered yet."""

    def broadcast(self, payload: bytes, key: bytes | None) -> None:
        """Queue a message for everybody.

        Raises:
            LocalProtocolError: it is too long.
            BroadcastRateError: there were too many lately.
        """
        node = self._node
        message = Broadcast(node.name, node.epoch, self._counter + 1, payload)
        lazy = node.config.lazy_bytes
        fits = node.outbox.fits(node.codec.encode(message))
        announced = len(payload) > lazy or (not fits and lazy < PARCEL_BYTES_MAX)
        if announced and len(payload) > PARCEL_BYTES_MAX:
            raise LocalProtocolError(
                f"a broadcast of {len(payload)} bytes is over the limit of {PARCEL_BYTES_MAX} bytes"
            )
        if not announced and not fits:
            raise LocalProtocolError(
                f"a broadcast of {len(payload)} bytes does not fit a packet of"
                f" {node.packet_limit} bytes with its header; about"
                f" {node.packet_limit - self._overhead(message)} bytes do"
            )
        tokens = max(1.0, len(payload) / (PARCEL_UNIT if announced else BROADCAST_UNIT))
        if not self._rate.take(node.now, tokens):
            node.counters.bump("broadcast_refused")
            wait = self._rate.ready_at(node.now, tokens) - node.now
            raise BroadcastRateError(
                f"more broadcasts than {node.config.broadcast_burst} at once and"
                f" {node.config.broadcast_rate:g} a second; wait {wait:.3f} s",
                wait,
            )
        self._counter += 1
        named = ("key", key) if key is not None else self._counter
        if announced:
            announcement = Announce(node.name, node.epoch, self._counter, len(payload))
            self.parcels.post(announcement, payload, named)
        else:
            self._queue(message, named)

    def _overhead(self, message: Broadcast | UserMessage) -> int:
        codec = self._node.codec
        return len(codec.pack([codec.encode(message)])) - len(message.payload)

    def broadcast_received(self, message: Broadcast) -> None:
        """A broadcast came by: deliver it once, and pass it on."""
        node = self._node
        origin = node.table.get(message.origin)
        if origin is None or message.epoch > origin.evidence:
            # Remembering what an unknown origin counted would let anybody silence a member
            # before it comes. Another copy arrives when it is known.
            node.counters.bump("broadcast_of_unknown")
            return
        if origin is node.me or not self._seen.is_new(
            message.origin, message.epoch, message.counter
        ):
            node.counters.bump("broadcast_repeated")
            return
        if node.table.active > 2:  # else nobody is there but us and who told us
            self._queue(message, (message.origin, message.epoch, message.counter))
        node.outbox.notify(MessageReceived(message.origin, message.payload))

    def _queue(self, message: Broadcast, key: object) -> None:
        node = self._node
        data = node.codec.encode(message)
        if node.outbox.fits(data):
            node.queue.user.put(key, data, source=node.told_by())
            node.wake_gossip()
        else:
            node.counters.bump("message_too_large")

    def send(self, member: Member, payload: bytes) -> None:
        """Send one datagram.

        Raises:
            LocalProtocolError: it does not fit a packet.
        """
        node = self._node
        message = UserMessage(node.name, payload)
        if not node.outbox.fits(node.codec.encode(message)):
            raise LocalProtocolError(
                f"a message of {len(payload)} bytes does not fit a packet of"
                f" {node.packet_limit} bytes with its header; about"
                f" {node.packet_limit - self._overhead(message)} bytes do, or use send_reliable"
            )
        node.outbox.packet(member.address, member.name, message, piggyback=False)

    def received(self, message: UserMessage) -> None:
        """A datagram for the application."""
        self._node.outbox.notify(
            MessageReceived(message.sender, message.payload, Delivery.DATAGRAM)
        )

    def send_reliable(self, member: Member, payload: bytes, token: Token) -> int:
        """Send by stream and wait for the acknowledgement; returns the exchange's id.

        Raises:
            LocalProtocolError: it is larger than ``message_bytes_max``.
        """
        node = self._node
        limit = node.config.message_bytes_max
        if len(payload) > limit:
            raise LocalProtocolError(
                f"a message of {len(payload)} bytes is over the limit of {limit} bytes"
            )
        session = _Sender(self._streams, node, member.name, payload, token)
        return self._streams.dial(session, member.address, member.name, node.config.stream_timeout)


class _Sender(Session):
    """Sends one message in chunks; each is sent when the one before is written, so that the
    stream's own back-pressure reaches the caller.
    """

    def __init__(
        self, streams: Streams, node: Node, target: str, payload: bytes, token: Token
    ) -> None:
        self._streams = streams
        self._node = node
        self._target = target
        self._payload = payload
        self._token = token
        self._sent = 0

    def opened(self, exchange: Exchange) -> None:
        size = len(self._payload)
        opening = MessageOpen(self._node.name, self._target, size)
        self._streams.send(exchange, opening, more=size > 0)

    def writable(self, exchange: Exchange) -> None:
        chunk = self._payload[self._sent : self._sent + self._node.codec.chunk_bytes]
        self._sent += len(chunk)
        more = self._sent < len(self._payload)
        self._streams.send(exchange, MessageChunk(chunk), more=more)

    def frame(self, exchange: Exchange, frame: Frame) -> None:
        if isinstance(frame, MessageAck) and self._sent == len(self._payload):
            self._streams.close(exchange)
            self._node.outbox.complete(self._token)
        else:
            self._streams.unexpected(exchange, frame)

    def refused(self, exchange: Exchange, refusal: Refusal) -> None:
        text = f"{self._target} refused the message ({refusal_name(refusal.reason)}):"
        self._node.outbox.complete(self._token, error=RemoteProtocolError(f"{text} {refusal.text}"))

    def failed(self, exchange: Exchange, failure: DialFailure) -> None:
        text = f"{self._target} at {exchange.address}: {describe(exchange, failure)}"
        self._node.outbox.complete(self._token, error=PeerUnreachableError(text))


class Receiver(Session):
    """Takes one message; acknowledges it when the application has room for it."""

    def __init__(self, streams: Streams, node: Node, mail: Mail) -> None:
        self._streams = streams
        self._node = node
        self._mail = mail
        self._sender = ""
        self._size = 0
        self._data = bytearray()
        self._come = 0

    def begin(self, exchange: Exchange, frame: MessageOpen) -> None:
        """The opening frame."""
        node = self._node
        if frame.target != node.name:
            text = f"this is {node.name}, not {frame.target}"[:200]
            self._streams.refuse(exchange, RefusalReason.WRONG_MEMBER, text)
        elif frame.size > node.config.message_bytes_max:
            text = f"over the limit of {node.config.message_bytes_max} bytes"
            self._streams.refuse(exchange, RefusalReason.TOO_LARGE, text)
        else:
            self._sender = frame.sender
            self._size = frame.size
            self._deliver_if_complete(exchange)

    def frame(self, exchange: Exchange, frame: Frame) -> None:
        if not isinstance(frame, MessageChunk) or not self._takes(frame.data):
            self._streams.unexpected(exchange, frame)
            return
        self._data += frame.data
        self._come += len(frame.data)
        self._mail.held += len(frame.data)
        if self._mail.held > HELD_MESSAGES * self._node.config.message_bytes_max:
            self._release()
            text = f"{self._node.name} holds too many messages that are not complete or not read"
            self._streams.refuse(exchange, RefusalReason.BUSY, text[:200])
            return
        self._deliver_if_complete(exchange)

    def _release(self) -> None:
        self._mail.held -= self._come
        self._come = 0
        self._data.clear()

    def _takes(self, data: bytes) -> bool:
        return 0 < len(data) <= self._size - self._come

    def _deliver_if_complete(self, exchange: Exchange) -> None:
        if self._come == self._size:
            message = MessageReceived(self._sender, bytes(self._data), Delivery.STREAM)
            self._data.clear()  # the message has its own copy
            self._node.outbox.deliver(exchange.id, message)

    def delivered(self, exchange: Exchange) -> None:
        self._release()
        self._streams.send(exchange, MessageAck())
        self._streams.close(exchange)

    def refused(self, exchange: Exchange, refusal: Refusal) -> None:
        self._release()

    def failed(self, exchange: Exchange, failure: DialFailure) -> None:
        self._release()
