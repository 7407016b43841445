"""One connection that carries packets: its queue, its frames, and how it is written and read."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import attrs
import trio

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip_transports.tls_packet_inbox import Inbox
    from trio_gossip_transports.tls_stream import TLSStream

QUEUE_PACKETS_MAX: Final = 256
"""Packets that wait for one peer. One more drops the oldest: of two that say how things are, the
newer one is right, and who sent the older one has given up first."""

QUEUE_BYTES_MAX: Final = 256 * 1024
"""The same in bytes."""

WRITE_BYTES: Final = 16 * 1024
"""Bytes that are taken from the queue at once. What is taken is not dropped any more."""

WRITE_SECONDS: Final = 5.0
"""A peer that takes nothing for so long is given up; its packets would be of no use by then."""

READ_BYTES: Final = 16 * 1024
"""Bytes asked of a connection at once."""

FRAME_BYTES_MAX: Final = 65_535
"""Longest packet on a connection: its length has two bytes."""

_LENGTH_BYTES: Final = 2


def frame(data: bytes) -> bytes:
    """A packet as it goes over a connection: two bytes of length, big-endian, and its bytes."""
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


class FrameReader:
    """Cuts what arrives into packets. Holds less than one frame; no input is wrong."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed_untrusted(self, data: bytes) -> list[bytes]:
        """Take the next bytes; return the packets that are complete now."""
        buffer = self._buffer
        buffer += data
        packets: list[bytes] = []
        start = 0
        while len(buffer) - start >= _LENGTH_BYTES:
            begin = start + _LENGTH_BYTES
            end = begin + int.from_bytes(buffer[start:begin], "big")
            if end > len(buffer):
                break
            packets.append(bytes(buffer[begin:end]))
            start = end
        del buffer[:start]
        return packets


class StalledError(Exception):
    """The peer has not taken anything for :data:`WRITE_SECONDS`."""


@attrs.define(eq=False)
class PacketLink:
    """A connection of the pool, or the memory of one that could not be made.

    Attributes:
        address: where the peer listens.
        wanted: the name that was asked for in the dial; None for any, and on accepted ones.
        is_accepted: whether the peer opened it.
        used: when a packet last went over it or was queued, on trio's clock.
        names: those of the peer's certificate, once it is open; empty when names mean nothing.
        opened: when it became fit to send on; None before.
        rest_until: no dial before it; None while a task works on this link.
        failures: dials in a row that came to nothing.
        scope: ends the task of this link.
    """

    address: Address
    wanted: str | None
    is_accepted: bool
    used: float
    names: tuple[str, ...] = ()
    opened: float | None = None
    rest_until: float | None = None
    failures: int = 0
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    _queue: deque[bytes] = attrs.field(factory=deque[bytes])
    _bytes: int = 0
    _first: bytes = b""
    _has_work: trio.Event = attrs.field(factory=trio.Event)
    _is_retired: bool = False

    def serves(self, name: str | None) -> bool:
        """Whether packets for the member of that name may go this way."""
        if self._is_retired:
            return False
        if self.opened is None:
            return not self.is_accepted and self.wanted == name
        return name is None or not self.names or name in self.names

    def put(self, data: bytes) -> int:
        """Queue a packet; returns how many old ones had to go for it."""
        self._queue.append(data)
        self._bytes += len(data)
        dropped = 0
        while len(self._queue) > QUEUE_PACKETS_MAX or self._bytes > QUEUE_BYTES_MAX:
            self._bytes -= len(self._queue.popleft())
            dropped += 1
        self._has_work.set()
        return dropped

    def clear(self) -> int:
        """Drop what waits; returns how many packets that were."""
        dropped = len(self._queue)
        self._queue.clear()
        self._bytes = 0
        return dropped

    def begin(self) -> None:
        """A task starts to work on it."""
        self.scope = trio.CancelScope()
        self.rest_until = None

    def rest(self, until: float) -> None:
        """No task works on it any more, and none shall before ``until``."""
        self.opened = None
        self.rest_until = until
        self._is_retired = False

    def retire(self) -> None:
        """Send what waits and close; nothing new goes this way."""
        self._is_retired = True
        self._has_work.set()

    def put_first(self, data: bytes) -> None:
        """Have ``data`` sent before any packet; it is framed already."""
        self._first = data
        self._has_work.set()

    def _take(self) -> bytes:
        pieces = [self._first]
        self._first = b""
        size = 0
        while self._queue and size < WRITE_BYTES:
            data = self._queue.popleft()
            self._bytes -= len(data)
            pieces.append(frame(data))
            size += len(data)
        return b"".join(pieces)

    async def write(self, stream: TLSStream, *, idle: float, life: float) -> None:
        """Send what is queued; returns when it is idle, old or retired.

        Args:
            stream: open.
            idle: seconds without a packet in either direction after which it is closed.
            life: seconds after which it is closed in any case, so that the peer has to show its
                certificate again.

        Raises:
            StalledError: the peer takes nothing.
            trio.BrokenResourceError: the connection is gone.
        """
        old = trio.current_time() + life
        while True:
            while not (self._queue or self._first):
                until = min(self.used + idle, old)
                if self._is_retired or trio.current_time() >= until:
                    self._is_retired = True
                    return
                self._has_work = trio.Event()
                with trio.move_on_at(until):
                    await self._has_work.wait()
            if trio.current_time() >= old:
                self._is_retired = True
            data = self._take()
            with trio.move_on_after(WRITE_SECONDS) as scope:
                await stream.send_all(data)
            if scope.cancelled_caught:
                raise StalledError

    async def read_first(self, stream: TLSStream, frames: FrameReader) -> list[bytes]:
        """The first packets on a connection; empty when it ends before there is one."""
        packets: list[bytes] = []
        try:
            while not packets and (data := await stream.receive_some(READ_BYTES)):
                packets = frames.feed_untrusted(data)
        except trio.BrokenResourceError:
            return []
        return packets

    async def read(
        self, stream: TLSStream, frames: FrameReader, early: list[bytes], inbox: Inbox
    ) -> None:
        """Hand over each packet that arrives; returns when the peer has ended.

        Args:
            stream: open.
            frames: may hold the beginning of a packet.
            early: packets that have arrived already.
            inbox: where they go.

        Raises:
            trio.BrokenResourceError: the connection is gone.
        """
        packets = early
        while True:
            for packet in packets:
                self.used = trio.current_time()
                await inbox.put(packet, self.address)
            data = await stream.receive_some(READ_BYTES)
            if not data:
                return
            packets = frames.feed_untrusted(data)
