"""Datagrams on real sockets: sizes, errors of the system, addresses, bounded caches."""

from __future__ import annotations

import errno
import socket
import time
from contextlib import closing
from typing import Any

import pytest
import trio
import trio.testing

from tests.transports.socket_helpers import LOOPBACK, make_flaky, receive
from trio_gossip.addresses import Address
from trio_gossip_transports import open_socket_transport, socket_addresses


async def test_a_packet_over_the_limit_of_the_sender_still_arrives_whole() -> None:
    """A peer with a larger limit is none of our business; to cut its packet silently is."""
    async with (
        await open_socket_transport(LOOPBACK, 0, packet_limit=65_507) as left,
        await open_socket_transport(LOOPBACK, 0) as right,
    ):
        data = bytes(range(256)) * 255 + bytes(227)
        assert len(data) == left.packet_limit
        left.send_packet(data, right.local_address)
        assert await receive(right) == [data]


async def test_empty_packets_are_delivered_and_counted() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        for _ in range(3):
            transport.send_packet(b"", transport.local_address)
        assert await receive(transport, 3) == [b"", b"", b""]
        assert transport.statistics().packets_received == 3
        assert transport.statistics().bytes_received == 0


BELATED = ["ECONNREFUSED", "EMSGSIZE", "ENETUNREACH", "EHOSTUNREACH", "EACCES"]


@pytest.mark.parametrize("name", ["EAGAIN", "ENOBUFS", "EPERM"])
async def test_an_error_of_sending_is_a_counted_drop(name: str) -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        make_flaky(transport, "_udp", sendto=[getattr(errno, name)])
        transport.send_packet(b"dropped", transport.local_address)
        transport.send_packet(b"sent", transport.local_address)
        assert await receive(transport) == [b"sent"]
        statistics = transport.statistics()
        assert statistics.packets_dropped == {name: 1}
        assert statistics.packets_sent == 1
        assert statistics.bytes_sent == 4


@pytest.mark.parametrize("name", BELATED)
async def test_the_answer_to_an_earlier_packet_does_not_cost_the_next(name: str) -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        make_flaky(transport, "_udp", sendto=[getattr(errno, name)])
        transport.send_packet(b"sent", transport.local_address)
        assert await receive(transport) == [b"sent"]
        assert transport.statistics().packets_dropped == {}


@pytest.mark.parametrize("name", BELATED)
async def test_an_error_that_stays_is_a_counted_drop(name: str) -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        make_flaky(transport, "_udp", sendto=[getattr(errno, name)] * 2)
        transport.send_packet(b"dropped", transport.local_address)
        transport.send_packet(b"sent", transport.local_address)
        assert await receive(transport) == [b"sent"]
        assert transport.statistics().packets_dropped == {name: 1}
        assert transport.statistics().packets_sent == 1


async def test_transient_errors_of_receiving_are_absorbed_and_counted() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        transport.send_packet(b"x", transport.local_address)
        failures = [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENOBUFS, errno.ECONNREFUSED]
        make_flaky(transport, "_udp", recvfrom=failures)
        assert await receive(transport) == [b"x"]
        assert transport.statistics().receive_errors == {
            "ECONNREFUSED": 2,
            "EHOSTUNREACH": 1,
            "ENOBUFS": 1,
        }


async def test_a_storm_of_errors_is_absorbed_in_bounded_steps() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        transport.send_packet(b"x", transport.local_address)
        make_flaky(transport, "_udp", recvfrom=[errno.ECONNREFUSED] * 1000)
        assert transport.receive_packets_nowait() == []
        assert transport.statistics().receive_errors == {"ECONNREFUSED": 32}
        assert await receive(transport) == [b"x"]


async def test_an_error_of_the_socket_itself_escapes() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        transport.send_packet(b"x", transport.local_address)
        make_flaky(transport, "_udp", recvfrom=[errno.ENOTSOCK])
        with pytest.raises(OSError, match="made up"):
            await transport.receive_packets()


async def test_addresses_that_cannot_be_sent_to_are_counted_and_look_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a look-up would block the process")

    async with await open_socket_transport(LOOPBACK, 0) as transport:
        monkeypatch.setattr(socket, "getaddrinfo", fail)
        started = time.monotonic()
        transport.send_packet(b"x", Address("a-name.example", 7946))
        transport.send_packet(b"x", Address(LOOPBACK, 0))
        transport.send_packet(b"x", Address("::1", 7946))
        assert time.monotonic() - started < 0.5
        dropped = transport.statistics().packets_dropped
        assert dropped == {"EADDRNOTAVAIL": 2, "EAFNOSUPPORT": 1}


async def test_the_caches_of_addresses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_addresses, "_CACHED_ADDRESSES_MAX", 10)
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        for port in range(50_000, 50_035):
            transport.send_packet(b"x", Address(LOOPBACK, port))
            with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as peer:
                peer.sendto(b"x", transport.local_address)
        assert len(await receive(transport, 35)) == 35
        assert len(transport._addresses.targets) <= 10
        assert len(transport._addresses.sources) <= 10


async def test_a_spurious_wake_up_is_no_empty_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel wakes a reader for a packet that it then drops for its checksum."""
    real = trio.lowlevel.wait_readable
    wakes = 0

    async def nervous(sock: Any) -> None:
        nonlocal wakes
        wakes += 1
        if wakes > 3:
            await real(sock)
        else:
            await trio.lowlevel.checkpoint()

    monkeypatch.setattr(trio.lowlevel, "wait_readable", nervous)
    async with (
        await open_socket_transport(LOOPBACK, 0) as transport,
        trio.open_nursery() as nursery,
    ):

        @nursery.start_soon
        async def _() -> None:
            assert await receive(transport) == [b"x"]

        await trio.testing.wait_all_tasks_blocked()
        transport.send_packet(b"x", transport.local_address)
    assert wakes == 4
