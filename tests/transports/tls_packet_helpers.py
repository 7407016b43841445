"""Helpers of the tests of packets over TLS: members on one in-memory network, by name."""

from __future__ import annotations

from functools import cache
from typing import Any, Self

import trio

from tests.transports.tls_helpers import Contexts, contexts
from trio_gossip.addresses import Address
from trio_gossip.transport import Packet
from trio_gossip_transports import MemoryNetwork
from trio_gossip_transports.tls import TLSTransport
from trio_gossip_transports.tls_packet_link import frame


@cache
def issued(*names: str) -> Contexts:
    """Not those of the tests with datagrams: their ALPN protocols are set."""
    return contexts(*names)


def over(inner: Any, *names: str, **options: Any) -> TLSTransport:
    """A transport whose packets travel in streams."""
    return TLSTransport(inner, *issued(*names), packets="streams", **options)


class Street:
    """Members whose hosts have their names; all are closed at the end."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self._open: list[TLSTransport] = []

    def member(self, name: str, *, host: str = "", port: int = 7946, **options: Any) -> Any:
        transport = over(self.network.transport(host or name, port), name, **options)
        self._open.append(transport)
        return transport

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for transport in self._open:
            await transport.aclose()


def at(name: str, port: int = 7946) -> Address:
    return Address(name, port)


def hello(port: int = 7946) -> bytes:
    """The first frame of who opens a connection."""
    return frame(b"\x01" + port.to_bytes(2, "big"))


async def received(transport: Any, count: int = 1) -> list[Packet]:
    """The next packets; fails when they do not come."""
    packets: list[Packet] = []
    with trio.fail_after(60):
        while len(packets) < count:
            packets += await transport.receive_packets()
    return packets


async def connection(street: Street, to: str, *names: str) -> Any:
    """A connection for packets to a member, of which the test sends every byte."""
    inner = street.network.transport(names[0])
    ours = over(inner, *names)
    street._open.append(ours)
    return await ours._dial_for_packets(at(to), to)


def pool(transport: Any) -> Any:
    """What the transport counts of packets."""
    return transport.statistics().packets
