"""Seeds by name: resolved, every address tried, resolved again."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from tests.driver.names import start_a, use_names
from tests.driver.world import World, address_of, names_of, seed_of
from trio_gossip import (
    JoinError,
    LocalProtocolError,
)
from trio_gossip.joining import REFRESH_INTERVALS


async def test_every_address_of_a_name_is_tried(world: World) -> None:
    use_names(gossip=["10.0.0.77", "10.0.0.3", "10.0.0.78"])
    await world.start("c")
    a = await start_a(world)
    [result] = await a.join(["gossip:7946"])
    assert result.seed == "gossip:7946"
    assert result.address == address_of("c")
    assert names_of(a) == ["a", "c"]


async def test_a_name_joins_all_that_it_stands_for(world: World) -> None:
    use_names(gossip=["10.0.0.2", "10.0.0.3"])
    await world.start("b")
    await world.start("c")
    a = await start_a(world)
    assert [result.joined for result in await a.join(["gossip"])] == [True]
    assert names_of(a) == ["a", "b", "c"]


async def test_a_name_whose_addresses_all_fail_has_one_error(world: World) -> None:
    use_names(gossip=["10.0.0.77", "10.0.0.78"])
    a = await start_a(world)
    with pytest.raises(JoinError) as caught:
        await a.join(["gossip:1"])
    [error] = caught.value.exceptions
    assert str(error) in ("10.0.0.77:1: refused", "10.0.0.78:1: refused")


async def test_a_name_is_resolved_again_when_its_addresses_have_changed(world: World) -> None:
    names = use_names(gossip=["10.0.0.77"])
    a = await start_a(world)
    with pytest.raises(JoinError):
        await a.join(["gossip"])
    await world.start("b")
    names.hosts["gossip"] = ["10.0.0.2"]
    # Refreshed after ten rejoin intervals, and tried within a few more.
    with trio.fail_after((REFRESH_INTERVALS + 10) * 30.0):
        await a.wait_member("b")
    assert len(names.asked) == 2


async def test_a_name_that_cannot_be_resolved_for_a_while_stays_remembered(world: World) -> None:
    names = use_names(gossip=["10.0.0.77"])
    a = await start_a(world)
    with pytest.raises(JoinError):
        await a.join(["gossip"])
    del names.hosts["gossip"]
    await trio.sleep(REFRESH_INTERVALS * 30.0 + 1)
    assert len(names.asked) == 2
    await world.start("b")
    names.hosts["gossip"] = ["10.0.0.2"]
    with trio.fail_after((REFRESH_INTERVALS + 10) * 30.0):
        await a.wait_member("b")


async def test_a_name_that_was_unknown_at_first_is_found_when_it_appears(world: World) -> None:
    """Only seeds that had resolved once were remembered, so that a host which starts after us
    was never tried again."""
    names = use_names()
    a = await start_a(world)
    with pytest.raises(JoinError, match="none of 1 seeds"):
        await a.join(["gossip"])
    await world.start("b")
    names.hosts["gossip"] = ["10.0.0.2"]
    with trio.fail_after((REFRESH_INTERVALS + 10) * 30.0):
        await a.wait_member("b")


async def test_a_seed_that_was_down_is_found_when_it_comes(world: World) -> None:
    a = await world.start("a")
    with pytest.raises(JoinError):
        await a.join([seed_of("b")])
    await world.start("b")
    with trio.fail_after(200):
        await a.wait_member("b")


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "-.-", "\u2488com", "xn--a"])
async def test_a_name_that_no_resolver_can_even_spell_is_an_unknown_host(
    world: World, host: str
) -> None:
    """The encoder of host names raises UnicodeError, which came out of join as it was."""
    use_names()
    a = await start_a(world)
    with pytest.raises((JoinError, LocalProtocolError)):
        await a.join([f"{host}:7946"])


async def test_a_name_that_stands_for_nothing_is_an_unknown_host(world: World) -> None:
    use_names(empty=[])
    a = await start_a(world)
    with pytest.raises(JoinError, match="none of 1 seeds"):
        await a.join(["empty:7946"])


async def test_a_resolver_that_hangs_is_left_by_cancelling(world: World) -> None:
    names = use_names(slow=["10.0.0.2"])
    original = names.getaddrinfo

    async def slowly(*arguments: Any, **options: Any) -> list[Any]:
        await trio.sleep_forever()
        return await original(*arguments, **options)

    names.getaddrinfo = slowly  # type: ignore[method-assign]  # a double
    a = await start_a(world)
    with trio.move_on_after(1) as scope:
        await a.join(["slow:1"])
    assert scope.cancelled_caught


async def test_ipv6_numbers_are_seeds(world: World) -> None:
    a = await world.start("a")
    with pytest.raises(JoinError) as caught:
        await a.join(["[2001:db8::1]:7946", "2001:DB8::2"])
    assert [str(error) for error in caught.value.exceptions] == [
        "[2001:db8::1]:7946: refused",
        "[2001:db8::2]:7946: refused",
    ]
