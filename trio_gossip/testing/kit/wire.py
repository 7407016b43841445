"""What one member sees of the network: a transport that writes down, and that can be stopped."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

import trio

from trio_gossip.addresses import PORT_DEFAULT, Address
from trio_gossip.testing.kit.gate import Gate, GatedStream
from trio_gossip.transport import Packet, Refused, Transport

if TYPE_CHECKING:
    from trio_gossip.testing.trace import Trace
    from trio_gossip_transports import MemoryStatistics, MemoryTransport

HELD_PACKETS_MAX: Final = 4096
"""Packets that a paused member may have sent, to leave when it goes on; later ones are dropped."""

_LOSSES: Final = ("lost", "cut", "refused")
_ODDITIES: Final = (("duplicated", "sent twice"), ("reordered", "held back"))


class Wire(Transport):
    """A :class:`~trio_gossip_transports.MemoryTransport` of one life of one member.

    Args:
        name: the member.
        inner: carries everything; closed with this.
        trace: told of every packet and stream.

    Attributes:
        gate: stops and kills the process, as far as the network can tell.
        held_dropped: packets dropped because more than :data:`HELD_PACKETS_MAX` waited.
    """

    def __init__(self, name: str, inner: MemoryTransport, trace: Trace) -> None:
        self.gate = Gate()
        self.held_dropped = 0
        self._name = name
        self._inner = inner
        self._trace = trace
        self._held: deque[tuple[bytes, Address, str | None]] = deque()

    @property
    def local_address(self) -> Address:
        """The name of the host and the port."""
        return self._inner.local_address

    @property
    def packet_limit(self) -> int:
        """Most bytes in one packet."""
        return self._inner.packet_limit

    @property
    def is_protected(self) -> bool:
        """Nobody else is in this process."""
        return self._inner.is_protected

    def statistics(self) -> MemoryStatistics:
        """Those of the transport below."""
        return self._inner.statistics()

    # -- stopping -----------------------------------------------------------------------

    def pause(self) -> None:
        """Stop the process: what it sends waits, and nothing that it awaits returns."""
        self.gate.shut()

    def resume(self) -> None:
        """Let it go on: first leaves what it sent, then everything that waited returns at once."""
        while self._held:
            self._send(*self._held.popleft())
        self.gate.open()

    # -- packets ------------------------------------------------------------------------

    def send_packet(self, data: bytes, address: Address, peer_name: str | None = None) -> None:
        """Send one packet, or hold it while the member is paused. The dead send nothing."""
        if self.gate.is_dead:
            return
        if not self.gate.is_shut:
            self._send(data, address, peer_name)
        elif len(self._held) < HELD_PACKETS_MAX:
            self._held.append((data, address, peer_name))
        else:
            self.held_dropped += 1
            self._note("lose", address, "too many held")

    def _send(self, data: bytes, address: Address, peer_name: str | None) -> None:
        before = self._inner.statistics()
        self._note("send", address, data)
        self._inner.send_packet(data, address, peer_name)
        after = self._inner.statistics()
        for fate in _LOSSES:
            if getattr(after, fate) != getattr(before, fate):
                self._note("lose", address, fate)
        for fate, text in _ODDITIES:
            if getattr(after, fate) != getattr(before, fate):
                self._note("note", address, text)

    async def receive_packets(self) -> list[Packet]:
        """Wait for packets, and for the gate."""
        await self.gate.wait()
        try:
            packets = await self._inner.receive_packets()
        finally:
            # Also when the member's timer has ended the wait: a stopped process sees it late.
            await self.gate.wait()
        return self._taken(packets)

    def receive_packets_nowait(self) -> list[Packet]:
        """Packets that are there; none while the member is paused."""
        return [] if self.gate.is_shut else self._taken(self._inner.receive_packets_nowait())

    def _taken(self, packets: list[Packet]) -> list[Packet]:
        for data, source in packets:
            self._note("deliver", source, data)
        return packets

    def refusals_nowait(self) -> list[Refused]:
        """Addresses where nobody listens; none while the member is paused."""
        return [] if self.gate.is_shut else self._inner.refusals_nowait()

    # -- streams ------------------------------------------------------------------------

    async def open_stream(self, address: Address, peer_name: str | None = None) -> GatedStream:
        """Open a stream, when the gate is open."""
        await self.gate.wait()
        self._note("dial", address, "")
        try:
            stream = await self._inner.open_stream(address, peer_name)
        except OSError as error:
            self._note("note", address, f"not dialled: {type(error).__name__}")
            raise
        finally:
            await self.gate.wait()
        return self._gated(stream, address, "opened")

    async def accept_stream(self) -> tuple[GatedStream, Address]:
        """Wait for a stream, and for the gate. The peer's dial succeeds all the same."""
        await self.gate.wait()
        try:
            stream, source = await self._inner.accept_stream()
        finally:
            await self.gate.wait()
        # Its port means nothing: it is one of many that the dialling host gives out.
        return self._gated(stream, Address(source.host, PORT_DEFAULT), "accepted"), source

    def _gated(self, stream: trio.abc.HalfCloseableStream, peer: Address, how: str) -> GatedStream:
        self._note("stream", peer, how)
        return GatedStream(
            stream, self.gate, lambda data: self._note("stream", peer, f"{len(data)} bytes read")
        )

    async def resolve(self, address: Address) -> list[Address]:
        """Every name stands for itself."""
        return await self._inner.resolve(address)

    async def aclose(self) -> None:
        """Close the transport below."""
        await self._inner.aclose()

    def _note(self, kind: str, other: Address, data: bytes | str) -> None:
        self._trace.add(trio.current_time(), kind, self._name, place_text(other), data)


def place_text(address: Address) -> str:
    """A host as a trace names it: its name alone while its port is the usual one."""
    return address.host if address.port == PORT_DEFAULT else str(address)
