"""Members that are not let in: by the hook, by versions, by networks; told to both sides."""

from __future__ import annotations

import pytest
import trio

from tests.driver.world import World, names_of, seed_of, soon, state_at
from trio_gossip import (
    Cluster,
    JoinError,
    Member,
    MemberState,
    RemoteProtocolError,
    Versions,
)


async def refusal_of_join(cluster: Cluster, seed: str) -> str:
    """Join in vain; returns what the one error says."""
    with pytest.raises(JoinError) as caught:
        await cluster.join([seed])
    [error] = caught.value.exceptions
    assert isinstance(error, RemoteProtocolError)
    assert caught.value.results[0].error is error
    assert not caught.value.results[0].joined
    return str(error)


async def test_a_hook_that_says_no_is_told_to_who_joins(world: World) -> None:
    asked: list[Member] = []

    def admit(member: Member) -> bool:
        asked.append(member)
        return member.meta == b"friend"

    a = await world.start("a", admit=admit)
    b = await world.start("b", meta=b"foe")
    text = await refusal_of_join(b, seed_of("a"))
    assert text == "10.0.0.1:7946 refused us (not admitted): a does not admit b"
    assert [(member.name, member.meta) for member in asked] == [("b", b"foe")]
    assert names_of(a) == ["a"]
    assert a.statistics().engine.counters["exchange_refused_not_admitted"] == 1
    await trio.sleep(100)  # nor by any other way
    assert names_of(a) == ["a"]

    c = await world.start("c", meta=b"friend")
    await c.join([seed_of("a")])
    assert names_of(a) == ["a", "c"]


async def test_who_joins_may_refuse_the_seed(world: World) -> None:
    await world.start("a")
    b = await world.start("b", admit=lambda member: member.name != "a")
    text = await refusal_of_join(b, seed_of("a"))
    assert text == "we refused 10.0.0.1:7946: b does not admit a"
    assert names_of(b) == ["b"]


async def test_a_member_behind_the_seed_may_be_refused_without_ending_the_join(
    world: World,
) -> None:
    await world.cluster_of("ac")
    b = await world.start("b", admit=lambda member: member.name != "c")
    [result] = await b.join([seed_of("a")])
    assert result.joined
    assert result.members == 2
    assert names_of(b) == ["a", "b"]


async def test_the_hook_is_asked_again_when_a_member_changes(world: World) -> None:
    a = await world.start("a", admit=lambda member: member.meta != b"bad")
    b = await world.start("b")
    await b.join([seed_of("a")])
    b.update_meta(b"bad")
    await trio.sleep(5)
    assert a.member("b").meta == b""
    b.update_meta(b"good")
    await trio.sleep(5)
    assert a.member("b").meta == b"good"


async def test_versions_that_do_not_fit_are_refused_in_words(world: World) -> None:
    a = await world.start("a", versions=Versions(user_min=2, user_max=3, user=3))
    b = await world.start("b", versions=Versions(user_min=1, user_max=1, user=1))
    text = await refusal_of_join(b, seed_of("a"))
    assert text.startswith("10.0.0.1:7946 refused us (incompatible): b speaks protocol 1 of 1 to 1")
    assert "user protocol 1; a speaks" in text
    assert "user protocol 3" in text
    assert names_of(a) == ["a"]
    assert names_of(b) == ["b"]
    # An overlap is enough.
    c = await world.start("c", versions=Versions(user_min=2, user_max=4, user=2))
    await c.join([seed_of("a")])
    assert names_of(a) == ["a", "c"]


async def test_addresses_outside_of_the_allowed_networks_are_refused(world: World) -> None:
    a = await world.start("a", allowed_networks=("10.0.0.0/24",))
    stranger = await world.start("x", host="10.0.1.1")
    text = await refusal_of_join(stranger, seed_of("a"))
    assert "not admitted" in text
    friend = await world.start("b")
    await friend.join([seed_of("a")])
    assert names_of(a) == ["a", "b"]


async def test_a_seed_that_has_left_says_so(world: World) -> None:
    a = await world.start("a")
    b = await world.start("b")
    await a.leave()
    text = await refusal_of_join(b, seed_of("a"))
    assert text == "10.0.0.1:7946 refused us (leaving): a is leaving"


async def test_a_full_table_takes_no_more_but_keeps_what_it_has(world: World) -> None:
    a = await world.start("a", members_max=2)
    b = await world.start("b")
    await b.join([seed_of("a")])
    c = await world.start("c")
    await refusal_of_join(c, seed_of("a"))
    await trio.sleep(60)
    assert names_of(a) == ["a", "b"]
    assert state_at(a, "b") is MemberState.ALIVE


async def test_one_refusal_among_seeds_that_work_is_in_its_result(world: World) -> None:
    await world.start("a")
    await world.start("c", admit=lambda member: False)
    b = await world.start("b")
    first, second = await soon(b.join, [seed_of("c"), seed_of("a")])
    assert isinstance(first.error, RemoteProtocolError)
    assert "c does not admit b" in str(first.error)
    assert second.joined
