"""What stops a cluster from inside, and who waits when it stops."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests.driver.world import World, config_of, seed_of, soon
from tests.driver.wrapping import WrappedTransport
from trio_gossip import (
    GossipError,
    JoinError,
    Member,
    open_cluster,
)


async def outcome_of(world: World, admit: Callable[[Member], bool]) -> list[BaseException | None]:
    """Let c and then b join a cluster with that hook; returns what came out of its block."""
    outcome: list[BaseException | None] = []

    async def live(*, task_status: trio.TaskStatus[None]) -> None:
        async with world.network.transport("10.0.0.1") as transport:
            try:
                async with open_cluster(config_of("a", admit=admit), transport):
                    task_status.started()
                    await trio.sleep(60)
            except BaseException as raised:
                outcome.append(raised)
            else:
                outcome.append(None)

    b, _ = await world.cluster_of("bc")
    async with trio.open_nursery() as nursery:
        await nursery.start(live)
        with contextlib.suppress(JoinError):
            await b.join([seed_of("a")])
    return outcome


ERRORS = [KeyError("x"), OSError("full"), trio.BrokenResourceError(), trio.ClosedResourceError()]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("about", ["b", "c"])
async def test_what_the_hook_raises_stops_the_cluster(
    world: World, error: Exception, about: str
) -> None:
    """About a third member it was raised while a stream was written to, and an OSError passed
    for an error of that stream."""

    raised: list[float] = []

    def admit(member: Member) -> bool:
        if member.name == about:
            raised.append(trio.current_time())
            raise error
        return True

    assert await outcome_of(world, admit) == [error]
    assert len(raised) == 1  # the first time, and nothing went on after it


# Calls that wait when the cluster stops


@pytest.mark.parametrize("call", ["join", "leave", "ping", "send_reliable"])
async def test_a_call_that_waits_when_the_cluster_stops_ends_with_an_error(
    world: World, call: str
) -> None:
    """It waited for ever: nobody was left to complete it."""
    a, _ = await world.cluster_of("ab")
    world.network.partition("10.0.0.1", "10.0.0.2")
    arguments: dict[str, tuple[Any, ...]] = {
        "join": ([seed_of("b")],),
        "leave": (),
        "ping": ("b",),
        "send_reliable": ("b", b"x"),
    }
    ended = trio.Event()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def wait() -> None:
            with pytest.raises(GossipError, match="stopped"):
                await soon(getattr(a, call), *arguments[call])
            ended.set()

        await trio.testing.wait_all_tasks_blocked()
        await world.kill("a")
        await trio.testing.wait_all_tasks_blocked()
        assert ended.is_set()
        nursery.cancel_scope.cancel()


async def test_a_config_that_does_not_fit_the_transport_is_told_as_such(world: World) -> None:
    small = WrappedTransport(world.network.transport("10.0.0.1"))
    async with small:
        with pytest.raises(GossipError, match="do not fit a packet"):
            async with open_cluster(
                config_of("a" * 255, meta=bytes(512), packet_bytes_max=900), Small(small)
            ):
                pytest.fail("opened")


class Small(WrappedTransport):
    @property
    def packet_limit(self) -> int:
        return 500
