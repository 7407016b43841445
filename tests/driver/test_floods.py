"""Floods against members in plain: they stay on time, accuse nobody, and hold a bounded number.

What the engine makes of each packet is in ``tests/engine``; sealed members are in
``tests/transports/test_floods.py``.
"""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import MockClock

from tests.driver.talking import CODEC, FAR, encoded, read_all, record, table
from tests.driver.world import World, address_of, host_of, seed_of, state_at, until
from tests.driver.wrapping import WrappedTransport
from trio_gossip import Address, Cluster, MemberFailed, MemberState, MemberSuspected, Packet
from trio_gossip.codec.messages import Alive
from trio_gossip.conduits import INBOUND_MAX
from trio_gossip.driver import DRAIN_SECONDS
from trio_gossip.members import VERSIONS_DEFAULT

JUNK = Packet(b"\xff", Address("10.0.9.9", 7946))


class Flooded(WrappedTransport):
    """Has a batch whenever somebody looks, and each batch costs some time."""

    seconds = 0.0

    def receive_packets_nowait(self) -> list[Packet]:
        packets = self.inner.receive_packets_nowait()
        if self.seconds:
            clock = trio.lowlevel.current_clock()
            assert isinstance(clock, MockClock)
            clock.jump(self.seconds)
            packets.append(JUNK)
        return packets


async def alarms_of(clusters: list[Cluster], alarms: list[str]) -> None:
    """Note every suspicion and failure of one of these members that any of them sees."""
    names = {cluster.local.name for cluster in clusters}

    async def listen(cluster: Cluster) -> None:
        with cluster.events(limit=1 << 16) as events:
            async for event in events:
                if isinstance(event, MemberSuspected | MemberFailed) and event.member.name in names:
                    alarms.append(f"{cluster.local.name} on {event.member.name}")

    async with trio.open_nursery() as nursery:
        for cluster in clusters:
            nursery.start_soon(listen, cluster)


@pytest.mark.parametrize("seconds", [0.002, 0.01, 0.03])
async def test_draining_a_flood_does_not_itself_make_timers_late(
    world: World, nursery: trio.Nursery, seconds: float
) -> None:
    """64 batches of costly packets took half a second. Each packet of them counted as a stall of
    this process, and its health score went up to the end of the scale."""
    transport = Flooded(world.network.transport(host_of("a")))
    a = await world.start("a", transport=transport)
    b = await world.start("b")
    await b.join([seed_of("a")])
    await world.wait_agreed([a, b])
    alarms: list[str] = []
    nursery.start_soon(alarms_of, [a, b], alarms)
    await trio.sleep(1)
    transport.seconds = seconds
    await trio.sleep(30)
    transport.seconds = 0.0
    statistics = a.statistics().engine
    assert statistics.counters["packet_cbor"] > 50
    assert statistics.lateness_max <= DRAIN_SECONDS + seconds + 0.01
    assert statistics.stalls == 0
    assert a.health_score == 0
    assert alarms == []
    nursery.cancel_scope.cancel()


async def test_names_that_a_stranger_makes_up_fill_the_table_to_its_bound_and_accuse_nobody(
    world: World, nursery: trio.Nursery
) -> None:
    clusters = await world.cluster_of("abc", members_max=64)
    alarms: list[str] = []
    nursery.start_soon(alarms_of, clusters, alarms)
    stranger = await world.stranger()
    for number in range(3000):
        name = f"nobody-{number}"
        packet = CODEC.pack([CODEC.encode(Alive(1, name, FAR, b"", VERSIONS_DEFAULT))])
        stranger.send_packet(packet, address_of("a"))
        if not number % 100:
            await trio.sleep(0.1)
    await trio.sleep(10)
    for cluster in clusters:
        assert len(cluster.members(all=True)) <= 64
    a = clusters[0].statistics().engine
    assert a.counters["refused_table_full"] >= 3000 - 64
    assert a.membership_queue <= 64
    await trio.sleep(300)
    assert alarms == []
    for cluster in clusters:
        assert {state_at(cluster, name) for name in "abc"} == {MemberState.ALIVE}
        await until(lambda cluster=cluster: len(cluster.members(all=True)) == 3)  # all are reaped
    nursery.cancel_scope.cancel()


async def test_everything_at_once_from_several_hosts_accuses_nobody(
    world: World, nursery: trio.Nursery
) -> None:
    """Junk, joins, and streams: two hosts could take every place that there was for streams, and
    no member could reach this one by stream any more."""
    clusters = await world.cluster_of("abcd")
    alarms: list[str] = []
    nursery.start_soon(alarms_of, clusters, alarms)
    strangers = [await world.stranger(f"10.0.9.{host}") for host in range(1, 4)]
    chance = random.Random(8)
    sent = 0

    async def hold(number: int) -> None:
        while True:
            async with await strangers[number % 3].open_stream(address_of("a")) as stream:
                await read_all(stream)
            await trio.sleep(0.5)

    async def join(number: int) -> None:
        while True:
            name = f"nobody-{number}-{chance.getrandbits(32)}"
            async with await strangers[number % 3].open_stream(address_of("a")) as stream:
                await stream.send_all(encoded(table(record(name))))
                await read_all(stream)
            await trio.sleep(1)

    async with trio.open_nursery() as flood:
        for number in range(5):
            flood.start_soon(join, number)
        await trio.sleep(3)
        for number in range(300):
            flood.start_soon(hold, number)
        for _ in range(1000):
            for stranger in strangers:
                stranger.send_packet(chance.randbytes(60), address_of("a"))
                sent += 1
            await trio.sleep(0.02)
        statistics = clusters[0].statistics()
        assert statistics.streams_rejected > 1000
        # Three hosts that take all they can get leave the fourth share free.
        assert 0.7 * INBOUND_MAX < statistics.streams < 0.8 * INBOUND_MAX
        for cluster in clusters[1:]:
            await cluster.send_reliable("a", b"all the same")
        flood.cancel_scope.cancel()
    await trio.sleep(20)
    statistics = clusters[0].statistics()
    counters = statistics.engine.counters
    dropped = [count for name, count in counters.items() if name.startswith("packet_")]
    assert sum(dropped) >= sent
    assert statistics.streams == 0
    assert alarms == []
    nursery.cancel_scope.cancel()
