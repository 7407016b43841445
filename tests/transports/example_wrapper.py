"""The smallest useful wrapper of a transport: it refuses to talk to some hosts."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from trio_gossip.transport import Packet, Refused, Transport, nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from trio.abc import Stream

    from trio_gossip.addresses import Address
    from trio_gossip.services.key_store import KeyStore


class BlocklistTransport(Transport):
    """Hears nothing from the hosts in ``blocked`` and says nothing to them."""

    def __init__(self, inner: Transport, blocked: Collection[str]) -> None:
        self.inner = inner
        self.blocked = frozenset(blocked)
        self.dropped = 0

    @property
    def local_address(self) -> Address:
        return self.inner.local_address

    @property
    def advertise_address(self) -> Address:
        return self.inner.advertise_address

    @property
    def packet_limit(self) -> int:
        return self.inner.packet_limit  # a wrapper that adds 12 bytes returns 12 less

    @property
    def keyring(self) -> KeyStore | None:
        return self.inner.keyring

    @property
    def is_protected(self) -> bool:
        return self.inner.is_protected

    def send_packet(self, data: bytes, address: Address, peer_name: str | None = None) -> None:
        if address.host in self.blocked:
            self.dropped += 1
            return
        self.inner.send_packet(data, address, peer_name)

    async def receive_packets(self) -> list[Packet]:
        while True:
            packets = await self.inner.receive_packets()
            wanted = self._wanted(packets)
            if wanted or not packets:  # an empty batch says that there are refusals
                return wanted

    def receive_packets_nowait(self) -> list[Packet]:
        return self._wanted(self.inner.receive_packets_nowait())

    def refusals_nowait(self) -> list[Refused]:
        return self.inner.refusals_nowait()

    async def open_stream(self, address: Address, peer_name: str | None = None) -> Stream:
        return await self.dial(address, peer_name, nothing)

    async def dial(
        self, address: Address, peer_name: str | None, connected: Callable[[], None]
    ) -> Stream:
        if address.host in self.blocked:
            raise OSError(errno.EHOSTUNREACH, f"{address} is blocked")
        return await self.inner.dial(address, peer_name, connected)

    async def accept_stream(self) -> tuple[Stream, Address]:
        while True:
            stream, source = await self.inner.accept_stream()
            if source.host not in self.blocked:
                return stream, source
            self.dropped += 1
            await stream.aclose()

    async def resolve(self, address: Address) -> list[Address]:
        return await self.inner.resolve(address)  # the network knows its names, a wrapper does not

    def statistics(self) -> object:
        return {"dropped": self.dropped, "inner": self.inner.statistics()}

    async def aclose(self) -> None:
        await self.inner.aclose()

    def _wanted(self, packets: list[Packet]) -> list[Packet]:
        wanted = [packet for packet in packets if packet.source.host not in self.blocked]
        self.dropped += len(packets) - len(wanted)
        return wanted
