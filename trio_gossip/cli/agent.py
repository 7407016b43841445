"""``trio-gossip agent``: one member of a cluster, in a process of its own."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from trio_gossip.addresses import Address
from trio_gossip.cli.control_requests import Control
from trio_gossip.cli.control_socket import control_socket
from trio_gossip.cli.lines import LINE_BYTES_MAX
from trio_gossip.cli.opening import listen, look_up
from trio_gossip.cli.output import LineOutput, standard_descriptor
from trio_gossip.cli.printing import (
    event_record,
    left_record,
    started_record,
    to_json,
    to_text,
)
from trio_gossip.cli.problems import (
    EXIT_DONE,
    EXIT_FAILED,
    BadInputError,
    in_one_line,
)
from trio_gossip.cli.security import Security, SecuritySettings
from trio_gossip.cli.signals import Stop
from trio_gossip.cli.stdin import read_lines
from trio_gossip.cluster import Cluster, serve_cluster
from trio_gossip.config import Config
from trio_gossip.errors import BroadcastRateError, ConfigError, JoinError, LocalProtocolError
from trio_gossip.unwrapping import raise_unwrapped

if TYPE_CHECKING:
    import socket

    from trio_gossip.events import JoinResult
    from trio_gossip.subscription import Subscription
    from trio_gossip.transport import Transport

logger = logging.getLogger(__name__)

PROFILES: Final[Mapping[str, Callable[..., Config]]] = {
    "lan": Config.lan,
    "fast": Config.fast,
    "safe": Config.safe,
    "wan": Config.wan,
    "local": Config.local,
}
"""Presets by the name that the options use."""

QUEUED_BROADCASTS_MAX: Final = 256
"""Standard input is read no further while so many messages wait to be gossiped to somebody: a
file that is piped in must not push its own first lines out of the bounded queue. Alone, nobody
takes any of them, and the agent reads on so that it finds the end of its input."""

PRINTING_SECONDS: Final = 2.0
"""After the goodbye, how long a reader of standard output may take to read the rest."""


@attrs.frozen(kw_only=True)
class AgentSettings:
    """What the options said, parsed.

    Attributes:
        config: name, meta and profile.
        profile: the preset's name.
        bind: where to listen; port 0 lets the system choose.
        advertise: ``HOST[:PORT]`` to tell others; the default port is the bound one.
        seeds: texts like ``"10.0.0.2:7946"``.
        json: print JSON objects instead of lines for people.
        leave_at_eof: leave when standard input ends.
        security: keys and certificates.
        control: path of the control socket; None for none.
    """

    config: Config
    profile: str = "lan"
    bind: Address
    advertise: str | None = None
    seeds: tuple[str, ...] = ()
    json: bool = False
    leave_at_eof: bool = False
    security: SecuritySettings = SecuritySettings()
    control: str | None = None


async def run_agent(settings: AgentSettings) -> int:
    """Be a member until a signal comes; returns the exit code.

    Raises:
        BadInputError: a host is unknown, the port is in use, a file of keys or certificates is
            wrong, somebody has the control socket, or the config does not fit.
        OSError, trio.BrokenResourceError: the network is gone.
    """
    stop = Stop()
    output = LineOutput(standard_descriptor(1), stop.ask)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(stop.watch_signals, nursery.cancel_scope)
            await _Agent(settings, stop, output).run()
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise_unwrapped(group)
    output.log_failure()
    return EXIT_FAILED if stop.forced or output.failure is not None else EXIT_DONE


class _Agent:
    """The life of one agent, in order: listen, look seeds up, serve, join, leave."""

    def __init__(self, settings: AgentSettings, stop: Stop, output: LineOutput) -> None:
        self._settings = settings
        self._stop = stop
        self._output = output

    async def run(self) -> None:
        settings = self._settings
        security = Security(settings.security, settings.config.name)
        with ExitStack() as stack:
            # What can be refused without a network comes first.
            control = None
            if settings.control is not None:
                control = stack.enter_context(control_socket(settings.control))
            inner = None
            with self._stop.interruptible():
                inner = await listen(settings.bind)
            if inner is None:
                return
            async with inner:
                await self._run_on(inner, security, control)

    async def _run_on(
        self, inner: Transport, security: Security, control: socket.socket | None
    ) -> None:
        settings = self._settings
        async with security.wrap(inner) as transport:
            config = None
            with self._stop.interruptible():
                config = await look_up(
                    settings.config, transport, seeds=settings.seeds, advertise=settings.advertise
                )
            if config is not None:
                await self._serve(config, transport, security, control)

    async def _serve(
        self,
        config: Config,
        transport: Transport,
        security: Security,
        listening: socket.socket | None,
    ) -> None:
        serving = trio.CancelScope()
        bound = str(transport.local_address)
        try:
            async with trio.open_nursery() as nursery:
                cluster = await nursery.start(_serve_in, serving, config, transport)
                control = None
                if listening is not None:
                    about = {"bound": bound, "profile": self._settings.profile}
                    control = Control(listening, cluster, security, self._stop, about)
                with cluster.events() as events:
                    await self._live(cluster, events, bound, serving, control)
        except BaseExceptionGroup as group:
            raise_unwrapped(group)

    async def _live(
        self,
        cluster: Cluster,
        events: Subscription,
        bound: str,
        serving: trio.CancelScope,
        control: Control | None,
    ) -> None:
        started = started_record(
            cluster.local,
            bound=bound,
            profile=self._settings.profile,
            pid=os.getpid(),
            time=time.time(),
        )
        async with trio.open_nursery() as printing:
            if control is not None:
                printing.start_soon(control.run)
            printing.start_soon(self._print_events, started, events)
            with self._stop.interruptible():
                # Printed by the other nursery: who reads too slowly delays no broadcast.
                results = await self._join(cluster)
                printing.start_soon(self._print_results, results)
                await self._broadcast_input(cluster)
                await trio.sleep_forever()
            acked = await cluster.leave()
            if control is not None:
                control.left(acked)
            serving.cancel()  # ends the subscription after what still waits in it
            printing.cancel_scope.deadline = trio.current_time() + PRINTING_SECONDS
        with trio.move_on_after(PRINTING_SECONDS):
            await self._print(left_record(acked, time=time.time()))

    async def _print_events(self, started: Mapping[str, Any], events: Subscription) -> None:
        await self._print(started)
        async for event in events:
            await self._print(event_record(event, time=time.time()))

    async def _print_results(self, results: Sequence[JoinResult]) -> None:
        for result in results:
            await self._print(event_record(result, time=time.time()))

    async def _print(self, record: Mapping[str, Any]) -> None:
        await self._output.write_line(to_json(record) if self._settings.json else to_text(record))

    async def _join(self, cluster: Cluster) -> Sequence[JoinResult]:
        """Dial the seeds; those that do not answer are tried again for ever by the engine."""
        results: Sequence[JoinResult]
        try:
            results = await cluster.join(self._settings.seeds)
        except JoinError as error:
            results = error.results
        for result in results:
            if not result.joined:
                logger.warning(
                    "seed %s cannot be joined now (%s); it is tried again and again",
                    result.seed,
                    in_one_line(str(result.error)),
                )
        return results

    async def _broadcast_input(self, cluster: Cluster) -> None:
        pace = self._settings.config.gossip_interval
        warned = False

        async def broadcast(line: bytes | None) -> None:
            nonlocal warned
            await trio.lowlevel.checkpoint()  # a block of input may hold ten thousand lines
            while _queued(cluster) >= QUEUED_BROADCASTS_MAX:
                if _is_alone(cluster):
                    if not warned:
                        logger.warning("no other member is here: the oldest lines may be lost")
                    warned = True
                    break
                await trio.sleep(pace)  # no event tells it
            if line is None:
                logger.warning(
                    "a line of more than %d bytes is too long, not broadcast", LINE_BYTES_MAX
                )
                return
            try:
                await _broadcast_when_possible(cluster, line)
            except LocalProtocolError:  # its text tells a programmer what to call instead
                logger.warning("a line of %d bytes is too long, not broadcast", len(line))

        descriptor = standard_descriptor(0)
        if descriptor is not None:
            await read_lines(descriptor, broadcast)
        if self._settings.leave_at_eof:
            # What was read last is still on its way out; alone, nobody will ever take it.
            with trio.move_on_after(self._settings.config.leave_timeout):
                while _queued(cluster):  # noqa: ASYNC110  # no event tells it
                    await trio.sleep(pace)
            self._stop.ask()


async def _serve_in(
    scope: trio.CancelScope,
    config: Config,
    transport: Transport,
    *,
    task_status: trio.TaskStatus[Cluster],
) -> None:
    try:
        with scope:
            await serve_cluster(config, transport, task_status=task_status)
    except ConfigError as error:
        raise BadInputError(str(error)) from error


async def _broadcast_when_possible(cluster: Cluster, line: bytes) -> None:
    while True:
        try:
            cluster.broadcast(line)
        except BroadcastRateError as error:
            await trio.sleep(error.retry_after)
        else:
            return


def _queued(cluster: Cluster) -> int:
    return cluster.statistics().engine.user_queue


def _is_alone(cluster: Cluster) -> bool:
    return len(cluster.members()) < 2  # the failed and the left are not in it
