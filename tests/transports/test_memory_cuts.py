"""Cuts and partitions of the in-memory network: what vanishes, what hangs, what goes on after."""

from __future__ import annotations

import itertools

import pytest
import trio
import trio.testing

from tests.transports.memory_helpers import connected, drain, pair
from trio_gossip.addresses import Address
from trio_gossip_transports import MemoryNetwork


async def test_a_cut_is_one_way(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    left, right = pair(network)
    network.cut("a", "b")
    left.send_packet(b"vanishes", right.local_address)
    right.send_packet(b"arrives", left.local_address)
    assert await drain(right) == []
    assert [data for _, data in await drain(left)] == [b"arrives"]
    assert network.statistics().cut == 1
    assert left.refusals_nowait() == []


async def test_a_partition_cuts_between_groups_and_not_within(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    hosts = {name: network.transport(name) for name in ("a", "b", "c", "outside")}
    network.partition({"a"}, {"b", "c"})
    for one, other in itertools.permutations(hosts.values(), 2):
        one.send_packet(one.local_address.host.encode(), other.local_address)
    seen = {name: {data for _, data in await drain(each)} for name, each in hosts.items()}
    assert seen == {
        "a": {b"outside"},
        "b": {b"c", b"outside"},
        "c": {b"b", b"outside"},
        "outside": {b"a", b"b", b"c"},
    }
    assert network.statistics().cut == 4


async def test_a_group_is_named_by_hosts_addresses_or_transports_also_alone(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = pair(network)
    network.transport("c")
    network.partition(left, [right.local_address, "c"])
    network.partition("c", right.local_address)
    left.send_packet(b"x", right.local_address)
    right.send_packet(b"x", Address("c", 7946))
    assert network.statistics().cut == 2


def test_a_partition_that_makes_no_sense_is_refused() -> None:
    network = MemoryNetwork()
    with pytest.raises(ValueError, match="at least two groups"):
        network.partition({"a", "b"})
    with pytest.raises(ValueError, match="in two groups: b"):
        network.partition({"a", "b"}, {"b"})


def test_a_network_can_be_cut_before_trio_runs() -> None:
    network = MemoryNetwork()
    left, right = pair(network)
    network.partition("a", "b")

    async def main() -> None:
        left.send_packet(b"x", right.local_address)
        assert await drain(right, 1) == []
        network.heal()
        left.send_packet(b"y", right.local_address)
        assert len(await drain(right, 1)) == 1

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_healing_lets_packets_through_again_but_brings_none_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = pair(network)
    network.partition("a", "b")
    left.send_packet(b"gone", right.local_address)
    network.heal()
    left.send_packet(b"arrives", right.local_address)
    assert [data for _, data in await drain(right)] == [b"arrives"]


async def test_one_direction_can_be_mended_alone(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    left, right = pair(network)
    network.mend(left, right.local_address)  # nothing is cut
    network.partition("a", "b")
    network.mend("a", "b")
    left.send_packet(b"arrives", right.local_address)
    right.send_packet(b"vanishes", left.local_address)
    assert [data for _, data in await drain(right)] == [b"arrives"]
    assert await drain(left) == []


async def test_a_stream_goes_on_when_its_direction_is_mended(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    ours, theirs = await connected(network)
    network.partition("a", "b")
    await ours.send_all(b"x")
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                assert await theirs.receive_some() == b"x"

            await trio.sleep(5)
            network.mend("a", "b")


@pytest.mark.parametrize("direction", [("a", "b"), ("b", "a")])
@pytest.mark.parametrize("listens", [True, False])
async def test_a_dial_across_a_cut_hangs(
    autojump_clock: trio.testing.MockClock, direction: tuple[str, str], listens: bool
) -> None:
    network = MemoryNetwork()
    left, right = pair(network)
    if not listens:
        await right.aclose()
    network.cut(*direction)
    with trio.move_on_after(1000) as scope:
        await left.open_stream(right.local_address)
    assert scope.cancelled_caught


async def test_a_hanging_dial_goes_on_after_the_cut(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork(latency=0.1)
    left, right = pair(network)
    network.partition("a", "b")
    times: list[float] = []

    async def dial() -> None:
        await left.open_stream(right.local_address)
        times.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(dial)
        await trio.sleep(100)
        assert not times
        network.heal()
        healed = trio.current_time()
    assert times == [pytest.approx(healed + 0.2)]


async def test_a_cut_in_the_middle_of_a_dial_hangs_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(latency=0.1)
    left, right = pair(network)
    with trio.move_on_after(1000) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(left.open_stream, right.local_address)
            await trio.sleep(0.05)
            network.cut("a", "b")
    assert scope.cancelled_caught


async def test_a_hanging_dial_is_woken_by_closing(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    left, right = pair(network)
    network.partition("a", "b")
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await left.open_stream(right.local_address)

            await trio.sleep(1)
            await left.aclose()


async def test_a_stream_stalls_silently_across_a_cut_and_goes_on_after(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(latency=0.1)
    ours, theirs = await connected(network)
    await ours.send_all(b"before ")
    await trio.sleep(1)
    await ours.send_all(b"under way ")
    network.partition("a", "b")
    await ours.send_all(b"during ")
    assert await theirs.receive_some() == b"before "
    with trio.move_on_after(1000) as scope:
        await theirs.receive_some()
    assert scope.cancelled_caught
    network.heal()
    await ours.send_all(b"after")
    received = b""
    while len(received) < 22:
        received += await theirs.receive_some()
    assert received == b"under way during after"


async def test_a_reader_that_waits_across_a_cut_is_woken_by_healing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    ours, theirs = await connected(network)
    network.partition("a", "b")
    await ours.send_all(b"x")
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                assert await theirs.receive_some() == b"x"

            await trio.sleep(5)
            network.heal()


async def test_a_writer_across_a_cut_stalls_when_the_buffer_is_full(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    ours, theirs = await connected(network)
    network.cut("a", "b")
    received = bytearray()
    with trio.fail_after(100):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.send_all, bytes(200_000))

            @nursery.start_soon
            async def _() -> None:
                while len(received) < 200_000:
                    received.extend(await theirs.receive_some())

            await trio.sleep(50)
            assert not received
            network.heal()
    assert len(received) == 200_000


async def test_a_one_way_cut_leaves_the_other_direction_of_a_stream(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    ours, theirs = await connected(network)
    network.cut("a", "b")
    await theirs.send_all(b"x")
    with trio.fail_after(1):
        assert await ours.receive_some() == b"x"


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_the_end_of_a_stream_does_not_cross_a_cut(
    autojump_clock: trio.testing.MockClock, how: str
) -> None:
    network = MemoryNetwork()
    left, right = pair(network)
    ours = await left.open_stream(right.local_address)
    theirs, _ = await right.accept_stream()
    network.partition("a", "b")
    await (theirs.aclose() if how == "close" else right.aclose())
    with trio.move_on_after(1000) as scope:
        await ours.receive_some()
    assert scope.cancelled_caught
    await ours.send_all(b"still no word")
    network.heal()
    with trio.fail_after(1):
        if how == "close":
            assert await ours.receive_some() == b""
        else:
            with pytest.raises(trio.BrokenResourceError):
                await ours.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await ours.send_all(b"x")


async def test_a_refusal_does_not_cross_a_cut(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    sender = network.transport("a")
    network.cut("b", "a")
    sender.send_packet(b"x", Address("b", 7946))
    await trio.sleep(1)
    assert sender.refusals_nowait() == []
    assert network.statistics().refused == 1


async def test_a_lost_refusal_is_not_told(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    sender = network.transport("a")
    network.set_link("b", "a", one_way=True, loss=1.0)
    sender.send_packet(b"x", Address("b", 7946))
    await trio.sleep(1)
    assert sender.refusals_nowait() == []
