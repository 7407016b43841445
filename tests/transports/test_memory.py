"""The in-memory network without faults: the contract, addresses, limits, streams, counting."""

from __future__ import annotations

import errno
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
import trio.testing

from tests.transports.contract import TransportContract, on_autojump_clock
from trio_gossip.addresses import Address
from trio_gossip.failures import DialFailure
from trio_gossip.transport import Packet, Refused, classify_dial_error
from trio_gossip_transports import MemoryNetwork, MemoryTransport
from trio_gossip_transports.links import STREAM_BUFFER_BYTES, Faults, MemoryStream, Path

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@on_autojump_clock
class TestMemoryContract(TransportContract):
    network: MemoryNetwork | None = None
    opened = 0

    def make_network(self) -> MemoryNetwork:
        return MemoryNetwork()

    @asynccontextmanager
    async def open_pair(self) -> AsyncGenerator[tuple[MemoryTransport, MemoryTransport]]:
        network = self.network = self.network or self.make_network()
        self.opened += 2
        left, right = f"host-{self.opened - 1}", f"host-{self.opened}"
        async with network.transport(left) as one, network.transport(right) as other:
            yield one, other


class TestMemoryContractWithoutLatency(TestMemoryContract):
    def make_network(self) -> MemoryNetwork:
        return MemoryNetwork(latency=0.0)


class TestMemoryContractWithChangingLatency(TestMemoryContract):
    def make_network(self) -> MemoryNetwork:
        return MemoryNetwork(latency=(0.0, 0.0009))


async def connect(
    left: MemoryTransport, right: MemoryTransport
) -> tuple[MemoryStream, MemoryStream]:
    ours = await left.open_stream(right.local_address)
    return ours, (await right.accept_stream())[0]


# Addresses


async def test_an_address_is_a_name_and_the_customary_port(
    autojump_clock: trio.testing.MockClock,
) -> None:
    assert MemoryNetwork().transport("a").local_address == Address("a", 7946)


async def test_a_taken_address_cannot_be_opened_again_until_it_is_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    first = network.transport("a")
    with pytest.raises(OSError, match=r"cannot bind a:7946: address already in use") as caught:
        network.transport("a")
    assert caught.value.errno == errno.EADDRINUSE
    await first.aclose()
    second = network.transport("a")
    await first.aclose()  # the old one has no say in the new one
    with pytest.raises(OSError, match="already in use"):
        network.transport("a")
    second.send_packet(b"x", second.local_address)
    assert await second.receive_packets() == [Packet(b"x", second.local_address)]


async def test_hosts_have_many_ports_and_zero_is_a_free_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    addresses = [network.transport("a", port).local_address for port in (1, 2, 0, 0)]
    assert len(set(addresses)) == 4
    assert all(address.port for address in addresses)


@pytest.mark.parametrize(("host", "port"), [("", 1), ("a:b", 1), ("a", -1), ("a", 65_536)])
async def test_an_address_that_makes_no_sense_is_refused(
    autojump_clock: trio.testing.MockClock, host: str, port: int
) -> None:
    with pytest.raises(ValueError, match=r"host|port"):
        MemoryNetwork().transport(host, port)


async def test_two_networks_do_not_know_each_other(autojump_clock: trio.testing.MockClock) -> None:
    here, there = MemoryNetwork().transport("a"), MemoryNetwork().transport("b")
    with pytest.raises(ConnectionRefusedError):
        await here.open_stream(there.local_address)


# Datagrams


async def test_only_bytes_are_carried(autojump_clock: trio.testing.MockClock) -> None:
    transport = MemoryNetwork().transport("a")
    for thing in ("text", 7, None, ["list"], [1, 2]):
        with pytest.raises(TypeError, match="a packet is bytes"):
            transport.send_packet(thing, transport.local_address)  # type: ignore[arg-type]
    assert transport.statistics().sent == 0


@pytest.mark.parametrize("view", [bytearray, memoryview])
async def test_a_buffer_is_copied_when_it_is_sent(
    autojump_clock: trio.testing.MockClock, view: type[bytearray | memoryview]
) -> None:
    transport = MemoryNetwork().transport("a")
    buffer = bytearray(b"before")
    transport.send_packet(view(buffer) if view is memoryview else buffer, transport.local_address)  # type: ignore[arg-type]
    buffer[:] = b"after!"
    [packet] = await transport.receive_packets()
    assert packet.data == b"before"
    assert type(packet.data) is bytes


async def test_the_packet_limit_is_enforced(autojump_clock: trio.testing.MockClock) -> None:
    transport = MemoryNetwork(packet_limit=10).transport("a")
    assert transport.packet_limit == 10
    with pytest.raises(ValueError, match="11 bytes; the limit is 10"):
        transport.send_packet(bytes(11), transport.local_address)


async def test_a_packet_takes_the_latency_and_not_a_moment_less(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(latency=0.25)
    left, right = network.transport("a"), network.transport("b")
    started = trio.current_time()
    left.send_packet(b"x", right.local_address)
    await trio.sleep(0.2499)
    assert right.receive_packets_nowait() == []
    assert len(await right.receive_packets()) == 1
    assert trio.current_time() - started == pytest.approx(0.25)


async def test_a_receiver_that_sleeps_is_woken_for_an_earlier_arrival(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    far, near, here = (network.transport(host) for host in ("far", "near", "here"))
    network.set_link("far", "here", latency=10.0)
    network.set_link("near", "here", latency=1.0)
    started = trio.current_time()
    arrivals: list[tuple[bytes, float]] = []

    async def receive() -> None:
        while len(arrivals) < 2:
            for packet in await here.receive_packets():
                arrivals.append((packet.data, trio.current_time() - started))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        far.send_packet(b"far", here.local_address)
        await trio.testing.wait_all_tasks_blocked()
        near.send_packet(b"near", here.local_address)
    assert arrivals == [(b"near", pytest.approx(1.0)), (b"far", pytest.approx(10.0))]


async def test_packets_of_one_moment_keep_their_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = network.transport("a"), network.transport("b")
    for number in range(32):
        left.send_packet(bytes([number]), right.local_address)
    assert [packet.data[0] for packet in await right.receive_packets()] == list(range(32))


async def test_changing_latency_alone_reorders_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(latency=(0.0, 1.0))
    left, right = network.transport("a"), network.transport("b")
    seen: list[int] = []
    for number in range(100):
        left.send_packet(bytes([number]), right.local_address)
    while len(seen) < 100:
        seen += [packet.data[0] for packet in await right.receive_packets()]
    assert seen == list(range(100))
    assert network.statistics().reordered == 0


async def test_the_inbox_is_bounded_and_drops_the_newest(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(inbox_limit=5)
    left, right = network.transport("a"), network.transport("b")
    for number in range(8):
        left.send_packet(bytes([number]), right.local_address)
    assert [packet.data[0] for packet in await right.receive_packets()] == [0, 1, 2, 3, 4]
    assert right.statistics().overflowed == network.statistics().overflowed == 3
    assert network.statistics().delivered == 5


# Nobody there


async def test_a_packet_to_nobody_comes_back_as_a_refusal_after_the_round_trip(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(latency=0.1)
    sender = network.transport("a")
    nobody = Address("b", 7946)
    sender.send_packet(b"x", nobody)
    await trio.sleep(0.199)
    assert sender.refusals_nowait() == []
    await trio.sleep(0.002)
    assert sender.refusals_nowait() == [Refused(nobody)]
    assert sender.refusals_nowait() == []
    assert network.statistics().refused == sender.statistics().refused == 1


async def test_the_refusals_kept_are_bounded(autojump_clock: trio.testing.MockClock) -> None:
    sender = MemoryNetwork().transport("a")
    for _ in range(3000):
        sender.send_packet(b"x", Address("b", 7946))
    await trio.sleep(1)
    assert len(sender.refusals_nowait()) == 1024
    assert sender.statistics().refused == 3000


async def test_an_endpoint_that_closes_refuses_what_is_under_way(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(latency=0.1)
    left, right = network.transport("a"), network.transport("b")
    left.send_packet(b"never arrives", right.local_address)
    await trio.sleep(0.05)
    await right.aclose()
    reopened = network.transport("b")
    await trio.sleep(0.2)
    assert left.refusals_nowait() == [Refused(right.local_address)]
    assert reopened.receive_packets_nowait() == []
    assert network.statistics().refused == 1


async def test_hosts_that_never_were_do_not_pile_up(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    sender = network.transport("a")
    for number in range(1000):
        sender.send_packet(b"x", Address(f"ghost-{number}", 7946))
    assert len(network._fabric.paths) <= 2


async def test_a_dial_to_nobody_is_refused_after_the_round_trip(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(latency=0.1)
    dialler = network.transport("a")
    started = trio.current_time()
    with pytest.raises(ConnectionRefusedError) as caught:
        await dialler.open_stream(Address("b", 7946))
    assert caught.value.errno == errno.ECONNREFUSED
    assert classify_dial_error(caught.value) is DialFailure.REFUSED
    assert trio.current_time() - started == pytest.approx(0.2)
    assert network.statistics().dials_refused == 1


# Streams


async def fill(sender: MemoryStream) -> None:
    """Write until nothing more fits."""
    with trio.move_on_after(0.001):
        while True:
            await sender.send_all(bytes(STREAM_BUFFER_BYTES))


@pytest.mark.parametrize("latency", [0.0, 0.0005, (0.0, 0.02)])
async def test_the_streams_are_half_closeable(
    autojump_clock: trio.testing.MockClock, latency: float | tuple[float, float]
) -> None:
    network = MemoryNetwork(latency=latency)
    left, right = network.transport("a"), network.transport("b")

    async def make() -> tuple[MemoryStream, MemoryStream]:
        return await connect(left, right)

    async def make_clogged() -> tuple[MemoryStream, MemoryStream]:
        ours, theirs = await connect(left, right)
        await fill(ours)
        await fill(theirs)
        return ours, theirs

    await trio.testing.check_half_closeable_stream(make, make_clogged)
    assert not left._endpoint.streams
    assert not right._endpoint.streams


async def test_time_that_moves_between_two_looks_loses_no_wake_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """On a real clock, what was not there a moment ago can be due when the wait begins."""
    path = Path(Faults(), 0, "a", "b")
    with trio.fail_after(1):
        await path.wait_arrival(trio.current_time() - 0.001)
    path.cut_since = trio.current_time() - 0.002
    with trio.move_on_after(10) as scope:
        await path.wait_arrival(trio.current_time() - 0.001)
    assert scope.cancelled_caught


async def test_a_host_streams_to_itself(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    transport = network.transport("a")
    network.partition("a", "b")
    ours, theirs = await connect(transport, transport)
    await ours.send_all(b"me")
    assert await theirs.receive_some() == b"me"
    network.cut("a", "a")
    with trio.move_on_after(10) as scope:
        await transport.open_stream(transport.local_address)
    assert scope.cancelled_caught


async def test_a_slow_reader_holds_the_writer(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    ours, theirs = await connect(network.transport("a"), network.transport("b"))
    await ours.send_all(bytes(STREAM_BUFFER_BYTES))
    with trio.move_on_after(60) as scope:
        await ours.send_all(b"x")
    assert scope.cancelled_caught
    with trio.move_on_after(60) as scope:
        await ours.wait_send_all_might_not_block()
    assert scope.cancelled_caught
    assert len(await theirs.receive_some(100)) == 100
    await ours.wait_send_all_might_not_block()
    await ours.send_all(bytes(100))


async def test_bytes_of_a_stream_take_the_latency_and_keep_their_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(latency=(0.1, 0.9))
    ours, theirs = await connect(network.transport("a"), network.transport("b"))
    started = trio.current_time()
    for number in range(50):
        await ours.send_all(bytes([number]))
    received = b""
    while len(received) < 50:
        received += await theirs.receive_some()
        assert trio.current_time() - started >= 0.1
    assert received == bytes(range(50))


async def test_what_is_read_is_never_more_than_was_asked(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    ours, theirs = await connect(network.transport("a"), network.transport("b"))
    await ours.send_all(b"abc")
    await ours.send_all(b"defgh")
    await trio.sleep(1)
    assert [await theirs.receive_some(n) for n in (2, 4, 100)] == [b"ab", b"cdef", b"gh"]


async def test_the_accepted_source_has_a_port_of_its_own(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """As on real sockets: who takes it for the address of the member is wrong here too."""
    network = MemoryNetwork()
    left, right = network.transport("a"), network.transport("b")
    sources: list[Address] = []
    for _ in range(3):
        await left.open_stream(right.local_address)
        sources.append((await right.accept_stream())[1])
    assert {source.host for source in sources} == {"a"}
    assert len({source.port for source in sources} | {7946}) == 4


async def test_closing_a_transport_breaks_its_streams(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(latency=0.1)
    left, right = network.transport("a"), network.transport("b")
    ours, theirs = await connect(left, right)
    unaccepted = await left.open_stream(right.local_address)
    await right.aclose()
    for stream in (ours, unaccepted):
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await theirs.receive_some()
    with pytest.raises(trio.ClosedResourceError):
        await theirs.send_all(b"x")


async def test_closing_a_transport_wakes_both_ends_of_a_stalled_stream(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = network.transport("a"), network.transport("b")
    ours, theirs = await connect(left, right)
    await fill(ours)
    await fill(theirs)

    async def expect(kind: type[Exception], stream: MemoryStream, *, reads: bool) -> None:
        with pytest.raises(kind):  # noqa: PT012  # until the news arrives, calls succeed
            while True:
                await (stream.receive_some() if reads else stream.send_all(b"x"))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: expect(trio.BrokenResourceError, ours, reads=False))
            nursery.start_soon(lambda: expect(trio.BrokenResourceError, ours, reads=True))
            nursery.start_soon(lambda: expect(trio.ClosedResourceError, theirs, reads=False))
            await trio.testing.wait_all_tasks_blocked()
            await right.aclose()


async def test_an_end_that_was_sent_can_still_turn_into_a_break(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = network.transport("a"), network.transport("b")
    ours, theirs = await connect(left, right)
    await theirs.send_eof()
    assert await ours.receive_some() == b""
    await right.aclose()
    await trio.sleep(1)
    with pytest.raises(trio.BrokenResourceError):
        await ours.receive_some()


async def test_the_backlog_is_bounded_and_a_dial_waits_for_room(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = network.transport("a"), network.transport("b")
    for _ in range(128):
        await left.open_stream(right.local_address)
    with trio.move_on_after(60) as scope:
        await left.open_stream(right.local_address)
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(left.open_stream, right.local_address)
        await trio.sleep(1)
        await right.accept_stream()
    assert left.statistics().streams_opened == 129


async def test_a_dial_that_waits_for_room_is_refused_when_the_peer_closes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = network.transport("a"), network.transport("b")
    for _ in range(128):
        await left.open_stream(right.local_address)
    with pytest.raises(ConnectionRefusedError):  # noqa: PT012  # raised by the child task
        async with _unwrapped() as nursery:
            nursery.start_soon(left.open_stream, right.local_address)
            await trio.sleep(1)
            await right.aclose()


@pytest.mark.parametrize("after", [0.0, 0.05, 0.15])
async def test_a_dial_that_waits_is_woken_by_closing_its_own_transport(
    autojump_clock: trio.testing.MockClock, after: float
) -> None:
    network = MemoryNetwork(latency=0.1)
    left, right = network.transport("a"), network.transport("b")
    with pytest.raises(trio.ClosedResourceError):  # noqa: PT012  # raised by the child task
        async with _unwrapped() as nursery:
            nursery.start_soon(left.open_stream, right.local_address)
            await trio.sleep(after)
            await left.aclose()


@asynccontextmanager
async def _unwrapped() -> AsyncGenerator[trio.Nursery]:
    """A nursery whose one failure comes out as it is."""
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


# Counting


async def test_a_network_without_faults_counts_none(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    left, right = network.transport("a"), network.transport("b")
    for _ in range(30):
        left.send_packet(b"x", right.local_address)
    assert network.statistics().queued == right.statistics().queued == 30
    await right.receive_packets()
    total = network.statistics()
    assert (total.sent, total.delivered, total.queued) == (30, 30, 0)
    assert attrs.evolve(total, sent=0, delivered=0) == type(total)()
    assert left.statistics().sent == right.statistics().delivered == 30


async def test_statistics_are_frozen(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        MemoryNetwork().statistics().sent = 1  # type: ignore[misc]


async def test_closed_endpoints_refuse_every_look_and_keep_their_counters(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = network.transport("a"), network.transport("b")
    left.send_packet(b"x", right.local_address)
    await left.aclose()
    for call in (left.receive_packets_nowait, left.refusals_nowait):
        with pytest.raises(trio.ClosedResourceError):
            call()
    assert left.statistics().sent == 1
    assert network.statistics().sent == 1
