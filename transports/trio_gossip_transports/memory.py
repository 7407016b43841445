"""One endpoint of the in-memory network: :class:`MemoryTransport`, a transport without sockets."""

from __future__ import annotations

import errno
import math
from heapq import heappop
from itertools import count
from typing import TYPE_CHECKING, Final, cast

import trio

from trio_gossip.addresses import Address
from trio_gossip.transport import Packet, Refused, Transport
from trio_gossip_transports.fabric import MemoryStatistics
from trio_gossip_transports.guards import OneAtATime
from trio_gossip_transports.links import Signal
from trio_gossip_transports.streams import MemoryStream, stream_pair

if TYPE_CHECKING:
    from trio_gossip_transports.fabric import Endpoint, Fabric
    from trio_gossip_transports.links import Path

BATCH_PACKETS_MAX: Final = 32
"""Datagrams that one receive returns; the same as on real sockets."""

EPHEMERAL_PORTS: Final = range(49_152, 65_536)
"""Ports that nobody asks for by number: of dialled streams, and in place of port 0."""

_BACKLOG: Final = 256
"""Streams that nobody has accepted yet; more dials wait for room, as with a kernel's queue."""


class MemoryTransport(Transport):
    """One endpoint of a :class:`MemoryNetwork`; made by :meth:`MemoryNetwork.transport`.

    It has no task of its own. Datagrams lie in a heap by the time of their arrival, and whoever
    receives sleeps until the first one is due.
    """

    def __init__(self, fabric: Fabric, endpoint: Endpoint) -> None:
        self._fabric = fabric
        self._endpoint = endpoint
        self._ports = count()
        self._is_closed = False
        self._receiving = OneAtATime("another task is already receiving packets")
        self._accepting = OneAtATime("another task is already accepting streams")

    @property
    def local_address(self) -> Address:
        """The name and port that this endpoint was opened with."""
        return self._endpoint.address

    @property
    def packet_limit(self) -> int:
        """Most bytes in one datagram, the same in the whole network."""
        return self._fabric.packet_limit

    @property
    def is_protected(self) -> bool:
        """Always: nothing leaves this process, whatever its addresses look like."""
        return True

    def send_packet(self, data: bytes, address: Address, peer_name: str | None = None) -> None:
        """Send one datagram. See :meth:`Transport.send_packet`.

        Raises:
            TypeError: ``data`` is not bytes: this network does not carry objects.
        """
        self._check_open()
        data = _as_bytes(data)
        if len(data) > self.packet_limit:
            raise ValueError(f"a packet of {len(data)} bytes; the limit is {self.packet_limit}")
        self._fabric.send(self._endpoint, data, address)

    async def receive_packets(self) -> list[Packet]:
        """Sleep until a datagram is due, then return up to 32 that are; none if a refusal is."""
        self._check_open()
        with self._receiving:
            await trio.lowlevel.checkpoint()
            while not (packets := self.receive_packets_nowait()):
                if self._has_new_refusals():
                    break
                due = [
                    heap[0][0] for heap in (self._endpoint.inbox, self._endpoint.refusals) if heap
                ]
                await Signal.wait_any(self._endpoint.changed, until=min(due, default=math.inf))
            return packets

    def receive_packets_nowait(self) -> list[Packet]:
        """Return up to 32 datagrams that are due."""
        self._check_open()
        now = trio.current_time()
        inbox = self._endpoint.inbox
        packets: list[Packet] = []
        while inbox and inbox[0][0] <= now and len(packets) < BATCH_PACKETS_MAX:
            _, _, data, sender = heappop(inbox)
            packets.append(Packet(data, sender.address))
            self._fabric.count("delivered", self._endpoint)
        return packets

    def refusals_nowait(self) -> list[Refused]:
        """Return the addresses, at most 1,024, whose answer "nobody listens" has come back."""
        self._check_open()
        self._has_new_refusals()
        refused, self._endpoint.refused = self._endpoint.refused, []
        return [Refused(address) for address in refused]

    def _has_new_refusals(self) -> bool:
        """Take those that have arrived out of the heap, so that each wakes the receiver once."""
        now = trio.current_time()
        refusals, refused = self._endpoint.refusals, self._endpoint.refused
        before = len(refused)
        while refusals and refusals[0][0] <= now:
            refused.append(heappop(refusals)[2])
        return len(refused) > before

    async def open_stream(self, address: Address, peer_name: str | None = None) -> MemoryStream:
        """Open a stream after one round trip; hangs while either direction is cut.

        Raises:
            ConnectionRefusedError: nobody listens at ``address``.
            trio.ClosedResourceError: the transport is closed, or was while this waited.
        """
        self._check_open()
        await trio.lowlevel.checkpoint()
        there = self._fabric.path(self._endpoint.address.host, address.host)
        back = self._fabric.path(address.host, self._endpoint.address.host)
        due = math.nan
        while True:
            self._check_open()
            now = trio.current_time()
            peer = self._fabric.endpoints.get(address)
            if there.cut_since is not None or back.cut_since is not None:
                due = math.nan  # after the cut the first packet is sent again
                await Signal.wait_any(self._endpoint.changed, there.healed, back.healed)
            elif math.isnan(due):
                due = now + there.stream_latency() + back.stream_latency()
            elif now < due:
                await Signal.wait_any(self._endpoint.changed, until=due)
            elif peer is None:
                self._fabric.count("dials_refused", self._endpoint)
                raise ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens at {address}")
            elif len(peer.backlog) >= _BACKLOG:
                await Signal.wait_any(self._endpoint.changed, peer.changed)
            else:
                return self._connect(peer, there, back)

    async def accept_stream(self) -> tuple[MemoryStream, Address]:
        """Wait for a stream. Its source port is not the port that the peer listens on."""
        self._check_open()
        with self._accepting:
            await trio.lowlevel.checkpoint()
            while True:
                self._check_open()
                if self._endpoint.backlog:
                    break
                await Signal.wait_any(self._endpoint.changed)
            accepted = self._endpoint.backlog.popleft()
            self._fabric.count("streams_accepted", self._endpoint)
            self._endpoint.changed.notify()  # a dial may wait for the room
            return accepted

    async def resolve(self, address: Address) -> list[Address]:
        """Return ``[address]``: the names of this network are its addresses, known or not."""
        self._check_open()
        await trio.lowlevel.checkpoint()
        return [address]

    def statistics(self) -> MemoryStatistics:
        """Counters of this endpoint since it was opened; also after it was closed."""
        return MemoryStatistics(**self._endpoint.counts, queued=len(self._endpoint.inbox))

    async def aclose(self) -> None:
        """Free the address, break the open streams, wake whoever waits. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._fabric.remove(self._endpoint)
            self._endpoint.inbox.clear()
            self._endpoint.refusals.clear()
            self._endpoint.refused.clear()
            self._endpoint.backlog.clear()
            for stream in list(self._endpoint.streams):
                stream.close_now(is_reset=True)
            self._endpoint.changed.notify()
        await trio.lowlevel.checkpoint()

    def _check_open(self) -> None:
        if self._is_closed:
            raise trio.ClosedResourceError("the transport is closed")

    def _connect(self, peer: Endpoint, there: Path, back: Path) -> MemoryStream:
        ours, theirs = stream_pair(there, back)
        for owner, stream in ((self._endpoint, ours), (peer, theirs)):
            owner.streams[stream] = None
            stream.on_close = owner.forget_stream
        port = EPHEMERAL_PORTS[next(self._ports) % len(EPHEMERAL_PORTS)]
        peer.backlog.append((theirs, Address(self._endpoint.address.host, port)))
        peer.changed.notify()
        self._fabric.count("streams_opened", self._endpoint)
        return ours


def _as_bytes(data: object) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        # Copied: the sender may change its buffer before this arrives.
        return bytes(cast("bytearray", data))
    raise TypeError(f"a packet is bytes, not {type(data).__name__}")
