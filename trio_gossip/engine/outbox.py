"""Builds the outputs of a turn: the one place where packets are packed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_gossip.engine.outputs import (
    CloseExchange,
    Complete,
    Deliver,
    Notify,
    OpenExchange,
    Output,
    SendFrame,
    SendPacket,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec import Codec
    from trio_gossip.codec.messages import Frame, Message
    from trio_gossip.engine.broadcast import BroadcastQueue
    from trio_gossip.engine.counters import Counters
    from trio_gossip.engine.outputs import ExchangeId, Token
    from trio_gossip.engine.pacing import Pace
    from trio_gossip.events import Event


class Outbox:
    """Collects what one turn decided. Emptied by the engine at the end of the turn."""

    __slots__ = (
        "_codec",
        "_counters",
        "_outputs",
        "_packet_limit",
        "_part_max",
        "_queue",
        "commands",
        "now",
    )

    def __init__(
        self, codec: Codec, queue: BroadcastQueue, counters: Counters, packet_limit: int
    ) -> None:
        self._codec = codec
        self._queue = queue
        self._counters = counters
        self._packet_limit = packet_limit
        self._part_max = codec.room(packet_limit).free
        self._outputs: list[Output] = []
        self.commands: dict[Token, ExchangeId | None] = {}
        """Commands of the local program that have not ended, and the stream each one uses."""
        self.now = 0.0
        """Engine time of the present turn."""

    def take(self) -> list[Output]:
        """The outputs of the turn; the next turn starts with none."""
        outputs = self._outputs
        self._outputs = []
        return outputs

    def packet(
        self,
        address: Address,
        peer_name: str | None,
        *messages: Message,
        piggyback: bool = True,
    ) -> None:
        """Send messages in one packet, filled up with queued news.

        A message that does not fit the packet limit is counted and left out.
        """
        encode = self._codec.encode
        room = self._codec.room(self._packet_limit)
        parts: list[bytes] = []
        for message in messages:
            part = encode(message)
            if room.take(len(part)):
                parts.append(part)
            else:
                self._counters.bump("message_too_large")
        if piggyback and self._queue:
            parts += self._queue.fill(room, self.now, peer_name)
        if parts:
            self._outputs.append(SendPacket(self._codec.pack(parts), address, peer_name))

    def packets(self, address: Address, peer_name: str | None, messages: Sequence[Message]) -> None:
        """Send messages, in order, in as many packets as they need, and no queued news."""
        parts: list[bytes] = []
        room = self._codec.room(self._packet_limit)
        for message in messages:
            part = self._codec.encode(message)
            if not room.take(len(part)):
                if not self.fits(part):
                    self._counters.bump("message_too_large")
                    continue
                self._outputs.append(SendPacket(self._codec.pack(parts), address, peer_name))
                parts = []
                room = self._codec.room(self._packet_limit)
                room.take(len(part))
            parts.append(part)
        if parts:
            self._outputs.append(SendPacket(self._codec.pack(parts), address, peer_name))

    def gossip(self, address: Address, peer_name: str, pace: Pace | None = None) -> bool:
        """Send queued news alone, see :meth:`BroadcastQueue.fill`; False when there is none."""
        room = self._codec.room(self._packet_limit)
        parts = self._queue.fill(room, self.now, peer_name, pace)
        if not parts:
            return False
        self._outputs.append(SendPacket(self._codec.pack(parts), address, peer_name))
        return True

    def fits(self, data: bytes) -> bool:
        """True when an encoded message fits a packet."""
        return len(data) <= self._part_max

    def open(self, exchange: ExchangeId, address: Address, peer_name: str | None) -> None:
        """Ask for a stream."""
        self._outputs.append(OpenExchange(exchange, address, peer_name))

    def frame(self, exchange: ExchangeId, frame: Frame, *, more: bool = False) -> None:
        """Send a frame."""
        self._outputs.append(SendFrame(exchange, self._codec.encode_frame(frame), more))

    def close(self, exchange: ExchangeId, *, drain: bool = False, abort: bool = False) -> None:
        """Close a stream."""
        self._outputs.append(CloseExchange(exchange, drain, abort))

    def notify(self, event: Event) -> None:
        """Tell the application."""
        self._outputs.append(Notify(event))

    def deliver(self, exchange: ExchangeId, event: Event) -> None:
        """Tell the application when it has room."""
        self._outputs.append(Deliver(exchange, event))

    def complete(self, token: Token, result: object = None, error: Exception | None = None) -> None:
        """End a command of the local program, unless it was abandoned."""
        if token in self.commands:
            del self.commands[token]
            self._outputs.append(Complete(token, result, error))
