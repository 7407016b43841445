"""Takes TCP connections from the kernel's queue, and loses none of them."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

import trio

from trio_gossip_transports.guards import OneAtATime
from trio_gossip_transports.socket_addresses import address_of
from trio_gossip_transports.socket_errors import OUT_OF_RESOURCES, TRANSIENT, name_of

if TYPE_CHECKING:
    import socket

    from trio_gossip.addresses import Address

_logger = logging.getLogger(__name__)

_ACCEPT_DELAY_MIN: Final = 0.005
_ACCEPT_DELAY_MAX: Final = 1.0


class Accepter:
    """Accepts the streams of one listening socket, which it borrows.

    Args:
        tcp: non-blocking and listening.
        closed: set by the owner before it closes ``tcp``.

    State: ``accepted`` counts streams, ``errors`` the transient errors by name.
    """

    def __init__(self, tcp: socket.socket, closed: trio.Event) -> None:
        self.accepted = 0
        self.errors: Counter[str] = Counter()
        self._tcp = tcp
        self._closed = closed
        self._busy = OneAtATime("another task is already accepting streams")

    async def accept(self) -> tuple[trio.SocketStream, Address]:
        """Wait for a connection. Out of files or memory: waits 5 ms, doubling to 1 s.

        Raises:
            trio.BusyResourceError: another task is in this call.
            trio.ClosedResourceError: the owner closed the socket.
            OSError: the socket itself is broken.
        """
        delay = _ACCEPT_DELAY_MIN
        with self._busy:
            while True:
                # No await after accept(): a connection that the kernel gave away must reach
                # the caller even if the caller is being cancelled.
                await trio.lowlevel.wait_readable(self._tcp)
                self._check_open()
                try:
                    connection, raw = self._tcp.accept()
                except OSError as error:
                    if error.errno not in TRANSIENT:
                        raise
                    if not isinstance(error, BlockingIOError):
                        self.errors[name_of(error)] += 1
                    if error.errno in OUT_OF_RESOURCES:
                        # The connection stays in the queue, so the socket stays readable.
                        _logger.warning("cannot accept a stream (%s), waiting %g s", error, delay)
                        with trio.move_on_after(delay):
                            await self._closed.wait()
                            self._check_open()
                        delay = min(2 * delay, _ACCEPT_DELAY_MAX)
                else:
                    self.accepted += 1
                    stream = trio.SocketStream(trio.socket.from_stdlib_socket(connection))
                    return stream, address_of(raw)

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise trio.ClosedResourceError("the transport is closed")
