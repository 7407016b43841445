"""Evidence on real sockets: refused, taken but silent, answered, timed out; resets; ICMP."""

from __future__ import annotations

import errno
import socket
import struct
import sys
from contextlib import closing
from pathlib import Path

import pytest
import trio

from tests.transports.socket_helpers import LOOPBACK, make_flaky
from tests.transports.test_sockets_ipv6 import _has_ipv6
from trio_gossip.addresses import Address
from trio_gossip.failures import DialFailure
from trio_gossip.transport import Refused, abort_stream, classify_dial_error
from trio_gossip_transports import SocketTransport, binding, open_socket_transport, refusals

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of refusals")
HOSTS = [
    LOOPBACK,
    pytest.param("::1", marks=pytest.mark.skipif(not _has_ipv6(), reason="no IPv6 loopback")),
]


async def nobody_at(host: str) -> Address:
    """An address at which nobody listens any more."""
    async with await open_socket_transport(host, 0) as gone:
        return gone.local_address


async def outcome(transport: SocketTransport, address: Address, patience: float) -> str:
    """How one check of a peer ends: what a stream ping tells the engine."""
    told: list[str] = []
    with trio.move_on_after(patience):
        try:
            stream = await transport.dial(address, None, lambda: told.append("stalled"))
        except OSError as error:
            return str(classify_dial_error(error).value)
        try:
            await stream.send_all(b"?")
            return "answered" if await stream.receive_some(1) else "ended"
        finally:
            await abort_stream(stream)
    return told[0] if told else "silent"


@pytest.mark.parametrize("host", HOSTS)
async def test_a_port_without_a_process_is_refused(host: str) -> None:
    async with await open_socket_transport(host, 0) as transport:
        assert await outcome(transport, await nobody_at(host), 5.0) == DialFailure.REFUSED.value


@pytest.mark.parametrize("host", HOSTS)
async def test_a_process_that_never_accepts_is_connected_and_says_nothing(host: str) -> None:
    async with (
        await open_socket_transport(host, 0) as transport,
        await open_socket_transport(host, 0) as stopped,
    ):
        assert await outcome(transport, stopped.local_address, 0.5) == "stalled"


@pytest.mark.parametrize("host", HOSTS)
async def test_a_process_that_answers_is_heard(host: str) -> None:
    async with (
        await open_socket_transport(host, 0) as transport,
        await open_socket_transport(host, 0) as alive,
        trio.open_nursery() as nursery,
    ):

        @nursery.start_soon
        async def _() -> None:
            stream, _source = await alive.accept_stream()
            async with stream:
                await stream.receive_some(1)
                await stream.send_all(b"!")

        assert await outcome(transport, alive.local_address, 5.0) == "answered"


@linux_only
async def test_a_full_backlog_answers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "_BACKLOG", 0)
    async with (
        await open_socket_transport(LOOPBACK, 0) as transport,
        await open_socket_transport(LOOPBACK, 0) as stopped,
    ):
        waiting = [await transport.open_stream(stopped.local_address)]  # one more than asked
        assert await outcome(transport, stopped.local_address, 0.2) == "silent"
        for stream in waiting:
            await abort_stream(stream)


async def test_the_backlog_holds_more_than_256_streams() -> None:
    async with (
        await open_socket_transport(LOOPBACK, 0) as transport,
        await open_socket_transport(LOOPBACK, 0) as stopped,
    ):
        streams: list[trio.SocketStream] = []
        with trio.fail_after(10):
            for _ in range(300):
                streams.append(await transport.open_stream(stopped.local_address))
        for stream in streams:
            await abort_stream(stream)


def states(port: int) -> list[str]:
    """The states of TCP sockets of a port, in hexadecimal: 06 is TIME_WAIT, 0A is LISTEN."""
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if f"{port:04X}" in (local.rpartition(":")[2], remote.rpartition(":")[2]):
            found.append(state)
    return found


@linux_only
@pytest.mark.parametrize("answered", [True, False])
async def test_fifty_probes_leave_nothing_behind(answered: bool) -> None:
    """Whoever closes a connection first keeps it for a minute, unless it was reset."""
    async with (
        await open_socket_transport(LOOPBACK, 0) as transport,
        await open_socket_transport(LOOPBACK, 0) as peer,
        trio.open_nursery() as nursery,
    ):

        async def serve() -> None:
            while True:
                stream, _source = await peer.accept_stream()
                nursery.start_soon(answer, stream)

        async def answer(stream: trio.SocketStream) -> None:
            """As a member does: it closes as soon as it has answered."""
            async with stream:
                await stream.receive_some(1)
                await stream.send_all(b"!")

        if answered:
            nursery.start_soon(serve)
        for _ in range(50):
            if answered:
                assert await outcome(transport, peer.local_address, 5.0) == "answered"
            else:
                await abort_stream(await transport.open_stream(peer.local_address))
        port = peer.local_address.port
        with trio.fail_after(5):
            while set(states(port)) - {"0A", "08"}:  # CLOSE_WAIT: not accepted, and aborted
                await trio.sleep(0.01)
        assert "06" not in states(port)
        nursery.cancel_scope.cancel()


async def test_an_aborted_stream_is_reset_for_the_peer() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        ours = await transport.open_stream(transport.local_address)
        theirs, _ = await transport.accept_stream()
        await abort_stream(ours)
        with pytest.raises(trio.BrokenResourceError) as caught, trio.fail_after(5):
            await theirs.receive_some(1)
        assert classify_dial_error(caught.value) is DialFailure.RESET
        await theirs.aclose()


# -- ICMP -------------------------------------------------------------------------------


def both(host: str, bound: str) -> pytest.param:
    marks = [pytest.mark.skipif(not _has_ipv6(), reason="no IPv6")] if ":" in host + bound else []
    return pytest.param(host, bound, marks=marks)


@linux_only
@pytest.mark.parametrize(
    ("host", "bound"),
    [
        both(LOOPBACK, LOOPBACK),
        both(LOOPBACK, "0.0.0.0"),
        both("::1", "::1"),
        both("::1", "::"),
        both(LOOPBACK, "::"),
    ],
)
async def test_a_refused_packet_wakes_the_receiver_and_names_its_target(
    host: str, bound: str
) -> None:
    nobody = await nobody_at(host)
    async with await open_socket_transport(bound, 0) as transport:
        transport.send_packet(b"anybody?", nobody)
        with trio.fail_after(5):
            assert await transport.receive_packets() == []
        assert transport.refusals_nowait() == [Refused(nobody)]
        assert transport.refusals_nowait() == []
        assert transport.statistics().refusals == 1
        assert transport.statistics().receive_errors == {}


@linux_only
async def test_a_refusal_is_told_once_and_does_not_keep_the_receiver_awake() -> None:
    nobody = await nobody_at(LOOPBACK)
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        for _ in range(10):
            transport.send_packet(b"anybody?", nobody)
        with trio.fail_after(5):
            while transport.statistics().refusals < 10:
                assert await transport.receive_packets() == []
                assert transport.refusals_nowait() == [Refused(nobody)]
        with trio.move_on_after(0.05) as scope:
            await transport.receive_packets()
        assert scope.cancelled_caught


@linux_only
async def test_refusals_cost_no_packet_and_no_packet_hides_them() -> None:
    nobody = await nobody_at(LOOPBACK)
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        received = 0
        refused = 0
        for _ in range(100):
            transport.send_packet(b"anybody?", nobody)
            transport.send_packet(b"x", transport.local_address)
        with trio.fail_after(5):
            while received < 100 or not refused:
                received += len(await transport.receive_packets())
                refused += len(transport.refusals_nowait())
        assert transport.statistics().packets_dropped == {}
        assert transport.statistics().packets_sent == 200


@linux_only
async def test_a_refusal_that_a_later_sending_ran_into_is_told_with_the_next_packets() -> None:
    """Else a busy member, that never finds its socket empty, would never hear of it."""
    nobody = await nobody_at(LOOPBACK)
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        transport.send_packet(b"anybody?", nobody)
        with trio.fail_after(5):
            await trio.lowlevel.wait_readable(transport._udp)  # the answer is there
        transport.send_packet(b"x", transport.local_address)
        with trio.fail_after(5):
            assert [packet.data for packet in await transport.receive_packets()] == [b"x"]
        assert transport.refusals_nowait() == [Refused(nobody)]


@linux_only
async def test_the_refusals_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "REFUSALS_MAX", 3)
    nobody = [await nobody_at(LOOPBACK) for _ in range(5)]
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        for number, address in enumerate(dict.fromkeys(nobody), 1):
            transport.send_packet(b"x", address)
            with trio.fail_after(5):
                while transport.statistics().refusals < number:
                    await trio.lowlevel.wait_readable(transport._udp)
                    transport._errors.read()
        told = len(transport.refusals_nowait())
        statistics = transport.statistics()
        assert told == 3
        assert statistics.refusals == 3 + statistics.refusals_dropped == len(dict.fromkeys(nobody))


class Told:
    """An error queue with made-up errors in it."""

    def __init__(self, *errors: tuple[int, int, bytes, object]) -> None:
        self.errors = list(errors)

    def __call__(self, *_: object) -> tuple[bytes, list[tuple[int, int, bytes]], int, object]:
        if not self.errors:
            raise BlockingIOError(errno.EAGAIN, "empty")
        level, kind, data, target = self.errors.pop(0)
        return b"", [(level, kind, data)], 0, target


def error(number: int, origin: int) -> bytes:
    return struct.pack("=IBBBBII", number, origin, 3, 3, 0, 0, 0) + bytes(16)


@linux_only
def test_what_is_no_refusal_or_makes_no_sense_is_counted_and_refuses_nobody() -> None:
    level, kind = socket.IPPROTO_IP, 11
    target = ("192.0.2.1", 7946)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as udp:
        queue = refusals.ErrorQueue(udp)
        assert queue.is_open
        queue._udp = type("Made", (), {"recvmsg": Told(
            (level, kind, error(errno.EHOSTUNREACH, 2), target),
            (level, kind, error(errno.ECONNREFUSED, 1), target),  # of this host itself
            (level, kind, b"short", target),
            (level, 99, error(errno.ECONNREFUSED, 2), target),
            (level, kind, error(errno.ECONNREFUSED, 2), None),
            (level, kind, error(errno.ECONNREFUSED, 2), target),
        )})()  # fmt: skip
        assert queue.read() == 6
        assert queue.take() == [Refused(Address("192.0.2.1", 7946))]
    assert (queue.refused, queue.dropped) == (2, 1)
    assert queue.others == {"EHOSTUNREACH": 1, "ECONNREFUSED": 1}


async def test_a_system_without_an_error_queue_tells_of_no_refusals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "plan9")
    nobody = await nobody_at(LOOPBACK)
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        transport.send_packet(b"anybody?", nobody)
        with trio.move_on_after(0.05) as scope:
            await transport.receive_packets()
        assert scope.cancelled_caught
        assert transport.refusals_nowait() == []
        assert transport.statistics().refusals == 0


async def test_a_kernel_that_refuses_the_option_is_no_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Old(socket.socket):
        def setsockopt(self, *arguments: object) -> None:
            if arguments[1] in (refusals._IP_RECVERR, refusals._IPV6_RECVERR):
                raise OSError(errno.ENOPROTOOPT, "made up")
            super().setsockopt(*arguments)  # type: ignore[call-overload]  # passed on

    monkeypatch.setattr(socket, "socket", Old)
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        assert not transport._errors.is_open
        make_flaky(transport, "_udp", recvfrom=[errno.ECONNREFUSED])
        transport.send_packet(b"x", transport.local_address)
        with trio.fail_after(5):
            assert len(await transport.receive_packets()) == 1
        assert transport.statistics().receive_errors == {"ECONNREFUSED": 1}
