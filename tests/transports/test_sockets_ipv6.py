"""The socket transport on ::1 and on all interfaces of both families."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest
import trio

from tests.transports.contract import TransportContract
from trio_gossip.addresses import Address
from trio_gossip_transports import SocketTransport, open_socket_transport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


def _has_ipv6() -> bool:
    try:
        with closing(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not _has_ipv6(), reason="this host has no IPv6 loopback")


class TestIpv6Contract(TransportContract):
    @asynccontextmanager
    async def open_pair(self) -> AsyncGenerator[tuple[SocketTransport, SocketTransport]]:
        async with (
            await open_socket_transport("::1", 0) as left,
            await open_socket_transport("::1", 0) as right,
        ):
            yield left, right


async def test_the_long_spelling_of_an_address_is_the_same_address() -> None:
    async with await open_socket_transport("0:0:0:0:0:0:0:1", 0) as transport:
        assert transport.local_address.host == "::1"


async def test_all_interfaces_take_ipv4_too_and_tell_plain_ipv4_sources() -> None:
    async with (
        await open_socket_transport("::", 0) as both,
        await open_socket_transport("127.0.0.1", 0) as old,
        await open_socket_transport("::1", 0) as new,
    ):
        port = both.local_address.port
        assert both.local_address == Address("::", port)
        for peer in (old, new):
            peer.send_packet(b"ping", Address(peer.local_address.host, port))
            with trio.fail_after(5):
                [ping] = await both.receive_packets()
                assert ping.source == peer.local_address
                both.send_packet(b"ack", ping.source)
                [ack] = await peer.receive_packets()
            assert ack.source == Address(peer.local_address.host, port)


async def test_streams_from_ipv4_tell_a_plain_ipv4_source() -> None:
    async with (
        await open_socket_transport("::", 0) as both,
        await open_socket_transport("127.0.0.1", 0) as old,
    ):
        port = both.local_address.port
        ours = await old.open_stream(Address("127.0.0.1", port))
        theirs, source = await both.accept_stream()
        assert source.host == "127.0.0.1"
        await ours.aclose()
        await theirs.aclose()
        back = await both.open_stream(old.local_address)
        accepted, _ = await old.accept_stream()
        await back.aclose()
        await accepted.aclose()


async def test_a_mapped_address_is_sent_to_as_ipv4() -> None:
    async with await open_socket_transport("127.0.0.1", 0) as old:
        old.send_packet(b"x", Address("::ffff:127.0.0.1", old.local_address.port))
        with trio.fail_after(5):
            [packet] = await old.receive_packets()
        assert packet.source == old.local_address


async def test_an_ipv6_address_alone_neither_takes_nor_reaches_ipv4() -> None:
    async with await open_socket_transport("::1", 0) as new:
        new.send_packet(b"x", Address("127.0.0.1", 7946))
        assert new.statistics().packets_dropped == {"EAFNOSUPPORT": 1}


async def test_a_system_without_dual_sockets_listens_on_ipv6_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Single(socket.socket):
        def setsockopt(self, *arguments: object) -> None:
            if arguments[:2] == (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) and not arguments[2]:
                raise OSError("made up")
            super().setsockopt(*arguments)  # type: ignore[call-overload]  # passed on

    monkeypatch.setattr(socket, "socket", Single)
    async with await open_socket_transport("::", 0) as new:
        assert ":" in new.advertise_address.host
        new.send_packet(b"x", Address("127.0.0.1", 7946))
        assert new.statistics().packets_dropped == {"EAFNOSUPPORT": 1}


async def test_all_interfaces_of_both_families_tell_ipv4_first() -> None:
    async with (
        await open_socket_transport("::", 0) as both,
        await open_socket_transport("0.0.0.0", 0) as old,
    ):
        assert both.advertise_address.host == old.advertise_address.host


async def test_a_link_local_address_keeps_its_interface_when_it_is_resolved() -> None:
    name = socket.if_nameindex()[0][1]
    number = socket.if_nametoindex(name)
    async with await open_socket_transport("::1", 0) as transport:
        [found] = await transport.resolve(Address(f"fe80::1%{name}", 7))
        assert found in (Address(f"fe80::1%{name}", 7), Address(f"fe80::1%{number}", 7))


async def test_an_interface_that_cannot_be_is_a_counted_drop() -> None:
    async with await open_socket_transport("::1", 0) as transport:
        for scope in ("no-such-if", "a\0b", "\ud800", "9" * 5000, str(2**32)):
            transport.send_packet(b"x", Address(f"fe80::1%{scope}", 7946))
        assert transport.statistics().packets_dropped == {"EADDRNOTAVAIL": 5}


def _link_local() -> str | None:
    for index, _ in socket.if_nameindex():
        try:
            with closing(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as sock:
                sock.connect(("fe80::1", 9, 0, index))
                host, _, _, scope = sock.getsockname()
        except OSError:
            continue
        if host.startswith("fe80:"):
            return f"{host.partition('%')[0]}%{scope}"
    return None


async def test_a_link_local_source_keeps_its_interface() -> None:
    host = _link_local()
    if host is None:
        pytest.skip("no interface has a link-local address")
    async with await open_socket_transport(host, 0) as transport:
        assert transport.local_address.host == host
        transport.send_packet(b"x", transport.local_address)
        with trio.fail_after(5):
            [packet] = await transport.receive_packets()
        assert packet.source == transport.local_address
        stream = await transport.open_stream(transport.local_address)
        accepted, source = await transport.accept_stream()
        assert source.host == host
        await stream.aclose()
        await accepted.aclose()
        by_name = f"{host.partition('%')[0]}%{socket.if_indextoname(int(host.partition('%')[2]))}"
        transport.send_packet(b"x", Address(by_name, transport.local_address.port))
        transport.send_packet(b"x", Address("fe80::1%no-such-if", 7946))
        assert transport.statistics().packets_sent >= 2
