"""Byte streams of the in-memory network: pieces that take time, and a bounded buffer."""

from __future__ import annotations

import math
import operator
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs
import trio
from trio.abc import HalfCloseableStream

from trio_gossip_transports.guards import OneAtATime
from trio_gossip_transports.links import STREAM_BUFFER_BYTES, Path, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


@attrs.define(eq=False)
class _Pipe:
    """One direction of a stream: pieces on their way, then perhaps how it ended."""

    path: Path
    back: Path
    changed: Signal = attrs.Factory(Signal)
    pieces: deque[tuple[float, bytes]] = attrs.Factory(deque[tuple[float, bytes]])
    room: int = STREAM_BUFFER_BYTES
    end: float | None = None
    """When the reader learns that no more comes."""
    is_reset: bool = False
    """The end is a broken connection, not an orderly one."""
    reader_gone: float | None = None
    """When the writer learns that nobody reads any more."""
    order: float = -math.inf

    def arrival(self) -> float:
        """When something sent now arrives: never before what was sent earlier."""
        self.order = max(self.order, trio.current_time() + self.path.stream_latency())
        return self.order

    def write(self, data: memoryview) -> int:
        """Take as much as there is room for; returns how much."""
        piece = bytes(data[: self.room])
        if piece:
            self.pieces.append((self.arrival(), piece))
            self.room -= len(piece)
            self.changed.notify()
        return len(piece)

    def read(self, bytes_max: int) -> bytes:
        """Take what has arrived; empty when there is nothing yet."""
        taken: list[bytes] = []
        left = bytes_max
        while left and self.pieces and self.path.has_arrived(self.pieces[0][0]):
            arrival, piece = self.pieces.popleft()
            if len(piece) > left:
                self.pieces.appendleft((arrival, piece[left:]))
                piece = piece[:left]
            taken.append(piece)
            left -= len(piece)
        if taken:
            self.room += bytes_max - left
            self.changed.notify()
        return b"".join(taken)

    def finish(self, *, is_reset: bool) -> None:
        """The writer is done. A second end changes nothing, unless it is worse."""
        if self.end is None or (is_reset and not self.is_reset):
            self.end = self.arrival()
            self.is_reset = is_reset
            self.changed.notify()

    def abandon(self) -> None:
        """The reader is done: what is under way has no use, and the writer hears of it."""
        self.pieces.clear()
        self.reader_gone = trio.current_time() + self.back.stream_latency()
        self.changed.notify()

    def has_ended(self) -> bool:
        return self.end is not None and not self.pieces and self.path.has_arrived(self.end)

    def is_broken(self) -> bool:
        return self.reader_gone is not None and self.back.has_arrived(self.reader_gone)


class MemoryStream(HalfCloseableStream):
    """One end of a byte stream over a made-up network; made by :func:`stream_pair`.

    Bytes take the latency of their path. While the path is cut, what was sent waits, the writer
    stalls when the buffer is full, and nobody is told; after the cut all goes on.
    """

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._is_closed = False
        self._sender = OneAtATime("another task is already sending on this stream")
        self._receiver = OneAtATime("another task is already receiving from this stream")
        self.on_close: Callable[[MemoryStream], None] = lambda _: None
        """Called once, with the stream, when this end closes."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of ``data``, waiting for room. See :meth:`trio.abc.SendStream.send_all`."""
        with self._sending():
            await trio.lowlevel.checkpoint()
            rest = memoryview(data).cast("B")
            while True:
                self._check_sendable()
                rest = rest[self._outgoing.write(rest) :]
                if not rest:
                    return
                await self._wait_room()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room for a byte."""
        with self._sending():
            await trio.lowlevel.checkpoint()
            self._check_sendable()
            while not self._outgoing.room:
                await self._wait_room()
                self._check_sendable()

    async def send_eof(self) -> None:
        """Tell the peer that no more comes; the other direction stays open."""
        with self._sending(after_eof=True):
            await trio.lowlevel.checkpoint()
            self._outgoing.finish(is_reset=False)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes; ``b""`` is the end. See :meth:`trio.abc.ReceiveStream.receive_some`."""
        if max_bytes is None:
            max_bytes = STREAM_BUFFER_BYTES
        max_bytes = operator.index(max_bytes)  # a TypeError for what is no whole number
        if max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        with self._receiver:
            self._check_open()
            await trio.lowlevel.checkpoint()
            while True:
                self._check_open()
                if data := self._incoming.read(max_bytes):
                    return data
                if self._incoming.has_ended():
                    if self._incoming.is_reset:
                        raise trio.BrokenResourceError("the peer broke the stream")
                    return b""
                pipe = self._incoming
                arrival = pipe.pieces[0][0] if pipe.pieces else pipe.end
                await pipe.path.wait_arrival(math.inf if arrival is None else arrival, pipe.changed)

    async def aclose(self) -> None:
        """Close both directions. The peer reads what was sent, and then the end."""
        self.close_now(is_reset=False)
        await trio.lowlevel.checkpoint()

    async def abort(self) -> None:
        """Close at once: the peer finds the stream broken, after what was sent."""
        self.close_now(is_reset=True)
        await trio.lowlevel.checkpoint()

    def close_now(self, *, is_reset: bool) -> None:
        """Close without waiting; with ``is_reset`` the peer finds the stream broken."""
        if self._is_closed:
            return
        self._is_closed = True
        self._outgoing.finish(is_reset=is_reset)
        self._incoming.abandon()
        self.on_close(self)

    @contextmanager
    def _sending(self, *, after_eof: bool = False) -> Generator[None]:
        with self._sender:
            self._check_open()
            if self._outgoing.end is not None and not after_eof:
                raise trio.ClosedResourceError("cannot send after the end was sent")
            yield

    def _check_open(self) -> None:
        if self._is_closed:
            raise trio.ClosedResourceError("this stream was closed")

    def _check_sendable(self) -> None:
        self._check_open()
        if self._outgoing.is_broken():
            raise trio.BrokenResourceError("the peer closed the stream")

    async def _wait_room(self) -> None:
        gone = self._outgoing.reader_gone
        await self._outgoing.back.wait_arrival(
            math.inf if gone is None else gone, self._outgoing.changed
        )


def stream_pair(there: Path, back: Path) -> tuple[MemoryStream, MemoryStream]:
    """The two ends of a stream; bytes of the first go ``there``, those of the second ``back``."""
    forward, backward = _Pipe(there, back), _Pipe(back, there)
    return MemoryStream(backward, forward), MemoryStream(forward, backward)
