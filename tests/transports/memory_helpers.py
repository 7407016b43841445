"""Helpers of the tests on the in-memory network."""

from __future__ import annotations

import trio
import trio.testing

from trio_gossip_transports import MemoryNetwork, MemoryTransport
from trio_gossip_transports.links import STREAM_BUFFER_BYTES
from trio_gossip_transports.streams import MemoryStream


def pair(network: MemoryNetwork) -> tuple[MemoryTransport, MemoryTransport]:
    return network.transport("a"), network.transport("b")


async def drain(transport: MemoryTransport, seconds: float = 10.0) -> list[tuple[float, bytes]]:
    """All that arrives within ``seconds``, with the time of its arrival."""
    seen: list[tuple[float, bytes]] = []
    with trio.move_on_after(seconds):
        while True:
            for packet in await transport.receive_packets():
                seen.append((trio.current_time(), packet.data))
    return seen


async def connect(
    left: MemoryTransport, right: MemoryTransport
) -> tuple[MemoryStream, MemoryStream]:
    ours = await left.open_stream(right.local_address)
    return ours, (await right.accept_stream())[0]


async def connected(network: MemoryNetwork) -> tuple[MemoryStream, MemoryStream]:
    left, right = pair(network)
    ours = await left.open_stream(right.local_address)
    return ours, (await right.accept_stream())[0]


async def fill(sender: MemoryStream) -> None:
    """Write until nothing more fits."""
    with trio.move_on_after(0.001):
        while True:
            await sender.send_all(bytes(STREAM_BUFFER_BYTES))
