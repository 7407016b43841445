"""Sealed transports keep the contract, in memory and on sockets."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from tests.transports.contract import TransportContract, on_autojump_clock
from tests.transports.encrypted_helpers import K1, Served, served
from tests.transports.socket_helpers import LOOPBACK
from trio_gossip_transports import Keyring, MemoryNetwork, open_socket_transport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class SealedContract(TransportContract):
    """A dial ends when the peer has answered: somebody has to read what is accepted there. In one
    test of the contract nobody does, and there the dials are given up.
    """

    async def test_a_peer_that_vanishes_harms_nobody(self) -> None:
        async with self.open_pair() as (_, right):
            for _ in range(5):
                async with self.open_pair() as (guest, _other):
                    guest.send_packet(b"bye", right.local_address)
                    with trio.move_on_after(0.05):
                        await guest.open_stream(right.local_address)
            with trio.fail_after(self.seconds_max):
                for _ in range(5):
                    stream, _source = await right.accept_stream()
                    with pytest.raises(trio.BrokenResourceError):
                        await stream.receive_some(1)
                    await trio.aclose_forcefully(stream)


@on_autojump_clock
class TestInMemory(SealedContract):
    every_name_is_an_address = True
    network: MemoryNetwork | None = None
    opened = 0

    @asynccontextmanager
    async def open_pair(self) -> AsyncGenerator[tuple[Served, Served]]:
        network = self.network = self.network or MemoryNetwork()
        self.opened += 2
        left, right = (network.transport(f"host-{self.opened - n}") for n in (1, 0))
        async with served(left, right) as (one, other):
            yield one, other


@pytest.mark.sockets
class TestOnSockets(SealedContract):
    @asynccontextmanager
    async def open_pair(self) -> AsyncGenerator[tuple[Served, Served]]:
        left, right = [await open_socket_transport(LOOPBACK, 0) for _ in range(2)]
        async with served(left, right) as (one, other):
            yield one, other


def test_the_packet_limit_is_that_of_the_transport_below_less_the_overhead():
    inner = MemoryNetwork(packet_limit=200).transport("a")
    assert Served(inner, Keyring([K1])).packet_limit == 165
    small = MemoryNetwork(packet_limit=50).transport("a")
    with pytest.raises(ValueError, match="no room"):
        Served(small, Keyring([K1]))
    with pytest.raises(ValueError, match="at most 255"):
        Served(inner, Keyring([K1]), b"x" * 256)
