"""Packets over TLS connections keep the contract of every transport, in memory and on sockets."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

from tests.transports.contract import TransportContract, on_autojump_clock
from tests.transports.socket_helpers import LOOPBACK
from tests.transports.tls_helpers import Contexts, contexts
from trio_gossip_transports import MemoryNetwork, open_socket_transport
from trio_gossip_transports.tls import TLSTransport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trio_gossip.transport import Transport


@cache
def issued(name: str) -> Contexts:
    """Not those of the other tests: their ALPN protocols are set."""
    return contexts(name)


def over(inner: Transport, name: str) -> TLSTransport:
    return TLSTransport(inner, *issued(name), packets="streams")


class Served(TransportContract):
    """The contract, once with connections that are there already: one rule counts turns of the
    scheduler while the clock stands still, and a handshake takes time.
    """

    is_warm = False

    async def warm(self, left: TLSTransport, right: TLSTransport) -> None:
        if self.is_warm:
            left.send_packet(b"warm", right.local_address)
            await self.receive(right, 1)

    async def test_a_flood_does_not_starve_other_tasks(self) -> None:
        self.is_warm = True
        await super().test_a_flood_does_not_starve_other_tasks()


@on_autojump_clock
class TestTLSPacketsContractInMemory(Served):
    every_name_is_an_address = True
    network: MemoryNetwork | None = None
    opened = 0

    @asynccontextmanager
    async def open_pair(self) -> AsyncGenerator[tuple[TLSTransport, TLSTransport]]:
        network = self.network = self.network or MemoryNetwork()
        self.opened += 2
        left, right = (network.transport(f"host-{self.opened - n}") for n in (1, 0))
        async with over(left, "left") as one, over(right, "right") as other:
            await self.warm(one, other)
            yield one, other


class TestTLSPacketsContractOnSockets(Served):
    @asynccontextmanager
    async def open_pair(self) -> AsyncGenerator[tuple[TLSTransport, TLSTransport]]:
        async with (
            over(await open_socket_transport(LOOPBACK, 0), "left") as one,
            over(await open_socket_transport(LOOPBACK, 0), "right") as other,
        ):
            await self.warm(one, other)
            yield one, other
