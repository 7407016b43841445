"""Blocks of clusters: how they begin, how they end, what comes out of them."""

from __future__ import annotations

import math

import pytest
import trio

from trio_gossip import Cluster, Config, ConfigError, JoinError, LocalProtocolError
from trio_gossip.testing import GossipNetwork


async def test_in_the_block_everybody_sees_everybody(gossip_network):
    names = [f"node-{number}" for number in range(12)]
    async with gossip_network.clusters(*names) as clusters:
        assert all(isinstance(cluster, Cluster) for cluster in clusters)
        for cluster in clusters:
            assert sorted(member.name for member in cluster.members()) == sorted(names)
            assert str(cluster.local.address) == f"{cluster.local.name}:7946"
        assert gossip_network.running == tuple(names)
    assert gossip_network.running == ()


async def test_a_block_ends_at_once_and_nobody_notices_that_others_end(gossip_network):
    async with gossip_network.clusters("a", "b", "c") as clusters:
        with clusters[0].events() as events:
            await gossip_network.run_for(5)
            ended = gossip_network.now
    assert gossip_network.now == ended
    assert [event async for event in events] == []
    assert [record[1:3] for record in gossip_network.trace][-3:] == [
        ("end", "a"),
        ("end", "b"),
        ("end", "c"),
    ]
    for cluster in clusters:
        with pytest.raises(LocalProtocolError, match="stopped"):
            await cluster.join(["a"])


async def test_settings_are_given_by_name_by_preset_or_for_each_member(gossip_network):
    def of(cluster: Cluster) -> Config:
        return cluster._driver.config

    async with gossip_network.clusters("a", "b", probe_interval=0.7) as clusters:
        assert [of(each).probe_interval for each in clusters] == [0.7, 0.7]
        assert of(clusters[0]).seed != of(clusters[1]).seed
    async with gossip_network.clusters("a", "b", config=Config.wan, meta=b"x") as clusters:
        assert [of(each).suspicion_mult for each in clusters] == [6, 6]
        assert clusters[0].member("b").meta == b"x"
        assert clusters[0].local.incarnation >= 2000, "a second life of the name"

    def by_name(name: str) -> Config:
        return Config.local(name=name, meta=name.encode(), seed=5, incarnation=77)

    async with gossip_network.clusters("a", "b", config=by_name) as (a, b):
        assert (a.member("b").meta, b.member("a").meta) == (b"b", b"a")
        assert of(a).seed == of(b).seed == 5
    async with gossip_network.cluster("e", config=Config.lan(name="any", incarnation=77)) as e:
        assert (e.local.name, e.local.incarnation) == ("e", 77)


async def test_one_more_member_joins_those_that_it_is_told(gossip_network):
    async with gossip_network.clusters("a", "b") as (a, b):
        async with gossip_network.cluster("d", join=("a",)) as d:
            assert a.member("d")
            assert d.member("b")
            await b.wait_member("d")
            async with gossip_network.cluster("e", join=d) as e:
                assert e.member("a")
            async with gossip_network.cluster("f") as f:
                assert [member.name for member in f.members()] == ["f"]
                await f.join([gossip_network.address("a")])
                await gossip_network.wait_agreed("f", "a", "b", d)
        await a.wait_member("d", state="failed")
        with gossip_network.slow(0.3):
            async with gossip_network.cluster("g", join=("a", "b")):
                assert a.member("g").state == b.member("g").state == "alive"


class _OwnError(Exception):
    pass


async def test_an_error_of_the_block_arrives_as_itself(gossip_network):
    with pytest.raises(_OwnError):
        async with gossip_network.clusters("a", "b"):
            raise _OwnError
    with pytest.raises(_OwnError):  # noqa: PT012 - blocks are what is tested here
        async with gossip_network.clusters("a"), gossip_network.cluster("b", join="a"):
            gossip_network.pause("a")
            await gossip_network.run_for(2)
            raise _OwnError
    assert gossip_network.running == ()


async def test_an_error_of_a_member_ends_the_block_and_arrives_as_itself(gossip_network):
    def admit(member) -> bool:
        if member.name == "late":
            raise _OwnError(member.name)
        return True

    with pytest.raises(_OwnError, match="late"):
        async with (
            gossip_network.clusters("a", "b", admit=admit),
            gossip_network.cluster("late", join=["a"]),
        ):
            await trio.sleep_forever()


async def test_two_errors_arrive_as_a_group(gossip_network):
    def admit(member) -> bool:
        raise _OwnError(member.name)

    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with gossip_network.cluster("a", admit=admit) as a, gossip_network.cluster("b"):
            try:
                await a.join([gossip_network.address("b")])
            finally:
                raise ZeroDivisionError
    assert {type(error) for error in caught.value.exceptions} == {_OwnError, ZeroDivisionError}


async def test_a_cancelled_block_ends_and_cancels_nothing_else(gossip_network):
    with trio.move_on_after(7) as scope:
        async with gossip_network.clusters("a", "b"):
            gossip_network.pause("b")
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert gossip_network.now == pytest.approx(7)


async def test_members_of_a_users_own_nursery_and_of_its_task(gossip_network, nursery):
    heard = []

    async def listen(cluster, *, task_status) -> None:
        with cluster.events() as events:
            task_status.started()
            async for event in events:
                heard.append(event.payload)

    async with gossip_network.clusters("a", "b") as (a, b):
        await nursery.start(listen, b)
        a.broadcast(b"hello")
        await gossip_network.run_for(1)
    await trio.testing.wait_all_tasks_blocked()
    assert heard == [b"hello"], "and the iteration has ended with the member"


async def test_a_wait_for_what_never_comes_ends(gossip_network):
    gossip_network.patience = 100
    with pytest.raises(trio.TooSlowError, match="100 virtual seconds in one block"):  # noqa: PT012
        async with gossip_network.clusters("a", "b") as (a, _):
            await gossip_network.run_for(200)
            await a.wait_member("b", state="failed")
    assert gossip_network.now == pytest.approx(300, abs=1)
    gossip_network.patience = math.inf
    async with gossip_network.clusters("a", "b"):
        await trio.sleep(300)


async def test_members_that_cannot_agree_say_who_does_not_see_whom(gossip_network):
    async with gossip_network.clusters("a", "b", "c"):
        gossip_network.isolate("c")
        await gossip_network.run_for(20)
        with pytest.raises(trio.TooSlowError) as caught:
            await gossip_network.wait_agreed(within=30)
    assert str(caught.value) == (
        "no agreement within 30 virtual seconds:"
        " a does not see c; b does not see c; c does not see a; c does not see b"
    )


async def test_a_cluster_that_cannot_come_together_is_an_error(gossip_network):
    gossip_network.cut("a", "b")
    with pytest.raises(JoinError):
        async with gossip_network.clusters("a", "b"):
            raise AssertionError("not reached")
    assert gossip_network.running == ()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "one name for each member is wanted, not none"),
        (("a", "b", "a"), "one name for each member is wanted, not a, b, a"),
        (("a:1",), "lives on a host of its name: no blank or colon, not 'a:1'"),
        (("a b",), "no blank or colon, not 'a b'"),
        (("",), "no blank or colon, not ''"),
        ((b"a",), "no blank or colon, not b'a'"),
        (("there",), "a member called 'there' runs already"),
    ],
)
async def test_a_name_that_will_not_do_is_refused_in_one_line(gossip_network, names, message):
    async with gossip_network.cluster("there"):
        with pytest.raises(ValueError, match=message) as caught:
            async with gossip_network.clusters(*names):
                raise AssertionError("not reached")
        assert "\n" not in str(caught.value)
        with pytest.raises(ConfigError, match="probe_interval"):
            async with gossip_network.clusters("x", probe_interval=-1):
                raise AssertionError("not reached")
        with pytest.raises(TypeError, match="prob_interval"):
            async with gossip_network.clusters("x", prob_interval=1):
                raise AssertionError("not reached")


def test_it_needs_no_pytest() -> None:
    network = GossipNetwork(seed=7, latency=0.01)
    assert network.now == 0.0

    async def main(seconds: float) -> float:
        async with network.clusters("a", "b") as (a, _):
            await network.run_for(seconds)
            return await a.ping("b")

    assert network.run(main, 10) == pytest.approx(0.02)
    assert network.run(main, 10) == pytest.approx(0.02), "and may run again"


async def test_a_transport_of_the_user_suffers_the_same_faults(gossip_network):
    async with gossip_network.clusters("a", "b"):
        one, other = gossip_network.transport("a", 9000), gossip_network.transport("b", 9000)
        with gossip_network.partitioned("a", "b"):
            one.send_packet(b"lost", other.local_address)
        one.send_packet(b"kept", other.local_address)
        assert [data for data, _ in await other.receive_packets()] == [b"kept"]
