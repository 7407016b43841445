"""UDP and TCP on one port of 127.0.0.1, in real time: the contract, names, closing, counting."""

from __future__ import annotations

import warnings
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
import trio.testing

from tests.transports.contract import TransportContract
from tests.transports.socket_helpers import LOOPBACK, receive
from trio_gossip.addresses import Address
from trio_gossip_transports import SocketTransport, open_socket_transport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class TestSocketContract(TransportContract):
    @asynccontextmanager
    async def open_pair(self) -> AsyncGenerator[tuple[SocketTransport, SocketTransport]]:
        async with (
            await open_socket_transport(LOOPBACK, 0) as left,
            await open_socket_transport(LOOPBACK, 0) as right,
        ):
            yield left, right


async def test_a_literal_of_either_family_stands_for_itself() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        for host in ("203.0.113.9", "2001:db8::9"):
            assert await transport.resolve(Address(host, 7)) == [Address(host, 7)]


async def test_a_name_stands_for_each_of_its_addresses_once() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        assert await transport.resolve(Address("localhost", 7)) == [Address(LOOPBACK, 7)]


async def test_streams_outlive_their_transport() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        ours = await transport.open_stream(transport.local_address)
        theirs, _ = await transport.accept_stream()
    async with ours, theirs:
        await ours.send_all(b"still")
        assert await theirs.receive_some(5) == b"still"


async def test_everything_is_refused_after_closing_and_counters_stay() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        transport.send_packet(b"12345", transport.local_address)
    for call in (transport.receive_packets_nowait, transport.refusals_nowait):
        with pytest.raises(trio.ClosedResourceError):
            call()
    assert transport.statistics().packets_sent == 1


async def test_packets_that_wait_are_not_returned_after_closing() -> None:
    """Woken by a packet, but closed before it runs: the socket number may be another's by now."""
    async with (
        await open_socket_transport(LOOPBACK, 0) as transport,
        trio.open_nursery() as nursery,
    ):

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await transport.receive_packets()

        await trio.testing.wait_all_tasks_blocked()
        transport.send_packet(b"x", transport.local_address)
        await transport.aclose()


async def test_no_warning_about_open_sockets_after_closing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        transport = await open_socket_transport(LOOPBACK, 0)
        await trio.aclose_forcefully(transport)
        assert transport._udp.fileno() == transport._tcp.fileno() == -1
        del transport


async def test_the_counters_add_up_and_are_frozen() -> None:
    async with (
        await open_socket_transport(LOOPBACK, 0) as left,
        await open_socket_transport(LOOPBACK, 0) as right,
    ):
        for size in range(10):
            left.send_packet(bytes(size), right.local_address)
        await receive(right, 10)
        stream = await left.open_stream(right.local_address)
        accepted, _ = await right.accept_stream()
        await stream.aclose()
        await accepted.aclose()
        sent, received = left.statistics(), right.statistics()
        assert (sent.packets_sent, sent.bytes_sent, sent.streams_opened) == (10, 45, 1)
        assert (received.packets_received, received.bytes_received) == (10, 45)
        assert received.streams_accepted == 1
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            sent.packets_sent = 0  # type: ignore[misc]  # frozen
        with pytest.raises(TypeError):
            sent.packets_dropped["EAGAIN"] = 1  # type: ignore[index]  # frozen
