"""What lies between two hosts of a :class:`MemoryNetwork`: faults, cuts, and byte streams."""

from __future__ import annotations

import math
import operator
import random
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import attrs
import trio
from trio.abc import HalfCloseableStream

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

STREAM_BUFFER_BYTES: Final = 65_536
"""Bytes that one direction of a stream holds before its writer has to wait."""


class Signal:
    """Wakes whoever waits. A task can wait for several at once, which events cannot do."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[trio.Event, None] = {}

    def notify(self) -> None:
        """Wake all that wait now. Nothing is kept for those that come later."""
        for event in self._waiting:
            event.set()

    @staticmethod
    async def wait_any(*signals: Signal, until: float = math.inf) -> None:
        """Wait for the first of ``signals``, or for the time ``until`` on trio's clock."""
        event = trio.Event()
        for signal in signals:
            signal._waiting[event] = None
        try:
            with trio.move_on_at(until):
                await event.wait()
        finally:
            for signal in signals:
                signal._waiting.pop(event, None)  # the same one may be named twice


def _check_probability(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{attribute.name} must be from 0 to 1, not {value}")


def _as_range(latency: float | tuple[float, float]) -> tuple[float, float]:
    low, high = latency if isinstance(latency, tuple) else (latency, latency)
    if not 0.0 <= low <= high < math.inf:
        raise ValueError(f"latency must be seconds, or (low, high) of them, not {latency}")
    return low, high


@attrs.frozen
class Faults:
    """How one direction between two hosts misbehaves. The probabilities are per datagram.

    Attributes:
        latency: seconds, ``(low, high)``, uniform. Datagrams keep their order all the same.
        loss: probability that a datagram vanishes.
        duplicate: probability that a datagram arrives twice.
        reorder: probability that a datagram is held back, so that later ones overtake it.
        hold: seconds for which such a datagram is held back, on top of the latency.
    """

    latency: tuple[float, float] = attrs.field(default=(0.0005, 0.0005), converter=_as_range)
    loss: float = attrs.field(default=0.0, validator=_check_probability)
    duplicate: float = attrs.field(default=0.0, validator=_check_probability)
    reorder: float = attrs.field(default=0.0, validator=_check_probability)
    hold: float = attrs.field(default=0.02, validator=attrs.validators.ge(0.0))


class Path:
    """One direction between two hosts.

    It has its own random numbers, made from the seed and the two names: trio runs ready tasks in
    any order, so that a sequence shared by all would give each run another trace.
    """

    __slots__ = ("_order", "_rng", "_stream_rng", "cut_since", "faults", "healed")

    def __init__(self, faults: Faults, seed: object, source: str, target: str) -> None:
        self.faults = faults
        self.cut_since: float | None = None
        """When it was cut, in seconds of trio's clock; None while it carries."""
        self.healed = Signal()
        self._order = -math.inf
        self._rng = random.Random(f"{seed} packets {source}:{target}")
        self._stream_rng = random.Random(f"{seed} streams {source}:{target}")

    def plan(self, now: float) -> tuple[list[float], bool]:
        """Decide a datagram's fate: when each copy arrives (none: lost), and if it is held back.

        All five numbers are drawn every time, so that to turn one fault up leaves the fate of
        the other datagrams as it was.
        """
        draws = [self._rng.random() for _ in range(5)]
        faults = self.faults
        if draws[0] < faults.loss:
            return [], False
        is_held = draws[2] < faults.reorder
        arrivals = [self._arrival(now, draws[3], is_held=is_held)]
        if draws[1] < faults.duplicate:
            arrivals.append(self._arrival(now, draws[4], is_held=False))
        return arrivals, is_held

    def _arrival(self, now: float, draw: float, *, is_held: bool) -> float:
        low, high = self.faults.latency
        arrival = max(self._order, now + low + draw * (high - low))
        if is_held:
            return arrival + self.faults.hold
        self._order = arrival
        return arrival

    def stream_latency(self) -> float:
        """Seconds for one piece of a stream."""
        return self._stream_rng.uniform(*self.faults.latency)

    def has_arrived(self, arrival: float) -> bool:
        """Whether something due at ``arrival`` is there now; what a cut caught waits for heal."""
        if arrival > trio.current_time():
            return False
        return self.cut_since is None or arrival < self.cut_since

    async def wait_arrival(self, arrival: float, *signals: Signal) -> None:
        """Sleep until it is worth to ask :meth:`has_arrived` again, or one of ``signals``."""
        # What a cut has caught comes with heal(), not with time. Whether it is caught is asked of
        # the cut and never of the clock: the clock may have moved on since the caller looked.
        is_caught = self.cut_since is not None and arrival >= self.cut_since
        await Signal.wait_any(self.healed, *signals, until=math.inf if is_caught else arrival)


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
        self._is_sending = self._is_receiving = False
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
        if self._is_receiving:
            raise trio.BusyResourceError("another task is already receiving from this stream")
        self._check_open()
        self._is_receiving = True
        try:
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
        finally:
            self._is_receiving = False

    async def aclose(self) -> None:
        """Close both directions. The peer reads what was sent, and then the end."""
        self.close_now(is_reset=False)
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
        if self._is_sending:
            raise trio.BusyResourceError("another task is already sending on this stream")
        self._check_open()
        if self._outgoing.end is not None and not after_eof:
            raise trio.ClosedResourceError("cannot send after the end was sent")
        self._is_sending = True
        try:
            yield
        finally:
            self._is_sending = False

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
