"""Errors arrive as themselves, whoever raised them, and nothing goes on after them."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from tests.driver.world import World, config_of, seed_of, soon
from tests.driver.wrapping import WrappedTransport
from trio_gossip import (
    Cluster,
    GossipError,
    JoinError,
    Packet,
    Transport,
    open_cluster,
    serve_cluster,
)


class Dying(WrappedTransport):
    """Works until it is told to die: then the next call of one method raises."""

    def __init__(self, inner: Transport, method: str) -> None:
        super().__init__(inner)
        self.method = method
        self.error = OSError(errno.EIO, "the network card caught fire")
        self.is_dead = trio.Event()

    def _check(self, method: str) -> None:
        if self.is_dead.is_set() and method == self.method:
            raise self.error

    async def _until_dead(self, method: str, call: Callable[[], Awaitable[Any]]) -> Any:
        result: list[Any] = []
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def work() -> None:
                result.append(await call())
                nursery.cancel_scope.cancel()

            if method == self.method:
                await self.is_dead.wait()
                nursery.cancel_scope.cancel()
        if not result:
            raise self.error
        return result[0]

    async def receive_packets(self) -> list[Packet]:
        return await self._until_dead("receive_packets", self.inner.receive_packets)

    async def accept_stream(self) -> Any:
        return await self._until_dead("accept_stream", self.inner.accept_stream)

    def send_packet(self, *arguments: Any) -> None:
        self._check("send_packet")
        self.inner.send_packet(*arguments)

    def receive_packets_nowait(self) -> list[Packet]:
        self._check("receive_packets_nowait")
        return self.inner.receive_packets_nowait()

    def refusals_nowait(self) -> list[Any]:
        self._check("refusals_nowait")
        return self.inner.refusals_nowait()


# The body of open_cluster


class Custom(BaseException):
    """Not even an Exception."""


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        StopIteration(),
        StopAsyncIteration(),
        RuntimeError(),
        Custom(),
        KeyboardInterrupt(),
        SystemExit(3),
        ExceptionGroup("two", [KeyError(), ValueError()]),
        ExceptionGroup("one", [KeyError()]),
        JoinError("none", [OSError()]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_of_the_block_arrives_as_itself(world: World, error: BaseException) -> None:
    context = OSError("the reason")
    caught: BaseException | None = None
    async with world.network.transport("10.0.0.1") as transport:
        try:
            async with open_cluster(config_of("a"), transport):
                try:
                    raise context
                except OSError:
                    raise error  # noqa: B904 - the context is what is tested
        except BaseException as raised:
            caught = raised
    assert type(caught) is type(error)
    if isinstance(error, BaseExceptionGroup):  # trio makes a copy of groups on their way
        assert isinstance(caught, type(error))
        assert caught.exceptions == error.exceptions
        assert caught.message == error.message
    else:
        assert caught is error
    assert caught.__context__ is context


async def test_a_join_that_fails_in_the_block_arrives_as_a_join_error(world: World) -> None:
    async with world.network.transport("10.0.0.1") as transport:
        with pytest.raises(JoinError, match="none of 1 seeds"):
            async with open_cluster(config_of("a"), transport) as cluster:
                await cluster.join([seed_of("b")])


async def test_two_real_errors_stay_a_group(world: World) -> None:
    transport = Dying(world.network.transport("10.0.0.1"), "receive_packets")
    async with transport:
        with pytest.RaisesGroup(OSError, KeyError) as caught:
            async with open_cluster(config_of("a"), transport):
                transport.is_dead.set()
                try:
                    await trio.sleep_forever()
                finally:
                    raise KeyError
    assert transport.error in caught.value.exceptions


async def test_a_cancellation_from_outside_is_clean(world: World) -> None:
    async with world.network.transport("10.0.0.1") as transport:
        with trio.move_on_after(3) as scope:
            async with open_cluster(config_of("a"), transport):
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert trio.lowlevel.current_statistics().tasks_living > 0


async def test_a_cancellation_inside_of_the_block_is_the_block_s_own(world: World) -> None:
    async with world.network.transport("10.0.0.1") as transport:
        async with open_cluster(config_of("a"), transport) as cluster:
            with trio.move_on_after(1):
                await trio.sleep_forever()
        assert cluster.local.state == "left"


async def test_an_error_during_a_cancellation_from_outside_arrives_as_itself(world: World) -> None:
    """The tasks that were cancelled beside it made it a group of one."""
    error = KeyError("x")
    caught: BaseException | None = None
    async with world.network.transport("10.0.0.1") as transport:
        try:
            with trio.move_on_after(3):
                async with open_cluster(config_of("a"), transport):
                    try:
                        await trio.sleep_forever()
                    finally:
                        raise error
        except BaseException as raised:
            caught = raised
    assert caught is error


# The transport


METHODS = [
    "receive_packets",
    "accept_stream",
    "send_packet",
    "receive_packets_nowait",
    "refusals_nowait",
]


@pytest.mark.parametrize("method", METHODS)
async def test_the_error_of_a_dying_transport_ends_the_block_as_itself(
    world: World, method: str
) -> None:
    await world.start("b")
    transport = Dying(world.network.transport("10.0.0.1"), method)
    caught: BaseException | None = None
    async with transport:
        try:
            async with open_cluster(config_of("a"), transport) as a:
                await a.join([seed_of("b")])
                transport.is_dead.set()
                await soon(trio.sleep_forever)
        except BaseException as raised:
            caught = raised
    assert caught is transport.error


@pytest.mark.parametrize("method", METHODS)
async def test_the_error_of_a_dying_transport_ends_a_served_cluster_as_itself(
    world: World, method: str
) -> None:
    transport = Dying(world.network.transport("10.0.0.1"), method)
    await world.start("b")
    caught: list[BaseException] = []
    a: Cluster | None = None

    async def serve(*, task_status: trio.TaskStatus[Cluster]) -> None:
        try:
            await serve_cluster(config_of("a"), transport, task_status=task_status)
        except BaseException as raised:
            caught.append(raised)

    async with transport, trio.open_nursery() as nursery:
        a = await nursery.start(serve)
        assert isinstance(a, Cluster)
        await a.join([seed_of("b")])
        with a.events() as events:
            transport.is_dead.set()
            assert [event async for event in events] == []
    assert caught == [transport.error]
    with pytest.raises(GossipError, match="has stopped"):
        a.broadcast(b"")
