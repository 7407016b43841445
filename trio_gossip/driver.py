"""The run loop: performs what the engine decides. All time and all packets pass through here.

The steps of the loop, as ``docs/engine`` numbers them:

1. Wait for packets, at most until the engine's next deadline.
2. Give every packet that came to the engine, and perform what it returns.
3. When the deadline is there: drain what else has arrived, so that an answer which is in the
   socket counts before the question times out; then let the engine handle its timeouts.
4. Again.

Everything else (streams, commands of the application) takes its turn between two steps: one
turn and its performance have no checkpoint between them, so that no lock is needed.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, assert_never

import attrs
import trio

from trio_gossip.addresses import Address, canonical_host
from trio_gossip.conduits import Conduits
from trio_gossip.engine import Engine
from trio_gossip.engine.outputs import (
    CloseExchange,
    Complete,
    Deliver,
    Notify,
    OpenExchange,
    SendFrame,
    SendPacket,
)
from trio_gossip.errors import ConfigError
from trio_gossip.events import Lagged, MessageReceived, NameConflict
from trio_gossip.history import History
from trio_gossip.subscription import Subscriptions
from trio_gossip.unwrapping import raise_unwrapped

if TYPE_CHECKING:
    from trio_gossip.config import Config
    from trio_gossip.engine.outputs import Output, Token
    from trio_gossip.events import Event
    from trio_gossip.transport import Transport

logger = logging.getLogger(__name__)

DRAIN_BATCHES: Final = 64
"""Batches of packets taken before a due timer runs: all of a socket's buffer in normal times,
and still a bound for a flood."""


@attrs.define(eq=False)
class _Command:
    """A call of the application that waits for its end."""

    done: trio.Event = attrs.field(factory=trio.Event)
    result: object = None
    error: Exception | None = None


def told_address(address: Address) -> Address:
    """An address as it comes back from others: canonical, without an IPv6 scope.

    In any other spelling our own announcement would look like a stranger's, and be refuted for
    ever.
    """
    return Address(canonical_host(address.host.partition("%")[0]), address.port)


class Driver:
    """Owns the engine and the tasks of one cluster; :class:`Cluster` is its face."""

    def __init__(self, config: Config, transport: Transport) -> None:
        self.config = config
        self.transport = transport
        self.subscriptions = Subscriptions()
        self.history = History()
        address = told_address(config.advertise or transport.advertise_address)
        if address.is_wildcard or not address.port:
            raise ConfigError(f"{address} is no address that others can reach; set advertise")
        incarnation = config.incarnation or int(time.time())
        self.engine = Engine(
            config,
            address,
            rng=random.Random(config.seed),
            packet_limit=transport.packet_limit,
            incarnation=incarnation,
        )
        self.conduits = Conduits(self)
        self._commands: dict[Token, _Command] = {}
        self._last_token = 0
        self._waiting: trio.CancelScope | None = None

    # -- the run loop -------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Live until cancelled, or until the transport dies."""
        try:
            async with trio.open_nursery() as nursery:
                self.conduits.nursery = nursery
                self.perform(self.engine.start(now=trio.current_time()))
                nursery.start_soon(self.conduits.accept_streams)
                task_status.started()
                await self._loop()
        except BaseExceptionGroup as group:
            raise_unwrapped(group)
        finally:
            self.subscriptions.end()

    async def _loop(self) -> None:
        engine = self.engine
        transport = self.transport
        while True:
            packets = []
            with trio.move_on_at(engine.next_deadline) as self._waiting:
                packets = await transport.receive_packets()
            self._waiting = None
            for data, source in packets:
                self.perform(engine.receive_packet(data, source, now=trio.current_time()))
            for refused in transport.refusals_nowait():
                self.perform(engine.packet_refused(refused.address, now=trio.current_time()))
            if trio.current_time() >= engine.next_deadline:
                self._drain()
                self.perform(engine.handle_timeout(now=trio.current_time()))

    def _drain(self) -> None:
        engine = self.engine
        for _ in range(DRAIN_BATCHES):
            packets = self.transport.receive_packets_nowait()
            if not packets:
                return
            for data, source in packets:
                self.perform(engine.receive_packet(data, source, now=trio.current_time()))

    # -- performing ---------------------------------------------------------------------

    def perform(self, outputs: list[Output]) -> None:
        """Do what a turn decided, at once and without a checkpoint."""
        for output in outputs:
            if type(output) is SendPacket:  # four of five outputs; `match` asks seven questions
                self.transport.send_packet(output.data, output.address, output.peer_name)
            else:
                self._perform(output)
        if self._waiting is not None:
            self._waiting.deadline = self.engine.next_deadline

    def _perform(self, output: Output) -> None:
        match output:
            case SendPacket():
                self.transport.send_packet(output.data, output.address, output.peer_name)
            case Notify(event):
                self.publish(event)
            case OpenExchange():
                self.conduits.open(output)
            case SendFrame() | CloseExchange() | Deliver():
                self.conduits.act(output)
            case Complete():
                self._complete(output)
            case _:  # pragma: no cover - the union is closed
                assert_never(output)

    def publish(self, event: Event) -> None:
        """Tell the application."""
        if isinstance(event, NameConflict):
            logger.warning(
                "%s is claimed at %s and at %s",
                event.existing.name,
                event.existing.address,
                event.other,
            )
        elif not isinstance(event, MessageReceived | Lagged):
            self.history.note(event, trio.current_time())
        self.subscriptions.publish(event)

    # -- commands -----------------------------------------------------------------------

    async def command(self, start: Callable[[Token, float], list[Output]]) -> object:
        """Run a command of the engine to its end; abandons it when cancelled."""
        self._last_token += 1
        token = self._last_token
        waiting = self._commands[token] = _Command()
        try:
            self.perform(start(token, trio.current_time()))
            await waiting.done.wait()
        finally:
            del self._commands[token]
            if not waiting.done.is_set():
                self.perform(self.engine.abandon(token, now=trio.current_time()))
        if waiting.error is not None:
            raise waiting.error
        return waiting.result

    def _complete(self, output: Complete) -> None:
        waiting = self._commands.get(output.token)
        if waiting is not None:
            waiting.result = output.result
            waiting.error = output.error
            waiting.done.set()
