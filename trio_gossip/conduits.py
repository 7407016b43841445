"""One task for each stream: moves its bytes, and nothing but bytes, for the engine."""

from __future__ import annotations

import logging
import math
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import attrs
import trio

from trio_gossip.engine.outputs import CloseExchange, Deliver, SendFrame
from trio_gossip.failures import DialFailure
from trio_gossip.transport import abort_stream, classify_dial_error, names_of_peer

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.addresses import Address
    from trio_gossip.config import Config
    from trio_gossip.engine import Engine, Output
    from trio_gossip.engine.outputs import ExchangeId, OpenExchange
    from trio_gossip.events import Event
    from trio_gossip.subscription import Subscriptions
    from trio_gossip.transport import Transport

logger = logging.getLogger(__name__)

INBOUND_MAX: Final = 256
"""Streams that peers may have open with us; further ones are closed at once and counted."""

INBOUND_PER_HOST_MAX: Final = 128
"""The same for one host; and never more than the places that are left, so that a few hosts do
not take them all."""

RECEIVE_BYTES: Final = 16 * 1024
"""Bytes asked of a stream at once."""

DRAIN_BYTES: Final = 32 * 1024 * 1024
"""Bytes read away after a refusal before the stream is closed regardless."""

_Action: TypeAlias = SendFrame | CloseExchange | Deliver


@attrs.define(eq=False)
class _Conduit:
    """What the engine wants done on one stream, and the scope of what is being waited for."""

    exchange: ExchangeId
    actions: deque[_Action] = attrs.field(factory=deque[_Action])
    waiting: trio.CancelScope | None = None
    aborted: bool = False
    """It is to be closed at once, whatever the engine wanted before."""


class Host(Protocol):
    """What the streams need of the driver that owns them."""

    config: Config
    engine: Engine
    subscriptions: Subscriptions
    transport: Transport

    def turn(self, call: Callable[..., list[Output]], *args: Any, **options: Any) -> None:
        """Let the engine take one turn and do what it decides."""
        ...

    def publish(self, event: Event) -> None:
        """Tell the application."""
        ...


class Conduits:
    """All streams of one cluster."""

    nursery: trio.Nursery

    def __init__(self, driver: Host) -> None:
        self._driver = driver
        self._engine = driver.engine
        self._open: dict[ExchangeId, _Conduit] = {}
        self._inbound = 0
        self._inbound_of: dict[str, int] = {}
        self.rejected = 0
        """Streams closed because too many were open."""

    def __len__(self) -> int:
        return len(self._open)

    # -- from the engine ----------------------------------------------------------------

    def open(self, output: OpenExchange) -> None:
        """Dial, in a task of its own."""
        conduit = self._open[output.exchange] = _Conduit(output.exchange)
        self.nursery.start_soon(self._dial, conduit, output.address, output.peer_name)

    def act(self, action: _Action) -> None:
        """Queue what is to be done on a stream.

        A close that comes while the stream's task waits is the engine's word that the waiting
        has no end (a timeout, an abandoned command): it interrupts.
        """
        conduit = self._open.get(action.exchange)
        if conduit is None:
            return
        if isinstance(action, CloseExchange) and action.abort:
            conduit.aborted = True
            conduit.actions.clear()
        conduit.actions.append(action)
        if isinstance(action, CloseExchange) and conduit.waiting is not None:
            conduit.waiting.cancel()

    # -- tasks --------------------------------------------------------------------------

    async def accept_streams(self) -> None:
        """Serve what peers open, each in a task of its own."""
        while True:
            stream, source = await self._driver.transport.accept_stream()
            hosts = self._inbound_of
            # Never more than are left free: then n hosts that take all they can get leave one
            # share in n + 1 to all others, members that must reach us by stream among them.
            most = min(INBOUND_PER_HOST_MAX, INBOUND_MAX - self._inbound)
            if hosts.get(source.host, 0) >= most:
                self.rejected += 1
                # Not here: the next stream in the queue, a member's perhaps, need not wait for it.
                self.nursery.start_soon(trio.aclose_forcefully, stream)
                continue
            self._inbound += 1
            hosts[source.host] = hosts.get(source.host, 0) + 1
            self.nursery.start_soon(self._accepted, stream, source)

    async def _accepted(self, stream: trio.abc.Stream, source: Address) -> None:
        engine = self._engine
        conduit = _Conduit(engine.new_exchange())
        self._open[conduit.exchange] = conduit
        try:
            names = names_of_peer(stream)
            self._driver.turn(self._engine.exchange_accepted, conduit.exchange, source, names)
            await self._run(conduit, stream)
        finally:
            self._inbound -= 1
            self._inbound_of[source.host] -= 1
            if not self._inbound_of[source.host]:
                del self._inbound_of[source.host]
            del self._open[conduit.exchange]

    async def _dial(self, conduit: _Conduit, address: Address, peer_name: str | None) -> None:
        exchange = conduit.exchange
        stream: trio.abc.Stream | None = None

        def connected() -> None:
            self._driver.turn(self._engine.exchange_connected, exchange)

        try:
            if conduit.actions:
                return  # closed before this task had begun
            try:
                with trio.CancelScope() as conduit.waiting:
                    stream = await self._driver.transport.dial(address, peer_name, connected)
            except (OSError, trio.BrokenResourceError) as error:
                logger.debug("dialling %s: %s", address, error)
                failure = classify_dial_error(error)
                # A refused connection needs no words; keys and certificates do.
                detail = str(error) if failure is DialFailure.HANDSHAKE else ""
                self._driver.turn(self._engine.exchange_failed, exchange, failure, detail)
            finally:
                conduit.waiting = None
            if stream is not None:
                names = names_of_peer(stream)
                self._driver.turn(self._engine.exchange_opened, exchange, names)
                await self._run(conduit, stream)
        finally:
            del self._open[exchange]

    async def _run(self, conduit: _Conduit, stream: trio.abc.Stream) -> None:
        """Do what the engine wants and tell it what arrives, until it says close."""
        try:
            await self._serve(conduit, stream)
        finally:
            await (abort_stream(stream) if conduit.aborted else stream.aclose())

    async def _serve(self, conduit: _Conduit, stream: trio.abc.Stream) -> None:
        while True:
            data = b""
            done = False
            action = conduit.actions.popleft() if conduit.actions else None
            try:
                with trio.CancelScope(deadline=self._deadline(conduit, action)) as scope:
                    conduit.waiting = scope
                    if action is None:
                        data = bytes(await stream.receive_some(RECEIVE_BYTES))
                    else:
                        await self._move(action, stream)
                    done = True
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                self._failed(conduit, classify_dial_error(error))
                return
            finally:
                conduit.waiting = None
            if done:
                self._moved(conduit, action, data)
            if isinstance(action, CloseExchange) or (action is not None and not done):
                return  # at its end, or interrupted in the middle of a frame
            if done and action is None and not data:
                return

    def _deadline(self, conduit: _Conduit, action: _Action | None) -> float:
        """Until when an action may take. The engine keeps the time, but not any more for what
        goes before a close: a peer that stops reading must not hold a place for ever.
        """
        if action is None or not conduit.actions:
            return math.inf
        return trio.current_time() + self._driver.config.stream_timeout

    async def _move(self, action: _Action, stream: trio.abc.Stream) -> None:
        """The part of an action that takes time. Takes no turn: what a turn raises is no error
        of this stream.
        """
        if isinstance(action, SendFrame):
            await stream.send_all(action.data)
        elif isinstance(action, Deliver):
            await self._driver.subscriptions.wait_room()
        elif action.drain:
            await self._read_away(stream)

    def _moved(self, conduit: _Conduit, action: _Action | None, data: bytes) -> None:
        """Tell the engine what was done."""
        turn, engine = self._driver.turn, self._engine
        if action is None and data:
            turn(engine.exchange_received, conduit.exchange, data)
        elif action is None:
            self._failed(conduit, DialFailure.RESET)
        elif isinstance(action, SendFrame):
            if action.more:
                turn(engine.exchange_writable, conduit.exchange)
        elif isinstance(action, Deliver):
            self._driver.publish(action.event)
            turn(engine.exchange_delivered, conduit.exchange)

    async def _read_away(self, stream: trio.abc.Stream) -> None:
        """Let the peer finish, or closing with unread bytes resets the stream and the refusal
        that was just sent is lost.
        """
        with trio.move_on_after(self._driver.config.stream_timeout):
            if isinstance(stream, trio.abc.HalfCloseableStream):
                await stream.send_eof()
            left = DRAIN_BYTES
            while left > 0 and (data := await stream.receive_some(RECEIVE_BYTES)):
                left -= len(data)

    def _failed(self, conduit: _Conduit, failure: DialFailure) -> None:
        self._driver.turn(self._engine.exchange_failed, conduit.exchange, failure)
