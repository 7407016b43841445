"""Packets that have come over connections and that nobody has received yet: :class:`Inbox`."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import trio

from trio_gossip.transport import Packet
from trio_gossip_transports.guards import OneAtATime

if TYPE_CHECKING:
    from trio_gossip.addresses import Address

BATCH_PACKETS_MAX: Final = 32
"""Packets that one receive returns; the same as on sockets."""

INBOX_PACKETS_MAX: Final = 1024
"""Packets that nobody has received yet. When it is full, connections are not read: what comes
then waits at the senders, each of which drops its own oldest."""


class Inbox:
    """A bounded queue of packets, with the rules of :meth:`Transport.receive_packets`."""

    def __init__(self) -> None:
        self.received = 0
        """Packets that have ever come."""
        self._packets: deque[Packet] = deque()
        self._has_packets = trio.Event()
        self._has_room = trio.Event()
        self._is_closed = False
        self._is_woken = False
        self._busy = OneAtATime("another task is already receiving packets")

    def __len__(self) -> int:
        return len(self._packets)

    async def put(self, data: bytes, source: Address) -> None:
        """Add a packet; waits while there is no room."""
        while len(self._packets) >= INBOX_PACKETS_MAX:
            if self._has_room.is_set():
                self._has_room = trio.Event()
            await self._has_room.wait()
        self._packets.append(Packet(data, source))
        self.received += 1
        self._has_packets.set()

    async def receive(self) -> list[Packet]:
        """Wait for a packet, then return up to 32; none after :meth:`wake`. A checkpoint.

        Raises:
            trio.BusyResourceError: another task is in this call.
            trio.ClosedResourceError: the transport is closed, or was while this waited.
        """
        with self._busy:
            await trio.lowlevel.checkpoint()
            while not (packets := self.receive_nowait()) and not self._is_woken:
                self._has_packets = trio.Event()
                await self._has_packets.wait()
            self._is_woken = False
            return packets  # no await after they were taken: a cancelled call loses nothing

    def receive_nowait(self) -> list[Packet]:
        """Up to 32 packets that have arrived.

        Raises:
            trio.ClosedResourceError: the transport is closed.
        """
        if self._is_closed:
            raise trio.ClosedResourceError("the transport is closed")
        waiting = self._packets
        packets = [waiting.popleft() for _ in range(min(len(waiting), BATCH_PACKETS_MAX))]
        if packets:
            self._has_room.set()
        return packets

    def wake(self) -> None:
        """Let the receiver return with what there is: there is other news to fetch."""
        self._is_woken = True
        self._has_packets.set()

    def close(self) -> None:
        """Wake who waits; nothing is received any more."""
        self._is_closed = True
        self._has_packets.set()
