"""A transport around a transport, for tests that change one thing about it."""

from __future__ import annotations

import trio

from trio_gossip import Address, Packet, Transport
from trio_gossip.services.key_store import KeyStore
from trio_gossip.transport import Refused


class WrappedTransport(Transport):
    """Does what the inner one does."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner

    @property
    def local_address(self) -> Address:
        return self.inner.local_address

    @property
    def packet_limit(self) -> int:
        return self.inner.packet_limit

    @property
    def keyring(self) -> KeyStore | None:
        return self.inner.keyring

    def send_packet(self, data: bytes, address: Address, peer_name: str | None = None) -> None:
        self.inner.send_packet(data, address, peer_name)

    async def receive_packets(self) -> list[Packet]:
        return await self.inner.receive_packets()

    def receive_packets_nowait(self) -> list[Packet]:
        return self.inner.receive_packets_nowait()

    def refusals_nowait(self) -> list[Refused]:
        return self.inner.refusals_nowait()

    async def open_stream(self, address: Address, peer_name: str | None = None) -> trio.abc.Stream:
        return await self.inner.open_stream(address, peer_name)

    async def accept_stream(self) -> tuple[trio.abc.Stream, Address]:
        return await self.inner.accept_stream()

    async def resolve(self, address: Address) -> list[Address]:
        return await self.inner.resolve(address)

    def statistics(self) -> object:
        return self.inner.statistics()

    async def aclose(self) -> None:
        await self.inner.aclose()
