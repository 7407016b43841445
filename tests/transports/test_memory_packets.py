"""Datagrams of the in-memory network: bytes only, their latency, their order, and nobody there."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trio_gossip.addresses import Address
from trio_gossip.transport import Packet, Refused
from trio_gossip_transports import MemoryNetwork


async def test_only_bytes_are_carried(autojump_clock: trio.testing.MockClock) -> None:
    transport = MemoryNetwork().transport("a")
    for thing in ("text", 7, None, ["list"], [1, 2]):
        with pytest.raises(TypeError, match="a packet is bytes"):
            transport.send_packet(thing, transport.local_address)  # type: ignore[arg-type]  # on purpose
    assert transport.statistics().sent == 0


@pytest.mark.parametrize("view", [bytearray, memoryview])
async def test_a_buffer_is_copied_when_it_is_sent(
    autojump_clock: trio.testing.MockClock, view: type[bytearray | memoryview]
) -> None:
    transport = MemoryNetwork().transport("a")
    buffer = bytearray(b"before")
    transport.send_packet(view(buffer) if view is memoryview else buffer, transport.local_address)  # type: ignore[arg-type]  # on purpose
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
    network = MemoryNetwork()
    sender = network.transport("a")
    hosts = [f"b{number}" for number in range(200)]
    for host in hosts:
        await network.transport(host).aclose()
        for _ in range(6):
            sender.send_packet(b"x", Address(host, 7946))
    await trio.sleep(1)
    assert len(sender.refusals_nowait()) == 1024
    assert sender.statistics().refused == 1200


async def test_a_host_refuses_six_times_at_once_and_then_once_a_second(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(latency=0.0)
    one, two = network.transport("a"), network.transport("b")
    nobody = Address("c", 7946)
    await network.transport("c").aclose()
    for _ in range(10):
        one.send_packet(b"x", nobody)
    two.send_packet(b"x", nobody)
    assert len(one.refusals_nowait()) == 6
    assert len(two.refusals_nowait()) == 1  # the limit is for each host that asks
    for pause, told in ((0.5, 0), (0.625, 1), (0.5, 0), (3.5, 4), (60.0, 6)):
        await trio.sleep(pause)
        for _ in range(10):
            one.send_packet(b"x", nobody)
        assert len(one.refusals_nowait()) == told


async def test_a_refusal_wakes_the_receiver_once(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork(latency=0.1)
    sender = network.transport("a")
    nobody = Address("b", 7946)
    with trio.move_on_after(0.1):
        await sender.receive_packets()
    sender.send_packet(b"x", nobody)
    began = trio.current_time()
    assert await sender.receive_packets() == []
    assert trio.current_time() - began == pytest.approx(0.2)
    with trio.move_on_after(60) as scope:
        await sender.receive_packets()  # not fetched, and yet nobody is woken again
    assert scope.cancelled_caught
    assert sender.refusals_nowait() == [Refused(nobody)]


async def test_a_refusal_wakes_a_receiver_that_waits_already(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(latency=0.1)
    sender = network.transport("a")
    batches: list[object] = []

    async def receive() -> None:
        batches.append(await sender.receive_packets())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        sender.send_packet(b"x", Address("b", 7946))
    assert batches == [[]]


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


async def test_a_refusal_keeps_no_packet_waiting(autojump_clock: trio.testing.MockClock) -> None:
    """It is planned ahead. What the same host sent meanwhile waited until the refusal was due."""
    network = MemoryNetwork(latency=1.0)
    left = network.transport("a")
    left.send_packet(b"refused", Address("b", 7946))
    right = network.transport("b")
    left.send_packet(b"under way", right.local_address)
    await right.aclose()
    reopened = network.transport("b")
    started = trio.current_time()
    reopened.send_packet(b"back again", left.local_address)
    assert [packet.data for packet in await left.receive_packets()] == [b"back again"]
    assert trio.current_time() - started == pytest.approx(1.0)


async def test_a_sender_that_was_reopened_is_not_answered_for_the_one_before(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Refusals went to whatever had the address when the receiver closed."""
    network = MemoryNetwork(latency=0.1)
    before, peer = network.transport("a"), network.transport("b")
    before.send_packet(b"under way", peer.local_address)
    await before.aclose()
    after = network.transport("a")
    await peer.aclose()
    await trio.sleep(1)
    assert after.refusals_nowait() == []
    assert (before.statistics().refused, after.statistics().refused) == (1, 0)


async def test_what_a_closed_sender_sent_arrives_all_the_same(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(latency=0.1)
    left, right = network.transport("a"), network.transport("b")
    left.send_packet(b"last words", right.local_address)
    await left.aclose()
    network.transport("a")
    assert await right.receive_packets() == [Packet(b"last words", left.local_address)]


async def test_hosts_that_never_were_do_not_pile_up(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    sender = network.transport("a")
    for number in range(1000):
        sender.send_packet(b"x", Address(f"ghost-{number}", 7946))
    assert len(network._fabric.paths) <= 2
