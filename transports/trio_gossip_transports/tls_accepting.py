"""Accepts streams under TLS: many handshakes at once, so that nobody waits for a slow peer."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Final

import attrs
import trio

from trio_gossip_transports.guards import OneAtATime
from trio_gossip_transports.tls_faults import HandshakeError, TLSFault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio_gossip.addresses import Address
    from trio_gossip.transport import Transport
    from trio_gossip_transports.tls_stream import TLSStream

HANDSHAKE_SECONDS: Final = 5.0
"""How long a peer may take for its part of a handshake."""

HANDSHAKES_MAX: Final = 256
"""Handshakes at once. One more ends the oldest: an honest one takes milliseconds, and so the
oldest is that of a peer which stalls."""

HANDSHAKES_PER_HOST_MAX: Final = 128
"""The same for one host, so that no host ends the handshakes of all the others."""

READY_MAX: Final = 128
"""Streams that nobody has accepted yet; beyond them, new ones wait in the queue below."""

_log = logging.getLogger(__name__)


@attrs.define(eq=False)
class _Handshake:
    """One under way. The scope has no deadline before its task begins."""

    host: str
    scope: trio.CancelScope
    is_crowded_out: bool = False


class TLSAccepter:
    """Takes streams from a transport in the background, and hands out those that are secure.

    Handshakes outlive the call of :meth:`accept` in which they began, so they run in a system
    task of trio. It ends with :meth:`aclose`.

    Args:
        inner: the transport below; nobody else accepts from it.
        shake: makes a stream secure or raises :class:`HandshakeError`; it owns the stream.
        failed: told where each failed handshake came from, and why.
        takes: asked of each secure stream; True if it has taken the stream over for itself.

    Raises:
        RuntimeError: trio does not run.
    """

    def __init__(
        self,
        inner: Transport,
        shake: Callable[[trio.abc.Stream], Awaitable[TLSStream]],
        failed: Callable[[Address, HandshakeError], None],
        takes: Callable[[TLSStream, Address], bool] = lambda _stream, _source: False,
    ) -> None:
        self.accepted = 0
        self._inner = inner
        self._shake = shake
        self._failed = failed
        self._takes = takes
        self._busy = OneAtATime("another task is already accepting streams")
        self._handshakes: dict[_Handshake, None] = {}
        self._per_host: dict[str, int] = {}
        self._ready: deque[tuple[TLSStream, Address]] = deque()
        self._has_ready = trio.Event()
        self._has_room = trio.Event()
        self._fault: Exception | None = None
        self._is_closed = False
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        trio.lowlevel.spawn_system_task(self._run, name="trio_gossip_transports TLS accepter")

    @property
    def handshakes(self) -> int:
        """How many are under way."""
        return len(self._handshakes)

    @property
    def ready(self) -> int:
        """How many secure streams nobody has accepted yet."""
        return len(self._ready)

    async def accept(self) -> tuple[TLSStream, Address]:
        """Wait for a stream whose handshake is done.

        Raises:
            trio.BusyResourceError: another task is in this call.
            trio.ClosedResourceError: the transport is closed.
            OSError: the transport below is broken.
        """
        with self._busy:
            await trio.lowlevel.checkpoint()
            while not self._ready:
                if self._is_closed or isinstance(self._fault, trio.ClosedResourceError):
                    raise trio.ClosedResourceError("the transport is closed")
                if self._fault is not None:
                    raise self._fault
                self._has_ready = trio.Event()
                await self._has_ready.wait()
            self.accepted += 1
            self._has_room.set()
            return self._ready.popleft()  # no await before it: a cancelled call loses nothing

    async def aclose(self) -> None:
        """Give up what is under way and close what nobody took; wakes those that wait."""
        self._is_closed = True
        self._scope.cancel()
        self._has_ready.set()
        with trio.CancelScope(shield=True):  # all is cancelled or forced, so this takes no time
            await self._ended.wait()
            while self._ready:
                stream, _ = self._ready.popleft()
                await trio.aclose_forcefully(stream)

    # -- the background -----------------------------------------------------------------

    async def _run(self) -> None:
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    await self._take(nursery)
        finally:
            self._ended.set()

    async def _take(self, nursery: trio.Nursery) -> None:
        while True:
            while len(self._ready) >= READY_MAX:
                self._has_room = trio.Event()
                await self._has_room.wait()
            try:
                inner, source = await self._inner.accept_stream()
            except Exception as error:
                # Out of a system task it would end the whole program; this is for who accepts.
                self._fault = error
                self._has_ready.set()
                return
            # No await before the task has the stream: none is lost.
            self._make_room(source.host)
            handshake = _Handshake(source.host, trio.CancelScope())
            self._handshakes[handshake] = None
            self._per_host[source.host] = self._per_host.get(source.host, 0) + 1
            nursery.start_soon(self._serve, handshake, inner, source)

    def _make_room(self, host: str) -> None:
        if self._per_host.get(host, 0) >= HANDSHAKES_PER_HOST_MAX:
            self._crowd_out(next(each for each in self._handshakes if each.host == host))
        elif len(self._handshakes) >= HANDSHAKES_MAX:
            self._crowd_out(next(iter(self._handshakes)))

    def _crowd_out(self, handshake: _Handshake) -> None:
        handshake.is_crowded_out = True
        handshake.scope.cancel()
        self._forget(handshake)

    def _forget(self, handshake: _Handshake) -> None:
        if handshake in self._handshakes:
            del self._handshakes[handshake]
            self._per_host[handshake.host] -= 1
            if not self._per_host[handshake.host]:
                del self._per_host[handshake.host]

    async def _serve(self, handshake: _Handshake, inner: trio.abc.Stream, source: Address) -> None:
        scope = handshake.scope
        scope.deadline = trio.current_time() + HANDSHAKE_SECONDS
        try:
            with scope:
                stream = await self._shake(inner)
                # No await before it: the peer was told that it is welcome.
                if not self._takes(stream, source):
                    self._ready.append((stream, source))
                    self._has_ready.set()
            if scope.cancelled_caught:
                crowded_out = handshake.is_crowded_out
                fault = TLSFault.CROWDED_OUT if crowded_out else TLSFault.TIMED_OUT
                self._failed(source, HandshakeError(fault))
        except HandshakeError as error:
            self._failed(source, error)
        except Exception as error:
            _log.exception("a TLS handshake with %s", source)
            self._failed(source, HandshakeError(TLSFault.OTHER, repr(error)))
        finally:
            self._forget(handshake)
