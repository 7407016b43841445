"""The run loop: sockets before timers, new deadlines while it waits, pauses of the process."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.driver.world import World, seed_of, soon, state_at, until
from tests.driver.wrapping import WrappedTransport
from trio_gossip import (
    Address,
    Cluster,
    MemberFailed,
    MemberState,
    MemberSuspected,
    MessageReceived,
    Packet,
    Transport,
    Versions,
)
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Alive, Broadcast, Message, Ping
from trio_gossip_transports import MemoryNetwork

CODEC = NativeCodec()
FRIEND = Address("10.0.0.2", 7946)


class OnlyWhenAsked(WrappedTransport):
    """Packets lie in the socket and nothing says so: they are found only by looking."""

    async def receive_packets(self) -> list[Packet]:
        await trio.sleep_forever()
        raise AssertionError


async def test_an_answer_that_waits_in_the_socket_counts_before_the_question_times_out(
    world: World,
) -> None:
    transport = OnlyWhenAsked(world.network.transport("10.0.0.1"))
    a = await world.start("a", transport=transport)
    b = await world.start("b")
    await b.join([seed_of("a")])
    with a.events() as events:
        await trio.sleep(60)
        events.end()
        assert [e for e in [e async for e in events] if isinstance(e, MemberSuspected)] == []
    counters = a.statistics().engine.counters
    assert counters["probe_acked"] > 50
    assert "probe_failed" not in counters


async def test_more_packets_than_one_batch_are_drained_before_a_timer(world: World) -> None:
    transport = OnlyWhenAsked(world.network.transport("10.0.0.1"))
    a = await world.start("a", transport=transport, probe_interval=10.0)
    b = await world.start("b")
    await b.join([seed_of("a")])
    with a.events() as events:
        for number in range(500):
            b.send("a", b"%d" % number)
        with trio.fail_after(30):
            numbers = []
            while len(numbers) < 500:
                event = await events.__anext__()
                assert isinstance(event, MessageReceived)
                numbers.append((int(event.payload), trio.current_time()))
    assert [number for number, _ in numbers] == list(range(500))
    assert len({at for _, at in numbers}) == 1  # all in one turn of the loop


class Stuffed(WrappedTransport):
    """Gives out what a test has put there, a batch at a time, and notes what is sent."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.packets: list[Packet] = []
        self.handled: list[str] = []
        self.put = trio.Event()

    def stuff(self, packets: list[Packet]) -> None:
        self.packets += packets
        self.put.set()

    async def receive_packets(self) -> list[Packet]:
        self.put = trio.Event()
        await self.put.wait()
        return self.receive_packets_nowait()

    def receive_packets_nowait(self) -> list[Packet]:
        batch, self.packets = self.packets[:32], self.packets[32:]
        return batch

    def send_packet(self, data: bytes, address: Address, peer_name: str | None = None) -> None:
        self.handled += [type(each).__name__ for each in CODEC.unpack_untrusted(data)][:1]


def packet_of(*messages: Message, source: Address = FRIEND) -> Packet:
    return Packet(CODEC.pack([CODEC.encode(message) for message in messages]), source)


async def stuffed(world: World) -> tuple[Cluster, Stuffed]:
    """A member that knows one other, and has nothing more to say of it."""
    transport = Stuffed(world.network.transport("10.0.0.1"))
    a = await world.start("a", transport=transport, scan_interval=1000.0, ring_interval=None)
    transport.stuff([packet_of(Alive(5, "b", FRIEND, b"", Versions().pack()))])
    await trio.sleep(5)
    transport.handled.clear()
    return a, transport


async def test_a_ping_behind_two_thousand_rumours_is_answered_before_they_are_read(
    world: World,
) -> None:
    a, transport = await stuffed(world)
    rumours = [packet_of(Broadcast("b", 5, number, b"x")) for number in range(1, 2001)]
    with a.events(limit=5000) as events:
        transport.stuff([*rumours, packet_of(Ping(7, "a", "b"))])
        await soon(events.__anext__)
        assert transport.handled[:1] == ["Ack"]
        for _ in range(1999):
            await soon(events.__anext__)
    assert transport.handled.count("Ack") == 1


async def test_a_flood_of_pings_does_not_keep_rumours_out(world: World) -> None:
    a, transport = await stuffed(world)
    flood = [packet_of(Ping(number, "a", "b")) for number in range(1000)]
    with a.events() as events:
        transport.stuff([*flood, packet_of(Broadcast("b", 5, 1, b"x")), *flood])
        event = await soon(events.__anext__)
        assert isinstance(event, MessageReceived)
        assert transport.handled.count("Ack") < 100


async def test_a_call_wakes_a_loop_that_sleeps_for_long(world: World) -> None:
    quiet = {"scan_interval": 50.0, "ring_interval": None}
    a, b = await world.cluster_of("ab", **quiet)
    await trio.sleep(20)
    with b.events() as events:
        start = trio.current_time()
        a.broadcast(b"now")
        await soon(events.__anext__)
    assert trio.current_time() - start == pytest.approx(0.0015)  # a moment for more news


@pytest.mark.parametrize("pause", [1.0, 30.0, 3600.0])
async def test_a_process_that_was_paused_declares_nobody_failed(world: World, pause: float) -> None:
    clusters = await world.cluster_of("abcd")
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    suspicions: list[object] = []

    async def read(cluster: Cluster) -> None:
        with cluster.events() as events:
            async for event in events:
                if isinstance(event, MemberSuspected | MemberFailed):
                    suspicions.append(event)

    async with trio.open_nursery() as nursery:
        for cluster in clusters:
            nursery.start_soon(read, cluster)
        for _ in range(20):
            await trio.sleep(0.37)  # so that it happens at all moments of a probe
            clock.jump(pause)
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    assert suspicions == []
    assert all(cluster.statistics().engine.stalls for cluster in clusters)
    assert [cluster.health_score for cluster in clusters] == [0] * 4


async def test_a_pause_is_no_evidence_against_one_who_is_suspected_already(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    await world.kill("b")
    await soon(a.wait_member, "b", state="suspect")
    clock.jump(1000)
    await trio.sleep(1)
    assert state_at(a, "b") is MemberState.SUSPECT
    await soon(a.wait_member, "b", state="failed")


async def test_a_refused_datagram_is_counted_as_evidence(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    await world.kill("b")
    await until(lambda: a.statistics().engine.counters.get("packet_refused", 0) > 0)
    assert state_at(a, "b") in (MemberState.ALIVE, MemberState.SUSPECT)


async def test_a_silly_packet_is_counted_and_changes_nothing(world: World) -> None:
    a = await world.start("a")
    stranger = await world.stranger()
    for data in (b"", b"\xff" * 1400, b"\x82\x01\x80", b"\x81\x01"):
        stranger.send_packet(data, a.local.address)
    await trio.sleep(1)
    counters = a.statistics().engine.counters
    assert sum(count for name, count in counters.items() if name.startswith("packet_")) == 4
    assert a.members() == (a.local,)


@pytest.mark.parametrize(
    ("state", "before", "seconds"), [("failed", MemberSuspected, 1.0), ("reaped", MemberFailed, 30)]
)
async def test_a_change_that_was_dropped_in_a_flood_is_not_waited_for_for_ever(
    nursery: trio.Nursery, state: str, before: type, seconds: float
) -> None:
    """The change followed, in one turn, on more messages than the wait's subscription holds."""
    world = World(nursery, MemoryNetwork(seed=7, inbox_limit=4096))
    a = await world.start("a", transport=OnlyWhenAsked(world.network.transport("10.0.0.1")))
    b, c = await world.start("b"), await world.start("c")
    for cluster in (b, c):
        await cluster.join([seed_of("a")])
    waited: list[str] = []

    async def wait() -> None:
        waited.append((await a.wait_member("b", state=state)).name)

    with a.events() as events:
        await world.kill("b")
        while not isinstance(await soon(events.__anext__), before):
            pass
        due = trio.current_time() + seconds
    nursery.start_soon(wait)
    await trio.sleep_until(due - 0.01)
    for _ in range(1500):
        c.send("a", b"x")
    await trio.sleep_until(due + 1)
    assert state_at(a, "b") == (None if state == "reaped" else state)
    assert a.statistics().events_missed > 0
    assert waited == ["b"]
    nursery.cancel_scope.cancel()
