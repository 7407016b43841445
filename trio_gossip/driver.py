"""The run loop: performs what the engine decides. All time and all packets pass through here.

The steps of the loop, as ``docs/engine`` numbers them:

1. Wait for packets, at most until the engine's next deadline.
2. When many came, read all that is there. Give them to the engine, pings and answers first, and
   perform what it returns: so many at a time, then read again.
3. When the deadline is there: drain what else has arrived, so that an answer which is in the
   socket counts before the question times out; then let the engine handle its timeouts.
4. Again.

Everything else (streams, commands of the application) takes its turn between two steps: one
turn and its performance have no checkpoint between them, so that no lock is needed.
"""

from __future__ import annotations

import contextlib
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, assert_never

import attrs
import trio

from trio_gossip.addresses import Address, canonical_host
from trio_gossip.conduits import Conduits
from trio_gossip.engine import Engine
from trio_gossip.engine.bucket import TokenBucket
from trio_gossip.engine.inbox import Inbox
from trio_gossip.engine.outputs import (
    CloseExchange,
    Complete,
    Deliver,
    Notify,
    OpenExchange,
    SendFrame,
    SendPacket,
)
from trio_gossip.errors import ConfigError, LocalProtocolError
from trio_gossip.events import (
    ContactLost,
    ContactRegained,
    Lagged,
    MessageReceived,
    NameConflict,
)
from trio_gossip.exposure import warn_if_open
from trio_gossip.history import History
from trio_gossip.loop_lag import LagMeter
from trio_gossip.services.keys import Keys
from trio_gossip.services.state import State
from trio_gossip.state_changes import StateChangesRegistry
from trio_gossip.subscription import Subscriptions
from trio_gossip.unwrapping import raise_unwrapped

if TYPE_CHECKING:
    from trio_gossip.config import Config
    from trio_gossip.engine.outputs import Output, Token
    from trio_gossip.events import Event
    from trio_gossip.transport import Packet, Transport

logger = logging.getLogger(__name__)

VIRTUAL_WALL: Final = 1_700_000_000.0
"""Where the wall clock of virtual time begins: a run must not depend on the day."""

SEALED_SECONDS: Final = 60.0
"""That peers seal and this node does not is logged once in so many seconds; the rest is counted."""

READ_ON: Final = 16
"""After a batch of so many packets there may be more, among them pings: they are read at once."""

ROUND_PACKETS: Final = 32
"""Packets given to the engine before the loop reads again, so that a ping waits for no more."""

DRAIN_BATCHES: Final = 64
"""Rounds of packets taken before a due timer runs: all of a socket's buffer in normal times,
and still a bound for a flood."""

REFUSALS_PER_SECOND: Final = 100.0
"""Refusals a second that the engine is told of, and as many at once; further ones are counted.
Anybody can forge them, and one that was dropped costs no more than a probe's usual patience."""

DRAIN_SECONDS: Final = 0.05
"""How long that may take: with packets that cost much it must not itself make timers late, which
would count as a stall of this process (``stall_threshold``)."""


@attrs.define(eq=False)
class _Command:
    """A call of the application that waits for its end."""

    done: trio.Event = attrs.field(factory=trio.Event)
    result: object = None
    error: Exception | None = None


def wall_ms() -> int:
    """The wall clock in milliseconds since 1970; on a clock of tests, what it makes of that."""
    if type(trio.lowlevel.current_clock()).__module__.startswith("trio._core"):
        return int(1000 * time.time())
    return int(1000 * (VIRTUAL_WALL + trio.current_time()))


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
        self.state_changes = StateChangesRegistry()
        self.state = State.of(config, wall_ms, shown=self.state_changes.publish)
        keys = () if transport.keyring is None else (Keys(transport.keyring),)
        incarnation = config.incarnation or int(time.time())
        self.engine = Engine(
            config,
            address,
            rng=random.Random(config.seed),
            packet_limit=transport.packet_limit,
            incarnation=incarnation,
            services=(self.state, *keys),
        )
        self.conduits = Conduits(self)
        self._inbox: Inbox[Packet] = Inbox(self.engine.is_urgent)
        self._commands: dict[Token, _Command] = {}
        self._last_token = 0
        self._waiting: trio.CancelScope | None = None
        self._dead = False
        self._sealed_told = -math.inf
        self._refusals = TokenBucket(REFUSALS_PER_SECOND, REFUSALS_PER_SECOND)
        self.refusals_dropped = 0
        """Refusals that the engine was not told of, because there were too many."""
        self.lag = LagMeter()
        self._ended = trio.Event()
        self.stopped = False
        """True once no further turn may be taken."""

    # -- the run loop -------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Live until cancelled, or until the transport dies."""
        trio.lowlevel.add_instrument(self.lag)
        try:
            async with trio.open_nursery() as nursery:
                self.conduits.nursery = nursery
                try:
                    warn_if_open(self.transport)
                    self.turn(self.engine.start)
                    nursery.start_soon(self._until_dead, self.conduits.accept_streams)
                    task_status.started()
                    await self._until_dead(self._loop)
                finally:
                    # Here and not later: a closing nursery takes no dial, and other tasks may
                    # still call.
                    self.stopped = True
        except BaseExceptionGroup as group:
            raise_unwrapped(group)
        finally:
            with contextlib.suppress(KeyError):  # trio throws out one that has failed
                trio.lowlevel.remove_instrument(self.lag)

    async def _until_dead(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run one of the two tasks that wait for the transport. When it dies both hear of it,
        and one error is enough.
        """
        try:
            await task()
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            if not self._dead:
                self._dead = True
                raise

    def end(self) -> None:
        """Nothing moves any more: end iterations, and calls that wait for an end."""
        self._ended.set()
        self.subscriptions.end()
        self.state_changes.end()
        for waiting in self._commands.values():
            if not waiting.done.is_set():
                waiting.error = LocalProtocolError("the cluster has stopped")
                waiting.done.set()

    async def _loop(self) -> None:
        engine = self.engine
        transport = self.transport
        while True:
            if self._inbox:
                await trio.lowlevel.checkpoint()
                self._read()
            else:
                packets: list[Packet] = []
                with trio.move_on_at(engine.next_deadline) as self._waiting:
                    packets = await transport.receive_packets()
                self._waiting = None
                self._put(packets)
                if len(packets) >= READ_ON:
                    self._read()
            self._receive_round()
            self._pass_refusals()
            if trio.current_time() >= engine.next_deadline:
                self._drain()
                self.turn(engine.handle_timeout)

    def _pass_refusals(self) -> None:
        """Fetched in any case, or the transport would keep them and wake us."""
        for refused in self.transport.refusals_nowait():
            if not self.config.kernel_evidence:
                continue
            if self._refusals.take(trio.current_time()):
                self.turn(self.engine.packet_refused, refused.address)
            else:
                self.refusals_dropped += 1

    def _put(self, packets: list[Packet]) -> None:
        for packet in packets:
            self._inbox.put(packet.data, packet)

    def _read(self) -> None:
        """Read what is there, as far as there is room for it."""
        until = trio.current_time() + DRAIN_SECONDS
        while not self._inbox.is_full:
            packets = self.transport.receive_packets_nowait()
            self._put(packets)
            if len(packets) < READ_ON or trio.current_time() >= until:
                return

    def _receive_round(self) -> None:
        inbox = self._inbox
        receive = self.engine.receive_packet
        for _ in range(min(ROUND_PACKETS, len(inbox))):
            data, source = inbox.take()
            self.turn(receive, data, source)

    def _drain(self) -> None:
        until = trio.current_time() + DRAIN_SECONDS
        for _ in range(DRAIN_BATCHES):
            self._read()
            if not self._inbox:
                return
            self._receive_round()
            if trio.current_time() >= until:
                return

    # -- performing ---------------------------------------------------------------------

    def turn(self, call: Callable[..., list[Output]], *args: Any, **options: Any) -> None:
        """Let the engine take one turn, and do at once what it decides; no checkpoint.

        An error out of a turn (the ``admit`` hook's, or a bug) leaves the engine in the middle
        of something: no other task takes a turn after it.

        Raises:
            LocalProtocolError: the call was misuse; nothing has changed.
        """
        if self.stopped:
            return
        try:
            outputs = call(*args, now=trio.current_time(), **options)
        except LocalProtocolError:
            raise
        except BaseException:
            self.stopped = True
            raise
        for output in outputs:
            if type(output) is SendPacket:  # four of five outputs; `match` asks seven questions
                self.transport.send_packet(output.data, output.address, output.peer_name)
            else:
                self._perform(output)
        peer = self.engine.take_sealed_peer()
        if peer is not None:
            self._tell_sealed(peer)
        if self._waiting is not None:
            self._waiting.deadline = self.engine.next_deadline

    def _tell_sealed(self, peer: Address) -> None:
        """One line for a person, now and then: the two will never understand each other."""
        now = trio.current_time()
        if now - self._sealed_told >= SEALED_SECONDS:
            self._sealed_told = now
            logger.warning(
                "%s seals what it sends, and this node has no keys to open it: give its transport"
                " the keys of the cluster (EncryptedTransport), the same label and format",
                peer,
            )

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
        elif isinstance(event, ContactLost):
            logger.warning("nobody answers any more, neither members nor helpers")
        elif not isinstance(event, MessageReceived | Lagged | ContactRegained):
            self.history.note(event, trio.current_time())
        self.subscriptions.publish(event)

    # -- commands -----------------------------------------------------------------------

    def tell(self, call: Callable[..., list[Output]], *args: Any) -> None:
        """Run a command that ends within its turn, and for whose end nobody waits.

        Raises:
            LocalProtocolError: it was misuse.
        """
        self._last_token += 1
        self.turn(call, *args, token=self._last_token)

    async def command(self, call: Callable[..., list[Output]], *args: Any) -> object:
        """Run a command of the engine to its end; abandons it when cancelled.

        Raises:
            LocalProtocolError: it was misuse, or the cluster stops before it has ended.
        """
        await self.check_running()
        self._last_token += 1
        token = self._last_token
        waiting = self._commands[token] = _Command()
        try:
            self.turn(call, *args, token=token)
            await waiting.done.wait()
            if self.stopped:
                await trio.lowlevel.checkpoint()  # a cancellation that came with it goes first
        finally:
            del self._commands[token]
            if not waiting.done.is_set():
                self.turn(self.engine.abandon, token)
        if waiting.error is not None:
            raise waiting.error
        return waiting.result

    async def check_running(self) -> None:
        """Raise LocalProtocolError when the cluster has stopped. A checkpoint then."""
        if self.stopped:
            # Only when all tasks have ended: a cancellation that comes of it goes first, so that
            # the caller sees why the cluster stopped and not that it did.
            await self._ended.wait()
            await trio.lowlevel.checkpoint()
            raise LocalProtocolError("the cluster has stopped")

    def _complete(self, output: Complete) -> None:
        waiting = self._commands.get(output.token)
        if waiting is not None:
            waiting.result = output.result
            waiting.error = output.error
            waiting.done.set()
