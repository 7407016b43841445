"""What subscribers are told: every change, in order, with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.driver.world import (
    World,
    seed_of,
    soon,
    state_at,
)
from trio_gossip import (
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberReaped,
    MemberRecovered,
    MemberState,
    MemberSuspected,
    MemberUpdated,
    Reason,
)

if TYPE_CHECKING:
    from trio_gossip import Event, Subscription

CHANGES = (
    MemberJoined,
    MemberUpdated,
    MemberSuspected,
    MemberRecovered,
    MemberFailed,
    MemberLeft,
    MemberReaped,
)


async def test_events_and_the_snapshot_fit_together_without_a_gap(world: World) -> None:
    a = await world.start("a")
    subscriptions: list[Subscription] = []
    seen: list[list[Event]] = []

    async def read(subscription: Subscription) -> None:
        events: list[Event] = []
        seen.append(events)
        async for event in subscription:
            events.append(event)

    async with trio.open_nursery() as nursery:
        for name in "bcdefg":
            # One subscription before each step, so that each starts in another middle.
            subscriptions.append(a.events())
            nursery.start_soon(read, subscriptions[-1])
            member = await world.start(name)
            await member.join([seed_of("a")])
        world.lives["b"].cluster.update_meta(b"new")
        await world.lives["c"].cluster.leave()
        await world.kill("d")
        await soon(a.wait_member, "d", state="failed")
        for subscription in subscriptions:
            subscription.end()

    for subscription, events in zip(subscriptions, seen, strict=True):
        changes = [event for event in events if isinstance(event, CHANGES)]
        assert changes == events
        versions = [change.version for change in changes]
        assert versions == list(
            range(subscription.version + 1, subscription.version + len(changes) + 1)
        )
        view = {member.name: member for member in subscription.members}
        for change in changes:
            assert isinstance(change, MemberJoined) == (
                change.member.name not in view or not view[change.member.name].is_active
            )
            view[change.member.name] = change.member
        active = {name: member.state for name, member in view.items() if member.is_active}
        assert active == {member.name: member.state for member in a.members()}


async def test_a_snapshot_holds_every_event_that_was_delivered(world: World) -> None:
    a = await world.start("a")
    with a.events() as events:
        for name in "bcd":
            member = await world.start(name)
            await member.join([seed_of("a")])
            event = await soon(events.__anext__)
            assert isinstance(event, MemberJoined)
            assert event.member in a.members()


async def test_a_member_s_own_changes_are_events_as_well(world: World) -> None:
    a = await world.start("a")
    with a.events() as events:
        a.update_meta(b"x")
        await a.leave()
        await a.join([seed_of("a")])
        kinds = [type(await soon(events.__anext__)) for _ in range(3)]
    assert kinds == [MemberUpdated, MemberLeft, MemberJoined]


async def test_the_whole_life_of_a_killed_member_is_told_with_its_reasons(world: World) -> None:
    a, _, _ = await world.cluster_of("abc")
    with a.events() as events:
        await world.kill("c")
        suspected, failed, reaped = [await soon(events.__anext__) for _ in range(3)]
    assert isinstance(suspected, MemberSuspected)
    assert suspected.reason in (Reason.PROBE_FAILED, Reason.ACCUSED)
    assert suspected.accusers
    assert isinstance(failed, MemberFailed)
    assert failed.reason in (Reason.SUSPICION_EXPIRED, Reason.REPORTED)
    assert set(failed.accusers) <= {"a", "b"}
    assert failed.accusers
    assert isinstance(reaped, MemberReaped)
    assert a.member("c") is None


@pytest.mark.parametrize(("cut", "reason"), [(1.0, Reason.ANSWERED), (3.0, Reason.REFUTED)])
async def test_a_member_that_was_only_cut_off_recovers(
    world: World, cut: float, reason: Reason
) -> None:
    """For a while nobody but its accuser knows of it, and an answer to that one will do."""
    a, b, _ = await world.cluster_of("abc")
    with a.events() as events:
        world.network.partition("10.0.0.2", ["10.0.0.1", "10.0.0.3"])
        event = await soon(events.__anext__)
        assert isinstance(event, MemberSuspected)
        assert event.member.name == "b"
        await trio.sleep(cut)
        world.network.heal()
        event = await soon(events.__anext__)
    assert isinstance(event, MemberRecovered)
    assert event.reason is reason
    assert state_at(a, "b") is MemberState.ALIVE
    assert event.member.incarnation == b.local.incarnation
