"""Seeds: what becomes of each, how names are resolved, and what is left when a join is given up."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.driver.names import start_a, use_names
from tests.driver.world import World, address_of, names_of, seed_of, soon
from trio_gossip import (
    JoinError,
    LocalProtocolError,
    NameConflict,
    PeerUnreachableError,
    parse_address,
)
from trio_gossip.joining import JOINS_AT_ONCE

# One result for each seed


async def test_each_seed_has_its_result_in_the_order_given(world: World) -> None:
    await world.cluster_of("bc")
    a = await world.start("a")
    seeds = ["10.0.0.77:7946", seed_of("c"), "10.0.0.78", seed_of("b")]
    results = await soon(a.join, seeds)
    assert [result.seed for result in results] == seeds
    assert [result.joined for result in results] == [False, True, False, True]
    assert [result.address for result in results] == [None, address_of("c"), None, address_of("b")]
    assert [result.members for result in results[1::2]] == [2, 2]
    assert all(isinstance(result.error, PeerUnreachableError) for result in results[::2])
    assert names_of(a) == ["a", "b", "c"]


async def test_a_seed_given_twice_has_two_results(world: World) -> None:
    await world.start("b")
    a = await world.start("a")
    results = await a.join([seed_of("b"), seed_of("b")])
    assert [result.joined for result in results] == [True, True]


async def test_a_join_that_fails_tells_the_cause_of_each_seed(world: World) -> None:
    use_names()
    a = await start_a(world)
    await world.start("b")
    world.network.partition("10.0.0.1", "10.0.0.2")
    start = trio.current_time()
    with pytest.raises(JoinError, match="none of 3 seeds") as caught:
        await a.join(["10.0.0.77:1", "nowhere.example:1", seed_of("b")])
    # All at once: as long as the slowest alone.
    assert trio.current_time() - start == pytest.approx(10.0, abs=0.01)
    refused, unknown, timed_out = caught.value.exceptions
    assert str(refused) == "10.0.0.77:1: refused"
    assert str(unknown).startswith("nowhere.example:1: unknown host")
    assert str(timed_out) == "10.0.0.2:7946: timed out"
    assert all(isinstance(error, PeerUnreachableError) for error in caught.value.exceptions)
    assert [result.error for result in caught.value.results] == list(caught.value.exceptions)
    assert a.statistics().streams == 0
    rest, _ = caught.value.split(lambda error: error in (refused, timed_out))
    assert isinstance(rest, JoinError)  # also what `except*` hands on
    assert rest.exceptions == (refused, timed_out)
    assert rest.results == caught.value.results


async def test_no_seeds_are_nothing_to_do(world: World) -> None:
    a = await world.start("a")
    with trio.testing.assert_checkpoints():
        assert await a.join([]) == []


@pytest.mark.parametrize(
    "bad",
    ["", ":7946", "host:port", "host:-1", "host:65536", "[::1", "a b:1", "::1:x", "h" * 256],
)
async def test_a_seed_that_cannot_be_read_is_told_before_anything_is_dialled(
    world: World, bad: str
) -> None:
    await world.start("b")
    a = await world.start("a")
    with pytest.raises(LocalProtocolError):
        await a.join([seed_of("b"), bad])
    await trio.sleep(1)
    assert world.network.statistics().streams_opened == 0


async def test_one_text_is_no_list_of_seeds(world: World) -> None:
    a = await world.start("a")
    for wrong in ("10.0.0.2:7946", parse_address("10.0.0.2:7946"), None, [b"10.0.0.2:7946"]):
        with pytest.raises(TypeError):
            await a.join(wrong)


async def test_seeds_may_be_addresses_and_come_out_of_a_generator(world: World) -> None:
    """A generator was read twice: every failure was hidden."""
    a = await world.start("a")
    b = await world.start("b")
    [result] = await a.join(address for address in [b.local.address])
    assert result.joined
    with pytest.raises(JoinError):
        await a.join(text for text in ["10.0.0.77:7946"])


async def test_an_address_that_nobody_can_dial_is_misuse(world: World) -> None:
    a = await world.start("a")
    for wrong in ("10.0.0.2:0", "0.0.0.0:7946"):
        with pytest.raises(LocalProtocolError, match="no address that can be dialled"):
            await a.join([wrong])


async def test_joining_oneself_is_harmless(world: World) -> None:
    a = await world.start("a")
    with a.events() as events:
        [result] = await a.join([seed_of("a")])
        assert result.joined
        await trio.sleep(60)
        events.end()
        assert [
            event for event in [e async for e in events] if isinstance(event, NameConflict)
        ] == []
    assert names_of(a) == ["a"]
    assert a.local.address == address_of("a")


async def test_more_seeds_than_are_dialled_at_once_are_all_tried(world: World) -> None:
    a = await world.start("a")
    await world.start("b")
    seeds = [f"10.0.1.{number}:1" for number in range(3 * JOINS_AT_ONCE)]
    results = await soon(a.join, [*seeds, seed_of("b")])
    assert [result.joined for result in results] == [False] * len(seeds) + [True]


async def test_joins_at_the_same_time_do_not_mix(world: World) -> None:
    await world.cluster_of("bcd")
    a = await world.start("a")
    outcomes: dict[str, str] = {}

    async def join(seed: str) -> None:
        try:
            [result] = await a.join([seed])
        except JoinError as error:
            outcomes[seed] = str(error.exceptions[0])
        else:
            outcomes[seed] = str(result.address)

    seeds = [seed_of(name) for name in "bcd"] + ["10.0.0.77:1"]
    async with trio.open_nursery() as nursery:
        for seed in seeds:
            nursery.start_soon(join, seed)
    assert outcomes == {seed: seed for seed in seeds[:3]} | {"10.0.0.77:1": "10.0.0.77:1: refused"}


async def test_all_join_all_at_once(world: World) -> None:
    clusters = [await world.start(name) for name in "abcdef"]
    everybody = [seed_of(name) for name in "abcdef"]
    async with trio.open_nursery() as nursery:
        for cluster in clusters:
            nursery.start_soon(cluster.join, everybody)
    await world.wait_agreed(clusters)
    assert [names_of(cluster) for cluster in clusters] == [list("abcdef")] * 6


async def test_a_join_that_is_given_up_leaves_no_stream_and_no_command(world: World) -> None:
    a = await world.start("a")
    await world.cluster_of("bc")
    world.network.partition("10.0.0.1", ["10.0.0.2", "10.0.0.3"])
    with trio.move_on_after(3) as scope:
        await a.join([seed_of("b"), seed_of("c")])
    assert scope.cancelled_caught
    await trio.testing.wait_all_tasks_blocked()
    statistics = a.statistics()
    assert statistics.streams == 0
    assert statistics.engine.exchanges == 0
    world.network.heal()
    assert [result.joined for result in await a.join([seed_of("b")])] == [True]
