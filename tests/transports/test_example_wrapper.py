"""The wrapper of the documentation keeps the contract, and does what it says."""

from __future__ import annotations

import errno
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.transports.contract import TransportContract, on_autojump_clock
from tests.transports.example_wrapper import BlocklistTransport
from trio_gossip_transports import MemoryNetwork

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@on_autojump_clock
class TestWrapperContract(TransportContract):
    every_name_is_an_address = True
    network: MemoryNetwork | None = None
    opened = 0

    @asynccontextmanager
    async def open_pair(self) -> AsyncGenerator[tuple[BlocklistTransport, BlocklistTransport]]:
        network = self.network = self.network or MemoryNetwork()
        self.opened += 2
        left, right = (network.transport(f"host-{self.opened - n}") for n in (1, 0))
        async with BlocklistTransport(left, {"x"}) as one, BlocklistTransport(right, ()) as other:
            yield one, other


async def test_a_blocked_host_is_neither_heard_nor_reached(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    bad, good = network.transport("bad"), network.transport("good")
    ours = BlocklistTransport(network.transport("ours"), {"bad"})
    for peer in (bad, good):
        peer.send_packet(peer.local_address.host.encode(), ours.local_address)
        ours.send_packet(b"hello", peer.local_address)
    assert [packet.data for packet in await ours.receive_packets()] == [b"good"]
    await trio.sleep(1)
    assert bad.receive_packets_nowait() == []
    assert len(good.receive_packets_nowait()) == 1
    await bad.open_stream(ours.local_address)
    await good.open_stream(ours.local_address)
    _, source = await ours.accept_stream()
    assert source.host == "good"
    with pytest.raises(OSError) as caught:
        await ours.open_stream(bad.local_address)
    assert caught.value.errno == errno.EHOSTUNREACH
    assert ours.dropped == 3
