"""Processes that come back: at the same place, at another one, beside a twin."""

from __future__ import annotations

import pytest
import trio

from tests.driver.world import (
    World,
    address_of,
    config_of,
    names_of,
    seed_of,
    soon,
    state_at,
    until,
)
from trio_gossip import (
    Address,
    Cluster,
    Event,
    MemberJoined,
    MemberRecovered,
    MemberState,
    MemberSuspected,
    MemberUpdated,
    NameConflict,
    Reason,
)

SOON = 2.0
"""Virtual seconds within which a restarted process is alive everywhere, on the LAN profile."""


async def alive_everywhere_at(clusters: list[Cluster], name: str, address: Address) -> None:
    """Wait until all see ``name`` alive at ``address``, at most for SOON."""

    def is_there(cluster: Cluster) -> bool:
        member = cluster.member(name)
        return (
            member is not None and member.address == address and member.state is MemberState.ALIVE
        )

    with trio.fail_after(SOON):
        while not all(is_there(cluster) for cluster in clusters):
            await trio.sleep(0.01)


@pytest.mark.parametrize("members", ["ab", "abcde", "abcdefghijklmnop"])
@pytest.mark.parametrize("incarnation", [1000, 1001, 1], ids=["same", "newer", "older"])
@pytest.mark.parametrize(
    "place",
    [address_of("b"), address_of("b", 7999), Address("10.0.7.7", 7946)],
    ids=["same place", "other port", "other host"],
)
async def test_a_process_restarted_at_once_is_alive_everywhere_within_two_seconds(
    world: World, members: str, incarnation: int, place: Address
) -> None:
    clusters = await world.cluster_of(members)
    await trio.sleep(5)
    await world.kill("b")
    others = [cluster for cluster in clusters if cluster.local.name != "b"]
    again = await world.start("b", host=place.host, port=place.port, incarnation=incarnation)
    await again.join([seed_of("a")])
    await alive_everywhere_at([*others, again], "b", place)
    await trio.sleep(30)
    assert all(state_at(cluster, "b") is MemberState.ALIVE for cluster in others)
    assert names_of(again) == sorted(members)


@pytest.mark.parametrize("port", [7946, 7999])
@pytest.mark.parametrize("state", ["suspect", "failed", "reaped"])
async def test_a_process_restarted_after_it_was_missed_is_alive_within_two_seconds(
    world: World, state: str, port: int
) -> None:
    a, _, c, d = await world.cluster_of("abcd")
    await world.kill("b")
    seen = None if state == "reaped" else MemberState(state)
    await until(lambda: all(state_at(cluster, "b") is seen for cluster in (a, c, d)))
    again = await world.start("b", port=port)
    await again.join([seed_of("a")])
    await alive_everywhere_at([a, c, d, again], "b", address_of("b", port))


async def test_a_process_that_left_and_starts_elsewhere_is_alive_within_two_seconds(
    world: World,
) -> None:
    a, b, c = await world.cluster_of("abc")
    await b.leave()
    await world.kill("b")
    again = await world.start("b", host="10.0.7.7")
    await again.join([seed_of("a")])
    await alive_everywhere_at([a, c, again], "b", Address("10.0.7.7", 7946))


async def test_a_takeover_is_told_as_one(world: World) -> None:
    a, _, _ = await world.cluster_of("abc")
    with a.events() as events:
        await world.kill("b")
        again = await world.start("b", port=7999, incarnation=1001)
        await again.join([seed_of("a")])
        event = await soon(events.__anext__)
        # The host of the old process says that it is gone, so that it may be suspected first.
        while isinstance(event, MemberSuspected | MemberRecovered):
            assert event.reason is not Reason.REFUTED
            event = await soon(events.__anext__)
    assert isinstance(event, MemberUpdated)
    assert event.reason is Reason.TAKEOVER
    assert event.member.address == address_of("b", 7999)
    assert event.previous is not None
    assert event.previous.address == address_of("b")


async def test_a_whole_cluster_that_restarts_finds_itself_again(world: World) -> None:
    await world.cluster_of("abcd")
    for name in "abcd":
        await world.kill(name)
    again = [await world.start(name) for name in "abcd"]
    async with trio.open_nursery() as nursery:
        for cluster in again:
            nursery.start_soon(cluster.join, [seed_of("a"), seed_of("b")])
    with trio.fail_after(SOON):
        await world.wait_agreed(again)


async def test_a_twin_is_a_conflict_on_both_sides(world: World) -> None:
    a, b, _ = await world.cluster_of("abc")
    conflicts: dict[str, list[NameConflict]] = {"a": [], "b": [], "twin": []}

    async def read(cluster: Cluster, found: list[NameConflict]) -> None:
        with cluster.events() as events:
            async for event in events:
                if isinstance(event, NameConflict):
                    found.append(event)

    twin = await world.start("twin", host="10.0.7.7", config=config_of("b"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, a, conflicts["a"])
        nursery.start_soon(read, b, conflicts["b"])
        nursery.start_soon(read, twin, conflicts["twin"])
        await twin.join([seed_of("a")])
        await until(lambda: all(conflicts.values()))
        await trio.sleep(20)
        nursery.cancel_scope.cancel()
    assert conflicts["b"][0].existing.address == address_of("b")
    assert conflicts["b"][0].other == Address("10.0.7.7", 7946)
    assert conflicts["twin"][0].existing.address == Address("10.0.7.7", 7946)
    assert conflicts["twin"][0].other == address_of("b")
    # Not more than one a minute for the same other: it repeats itself with every exchange.
    assert [len(found) for found in conflicts.values()] == [1, 1, 1]
    # Who was there first stays.
    assert a.member("b").address == address_of("b")


async def test_a_member_that_moves_twice_ends_at_the_last_place(world: World) -> None:
    a, _, c = await world.cluster_of("abc")
    for round_, port in enumerate((7999, 8000, 7946), start=1):
        await world.kill("b")
        again = await world.start("b", port=port, incarnation=1000 + 10 * round_)
        await again.join([seed_of("c")])
        await alive_everywhere_at([a, c, again], "b", address_of("b", port))


async def test_a_member_that_comes_back_after_its_goodbye_joins_anew(world: World) -> None:
    a, b = await world.cluster_of("ab")
    with a.events() as events:
        await b.leave()
        await b.join([seed_of("a")])
        kinds: list[Event] = [await soon(events.__anext__) for _ in range(2)]
    assert isinstance(kinds[1], MemberJoined)
    assert kinds[1].member.incarnation > 1000
