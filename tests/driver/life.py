"""A short life of one member that a test ends at any step, and what must not outlive it."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Callable
from typing import Any, Literal

import attrs
import pytest
import trio
from trio.testing import MockClock

from tests.driver.world import config_of, seed_of
from tests.driver.wrapping import WrappedTransport
from trio_gossip import (
    Cluster,
    Member,
    MemberJoined,
    Packet,
    Transport,
    open_cluster,
    serve_cluster,
)
from trio_gossip.testing.scheduling import make_scheduling_repeatable
from trio_gossip_transports import MemoryNetwork

PAYLOAD = bytes(200_000)
"""Three times the buffer of a stream, so that some steps lie in the middle of sending it."""

QUICK: dict[str, Any] = {"leave_linger": 0.1, "stream_timeout": 1.0}


class Counted(WrappedTransport):
    """Counts calls and raises at one of them, as a transport does that dies; then for ever."""

    def __init__(self, inner: Transport, dies_at: float, error: BaseException) -> None:
        super().__init__(inner)
        self.calls = 0
        self.dies_at = dies_at
        self.error = error
        self.streams: list[trio.abc.Stream] = []

    def _call(self) -> None:
        self.calls += 1
        if self.calls == self.dies_at:
            raise self.error

    def send_packet(self, *arguments: Any) -> None:
        self._call()
        self.inner.send_packet(*arguments)

    async def receive_packets(self) -> list[Packet]:
        self._call()
        packets = await self.inner.receive_packets()
        self._call()
        return packets

    def receive_packets_nowait(self) -> list[Packet]:
        self._call()
        return self.inner.receive_packets_nowait()

    def refusals_nowait(self) -> list[Any]:
        self._call()
        return self.inner.refusals_nowait()

    async def accept_stream(self) -> Any:
        self._call()
        stream, source = await self.inner.accept_stream()
        self.streams.append(stream)
        return stream, source

    async def open_stream(self, *arguments: Any) -> trio.abc.Stream:
        stream = await self.inner.open_stream(*arguments)
        self.streams.append(stream)
        return stream


class AtStep(trio.abc.Instrument):
    """Does something before one step of the scheduler, counted from when it is armed."""

    def __init__(self, step: float) -> None:
        self.steps = 0
        self.step = step
        self.action: Callable[[], object] | None = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.action is not None:
            self.steps += 1
            if self.steps == self.step:
                self.action()


@attrs.define
class Outcome:
    """What a run came to."""

    error: BaseException | None
    cancelled: bool
    steps: int
    calls: int
    asked: int


async def live(
    transport: Transport, how: Literal["open", "serve"], admit: Callable[[Member], bool] | None
) -> None:
    """The life that is disturbed."""
    config = config_of("a", admit=admit, **QUICK)
    if how == "open":
        async with open_cluster(config, transport) as cluster:
            await use(cluster)
    else:
        async with trio.open_nursery() as nursery:
            cluster = await nursery.start(serve_cluster, config, transport)
            await use(cluster)
            await cluster.leave()
            nursery.cancel_scope.cancel()


async def use(cluster: Cluster) -> None:
    with cluster.events() as events:
        await cluster.join([seed_of("b"), "10.0.0.77:1"])
        async for event in events:
            if isinstance(event, MemberJoined):
                break
    cluster.update_meta(b"new")
    cluster.broadcast(b"hello")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cluster.send_reliable, "b", PAYLOAD)
        nursery.start_soon(cluster.ping, "b")
    await trio.sleep(1.5)  # some probes, of both


def run(
    step: float = 0,
    *,
    how: Literal["open", "serve"] = "open",
    action: Literal["cancel", "kill"] = "cancel",
    call: float = 0,
    ask: float = 0,
    error: BaseException | None = None,
) -> Outcome:
    """One life, ended at a step, at a call of the transport or when the hook is asked.

    Checks that nothing is left; returns what it came to.
    """
    instrument = AtStep(step)
    fault = error or OSError(errno.EIO, "broken")
    asked: list[str] = []
    outcome = Outcome(None, False, 0, 0, 0)
    network = MemoryNetwork(seed=7)

    def admit(member: Member) -> bool:
        asked.append(member.name)
        if len(asked) == ask:
            raise fault
        return True

    async def peer(scope: trio.CancelScope, *, task_status: trio.TaskStatus[Cluster]) -> None:
        with scope:
            async with network.transport("10.0.0.2") as transport, trio.open_nursery() as nursery:
                cluster = await nursery.start(serve_cluster, config_of("b", **QUICK), transport)
                task_status.started(cluster)

    async def main() -> None:
        tasks_before = trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as nursery:
            peer_scope = trio.CancelScope()
            b: Cluster = await nursery.start(peer, peer_scope)
            tasks_of_b = trio.lowlevel.current_statistics().tasks_living
            transport = Counted(network.transport("10.0.0.1"), call, fault)
            async with transport:
                scope = trio.CancelScope()
                instrument.action = scope.cancel if action == "cancel" else peer_scope.cancel
                try:
                    with scope:
                        await live(transport, how, admit if ask else None)
                except Exception as raised:
                    outcome.error = raised
                finally:
                    outcome.steps = instrument.steps
                    instrument.action = None
                outcome.cancelled = scope.cancelled_caught
                # Before the transport closes: all streams of this side are closed already.
                for stream in transport.streams:
                    with pytest.raises(trio.ClosedResourceError):
                        await stream.receive_some(1)
            outcome.calls = transport.calls
            if not peer_scope.cancel_called:
                # b notices that its streams broke, and is as it was.
                with trio.move_on_after(5):
                    while b.statistics().streams:
                        await trio.sleep(0.01)
                assert trio.lowlevel.current_statistics().tasks_living == tasks_of_b
                assert b.local.state == "alive"
            nursery.cancel_scope.cancel()
        assert trio.lowlevel.current_statistics().tasks_living == tasks_before
        for host in ("10.0.0.1", "10.0.0.2"):
            await network.transport(host).aclose()  # the addresses are free again

    make_scheduling_repeatable(step if isinstance(step, int) else 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trio.run(main, clock=MockClock(autojump_threshold=0), instruments=[instrument])
    outcome.asked = len(asked)
    return outcome
