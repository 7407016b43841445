"""Messages of the application: to all, to one, and reliably to one; and pings."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
import trio.testing

from tests.driver.world import World, seed_of, soon
from trio_gossip import (
    Cluster,
    Delivery,
    LocalProtocolError,
    MemberJoined,
    MessageReceived,
    PeerUnreachableError,
    Subscription,
)
from trio_gossip_transports import MemoryNetwork


async def next_message(events: Subscription) -> MessageReceived:
    """The next message, whatever else happens before it."""
    with trio.fail_after(60):
        async for event in events:
            if isinstance(event, MessageReceived):
                return event
    raise AssertionError("the cluster has stopped")


# Broadcasts


@pytest.mark.parametrize("faults", [{}, {"loss": 0.1, "duplicate": 0.3, "reorder": 0.3}])
async def test_each_member_delivers_each_broadcast_once(
    nursery: trio.Nursery, faults: dict[str, float]
) -> None:
    world = World(nursery)
    clusters = await world.cluster_of("abcdefgh")
    world.network.set_faults(**faults)
    received: dict[str, Counter[bytes]] = {cluster.local.name: Counter() for cluster in clusters}

    async def read(cluster: Cluster) -> None:
        with cluster.events() as events:
            async for event in events:
                if isinstance(event, MessageReceived):
                    assert event.sender == "a"
                    assert event.delivery is Delivery.BROADCAST
                    received[cluster.local.name][event.payload] += 1

    for cluster in clusters:
        nursery.start_soon(read, cluster)
    await trio.testing.wait_all_tasks_blocked()
    payloads = [b"%d" % number for number in range(20)]
    for payload in payloads:
        clusters[0].broadcast(payload)
    await trio.sleep(20)
    once = Counter(payloads)
    assert received == {name: once if name != "a" else Counter() for name in "abcdefgh"}
    nursery.cancel_scope.cancel()


async def test_a_broadcast_with_the_key_of_a_queued_one_replaces_it(world: World) -> None:
    a, b = await world.cluster_of("ab")
    await trio.sleep(20)
    with b.events() as events:
        for payload in (b"old", b"newer", b"newest"):
            a.broadcast(payload, key=b"topic")
        a.broadcast(b"other", key=b"other topic")
        received = {(await next_message(events)).payload for _ in range(2)}
        with trio.move_on_after(30):
            await next_message(events)
            pytest.fail("a replaced broadcast was delivered")
    assert received == {b"newest", b"other"}


async def test_a_long_broadcast_reaches_the_others_by_stream(world: World) -> None:
    a, b, c = await world.cluster_of("abc")
    payload = bytes(range(256)) * 256
    with b.events() as of_b, c.events() as of_c:
        a.broadcast(payload)
        for events in (of_b, of_c):
            message = await soon(next_message, events)
            assert (message.sender, message.payload) == ("a", payload)
            assert message.delivery is Delivery.BROADCAST
    with pytest.raises(LocalProtocolError, match="over the limit of 65536 bytes"):
        a.broadcast(bytes(65537))


async def test_a_broadcast_too_large_for_a_packet_is_refused_at_the_call(world: World) -> None:
    a, b = await world.cluster_of("ab", lazy_bytes=65536)
    with pytest.raises(LocalProtocolError, match="does not fit a packet of 1400 bytes"):
        a.broadcast(bytes(1400))
    size = 1400
    while True:
        size -= 1
        try:
            a.broadcast(bytes(size))
        except LocalProtocolError:
            continue
        break
    assert size > 1300
    with b.events() as events:
        assert (await next_message(events)).payload == bytes(size)


@pytest.mark.parametrize("payload", ["text", bytearray(b"x"), memoryview(b"x"), None])
async def test_payloads_are_bytes(world: World, payload: object) -> None:
    a, _ = await world.cluster_of("ab")
    for call in (a.broadcast, lambda payload: a.send("b", payload)):
        with pytest.raises(TypeError, match="payload must be bytes"):
            call(payload)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(TypeError, match="payload must be bytes"):
        await a.send_reliable("b", payload)  # type: ignore[arg-type]  # wrong on purpose


# Datagrams


async def test_a_datagram_reaches_one_member_only(world: World) -> None:
    a, b, c = await world.cluster_of("abc")
    with b.events() as at_b, c.events() as at_c:
        a.send("b", b"hello")
        member = a.member("b")
        assert member is not None
        a.send(member, b"")
        first, second = [await next_message(at_b) for _ in range(2)]
        assert first == MessageReceived("a", b"hello", Delivery.DATAGRAM)
        assert second == MessageReceived("a", b"", Delivery.DATAGRAM)
        with trio.move_on_after(5):
            await next_message(at_c)
            pytest.fail("the message went astray")


async def test_a_member_may_send_to_itself(world: World) -> None:
    a = await world.start("a")
    with a.events() as events:
        a.send("a", b"note")
        assert (await next_message(events)).payload == b"note"
        await a.send_reliable("a", b"note 2")
        assert (await next_message(events)).payload == b"note 2"


async def test_sending_to_who_is_no_member_is_the_callers_mistake(world: World) -> None:
    a, b = await world.cluster_of("ab")
    await b.leave()
    for name in ("stranger", "b"):
        with pytest.raises(LocalProtocolError, match="no alive or suspect member"):
            a.send(name, b"")
        with pytest.raises(LocalProtocolError, match="no alive or suspect member"):
            await a.send_reliable(name, b"")
        with pytest.raises(LocalProtocolError, match="no alive or suspect member"):
            await a.ping(name)
    assert a.statistics().streams == 0


async def test_a_datagram_too_large_is_refused_at_the_call(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    with pytest.raises(LocalProtocolError, match="use send_reliable"):
        a.send("b", bytes(1400))


# Pings


async def test_a_ping_measures_the_round_trip(nursery: trio.Nursery) -> None:
    world = World(nursery, MemoryNetwork(latency=0.1))
    a, _ = await world.cluster_of("ab")
    assert await a.ping("b") == pytest.approx(0.2)
    nursery.cancel_scope.cancel()


async def test_a_ping_without_an_answer_fails_after_the_probe_timeout(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    world.network.partition("10.0.0.1", "10.0.0.2")
    start = trio.current_time()
    with pytest.raises(PeerUnreachableError, match=r"b did not answer within 0\.5 s"):
        await a.ping("b")
    assert trio.current_time() - start == pytest.approx(0.5, abs=0.01)


async def test_pings_at_once_do_not_mix(world: World) -> None:
    a, _, _ = await world.cluster_of("abc")
    world.network.set_link("10.0.0.1", "10.0.0.2", latency=0.05)
    world.network.set_link("10.0.0.1", "10.0.0.3", latency=0.1)
    seconds: dict[str, float] = {}

    async def ping(name: str) -> None:
        seconds[name] = await a.ping(name)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ping, "b")
        nursery.start_soon(ping, "c")
    assert seconds == {"b": pytest.approx(0.1), "c": pytest.approx(0.2)}


async def test_a_message_is_an_event_between_the_others(world: World) -> None:
    a = await world.start("a")
    b = await world.start("b")
    with a.events() as events:
        await b.join([seed_of("a")])
        b.send("a", b"I am in")
        assert isinstance(await soon(events.__anext__), MemberJoined)
        assert isinstance(await soon(events.__anext__), MessageReceived)
