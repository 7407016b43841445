"""Subscriptions: bounded, in order, and never in the way of the driver or of each other."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.driver.world import World, config_of, seed_of, soon
from trio_gossip import (
    Event,
    Lagged,
    LocalProtocolError,
    MemberJoined,
    MessageReceived,
    Subscription,
    open_cluster,
)
from trio_gossip.subscription import SUBSCRIPTIONS_MAX


async def take(events: Subscription, count: int) -> list[Event]:
    return [await soon(events.__anext__) for _ in range(count)]


async def send_numbers(world: World, numbers: range) -> None:
    """Have a receive one datagram for each number, in order."""
    for number in numbers:
        world.lives["b"].cluster.send("a", b"%d" % number)
        await trio.sleep(0.01)


def numbers_in(events: list[Event]) -> list[int]:
    """The numbers; minus the count where a Lagged stands."""
    return [
        -event.missed if isinstance(event, Lagged) else int(event.payload)
        for event in events
        if isinstance(event, Lagged | MessageReceived)
    ]


async def test_what_does_not_fit_becomes_one_lagged_at_its_place(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    with a.events(limit=3) as events:
        await send_numbers(world, range(10))
        assert numbers_in(await take(events, 4)) == [0, 1, 2, -7]
        await send_numbers(world, range(10, 12))
        assert numbers_in(await take(events, 2)) == [10, 11]
    assert a.statistics().events_missed == 7


async def test_room_that_opens_again_is_used_behind_the_gap(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    with a.events(limit=3) as events:
        await send_numbers(world, range(5))
        assert numbers_in(await take(events, 1)) == [0]
        await send_numbers(world, range(5, 6))  # two events and a gap wait: full as before
        assert numbers_in(await take(events, 1)) == [1]
        await send_numbers(world, range(6, 8))  # one place has become free
        assert numbers_in(await take(events, 4)) == [2, -3, 6, -1]


async def test_a_limit_of_one_still_delivers(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    with a.events(limit=1) as events:
        await send_numbers(world, range(3))
        assert numbers_in(await take(events, 2)) == [0, -2]
        await send_numbers(world, range(3, 4))
        assert numbers_in(await take(events, 1)) == [3]


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_subscription_without_any_room_is_refused(world: World, limit: int) -> None:
    a = await world.start("a")
    with pytest.raises(LocalProtocolError, match="at least 1"):
        a.events(limit=limit)


async def test_a_subscriber_that_never_reads_costs_nobody_anything(world: World) -> None:
    a, b = await world.cluster_of("ab")
    with a.events(limit=2), a.events() as events:
        for number in range(200):
            b.send("a", b"%d" % number)
            await trio.sleep(0.001)
        assert numbers_in(await take(events, 200)) == list(range(200))
        await trio.sleep(60)
        assert await a.ping("b") == pytest.approx(0.001)
    assert a.statistics().events_missed == 198
    assert a.statistics().engine.stalls == 0


async def test_each_of_several_subscribers_sees_everything(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    with a.events() as first, a.events() as second, a.events(limit=2) as third:
        await send_numbers(world, range(4))
        assert numbers_in(await take(first, 4)) == [0, 1, 2, 3]
        assert numbers_in(await take(second, 4)) == [0, 1, 2, 3]
        assert numbers_in(await take(third, 3)) == [0, 1, -2]


async def test_iteration_ends_after_what_waits_when_the_cluster_stops(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    with a.events() as events:
        await send_numbers(world, range(3))
        await world.kill("a")
        assert numbers_in([event async for event in events]) == [0, 1, 2]
        with pytest.raises(StopAsyncIteration):
            await events.__anext__()


async def test_an_iteration_that_waits_ends_when_the_cluster_stops(world: World) -> None:
    a = await world.start("a")
    ended: list[int] = []

    async def read(number: int) -> None:
        with a.events() as events:
            async for _ in events:
                pytest.fail("nothing happened")
        ended.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(read, number)
        await trio.testing.wait_all_tasks_blocked()
        await world.kill("a")
    assert sorted(ended) == [0, 1, 2]
    assert a.statistics().subscriptions == 0


async def test_events_of_the_own_goodbye_can_be_read_after_the_block(world: World) -> None:
    async with world.network.transport("10.0.0.1") as transport:
        async with open_cluster(config_of("a"), transport) as a:
            events = a.events()
        kinds = [type(event).__name__ async for event in events]
    assert kinds == ["MemberLeft"]


async def test_closing_inside_of_the_iteration_ends_it(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    seen: list[Event] = []
    with a.events() as events:
        await send_numbers(world, range(5))
        async for event in events:
            seen.append(event)
            if len(seen) == 2:
                events.close()
    assert numbers_in(seen) == [0, 1]
    assert a.statistics().subscriptions == 0
    events.close()  # once more is harmless


async def test_closing_from_another_task_ends_an_iteration_that_waits(world: World) -> None:
    a = await world.start("a")
    events = a.events()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            assert [event async for event in events] == []

        await trio.testing.wait_all_tasks_blocked()
        events.close()
    assert a.statistics().subscriptions == 0


async def test_what_closes_does_not_get_later_events(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    with a.events() as events:
        pass
    await send_numbers(world, range(2))
    assert [event async for event in events] == []


async def test_a_wait_that_is_cancelled_loses_no_event(world: World) -> None:
    a, b = await world.cluster_of("ab")
    got: list[Event] = []
    with a.events() as events:
        for number in range(50):
            # The event comes before, at the same time as and after the end of the wait.
            b.send("a", b"%d" % number)
            with trio.move_on_after(number * 0.00002):
                got.append(await events.__anext__())
        got.extend(await take(events, 50 - len(got)))
    assert numbers_in(got) == list(range(50))


async def test_two_tasks_may_share_a_subscription(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    got: list[Event] = []
    with a.events() as events:

        async def read() -> None:
            async for event in events:
                got.append(event)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            nursery.start_soon(read)
            await send_numbers(world, range(20))
            events.end()
    assert sorted(numbers_in(got)) == list(range(20))


async def test_every_step_of_an_iteration_is_a_checkpoint(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    with a.events() as events:
        await send_numbers(world, range(2))
        for _ in range(2):
            with trio.testing.assert_checkpoints():
                await events.__anext__()


async def test_there_is_a_bound_on_subscriptions(world: World) -> None:
    a = await world.start("a")
    kept = [a.events() for _ in range(SUBSCRIPTIONS_MAX)]
    with pytest.raises(LocalProtocolError, match=f"more than {SUBSCRIPTIONS_MAX}"):
        a.events()
    kept[0].close()
    a.events().close()
    for subscription in kept:
        subscription.close()


async def test_the_snapshot_is_that_of_the_registration(world: World) -> None:
    a = await world.start("a")
    with a.events() as before:
        b = await world.start("b")
        await b.join([seed_of("a")])
        with a.events() as after:
            assert [member.name for member in before.members] == ["a"]
            assert [member.name for member in after.members] == ["a", "b"]
            assert after.version > before.version
            event = await soon(before.__anext__)
    assert isinstance(event, MemberJoined)
    assert event.version == before.version + 1 == after.version


@pytest.mark.parametrize("waits", [True, False], ids=["an event waits", "it comes meanwhile"])
async def test_an_iteration_cancelled_at_any_step_loses_no_event(world: World, waits: bool) -> None:
    a, _ = await world.cluster_of("ab")
    got: list[Event] = []
    with a.events() as events:
        for step in range(8):
            if waits:
                await send_numbers(world, range(step, step + 1))
            async with trio.open_nursery() as nursery:

                async def read(scope: trio.CancelScope) -> None:
                    with scope:
                        got.append(await events.__anext__())

                scope = trio.CancelScope()
                nursery.start_soon(read, scope)
                if not waits:
                    await trio.testing.wait_all_tasks_blocked()
                    a.send("a", b"%d" % step)
                    await trio.sleep(0.0005)
                for _ in range(step):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        got += await take(events, 8 - len(got))
    assert numbers_in(got) == list(range(8))
