"""One sealed stream over any other: :class:`EncryptedStream`."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Final

import trio
from trio.abc import HalfCloseableStream

from trio_gossip.transport import abort_stream
from trio_gossip_transports.guards import OneAtATime
from trio_gossip_transports.sealing.memberlist_streams import PlainStreamError
from trio_gossip_transports.sealing.streams import OPENER, SealedStreamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.abc import Stream

    from trio_gossip_transports.sealing.memberlist_streams import MemberlistStreamSealer
    from trio_gossip_transports.sealing.streams import StreamSealer

RECEIVE_BYTES: Final = 65_536
"""Bytes that are asked of the inner stream at once."""

FAREWELL_SECONDS: Final = 1.0
"""How long closing may take to tell the peer that the end is one."""


class EncryptedStream(HalfCloseableStream):
    """Seals what is sent and opens what arrives.

    The end that opened a stream shakes hands before it hands it out. The other one does so when
    it is first read or written, so that accepting never waits for a peer.

    Args:
        inner: the stream below. Where it cannot be closed for sending alone, the last record still
            tells the peer.
        sealer: this end of it.
        takes_plain: whether a peer that does not seal is served as it is.
        troubled: told in words what is wrong with the peer, once.
    """

    def __init__(
        self,
        inner: Stream,
        sealer: StreamSealer | MemberlistStreamSealer,
        *,
        takes_plain: bool = False,
        troubled: Callable[[SealedStreamError], None],
    ) -> None:
        self._inner = inner
        self._sealer = sealer
        self._takes_plain = takes_plain
        self._troubled = troubled
        self._shaking = trio.Lock()
        self._content = bytearray()
        self._is_plain = False
        self._has_said_end = False
        self._is_closed = False
        self._is_broken = False
        self._receiving = OneAtATime("another task is already receiving on this stream")
        self._sending = OneAtATime("another task is already sending on this stream")

    @property
    def peer_names(self) -> tuple[str, ...]:
        """The names that a TLS stream below vouches for; shared keys give none."""
        return tuple(getattr(self._inner, "peer_names", ()))

    # -- the handshake ------------------------------------------------------------------

    async def do_handshake(self) -> None:
        """Exchange prefaces; nothing when that is done.

        Raises:
            SealedStreamError: the peer cannot be talked to; the text says why.
            trio.BrokenResourceError: the stream broke, or ended too early.
        """
        async with self._shaking:
            while not (self._sealer.can_seal or self._is_plain):
                await self._send_outgoing()
                data = await self._inner.receive_some(RECEIVE_BYTES)
                if not data:
                    raise trio.BrokenResourceError("the peer closed during the handshake")
                if self._takes_plain and self._sealer.is_fresh and data[0] != OPENER:
                    self._is_plain = True
                    self._content += data
                else:
                    await self._feed(data)
            await self._send_outgoing()

    async def _feed(self, data: bytes | bytearray) -> None:
        try:
            self._content += self._sealer.feed_untrusted(bytes(data))
        except PlainStreamError as error:  # only raised where plain peers are taken
            self._is_plain = True
            self._content += error.content
        except SealedStreamError as error:
            if not self._is_broken:  # two tasks may run into the same error
                self._is_broken = True
                self._troubled(error)
            with trio.move_on_after(FAREWELL_SECONDS):
                await self._send_outgoing()
            raise

    async def _send_outgoing(self) -> None:
        outgoing, self._sealer.outgoing = self._sealer.outgoing, b""
        if outgoing:
            try:
                await self._inner.send_all(outgoing)
            except BaseException:
                self._is_broken = True  # nobody knows how much of it has left
                raise

    async def _ready(self) -> None:
        self._check_open()
        if self._is_broken:
            raise trio.BrokenResourceError("the stream broke before")
        if self._sealer.can_seal or self._is_plain:
            return
        try:
            await self.do_handshake()
        except SealedStreamError as error:
            raise trio.BrokenResourceError(f"the peer {error}") from error

    # -- the stream ---------------------------------------------------------------------

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Seal and send; see :class:`trio.abc.SendStream`."""
        with self._sending:
            await self._ready()
            if self._has_said_end:
                raise trio.ClosedResourceError("can't send data after sending EOF")
            if self._is_plain:
                await self._inner.send_all(data)
                return
            with memoryview(data) as view:
                size = self._sealer.piece_bytes
                for start in range(0, len(view), size):
                    piece = bytes(view[start : start + size])
                    await self._inner.send_all(self._sealer.seal(piece))
            if not data:
                await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        """See :class:`trio.abc.SendStream`."""
        with self._sending:
            await self._ready()
            await self._inner.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Tell the peer that nothing more comes; see :class:`trio.abc.HalfCloseableStream`."""
        with self._sending:
            await self._ready()
            await self._say_end()
            if isinstance(self._inner, HalfCloseableStream):
                await self._inner.send_eof()

    async def _say_end(self) -> None:
        if not self._has_said_end and not self._is_plain:
            self._has_said_end = True
            await self._inner.send_all(self._sealer.end())

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive and open; ``b""`` when the peer said that it has ended.

        Raises:
            trio.BrokenResourceError: it was cut off, or somebody interfered.
        """
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError("max_bytes must be at least 1")
        with self._receiving:
            await trio.lowlevel.checkpoint()
            await self._ready()
            while not self._content:
                if self._sealer.ended:
                    return b""
                if self._is_plain:
                    return bytes(await self._inner.receive_some(max_bytes or RECEIVE_BYTES))
                data = await self._inner.receive_some(RECEIVE_BYTES)
                if not data and self._sealer.may_end_here:
                    return b""
                if not data:
                    raise trio.BrokenResourceError("the stream was cut off before its end")
                try:
                    await self._feed(data)
                except SealedStreamError as error:
                    raise trio.BrokenResourceError(f"the peer {error}") from error
            size = len(self._content) if max_bytes is None else max_bytes
            content = bytes(self._content[:size])
            del self._content[:size]
            return content

    async def aclose(self) -> None:
        """Close, and let the peer know that this is the end and no cut."""
        if self._is_closed:
            await trio.lowlevel.checkpoint()
            return
        self._is_closed = True
        try:
            if self._sealer.can_seal and not self._has_said_end:
                with trio.move_on_after(FAREWELL_SECONDS):
                    await self._say_end()
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            pass  # nobody is there to be told, or the last sending was given up half way
        finally:
            await self._inner.aclose()

    async def abort(self) -> None:
        """Close at once, and tell nobody. See :func:`trio_gossip.transport.abort_stream`."""
        self._is_closed = True
        await abort_stream(self._inner)

    def _check_open(self) -> None:
        if self._is_closed:
            raise trio.ClosedResourceError
