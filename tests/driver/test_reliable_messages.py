"""Reliable messages: whole, acknowledged, and with the pressure of the receiver behind them."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
import trio.testing

from tests.driver.world import World, seed_of, soon, until
from trio_gossip import (
    Delivery,
    LocalProtocolError,
    MessageReceived,
    PeerUnreachableError,
    RemoteProtocolError,
    Subscription,
)

RELIABLE_MAX = 20 * 1024 * 1024


async def next_message(events: Subscription) -> MessageReceived:
    """The next message, whatever else happens before it."""
    with trio.fail_after(60):
        async for event in events:
            if isinstance(event, MessageReceived):
                return event
    raise AssertionError("the cluster has stopped")


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, RELIABLE_MAX])
async def test_a_reliable_message_of_any_size_arrives_whole(world: World, size: int) -> None:
    a, b = await world.cluster_of("ab")
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    with b.events() as events:
        await soon(a.send_reliable, "b", payload)
        # Acknowledged means that it is here: nothing has to be waited for.
        start = trio.current_time()
        event = await soon(events.__anext__)
        assert trio.current_time() == start
    assert isinstance(event, MessageReceived)
    assert event.payload == payload
    assert (event.sender, event.delivery) == ("a", Delivery.STREAM)
    await until(lambda: not a.statistics().streams + b.statistics().streams)


async def test_one_byte_over_the_cap_is_refused_at_the_call(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    with pytest.raises(LocalProtocolError, match="20971521 bytes is over the limit of 20971520"):
        await a.send_reliable("b", bytes(RELIABLE_MAX + 1))
    assert a.statistics().streams == 0


async def test_a_message_over_the_receiver_s_own_cap_is_refused_by_it(world: World) -> None:
    a = await world.start("a")
    b = await world.start("b", message_bytes_max=1000)
    await b.join([seed_of("a")])
    await a.send_reliable("b", bytes(1000))
    with pytest.raises(RemoteProtocolError, match=r"b refused the message \(too large\).*1000"):
        await a.send_reliable("b", bytes(1001))
    # Much more than any buffer holds: the refusal arrives while the sender still writes.
    with pytest.raises(RemoteProtocolError, match="too large"):
        await a.send_reliable("b", bytes(5_000_000))
    await until(lambda: not a.statistics().streams + b.statistics().streams)


async def test_a_reliable_message_to_a_killed_process_says_that_nobody_is_there(
    world: World,
) -> None:
    a, _ = await world.cluster_of("ab")
    await world.kill("b")
    with pytest.raises(PeerUnreachableError, match=r"b at 10\.0\.0\.2:7946: refused"):
        await a.send_reliable("b", b"x")


async def test_a_reliable_message_into_a_cut_times_out(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    world.network.partition("10.0.0.1", "10.0.0.2")
    start = trio.current_time()
    with pytest.raises(PeerUnreachableError, match="timed out"):
        await a.send_reliable("b", b"x")
    assert trio.current_time() - start == pytest.approx(10.0, abs=0.01)
    world.network.heal()
    await until(lambda: a.statistics().streams == 0)


async def test_the_receiver_dies_in_the_middle_of_a_message(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    world.network.set_faults(latency=0.1)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send() -> None:
            with pytest.raises(PeerUnreachableError, match="reset"):
                await a.send_reliable("b", bytes(RELIABLE_MAX))

        await trio.sleep(2)
        assert a.statistics().streams == 1
        await world.kill("b")
    assert a.statistics().streams == 0


async def test_a_name_that_moved_to_another_process_refuses_the_message(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    await world.kill("b")
    await world.start("x", host="10.0.0.2")
    with pytest.raises(RemoteProtocolError, match=r"wrong member\): this is x, not b"):
        await a.send_reliable("b", b"x")


async def test_a_receiver_that_does_not_read_makes_the_sender_wait_until_it_reads(
    world: World,
) -> None:
    a, b = await world.cluster_of("ab")
    with b.events(limit=1) as events:
        a.send("b", b"fills the place")
        await trio.sleep(0.1)
        async with trio.open_nursery() as nursery:
            sent = trio.Event()

            @nursery.start_soon
            async def send() -> None:
                await a.send_reliable("b", b"waits")
                sent.set()

            await trio.sleep(9)
            assert not sent.is_set()
            # Nothing else stands still meanwhile.
            assert await a.ping("b") > 0
            assert (await next_message(events)).payload == b"fills the place"
            with trio.fail_after(1):
                await sent.wait()
        assert (await next_message(events)).payload == b"waits"
    assert b.statistics().events_missed == 0


async def test_a_receiver_that_never_reads_fails_the_send_and_nothing_else(world: World) -> None:
    a, b, c = await world.cluster_of("abc")
    with b.events(limit=1) as events:
        a.send("b", b"fills the place")
        await trio.sleep(0.1)
        start = trio.current_time()
        with pytest.raises(PeerUnreachableError, match="timed out"):
            await a.send_reliable("b", b"waits")
        assert trio.current_time() - start == pytest.approx(10.0, abs=0.1)
        await trio.sleep(30)
        assert [cluster.statistics().streams for cluster in (a, b, c)] == [0, 0, 0]
        assert len(b.members()) == len(a.members()) == 3
        assert a.explain("b").count("suspected") == 0
        events.close()
        # Who gave up must not have its message delivered long after.
        with b.events() as later:
            await a.send_reliable("b", b"goes through")
            assert (await next_message(later)).payload == b"goes through"


async def test_many_reliable_messages_at_once_all_arrive(world: World) -> None:
    a, b, c = await world.cluster_of("abc")
    got: Counter[bytes] = Counter()
    with c.events(limit=4) as events:  # so few places that they have to queue
        async with trio.open_nursery() as nursery:
            for number in range(60):
                sender = (a, b)[number % 2]
                nursery.start_soon(sender.send_reliable, "c", b"%d" % number * 3000)
            while got.total() < 60:
                got[(await next_message(events)).payload] += 1
    assert got == Counter(b"%d" % number * 3000 for number in range(60))


async def test_a_send_that_is_given_up_closes_its_stream(world: World) -> None:
    a, b = await world.cluster_of("ab")
    world.network.set_faults(latency=0.5)
    with trio.move_on_after(5) as scope:
        await a.send_reliable("b", bytes(RELIABLE_MAX))
    assert scope.cancelled_caught
    await until(lambda: a.statistics().streams == 0)
    await until(lambda: b.statistics().streams == 0)


async def test_a_send_given_up_before_its_dial_began_leaves_no_dial_behind(world: World) -> None:
    """The close came before the task that dials had run, and nothing interrupted the dial."""
    a, _ = await world.cluster_of("ab")
    world.network.partition("10.0.0.1", "10.0.0.2")
    for _ in range(20):  # which of the two tasks runs first is chance
        with trio.CancelScope() as scope:
            scope.cancel()
            await a.send_reliable("b", b"never mind")
    await trio.testing.wait_all_tasks_blocked()
    assert a.statistics().streams == 0
