"""Stops one simulated process as SIGSTOP does, or as SIGKILL does: what it awaits does not end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from trio.abc import HalfCloseableStream

from trio_gossip.transport import abort_stream

if TYPE_CHECKING:
    from collections.abc import Callable


class Gate:
    """What every wait of a member on its network passes through.

    While it is shut, nothing that the member awaited returns to it: neither what has arrived nor
    a timer that ran out, which is a cancellation of the wait. When it opens, all goes on at once.
    """

    __slots__ = ("_opened", "is_dead", "is_shut")

    def __init__(self) -> None:
        self.is_shut = False
        self.is_dead = False
        self._opened = trio.Event()

    def shut(self) -> None:
        """Stop the process. It keeps its memory and its sockets."""
        self.is_shut = True

    def open(self) -> None:
        """Let the process go on."""
        self.is_shut = False
        self._opened.set()
        self._opened = trio.Event()

    def kill(self) -> None:
        """Let nothing out and nothing through any more. The owner cancels the tasks."""
        self.is_dead = True
        self.open()

    async def wait(self) -> None:
        """Wait while it is shut, whatever is cancelled meanwhile. No checkpoint when it is open.

        Never returns to the dead: it waits for the cancellation that comes with death.
        """
        while self.is_shut:
            # Shielded, because timers of the member are cancellations, and they are to be late.
            with trio.CancelScope(shield=True):
                await self._opened.wait()
        if self.is_dead:
            await trio.sleep_forever()


class GatedStream(HalfCloseableStream):
    """A stream of a process that may be stopped. The other end notices nothing but silence.

    Args:
        inner: the stream.
        gate: the process's gate.
        received: told of the bytes whenever some were read.
    """

    def __init__(
        self, inner: HalfCloseableStream, gate: Gate, received: Callable[[bytes], None]
    ) -> None:
        self._inner = inner
        self._gate = gate
        self._received = received

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of ``data``, after the gate."""
        await self._gate.wait()
        try:
            await self._inner.send_all(data)
        finally:
            await self._gate.wait()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait for room, after the gate."""
        await self._gate.wait()
        await self._inner.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """End this direction, after the gate."""
        await self._gate.wait()
        await self._inner.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes, and for the gate."""
        await self._gate.wait()
        try:
            data = bytes(await self._inner.receive_some(max_bytes))
        finally:
            await self._gate.wait()
        self._received(data)
        return data

    async def abort(self) -> None:
        """Close at once; not gated either."""
        await abort_stream(self._inner)

    async def aclose(self) -> None:
        """Close; not gated, because only the owner's end closes streams of a stopped process."""
        await self._inner.aclose()
