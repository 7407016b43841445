"""Streams on real sockets: dialling, and what the streams are like."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest
import trio
import trio.testing

from tests.transports.socket_helpers import LOOPBACK
from trio_gossip.addresses import Address
from trio_gossip.failures import DialFailure
from trio_gossip.transport import classify_dial_error
from trio_gossip_transports import dialling, open_socket_transport, sockets


async def test_streams_do_not_wait_to_fill_a_segment() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        accepted: list[trio.SocketStream] = []
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                accepted.append((await transport.accept_stream())[0])

            ours = await transport.open_stream(transport.local_address)
        async with ours, accepted[0]:
            for stream in (ours, accepted[0]):
                assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_dial_to_a_closed_port_is_refused() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as closed:
        pass
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        with pytest.raises(ConnectionRefusedError) as caught:
            await transport.open_stream(closed.local_address)
        assert classify_dial_error(caught.value) is DialFailure.REFUSED
        assert transport.statistics().streams_opened == 0


async def test_a_dial_that_connects_to_itself_is_refused() -> None:
    """TCP does so when the port that is dialled is free and the kernel picks it as the source."""

    class BindsToTheDialledPort(trio.abc.SocketFactory):
        def socket(self, *arguments: Any) -> Any:  # type: ignore[override]  # any arguments
            sock = socket.socket(*arguments)
            sock.bind(closed.local_address)
            return trio.socket.from_stdlib_socket(sock)

    async with await open_socket_transport(LOOPBACK, 0) as closed:
        pass
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        trio.socket.set_custom_socket_factory(BindsToTheDialledPort())
        with pytest.raises(ConnectionRefusedError):
            await transport.open_stream(closed.local_address)


@pytest.mark.parametrize(
    "address",
    [
        Address("a\0b", 7946),
        Address("x" * 70 + ".example", 7946),
        Address(LOOPBACK, 0),
        Address(LOOPBACK, 70_000),
        Address("no-such-host.invalid", 7946),
    ],
    ids=str,
)
async def test_a_dial_to_an_address_that_makes_no_sense_is_unreachable(address: Address) -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        with pytest.raises(OSError) as caught:
            await transport.open_stream(address)
        assert classify_dial_error(caught.value) is DialFailure.UNREACHABLE


async def test_a_dial_by_name_tries_each_address(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        await open_socket_transport(LOOPBACK, 0) as closed,
        await open_socket_transport(LOOPBACK, 0) as transport,
    ):
        await closed.aclose()

        async def look_up(*_: object) -> list[tuple[int, tuple[str, int]]]:
            both = closed.local_address, transport.local_address
            return [(socket.AF_INET, (address.host, address.port)) for address in both]

        monkeypatch.setattr(dialling, "look_up", look_up)
        stream = await transport.open_stream(Address("two.example", 7946))
        await stream.aclose()


async def test_a_dial_by_name_passes_over_a_family_that_this_host_lacks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without IPv6 in the kernel its socket cannot even be made; IPv4 was never tried."""

    class OnlyIpv4(trio.abc.SocketFactory):
        def socket(self, *arguments: Any) -> Any:  # type: ignore[override]  # any arguments
            if arguments[0] != socket.AF_INET:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            return trio.socket.from_stdlib_socket(socket.socket(*arguments))

    async def look_up(*_: object) -> list[tuple[int, tuple[Any, ...]]]:
        local = transport.local_address
        return [(socket.AF_INET6, ("::1", local.port, 0, 0)), (socket.AF_INET, tuple(local))]

    async with await open_socket_transport(LOOPBACK, 0) as transport:
        trio.socket.set_custom_socket_factory(OnlyIpv4())
        monkeypatch.setattr(dialling, "look_up", look_up)
        stream = await transport.open_stream(Address("two.example", 7946))
        await stream.aclose()
        monkeypatch.setattr(dialling, "look_up", lambda *_: nothing_but_ipv6())
        with pytest.raises(OSError, match="not supported"):
            await transport.open_stream(Address("six.example", 7946))


async def nothing_but_ipv6() -> list[tuple[int, tuple[Any, ...]]]:
    return [(socket.AF_INET6, ("::1", 7946, 0, 0))]


async def test_a_dial_that_waits_is_woken_by_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: Address) -> trio.SocketStream:
        await trio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(sockets, "dial", hang)
    transport = await open_socket_transport(LOOPBACK, 0)
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await transport.open_stream(Address(LOOPBACK, 1))

            await trio.testing.wait_all_tasks_blocked()
            await transport.aclose()


async def test_a_dial_that_ends_as_the_transport_closes_leaks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[trio.SocketStream] = []

    async def finish_in_the_last_moment(_: Address) -> trio.SocketStream:
        with trio.CancelScope(shield=True):
            await transport.aclose()
        made.append(trio.SocketStream(trio.socket.socket()))
        return made[0]

    monkeypatch.setattr(sockets, "dial", finish_in_the_last_moment)
    transport = await open_socket_transport(LOOPBACK, 0)
    with pytest.raises(trio.ClosedResourceError):
        await transport.open_stream(Address(LOOPBACK, 1))
    assert made[0].socket.fileno() == -1


async def test_the_streams_are_half_closeable() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:

        async def maker() -> tuple[trio.SocketStream, trio.SocketStream]:
            ours = await transport.open_stream(transport.local_address)
            return ours, (await transport.accept_stream())[0]

        await trio.testing.check_half_closeable_stream(maker, None)
