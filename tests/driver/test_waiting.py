"""Waiting for a member to be in a state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.driver.world import (
    World,
    seed_of,
    soon,
)
from trio_gossip import (
    LocalProtocolError,
    MemberState,
)

if TYPE_CHECKING:
    from trio_gossip import Cluster


async def test_waiting_for_a_state_that_is_there_already_returns_at_once(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    start = trio.current_time()
    with trio.testing.assert_checkpoints():
        member = await a.wait_member("b")
    assert member == a.member("b")
    assert trio.current_time() == start


async def test_every_state_can_be_waited_for(world: World) -> None:
    a = await world.start("a")
    seen: dict[str, MemberState] = {}

    async def wait(state: str) -> None:
        seen[state] = (await a.wait_member("b", state=state)).state

    async with trio.open_nursery() as nursery:
        for state in ("alive", "suspect", "failed", "reaped"):
            nursery.start_soon(wait, state)
        b = await world.start("b")
        await b.join([seed_of("a")])
        await world.kill("b")
        await soon(a.wait_member, "b", state=MemberState.FAILED)
        assert "reaped" not in seen
    assert seen == {"alive": "alive", "suspect": "suspect", "failed": "failed", "reaped": "failed"}
    assert a.member("b") is None


async def test_a_goodbye_can_be_waited_for(world: World) -> None:
    a, b = await world.cluster_of("ab")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(b.leave)
        assert (await soon(a.wait_member, "b", state="left")).state is MemberState.LEFT
    assert (await soon(a.wait_member, "b", state="reaped")).state is MemberState.LEFT


async def test_a_state_that_does_not_exist_cannot_be_waited_for(world: World) -> None:
    a = await world.start("a")
    with pytest.raises(LocalProtocolError, match="'asleep' is no state"):
        await a.wait_member("b", state="asleep")


async def wait_and_note(cluster: Cluster, errors: list[BaseException]) -> None:
    try:
        await cluster.wait_member("nobody")
    except LocalProtocolError as error:
        errors.append(error)


async def test_waiting_ends_with_an_error_when_the_cluster_stops(world: World) -> None:
    a = await world.start("a")
    errors: list[BaseException] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_and_note, a, errors)
        await trio.testing.wait_all_tasks_blocked()
        await world.kill("a")
    assert [str(error) for error in errors] == ["the cluster has stopped"]


async def test_waiting_on_a_stopped_cluster_ends_with_an_error(world: World) -> None:
    a = await world.start("a")
    await world.kill("a")
    errors: list[BaseException] = []
    await wait_and_note(a, errors)
    assert [str(error) for error in errors] == ["the cluster has stopped"]


async def test_a_wait_that_is_cancelled_leaves_no_subscription(world: World) -> None:
    a = await world.start("a")
    with trio.move_on_after(1):
        await a.wait_member("nobody")
    assert a.statistics().subscriptions == 0


async def test_a_removal_is_no_other_state(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    await world.kill("b")
    with trio.move_on_after(200) as scope:
        await a.wait_member("b", state="left")
    assert scope.cancelled_caught
    assert a.member("b") is None
