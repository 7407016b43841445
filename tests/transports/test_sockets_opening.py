"""Opening sockets: ports, names, errors, buffers, and the address that others are told."""

from __future__ import annotations

import errno
import logging
import socket
import warnings
from contextlib import closing
from typing import Any

import pytest
import trio
import trio.testing

from tests.transports.socket_helpers import LOOPBACK, receive
from trio_gossip.addresses import Address
from trio_gossip_transports import advertising, binding, open_socket_transport, sockets


async def test_udp_and_tcp_get_the_same_port() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        port = transport.local_address.port
        with closing(socket.create_connection((LOOPBACK, port), timeout=5)):
            pass
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as peer:
            peer.sendto(b"x", (LOOPBACK, port))
            assert await receive(transport) == [b"x"]


async def test_port_zero_tries_again_until_udp_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = [errno.EADDRINUSE] * 9

    class Contested(socket.socket):
        def bind(self, address: Any) -> None:
            if self.type == socket.SOCK_DGRAM and taken:
                raise OSError(taken.pop(), "made up")
            super().bind(address)

    monkeypatch.setattr(socket, "socket", Contested)
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        assert transport.local_address.port > 0
        assert not taken
    taken += [errno.EADDRINUSE] * 10
    with pytest.raises(OSError, match=rf"cannot bind {LOOPBACK}:0") as caught:
        await open_socket_transport(LOOPBACK, 0)
    assert caught.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_a_taken_port_is_named_in_the_error(kind: socket.SocketKind) -> None:
    with closing(socket.socket(socket.AF_INET, kind)) as holder:
        holder.bind((LOOPBACK, 0))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(OSError, match="cannot bind") as caught:
            await open_socket_transport(LOOPBACK, port)
    assert caught.value.errno == errno.EADDRINUSE
    assert caught.value.strerror == f"cannot bind {LOOPBACK}:{port}: address already in use"


async def test_two_transports_cannot_share_a_port() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as first:
        with pytest.raises(OSError, match="address already in use"):
            await open_socket_transport(*first.local_address)


async def test_a_port_is_free_again_after_closing_even_with_old_connections() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as first:
        address = first.local_address
        theirs: list[trio.SocketStream] = []
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                theirs.append((await first.accept_stream())[0])

            ours = await first.open_stream(address)
        await theirs[0].aclose()  # the listener's side closes first: TIME_WAIT is on its port
        await ours.aclose()
    async with await open_socket_transport(*address) as second:
        assert second.local_address == address


async def test_an_address_of_another_host_cannot_be_bound() -> None:
    with pytest.raises(OSError, match=r"cannot bind 203\.0\.113\.7:7946: ") as caught:
        await open_socket_transport("203.0.113.7")
    assert caught.value.errno == errno.EADDRNOTAVAIL


async def test_a_name_is_looked_up() -> None:
    async with await open_socket_transport("localhost", 0) as transport:
        assert transport.local_address.host in (LOOPBACK, "::1")


async def test_a_name_that_does_not_resolve_is_named_in_the_error() -> None:
    with pytest.raises(OSError, match=r"cannot bind no-such-host\.invalid:7946: "):
        await open_socket_transport("no-such-host.invalid")


@pytest.mark.parametrize(
    "arguments",
    [
        {"port": -1},
        {"port": 65_536},
        {"packet_limit": 0},
        {"packet_limit": 65_508},
        {"receive_buffer": 0},
    ],
)
async def test_arguments_out_of_range_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        await open_socket_transport(LOOPBACK, **{"port": 0, **arguments})  # type: ignore[arg-type]  # any


async def test_a_failed_opening_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("made up")

    monkeypatch.setattr(sockets, "raise_receive_buffer", fail)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        with pytest.raises(RuntimeError, match="made up"):
            await open_socket_transport(LOOPBACK, 0)


@pytest.mark.parametrize("call", ["socket", "setblocking", "bind"])
async def test_a_second_socket_that_fails_leaves_the_first_one_not_open(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """With the last free file taken by TCP, UDP could not be made, and TCP stayed open."""
    made: list[socket.socket] = []

    class LastFile(socket.socket):
        def __init__(self, *arguments: Any) -> None:
            if call == "socket" and made:
                raise OSError(errno.EMFILE, "Too many open files")
            super().__init__(*arguments)
            made.append(self)

        def setblocking(self, flag: bool) -> None:
            if call == "setblocking" and self is made[-1]:
                raise KeyboardInterrupt
            super().setblocking(flag)

        def bind(self, address: Any) -> None:
            if call == "bind" and self.type == socket.SOCK_DGRAM:
                raise OSError(errno.EACCES, "Permission denied")
            super().bind(address)

    monkeypatch.setattr(socket, "socket", LastFile)
    kind = KeyboardInterrupt if call == "setblocking" else OSError
    with pytest.raises(kind):
        await binding.bind_both(Address(LOOPBACK, 0))
    assert made
    assert [each.fileno() for each in made] == [-1] * len(made)


async def test_the_receive_buffer_is_halved_until_the_system_accepts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    class Stingy(socket.socket):
        def setsockopt(self, *arguments: Any) -> None:
            if arguments[1] == socket.SO_RCVBUF:
                asked.append(arguments[2])
                if arguments[2] > 300_000:
                    raise OSError(errno.ENOBUFS, "made up")
            super().setsockopt(*arguments)

    monkeypatch.setattr(socket, "socket", Stingy)
    async with await open_socket_transport(LOOPBACK, 0, receive_buffer=1_048_576) as transport:
        assert asked == [1_048_576, 524_288, 262_144]
        assert transport.statistics().receive_buffer >= 262_144


async def test_a_long_pause_overflows_no_default_buffer() -> None:
    """1,000 packets wait in the kernel; the usual buffer of Linux holds some 250."""
    async with (
        await open_socket_transport(LOOPBACK, 0) as left,
        await open_socket_transport(LOOPBACK, 0) as right,
    ):
        if right.statistics().receive_buffer < 1_000_000:
            pytest.skip("this system does not grant a large buffer")
        for _ in range(1000):
            left.send_packet(b"x" * 60, right.local_address)
        assert len(await receive(right, 1000)) == 1000


async def test_bound_to_one_address_it_is_what_others_are_told() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        assert transport.advertise_address == transport.local_address


async def test_bound_to_all_interfaces_others_are_told_the_address_of_the_route() -> None:
    async with await open_socket_transport("0.0.0.0", 0) as transport:
        told = transport.advertise_address
        assert transport.local_address.host == "0.0.0.0"
        assert not told.is_wildcard
        assert told.port == transport.local_address.port
    async with await open_socket_transport("0.0.0.0", 0) as transport:
        assert transport.advertise_address.host == told.host


async def test_without_a_route_others_are_told_a_private_address_of_the_host_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def look_up(*_: object, **__: object) -> list[tuple[int, tuple[str, int]]]:
        hosts = "198.51.100.5", "10.0.0.9", LOOPBACK, "10.0.0.3"
        return [(socket.AF_INET, (host, 0)) for host in hosts]

    monkeypatch.setattr(advertising, "_ELSEWHERE", ())
    monkeypatch.setattr(advertising, "look_up", look_up)
    found = await advertising.find_advertised(Address("0.0.0.0", 5), is_dual=False)
    assert found == Address("10.0.0.3", 5)


async def test_without_any_address_loopback_is_told_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def nothing(_: object) -> list[str]:
        return []

    monkeypatch.setattr(advertising, "_ELSEWHERE", ())
    monkeypatch.setattr(advertising, "_host_name_addresses", nothing)
    with caplog.at_level(logging.WARNING):
        async with await open_socket_transport("0.0.0.0", 0) as transport:
            assert transport.advertise_address.host == LOOPBACK
    assert "no interface has an address for others" in caplog.text
