"""Coming, going and being seen: members, events, waiting for states, explanations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

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
    ConfigError,
    LocalProtocolError,
    MemberJoined,
    MemberLeft,
    MemberState,
    MemberUpdated,
    open_cluster,
)
from trio_gossip_transports import MemoryNetwork

if TYPE_CHECKING:
    pass


async def test_a_lone_member_knows_itself(world: World) -> None:
    cluster = await world.start("a", meta=b"rack 7")
    assert cluster.members() == (cluster.local,)
    assert cluster.local.name == "a"
    assert cluster.local.address == address_of("a")
    assert cluster.local.meta == b"rack 7"
    assert cluster.local.state is MemberState.ALIVE
    assert cluster.member("a") == cluster.local
    assert cluster.member("nobody") is None
    assert cluster.health_score == 0
    assert repr(cluster) == "<Cluster 'a' at 10.0.0.1:7946, 1 members>"


async def test_who_joins_one_is_seen_by_all(world: World) -> None:
    clusters = await world.cluster_of("abcde")
    assert [names_of(cluster) for cluster in clusters] == [list("abcde")] * 5


async def test_an_advertised_address_is_what_others_hear(world: World) -> None:
    a = await world.start("a")
    # Behind a translation of addresses: it listens at one place and is told at another.
    b = await world.start("b", advertise=address_of("b", 9999))
    await b.join([seed_of("a")])
    assert (await soon(a.wait_member, "b")).address == address_of("b", 9999)


async def test_a_wildcard_is_no_address_to_tell() -> None:
    async with MemoryNetwork().transport("0.0.0.0") as transport:
        with pytest.raises(ConfigError, match="set advertise"):
            async with open_cluster(config_of("a"), transport):
                pytest.fail("a member that nobody can reach was opened")


async def test_leaving_the_block_says_goodbye(world: World) -> None:
    a = await world.start("a")
    async with world.network.transport("10.0.0.2") as transport:
        async with open_cluster(config_of("b"), transport) as b:
            await b.join([seed_of("a")])
            await soon(a.wait_member, "b")
        # Acknowledged: nothing has to be waited for here.
        assert state_at(a, "b") is MemberState.LEFT


async def test_leaving_the_block_after_leave_does_not_leave_twice(world: World) -> None:
    a = await world.start("a")
    with a.events() as events:
        async with world.network.transport("10.0.0.2") as transport:
            async with open_cluster(config_of("b"), transport) as b:
                await b.join([seed_of("a")])
                assert await b.leave() == 1
                before = trio.current_time()
            assert trio.current_time() == before
        changes = [await events.__anext__() for _ in range(2)]
    assert [type(change) for change in changes] == [MemberJoined, MemberLeft]


async def test_leave_to_nobody_ends_within_its_timeout(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    world.network.partition(*(life.transport for life in world.lives.values()))
    start = trio.current_time()
    assert await a.leave() == 0
    assert trio.current_time() - start == pytest.approx(5.0, abs=0.01)


async def test_a_lone_member_leaves_at_once(world: World) -> None:
    a = await world.start("a")
    start = trio.current_time()
    assert await a.leave() == 0
    assert trio.current_time() == start
    assert a.local.state is MemberState.LEFT


async def test_two_that_ask_to_leave_both_hear_of_it(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    counts: list[int] = []

    async def leave() -> None:
        counts.append(await a.leave())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave)
        nursery.start_soon(leave)
    assert counts == [1, 1]


async def test_the_same_process_leaves_and_comes_back(world: World) -> None:
    a, b, c = await world.cluster_of("abc")
    for _ in range(3):
        assert await b.leave() == 2
        assert [state_at(x, "b") for x in (a, c)] == [MemberState.LEFT] * 2
        with pytest.raises(LocalProtocolError, match="has left"):
            b.broadcast(b"too late")
        with pytest.raises(LocalProtocolError, match="has left"):
            b.update_meta(b"too late")
        results = await b.join([seed_of("a")])
        assert results[0].joined
        assert b.local.state is MemberState.ALIVE
        with trio.fail_after(2):
            await a.wait_member("b")
            await c.wait_member("b")
    assert [names_of(x) for x in (a, b, c)] == [list("abc")] * 3


async def test_new_meta_reaches_everybody(world: World) -> None:
    clusters = await world.cluster_of("abcd")
    with clusters[3].events() as events:
        clusters[0].update_meta(b"version 2")
        event = await soon(events.__anext__)
    assert isinstance(event, MemberUpdated)
    assert event.member.meta == b"version 2"
    assert event.previous is not None
    assert event.previous.meta == b""
    await until(lambda: all(c.member("a").meta == b"version 2" for c in clusters))


@pytest.mark.parametrize(("meta", "error"), [("text", TypeError), (bytearray(1), TypeError)])
async def test_meta_is_bytes(world: World, meta: object, error: type[Exception]) -> None:
    a = await world.start("a")
    with pytest.raises(error, match="meta must be bytes"):
        a.update_meta(meta)  # type: ignore[arg-type]  # wrong on purpose


async def test_meta_has_a_limit_that_changes_nothing_when_it_is_passed(world: World) -> None:
    a = await world.start("a", meta=b"old")
    before = a.local
    with pytest.raises(LocalProtocolError, match="513 bytes"):
        a.update_meta(bytes(513))
    assert a.local == before
    a.update_meta(bytes(512))
    assert a.local.meta == bytes(512)


async def test_explain_tells_what_happened_and_who_said_so(world: World) -> None:
    a, _, _ = await world.cluster_of("abc")
    await world.kill("b")
    await soon(a.wait_member, "b", state="failed")
    lines = a.explain("b").splitlines()
    assert len(lines) == 3
    for line, what in zip(lines, ("joined", "suspected", "failed"), strict=True):
        assert f"s ago: b {what}" in line
        assert "at 10.0.0.2:7946" in line
    assert "accused by" in lines[2]
    assert a.explain("stranger") == "stranger: nothing is remembered"


async def test_explain_shows_what_was_before_an_update(world: World) -> None:
    a = await world.start("a", meta=b"123")
    a.update_meta(b"12345")
    assert "before: 10.0.0.1:7946, 3 bytes of meta" in a.explain("a")


async def test_statistics_count_members_subscriptions_and_streams(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    with a.events():
        statistics = a.statistics()
    assert statistics.engine.active == 2
    assert statistics.engine.members == 2
    assert statistics.subscriptions == 1
    assert statistics.streams == 0
    assert statistics.streams_rejected == 0
    assert statistics.events_missed == 0
    assert statistics.transport == world.lives["a"].transport.statistics()
    assert a.statistics().subscriptions == 0


async def test_a_stopped_cluster_says_so(world: World) -> None:
    a, _ = await world.cluster_of("ab")
    await world.kill("a")
    stopped = "the cluster has stopped"
    for call in (lambda: a.broadcast(b""), lambda: a.send("b", b""), lambda: a.update_meta(b"")):
        with pytest.raises(LocalProtocolError, match=stopped):
            call()
    for start in (
        lambda: a.join([seed_of("b")]),
        lambda: a.leave(),
        lambda: a.ping("b"),
        lambda: a.send_reliable("b", b""),
    ):
        with pytest.raises(LocalProtocolError, match=stopped):
            await start()
    assert names_of(a) == ["a", "b"]  # looking is still allowed
    with a.events() as events:
        assert [event async for event in events] == []
