"""The in-memory network at its worst: loss, copies, reordering, cuts, and the same by a seed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_gossip.addresses import Address
from trio_gossip_transports import MemoryNetwork, MemoryStatistics, MemoryTransport

if TYPE_CHECKING:
    from trio_gossip_transports.links import MemoryStream


def pair(network: MemoryNetwork) -> tuple[MemoryTransport, MemoryTransport]:
    return network.transport("a"), network.transport("b")


async def drain(transport: MemoryTransport, seconds: float = 10.0) -> list[tuple[float, bytes]]:
    """All that arrives within ``seconds``, with the time of its arrival."""
    seen: list[tuple[float, bytes]] = []
    with trio.move_on_after(seconds):
        while True:
            for packet in await transport.receive_packets():
                seen.append((trio.current_time(), packet.data))
    return seen


def accounted(statistics: MemoryStatistics) -> int:
    return (
        statistics.delivered
        + statistics.lost
        + statistics.cut
        + statistics.refused
        + statistics.overflowed
        + statistics.queued
    )


# Chance


def trace(seed: int | None, *, rounds: int = 200, noise: int = 0) -> list[tuple[float, bytes]]:
    """What host b sees of 200 packets over a bad link; ``noise`` packets of c come between."""

    async def main() -> list[tuple[float, bytes]]:
        network = MemoryNetwork(seed, latency=(0.01, 0.05), loss=0.2, duplicate=0.2, reorder=0.2)
        left, right = pair(network)
        other = network.transport("c")
        for number in range(rounds):
            for _ in range(noise):
                other.send_packet(b"noise", left.local_address)
            left.send_packet(bytes([number]), right.local_address)
        return await drain(right)

    return trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_the_same_seed_gives_the_same_trace() -> None:
    assert trace(1) == trace(1)


def test_different_seeds_give_different_traces() -> None:
    traces = [trace(seed) for seed in range(5)]
    assert all(one != other for one, other in itertools.combinations(traces, 2))


def test_traffic_elsewhere_changes_no_fate() -> None:
    """Trio runs tasks in any order: a link's fate must not hang on what other links do."""
    assert trace(1) == trace(1, noise=3)


def test_without_a_seed_every_network_differs_and_tells_its_seed() -> None:
    assert trace(None) != trace(None)
    assert MemoryNetwork(None).seed != MemoryNetwork(None).seed
    assert MemoryNetwork(7).seed == 7


async def test_loss_is_about_as_often_as_asked(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork(loss=0.3, inbox_limit=10_000)
    left, right = pair(network)
    for _ in range(5000):
        left.send_packet(b"x", right.local_address)
    statistics = network.statistics()
    assert 1350 < statistics.lost < 1650
    assert statistics.lost + len(await drain(right)) == 5000


async def test_duplicates_arrive_twice_and_are_counted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(duplicate=1.0)
    left, right = pair(network)
    for number in range(10):
        left.send_packet(bytes([number]), right.local_address)
    seen = [data for _, data in await drain(right)]
    assert sorted(seen) == sorted([bytes([number]) for number in range(10)] * 2)
    assert network.statistics().duplicated == 10


async def test_a_reordered_packet_is_overtaken(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork(hold=0.5)
    left, right = pair(network)
    network.set_link("a", "b", reorder=1.0)
    left.send_packet(b"first", right.local_address)
    network.set_link("a", "b", reorder=0.0)
    left.send_packet(b"second", right.local_address)
    (early, second), (late, first) = await drain(right)
    assert (second, first) == (b"second", b"first")
    assert late - early == pytest.approx(0.5)
    assert network.statistics().reordered == 1


async def test_to_turn_one_fault_up_leaves_the_fate_of_other_packets(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def run(duplicate: float) -> set[bytes]:
        network = MemoryNetwork(3, loss=0.5, duplicate=duplicate, latency=(0.0, 0.1))
        left, right = pair(network)
        for number in range(100):
            left.send_packet(bytes([number]), right.local_address)
        return {data for _, data in await drain(right)}

    assert await run(0.0) == await run(0.9)


@given(
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 1),
    duplicate=st.floats(0, 1),
    reorder=st.floats(0, 1),
    steps=st.lists(
        st.sampled_from(["send", "send", "send", "wait", "cut", "heal", "drain", "restart"]),
        max_size=60,
    ),
)
@settings(max_examples=60, deadline=None)
def test_the_counters_add_up_whatever_happens(
    seed: int, loss: float, duplicate: float, reorder: float, steps: list[str]
) -> None:
    async def main() -> None:
        network = MemoryNetwork(
            seed, loss=loss, duplicate=duplicate, reorder=reorder, inbox_limit=4
        )
        left, right = pair(network)
        closed: list[MemoryTransport] = []
        for step in steps:
            if step == "send":
                left.send_packet(b"x", right.local_address)
                left.send_packet(b"x", Address("nobody", 1))
            elif step == "wait":
                await trio.sleep(0.0003)
            elif step == "cut":
                network.cut("a", "b")
            elif step == "heal":
                network.heal()
            elif step == "drain":
                right.receive_packets_nowait()
            else:
                await right.aclose()
                closed.append(right)
                right = network.transport("b")
        total = network.statistics()
        assert total.sent + total.duplicated == accounted(total)
        parts = [each.statistics() for each in (left, right, *closed)]
        for name in ("sent", "delivered", "lost", "duplicated", "refused", "overflowed", "cut"):
            assert getattr(total, name) == sum(getattr(part, name) for part in parts)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize(
    "arguments",
    [
        {"loss": -0.1},
        {"loss": 1.1},
        {"duplicate": 2.0},
        {"reorder": float("nan")},
        {"latency": -1.0},
        {"latency": (0.2, 0.1)},
        {"latency": float("inf")},
        {"hold": -1.0},
        {"packet_limit": 0},
        {"inbox_limit": 0},
    ],
    ids=str,
)
def test_faults_out_of_range_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        MemoryNetwork(**arguments)


# Links of their own


async def test_a_link_has_its_own_faults_in_both_directions(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = pair(network)
    other = network.transport("c")
    network.set_link("a", "b", loss=1.0)
    left.send_packet(b"lost", right.local_address)
    right.send_packet(b"lost", left.local_address)
    other.send_packet(b"arrives", right.local_address)
    assert [data for _, data in await drain(right)] == [b"arrives"]
    assert [data for _, data in await drain(left)] == []


async def test_one_direction_can_have_its_own_faults(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = pair(network)
    network.set_link(left, right.local_address, one_way=True, loss=1.0)
    left.send_packet(b"lost", right.local_address)
    right.send_packet(b"arrives", left.local_address)
    assert await drain(right) == []
    assert [data for _, data in await drain(left)] == [b"arrives"]


async def test_faults_can_change_everywhere_but_on_links_of_their_own(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = pair(network)
    other = network.transport("c")
    network.set_link("a", "b", duplicate=1.0)
    left.send_packet(b"1", other.local_address)
    await drain(other)
    network.set_faults(loss=1.0, latency=0.1)
    left.send_packet(b"2", right.local_address)
    left.send_packet(b"3", other.local_address)
    assert [data for _, data in await drain(right)] == [b"2", b"2"]
    assert await drain(other) == []


# Cuts and partitions


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


async def connected(network: MemoryNetwork) -> tuple[MemoryStream, MemoryStream]:
    left, right = pair(network)
    ours = await left.open_stream(right.local_address)
    return ours, (await right.accept_stream())[0]


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
