"""The engine: bytes and time go in, decisions come out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from trio_gossip.codec import DecodeError, NativeCodec
from trio_gossip.engine.bucket import TokenBucket
from trio_gossip.engine.clock import StallClock
from trio_gossip.engine.gossiper import LAG_THRESHOLD
from trio_gossip.engine.node import ANSWERS_MAX, Node
from trio_gossip.engine.parts import Parts
from trio_gossip.engine.presence import Presence
from trio_gossip.engine.view import EngineView
from trio_gossip.errors import LocalProtocolError
from trio_gossip.members import Member, MemberState

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec import Codec
    from trio_gossip.config import Config
    from trio_gossip.engine.membership import Membership
    from trio_gossip.engine.outputs import ExchangeId, Output, Token
    from trio_gossip.failures import DialFailure
    from trio_gossip.services.base import Service

COMMANDS_MAX: Final = 4096
"""Commands (joins, pings, reliable messages) that the local program may have under way."""

LONG_STALL: Final = 1.0
"""A stall beyond this many seconds lowers our own health by two steps instead of one."""

STRANGER_PACKETS_PER_SECOND: Final = 1000.0
"""Packets a second from addresses that no member has; further ones are counted and dropped unread.
Members that join are strangers for a moment, and reading a packet of claims costs up to 0.4 ms."""

TIMERS_MAX: Final = 64
"""Deadlines served in one turn; should more be due, the driver yields in between."""

ROUNDING: Final = 1e-6
"""Seconds by which a deadline counts as due early: converting between the driver's time and the
engine's rounds, and a deadline that is due but not quite would be asked for for ever."""


class Engine(EngineView):
    """One member of a cluster, without any input or output of its own.

    The contract:

    1. One owner, never re-entered, no locks. A *turn* is one call; nothing awaits inside one.
    2. Every input takes keyword-only ``now``, monotonic float seconds of one clock, and
       returns the list of outputs of that turn. Nothing is queued inside for a caller to forget.
    3. Outputs are a closed union of frozen values (``trio_gossip.engine.outputs``).
    4. Time is one property, :attr:`next_deadline` (``math.inf`` when idle), and
       :meth:`handle_timeout`. Read it again after each turn. Calling early is harmless; calling
       late is allowed and *measured*: lateness is evidence about this process's health,
       never about a peer's death.
    5. Same config, generator and inputs give the same outputs, byte for byte.
    6. Garbage from the network never raises: it is counted by reason and dropped.
       :class:`~trio_gossip.LocalProtocolError` is the caller's own misuse, raised before any
       state changes. What the ``admit`` hook raises passes through. Anything else is our bug.
    7. Everything has a bound that a constant or a config field names.

    Args:
        config: all settings.
        address: where others reach this member.
        rng: the one source of chance; seed it for a run that can be repeated.
        packet_limit: most bytes in a packet; the config may lower it further.
        incarnation: the first one; must be above that of any former life of this name.
        codec: the wire.
        table: where the members are kept, which nobody else may use; empty by default. If it
            has a row of this member's name already, that must be this very member. The other
            members in it must be alive; they are known from the start and make no events.
        services: what rides on the core; none of them may serve another engine.

    Raises:
        ConfigError: this member's own announcement would not fit a packet.
        LocalProtocolError: ``table`` has another claim for this name, or two services have one
            code.
    """

    def __init__(
        self,
        config: Config,
        address: Address,
        *,
        rng: random.Random,
        packet_limit: int,
        incarnation: int = 1,
        codec: Codec | None = None,
        table: Membership | None = None,
        services: Sequence[Service] = (),
    ) -> None:
        me = Member(
            config.name,
            address,
            MemberState.ALIVE,
            incarnation,
            config.meta,
            config.versions.pack(),
        )
        limit = min(packet_limit, config.packet_bytes_max)
        self._node = Node(config, me, codec or NativeCodec(), rng, limit, table=table)
        self._parts = Parts(self._node, services)
        self._presence = Presence(self._node, self._parts)
        self._clock = StallClock(config.stall_threshold)
        self._strangers = TokenBucket(STRANGER_PACKETS_PER_SECOND, STRANGER_PACKETS_PER_SECOND)
        self._started = False

    # -- commands: what the local program wants -----------------------------------------

    def start(self, *, now: float, known: bool = False) -> list[Output]:
        """Begin to live: announce this member and start probing. Once, before anything else.

        With ``known`` this starts as a member that everybody knows already, and announces
        nothing: for simulations that begin with a cluster at rest, where ``table`` has the
        others and their tables have this one.
        """
        if self._started:
            raise LocalProtocolError("the engine was started already")
        self._clock.advance(now, math.inf)
        self._started = True
        self._node.now = self._node.outbox.now = now
        self._presence.start(known=known)
        return self._node.outbox.take()

    def join(self, address: Address, *, token: Token, now: float) -> list[Output]:
        """Exchange tables with a seed; completes with the number of members it told of.

        The seed is remembered and retried while it is not a member. After a leave this is
        how the same process comes back.
        """
        self._command(token, now)
        parts = self._parts
        self._presence.come_back()
        parts.rejoin.remember([address])

        def done(members: int, diverged: bool, error: Exception | None) -> None:
            if error is None:
                self._presence.introduce()
            if diverged:
                parts.rejoin.diverged(address)
            self._node.outbox.complete(token, members, error)

        exchange = parts.sync.open(address, None, joining=True, done=done)
        self._node.outbox.commands[token] = exchange
        return self._node.outbox.take()

    def remember_seeds(self, addresses: Iterable[Address], *, now: float) -> list[Output]:
        """Replace what is tried when contact to the cluster is lost."""
        self._begin(now)
        self._parts.rejoin.remember(addresses)
        return self._node.outbox.take()

    def leave(self, *, token: Token, now: float) -> list[Output]:
        """Say goodbye; completes with the number of members that acknowledged it."""
        self._command(token, now)
        self._presence.leave(token)
        return self._node.outbox.take()

    def update_meta(self, meta: bytes, *, now: float) -> list[Output]:
        """Change this member's metadata.

        Raises:
            LocalProtocolError: too long, or this member has left.
        """
        self._presence.check_meta(meta)
        self._begin(now)
        self._presence.update_meta(meta)
        return self._node.outbox.take()

    def broadcast(self, payload: bytes, *, key: bytes | None = None, now: float) -> list[Output]:
        """Tell every other member; a queued broadcast of the same key is replaced.

        Raises:
            LocalProtocolError: it is too long, or this member has left.
            BroadcastRateError: this member has sent too many lately.
        """
        self._presence.check_present()
        self._begin(now)
        self._parts.mail.broadcast(payload, key)
        return self._node.outbox.take()

    def send(self, name: str, payload: bytes, *, now: float) -> list[Output]:
        """Send one datagram to a member, best effort.

        Raises:
            LocalProtocolError: no such active member, or it does not fit a packet.
        """
        member = self._active(name)
        self._begin(now)
        self._parts.mail.send(member, payload)
        return self._node.outbox.take()

    def send_reliable(self, name: str, payload: bytes, *, token: Token, now: float) -> list[Output]:
        """Send by stream; completes when the member has acknowledged it.

        Raises:
            LocalProtocolError: no such active member, or it is too large.
        """
        member = self._active(name)
        self._command(token, now)
        try:
            exchange = self._parts.mail.send_reliable(member, payload, token)
        except LocalProtocolError:
            del self._node.outbox.commands[token]
            raise
        self._node.outbox.commands[token] = exchange
        return self._node.outbox.take()

    def ping(self, name: str, *, token: Token, now: float) -> list[Output]:
        """Ping a member once; completes with the round-trip time in seconds.

        Has no effect on membership.

        Raises:
            LocalProtocolError: no such active member.
        """
        member = self._active(name)
        self._command(token, now)
        self._parts.pinger.ping(member, token)
        return self._node.outbox.take()

    def call_service(
        self, service: int, command: object, *, token: Token, now: float
    ) -> list[Output]:
        """Give a command to a service; completes with what the service says.

        Raises:
            LocalProtocolError: there is no such service, it does not take the command, or this
                member has left.
        """
        self._presence.check_present()
        called = self._parts.requests.service(service)
        self._command(token, now)
        try:
            called.call(command, token)
        except LocalProtocolError:
            del self._node.outbox.commands[token]
            raise
        return self._node.outbox.take()

    def abandon(self, token: Token, *, now: float) -> list[Output]:
        """The caller of a command is gone: end its stream, tell nobody."""
        self._begin(now)
        self._parts.streams.cancel(self._node.outbox.commands.pop(token, None))
        self._parts.requests.abandon(token)
        return self._node.outbox.take()

    # -- the world ----------------------------------------------------------------------

    def receive_packet(self, data: bytes, source: Address, *, now: float) -> list[Output]:
        """A datagram arrived."""
        self._begin(now)
        node = self._node
        if not node.table.knows_address(source) and not self._strangers.take(node.now):
            node.counters.bump("packet_over_rate")  # not even looked at: that is what costs
            return node.outbox.take()
        try:
            messages = node.codec.unpack_untrusted(data)
        except DecodeError as error:
            node.counters.bump(f"packet_{error.reason}")
            if error.reason == "sealed":
                node.sealed_peer = source
            return node.outbox.take()
        handlers = self._parts.messages
        node.allowance = len(data)
        node.source = source
        for message in messages:
            handlers[type(message)](message, source)
        node.source = None
        return node.outbox.take()

    def packet_refused(self, address: Address, *, now: float) -> list[Output]:
        """The network said that nobody listens at ``address``: a reason to look, no verdict."""
        self._begin(now)
        node = self._node
        known = node.table.knows_address(address)
        node.counters.bump("packet_refused" if known else "packet_refused_stranger")
        if known and node.config.kernel_evidence:
            self._parts.prober.refused(address)
            self._parts.relay.refused(address)
        return node.outbox.take()

    def take_sealed_peer(self) -> Address | None:
        """Who sent something sealed since this was last asked, for a line in the log."""
        node = self._node
        peer, node.sealed_peer = node.sealed_peer, None
        return peer

    def new_exchange(self) -> ExchangeId:
        """An id for a stream that a peer opened."""
        return self._parts.streams.allocate()

    def exchange_accepted(
        self, exchange: ExchangeId, source: Address, names: tuple[str, ...] = (), *, now: float
    ) -> list[Output]:
        """A peer opened a stream. If the transport vouches for ``names``, it may use no other."""
        self._begin(now)
        self._parts.streams.accepted(exchange, source, names)
        return self._node.outbox.take()

    def exchange_connected(self, exchange: ExchangeId, *, now: float) -> list[Output]:
        """The peer's host took a connection that the engine asked for; before any handshake."""
        self._begin(now)
        self._parts.streams.connected(exchange)
        return self._node.outbox.take()

    def exchange_opened(
        self, exchange: ExchangeId, names: tuple[str, ...] = (), *, now: float
    ) -> list[Output]:
        """A stream that the engine asked for is open. ``names`` are as in an accepted one."""
        self._begin(now)
        self._parts.streams.opened(exchange, names)
        return self._node.outbox.take()

    def exchange_received(self, exchange: ExchangeId, data: bytes, *, now: float) -> list[Output]:
        """Bytes arrived on a stream."""
        self._begin(now)
        self._parts.streams.received(exchange, data)
        return self._node.outbox.take()

    def exchange_writable(self, exchange: ExchangeId, *, now: float) -> list[Output]:
        """A frame sent with ``more`` is written."""
        self._begin(now)
        self._parts.streams.writable(exchange)
        return self._node.outbox.take()

    def exchange_delivered(self, exchange: ExchangeId, *, now: float) -> list[Output]:
        """The application took what a :class:`Deliver` held."""
        self._begin(now)
        self._parts.streams.delivered(exchange)
        return self._node.outbox.take()

    def exchange_failed(
        self, exchange: ExchangeId, failure: DialFailure, detail: str = "", *, now: float
    ) -> list[Output]:
        """A stream could not be opened, broke, or was ended by the peer. ``detail`` is what the
        transport has to say of it, in one line for a person.
        """
        self._begin(now)
        self._parts.streams.failed(exchange, failure, detail)
        return self._node.outbox.take()

    # -- time ---------------------------------------------------------------------------

    @property
    def next_deadline(self) -> float:
        """When :meth:`handle_timeout` is wanted next, in the caller's time; inf when idle."""
        at, _ = self._node.timers.earliest()
        return self._clock.outside(at)

    def handle_timeout(self, *, now: float) -> list[Output]:
        """Do what is due. One slice of work for each deadline: call again while
        :attr:`next_deadline` is not in the future.
        """
        self._begin(now)
        node = self._node
        handlers = self._parts.timers
        mark = node.timers.mark
        horizon = node.now + ROUNDING
        for _ in range(TIMERS_MAX):
            key = node.timers.pop_due(horizon, mark)
            if key is None:
                break
            handlers[key[0]](key[1])
        return node.outbox.take()

    # -- inside -------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        """Start a turn: take the time, and notice if it was long in coming."""
        if not self._started:
            raise LocalProtocolError("the engine was not started")
        node = self._node
        node.answers = ANSWERS_MAX
        node.now, late = self._clock.advance(now, node.timers.earliest()[0])
        node.outbox.now = node.now
        if self._clock.lateness > LAG_THRESHOLD:
            self._parts.gossiper.lag()
        if late:
            node.counters.bump("stalled")
            node.awareness.apply(2 if late > LONG_STALL else 1)
            node.guard.stalled(late, node.now)

    def _command(self, token: Token, now: float) -> None:
        """Start the turn of a command that completes later."""
        commands = self._node.outbox.commands
        if token in commands:
            raise LocalProtocolError(f"token {token} is in use")
        if len(commands) >= COMMANDS_MAX:
            raise LocalProtocolError(f"more than {COMMANDS_MAX} commands are under way")
        self._begin(now)
        commands[token] = None
