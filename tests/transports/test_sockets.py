"""UDP and TCP on one port of 127.0.0.1, in real time: the contract, and what is special."""

from __future__ import annotations

import errno
import logging
import socket
import time
import warnings
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trio
import trio.testing

from tests.transports.contract import TransportContract
from trio_gossip.addresses import Address
from trio_gossip.failures import DialFailure
from trio_gossip.transport import classify_dial_error
from trio_gossip_transports import SocketTransport, open_socket_transport, sockets

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

LOOPBACK = "127.0.0.1"


class TestSocketContract(TransportContract):
    @asynccontextmanager
    async def open_pair(self) -> AsyncGenerator[tuple[SocketTransport, SocketTransport]]:
        async with (
            await open_socket_transport(LOOPBACK, 0) as left,
            await open_socket_transport(LOOPBACK, 0) as right,
        ):
            yield left, right


class FlakySocket:
    """A socket whose chosen calls fail first, each with the next error of its list."""

    def __init__(self, real: socket.socket, **failures: list[int]) -> None:
        self._real = real
        self._failures = failures

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._real, name)
        if name not in self._failures:
            return call

        def flaky(*arguments: Any) -> Any:
            if self._failures[name]:
                number = self._failures[name].pop(0)
                raise OSError(number, "made up")
            return call(*arguments)

        return flaky


def make_flaky(transport: SocketTransport, which: str, **failures: list[int]) -> None:
    setattr(transport, which, FlakySocket(getattr(transport, which), **failures))


async def receive(transport: SocketTransport, count: int = 1) -> list[bytes]:
    received: list[bytes] = []
    with trio.fail_after(5):
        while len(received) < count:
            received += [packet.data for packet in await transport.receive_packets()]
    return received


# Opening


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

    monkeypatch.setattr(sockets.socket, "socket", Contested)
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
        await open_socket_transport(LOOPBACK, **{"port": 0, **arguments})  # type: ignore[arg-type]


async def test_a_failed_opening_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("made up")

    monkeypatch.setattr(sockets, "_raise_receive_buffer", fail)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        with pytest.raises(RuntimeError, match="made up"):
            await open_socket_transport(LOOPBACK, 0)


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

    monkeypatch.setattr(sockets.socket, "socket", Stingy)
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


# What to tell others


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

    monkeypatch.setattr(sockets, "_ELSEWHERE", ())
    monkeypatch.setattr(sockets, "_look_up", look_up)
    found = await sockets._find_advertised(Address("0.0.0.0", 5), is_dual=False)
    assert found == Address("10.0.0.3", 5)


async def test_without_any_address_loopback_is_told_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def nothing(_: object) -> list[str]:
        return []

    monkeypatch.setattr(sockets, "_ELSEWHERE", ())
    monkeypatch.setattr(sockets, "_host_name_addresses", nothing)
    with caplog.at_level(logging.WARNING):
        async with await open_socket_transport("0.0.0.0", 0) as transport:
            assert transport.advertise_address.host == LOOPBACK
    assert "no interface has an address for others" in caplog.text


# Datagrams


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


SEND_ERRORS = ["EAGAIN", "ENOBUFS", "EMSGSIZE", "EPERM", "ENETUNREACH", "EHOSTUNREACH", "EACCES"]


@pytest.mark.parametrize("name", SEND_ERRORS)
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


async def test_a_refusal_of_an_earlier_packet_does_not_cost_the_next() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        make_flaky(transport, "_udp", sendto=[errno.ECONNREFUSED])
        transport.send_packet(b"sent", transport.local_address)
        assert await receive(transport) == [b"sent"]
        assert transport.statistics().packets_dropped == {}


async def test_refused_twice_is_a_counted_drop() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        make_flaky(transport, "_udp", sendto=[errno.ECONNREFUSED] * 2)
        transport.send_packet(b"dropped", transport.local_address)
        assert transport.statistics().packets_dropped == {"ECONNREFUSED": 1}


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
    monkeypatch.setattr(sockets, "_CACHED_ADDRESSES_MAX", 10)
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        for port in range(50_000, 50_035):
            transport.send_packet(b"x", Address(LOOPBACK, port))
            with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as peer:
                peer.sendto(b"x", transport.local_address)
        assert len(await receive(transport, 35)) == 35
        assert len(transport._targets) <= 10
        assert len(transport._sources) <= 10


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


# Streams


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

        monkeypatch.setattr(sockets, "_look_up", look_up)
        stream = await transport.open_stream(Address("two.example", 7946))
        await stream.aclose()


async def test_a_dial_that_waits_is_woken_by_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: Address) -> trio.SocketStream:
        await trio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(sockets, "_dial", hang)
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

    monkeypatch.setattr(sockets, "_dial", finish_in_the_last_moment)
    transport = await open_socket_transport(LOOPBACK, 0)
    with pytest.raises(trio.ClosedResourceError):
        await transport.open_stream(Address(LOOPBACK, 1))
    assert made[0].socket.fileno() == -1


@pytest.mark.parametrize("name", ["ECONNABORTED", "EPROTO", "EHOSTUNREACH", "EPERM"])
async def test_a_connection_that_failed_in_the_queue_is_skipped_and_counted(name: str) -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        make_flaky(transport, "_tcp", accept=[getattr(errno, name)])
        ours = await transport.open_stream(transport.local_address)
        with trio.fail_after(5):
            theirs, _ = await transport.accept_stream()
        await ours.aclose()
        await theirs.aclose()
        assert transport.statistics().accept_errors == {name: 1}
        assert transport.statistics().streams_accepted == 1


async def test_out_of_files_accepting_waits_longer_each_time(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    autojump_clock.autojump_threshold = 0.05  # the sockets are real and need a moment
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        lacking = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM] * 3
        make_flaky(transport, "_tcp", accept=list(lacking))
        ours = await transport.open_stream(transport.local_address)
        started = trio.current_time()
        theirs, _ = await transport.accept_stream()
        waited = 0.005 * (2**8 - 1) + 4 * 1.0
        assert trio.current_time() - started == pytest.approx(waited)
        await ours.aclose()
        await theirs.aclose()
        assert sum(transport.statistics().accept_errors.values()) == len(lacking)
        assert "cannot accept a stream" in caplog.text


async def test_an_accepter_that_waits_for_files_is_still_the_only_one(
    mock_clock: trio.testing.MockClock,  # stands still, so that the wait goes on
) -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        make_flaky(transport, "_tcp", accept=[errno.EMFILE] * 1000)
        ours = await transport.open_stream(transport.local_address)
        refused: list[bool] = []

        async def accept_too() -> None:
            with pytest.raises(trio.BusyResourceError):
                await transport.accept_stream()
            refused.append(True)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.accept_stream)
            while not transport.statistics().accept_errors:
                await trio.lowlevel.checkpoint()
            nursery.start_soon(accept_too)
            await trio.testing.wait_all_tasks_blocked(0.01)
            nursery.cancel_scope.cancel()
        assert refused
        await ours.aclose()


async def test_closing_ends_the_wait_of_an_accepter_that_lacks_files() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        make_flaky(transport, "_tcp", accept=[errno.EMFILE] * 1000)
        ours = await transport.open_stream(transport.local_address)
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def _() -> None:
                    with pytest.raises(trio.ClosedResourceError):
                        await transport.accept_stream()

                while not transport.statistics().accept_errors:
                    await trio.lowlevel.checkpoint()
                await transport.aclose()
        await ours.aclose()


async def test_an_error_of_the_listener_itself_escapes() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        make_flaky(transport, "_tcp", accept=[errno.EINVAL])
        ours = await transport.open_stream(transport.local_address)
        with pytest.raises(OSError, match="made up"):
            await transport.accept_stream()
        await ours.aclose()


async def test_the_streams_are_half_closeable() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:

        async def maker() -> tuple[trio.SocketStream, trio.SocketStream]:
            ours = await transport.open_stream(transport.local_address)
            return ours, (await transport.accept_stream())[0]

        await trio.testing.check_half_closeable_stream(maker, None)


# Closing and counting


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
            sent.packets_sent = 0  # type: ignore[misc]
        with pytest.raises(TypeError):
            sent.packets_dropped["EAGAIN"] = 1  # type: ignore[index]
