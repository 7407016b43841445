"""Chance on the in-memory network: loss, copies, reordering, and the same by a seed."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transports.memory_helpers import drain, pair
from trio_gossip.addresses import Address
from trio_gossip_transports import MemoryNetwork, MemoryStatistics, MemoryTransport


def accounted(statistics: MemoryStatistics) -> int:
    return (
        statistics.delivered
        + statistics.lost
        + statistics.cut
        + statistics.refused
        + statistics.overflowed
        + statistics.queued
    )


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
        st.sampled_from(
            ["send", "send", "send", "wait", "cut", "heal", "drain", "restart", "reborn"]
        ),
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
            elif step == "reborn":  # the sender, while what it sent is under way
                await left.aclose()
                closed.append(left)
                left = network.transport("a")
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
