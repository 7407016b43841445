"""The engine: bytes and time go in, decisions come out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from trio_gossip.codec import DecodeError, NativeCodec
from trio_gossip.codec.messages import (
    Ack,
    Alive,
    Broadcast,
    Conflict,
    Dead,
    IndirectPing,
    Leave,
    Nack,
    Ping,
    Suspect,
    Unknown,
    UserMessage,
)
from trio_gossip.engine.accepting import Accepting
from trio_gossip.engine.admission import Admission
from trio_gossip.engine.claimed import with_state
from trio_gossip.engine.claims import Claims
from trio_gossip.engine.clock import StallClock
from trio_gossip.engine.gossiper import Gossiper
from trio_gossip.engine.leaving import Leaving
from trio_gossip.engine.mail import Mail
from trio_gossip.engine.merge import Merge
from trio_gossip.engine.node import Node
from trio_gossip.engine.origin import Origin
from trio_gossip.engine.prober import Prober
from trio_gossip.engine.refutation import Refutation
from trio_gossip.engine.rejoin import Rejoin
from trio_gossip.engine.relay import Relay
from trio_gossip.engine.statistics import EngineStatistics
from trio_gossip.engine.streams import Streams
from trio_gossip.engine.sync import Sync
from trio_gossip.engine.takeover import Takeover
from trio_gossip.errors import ConfigError, LocalProtocolError, PeerUnreachableError
from trio_gossip.events import MemberJoined, MemberLeft, MemberUpdated, Reason
from trio_gossip.members import META_BYTES_MAX, Member, MemberState

if TYPE_CHECKING:
    import random

    from trio_gossip.addresses import Address
    from trio_gossip.codec import Codec
    from trio_gossip.config import Config
    from trio_gossip.engine.outputs import ExchangeId, Output, Token
    from trio_gossip.failures import DialFailure

COMMANDS_MAX: Final = 4096
"""Commands (joins, pings, reliable messages) that the local program may have under way."""

LONG_STALL: Final = 1.0
"""A stall beyond this many seconds lowers our own health by two steps instead of one."""

ROUNDING: Final = 1e-6
"""Seconds by which a deadline counts as due early: converting between the driver's time and the
engine's rounds, and a deadline that is due but not quite would be asked for for ever."""


class Engine:
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

    Raises:
        ConfigError: this member's own announcement would not fit a packet.
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
        self._node = node = Node(config, me, codec or NativeCodec(), rng, limit)
        self._check_fits(me)
        self._clock = StallClock(config.stall_threshold)
        self._streams = Streams(node)
        self._refutation = Refutation(node)
        admission = Admission(node)
        self._takeover = Takeover(node, admission, self._refutation, self._streams)
        self._claims = Claims(node, admission, self._refutation, self._takeover)
        self._prober = Prober(node, self._claims, self._streams)
        self._relay = Relay(node)
        self._gossiper = Gossiper(node)
        merge = Merge(node, self._claims)
        self._sync = Sync(node, self._streams, merge, admission)
        self._rejoin = Rejoin(node, self._sync)
        self._leaving = Leaving(node, self._claims)
        self._mail = Mail(node, self._streams)
        self._streams.accept_session = lambda: Accepting(node, self._streams, self._sync)
        self._started = False
        self._messages: dict[type, Callable[[Any, Address, int], None]] = {
            Ping: self._relay.ping,
            IndirectPing: lambda message, source, _: self._relay.request(message, source),
            Ack: self._on_ack,
            Nack: self._on_nack,
            Alive: lambda m, source, size: self._claims.alive(m, _packet(source, size)),
            Suspect: lambda m, source, size: self._claims.suspect(m, _packet(source, size)),
            Dead: lambda m, source, size: self._claims.dead(m, _packet(source, size)),
            Broadcast: lambda message, *_: self._mail.broadcast_received(message),
            UserMessage: lambda message, *_: self._mail.received(message),
            Leave: self._leaving.told,
            Conflict: lambda m, source, size: self._refutation.conflict(m, _packet(source, size)),
            Unknown: lambda *_: node.counters.bump("message_unknown"),
        }
        self._timers: dict[str, Callable[[Any], None]] = {
            "probe_tick": lambda _: self._prober.tick(),
            "probe_timeout": lambda _: self._prober.timeout(),
            "probe_end": lambda _: self._prober.end(),
            "relay": self._relay.timeout,
            "suspicion": self._claims.suspicion_expired,
            "reap": self._claims.reap,
            "takeover": self._takeover.step,
            "gossip": lambda _: self._gossiper.tick(),
            "push_pull": lambda _: self._sync.tick(),
            "merge": merge.step,
            "rejoin": lambda _: self._rejoin.tick(),
            "follow_up": lambda _: self._rejoin.follow_up(),
            "leave_tell": lambda _: self._leaving.tell(),
            "leave_linger": lambda _: self._leaving.lingered(),
            "leave_timeout": lambda _: self._leaving.timeout(),
            "exchange": self._streams.timeout,
            "exchange_life": self._streams.timeout,
            "ping": self._ping_timeout,
        }

    # -- commands: what the local program wants -----------------------------------------

    def start(self, *, now: float) -> list[Output]:
        """Begin to live: announce this member and start probing. Once, before anything else."""
        if self._started:
            raise LocalProtocolError("the engine was started already")
        self._clock.advance(now, math.inf)
        self._started = True
        self._node.now = now
        self._node.me.changed_at = now
        self._appear(Reason.STARTED)
        return self._node.outbox.take()

    def join(self, address: Address, *, token: Token, now: float) -> list[Output]:
        """Exchange tables with a seed; completes with the number of members it told of.

        The seed is remembered and retried while it is not a member. After a leave this is
        how the same process comes back.
        """
        self._command(token, now)
        if self._node.leaving:
            self._come_back()
        self._rejoin.remember([address])

        def done(members: int, diverged: bool, error: Exception | None) -> None:
            if diverged:
                self._rejoin.diverged(address)
            self._node.outbox.complete(token, members, error)

        exchange = self._sync.open(address, None, joining=True, done=done)
        self._node.outbox.commands[token] = exchange
        return self._node.outbox.take()

    def remember_seeds(self, addresses: Iterable[Address], *, now: float) -> list[Output]:
        """Replace what is tried when contact to the cluster is lost."""
        self._begin(now)
        self._rejoin.remember(addresses)
        return self._node.outbox.take()

    def leave(self, *, token: Token, now: float) -> list[Output]:
        """Say goodbye; completes with the number of members that acknowledged it."""
        self._command(token, now)
        self._prober.stop()
        self._sync.stop()
        self._rejoin.stop()
        self._takeover.clear()
        told = not self._node.leaving
        self._leaving.start(token)
        if told:
            self._own_change(MemberLeft, Reason.GOODBYE)
        return self._node.outbox.take()

    def update_meta(self, meta: bytes, *, now: float) -> list[Output]:
        """Change this member's metadata.

        Raises:
            LocalProtocolError: too long, or this member has left.
        """
        node = self._node
        if len(meta) > META_BYTES_MAX:
            raise LocalProtocolError(
                f"meta has {len(meta)} bytes, at most {META_BYTES_MAX} are allowed"
            )
        self._check_present()
        old = node.me.member
        new = Member(
            old.name, old.address, old.state, old.incarnation + 1, meta, old.versions
        )
        if not self._fits(new):
            raise LocalProtocolError("name and meta together do not fit a packet")
        self._begin(now)
        self._refutation.announce(new)
        node.table.version += 1
        node.outbox.notify(
            MemberUpdated(new, node.table.version, Reason.ANNOUNCED, previous=old)
        )
        return node.outbox.take()

    def broadcast(self, payload: bytes, *, key: bytes | None = None, now: float) -> list[Output]:
        """Tell every other member; a queued broadcast of the same key is replaced.

        Raises:
            LocalProtocolError: it does not fit a packet, or this member has left.
        """
        self._check_present()
        self._begin(now)
        self._mail.broadcast(payload, key)
        return self._node.outbox.take()

    def send(self, name: str, payload: bytes, *, now: float) -> list[Output]:
        """Send one datagram to a member, best effort.

        Raises:
            LocalProtocolError: no such active member, or it does not fit a packet.
        """
        member = self._active(name)
        self._begin(now)
        self._mail.send(member, payload)
        return self._node.outbox.take()

    def send_reliable(
        self, name: str, payload: bytes, *, token: Token, now: float
    ) -> list[Output]:
        """Send by stream; completes when the member has acknowledged it.

        Raises:
            LocalProtocolError: no such active member, or it is too large.
        """
        member = self._active(name)
        self._command(token, now)
        try:
            exchange = self._mail.send_reliable(member, payload, token)
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
        node = self._node
        sequence = node.ask("ping", f"{token} {node.now!r} {name}")
        if sequence is None:
            node.outbox.complete(token, error=PeerUnreachableError("too many questions are open"))
        else:
            node.timers.set(("ping", sequence), node.now + node.config.probe_timeout)
            ping = Ping(sequence, name, node.name)
            node.outbox.packet(member.address, name, ping)
        return node.outbox.take()

    def abandon(self, token: Token, *, now: float) -> list[Output]:
        """The caller of a command is gone: end its stream, tell nobody."""
        self._begin(now)
        self._streams.cancel(self._node.outbox.commands.pop(token, None))
        return self._node.outbox.take()

    # -- the world ----------------------------------------------------------------------

    def receive_packet(self, data: bytes, source: Address, *, now: float) -> list[Output]:
        """A datagram arrived."""
        self._begin(now)
        node = self._node
        try:
            messages = node.codec.unpack_untrusted(data)
        except DecodeError as error:
            node.counters.bump(f"packet_{error.reason}")
            return node.outbox.take()
        handlers = self._messages
        size = len(data)
        for message in messages:
            handlers[type(message)](message, source, size)
        return node.outbox.take()

    def packet_refused(self, address: Address, *, now: float) -> list[Output]:
        """The network said that nobody listens at ``address``: evidence, counted."""
        self._begin(now)
        known = self._node.table.knows_address(address)
        self._node.counters.bump("packet_refused" if known else "packet_refused_stranger")
        return self._node.outbox.take()

    def new_exchange(self) -> ExchangeId:
        """An id for a stream that a peer opened."""
        return self._streams.allocate()

    def exchange_accepted(
        self, exchange: ExchangeId, source: Address, *, now: float
    ) -> list[Output]:
        """A peer opened a stream."""
        self._begin(now)
        self._streams.accepted(exchange, source)
        return self._node.outbox.take()

    def exchange_opened(self, exchange: ExchangeId, *, now: float) -> list[Output]:
        """A stream that the engine asked for is open."""
        self._begin(now)
        self._streams.opened(exchange)
        return self._node.outbox.take()

    def exchange_received(
        self, exchange: ExchangeId, data: bytes, *, now: float
    ) -> list[Output]:
        """Bytes arrived on a stream."""
        self._begin(now)
        self._streams.received(exchange, data)
        return self._node.outbox.take()

    def exchange_writable(self, exchange: ExchangeId, *, now: float) -> list[Output]:
        """A frame sent with ``more`` is written."""
        self._begin(now)
        self._streams.writable(exchange)
        return self._node.outbox.take()

    def exchange_delivered(self, exchange: ExchangeId, *, now: float) -> list[Output]:
        """The application took what a :class:`Deliver` held."""
        self._begin(now)
        self._streams.delivered(exchange)
        return self._node.outbox.take()

    def exchange_failed(
        self, exchange: ExchangeId, failure: DialFailure, *, now: float
    ) -> list[Output]:
        """A stream could not be opened, broke, or was ended by the peer."""
        self._begin(now)
        self._streams.failed(exchange, failure)
        return self._node.outbox.take()

    # -- time ---------------------------------------------------------------------------

    @property
    def next_deadline(self) -> float:
        """When :meth:`handle_timeout` is wanted next, in the caller's time; inf when idle."""
        at, _ = self._node.timers.earliest()
        return self._clock.outside(at)

    def handle_timeout(self, *, now: float) -> list[Output]:
        """Do what is due. One slice of work for each deadline: call again while
        :attr:`next_deadline` is not in the future."""
        self._begin(now)
        node = self._node
        mark = node.timers.mark
        horizon = node.now + ROUNDING
        while (key := node.timers.pop_due(horizon, mark)) is not None:
            self._timers[key[0]](key[1])
        return node.outbox.take()

    # -- looking, never changing --------------------------------------------------------

    @property
    def local(self) -> Member:
        """This member."""
        return self._node.me.member

    @property
    def version(self) -> int:
        """The table's version, as in events."""
        return self._node.table.version

    @property
    def health_score(self) -> int:
        """This node's own health; 0 is healthy."""
        return self._node.awareness.score

    def members(self, *, all: bool = False) -> tuple[Member, ...]:  # noqa: A002
        """Alive and suspect members, this one included; with ``all`` also failed and left."""
        return tuple(
            entry.member for entry in self._node.table if all or entry.member.is_active
        )

    def member(self, name: str) -> Member | None:
        """One member in whatever state, while it is in the table."""
        entry = self._node.table.get(name)
        return None if entry is None else entry.member

    def statistics(self) -> EngineStatistics:
        """Counters and sizes."""
        node = self._node
        _, reason = node.timers.earliest()
        return EngineStatistics(
            counters=dict(node.counters),
            active=node.table.active,
            members=len(node.table),
            health_score=node.awareness.score,
            membership_queue=len(node.queue.membership),
            user_queue=len(node.queue.user),
            exchanges=len(self._streams),
            questions=len(node.questions),
            timers=len(node.timers),
            next_deadline_reason="" if reason is None else reason[0],
            stalls=self._clock.stalls,
            stalled_seconds=self._clock.stalled,
            lateness_max=self._clock.lateness_max,
        )

    # -- inside -------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        """Start a turn: take the time, and notice if it was long in coming."""
        if not self._started:
            raise LocalProtocolError("the engine was not started")
        node = self._node
        node.now, late = self._clock.advance(now, node.timers.earliest()[0])
        if late:
            node.counters.bump("stalled")
            node.awareness.apply(2 if late > LONG_STALL else 1)

    def _command(self, token: Token, now: float) -> None:
        """Start the turn of a command that completes later."""
        commands = self._node.outbox.commands
        if token in commands:
            raise LocalProtocolError(f"token {token} is in use")
        if len(commands) >= COMMANDS_MAX:
            raise LocalProtocolError(f"more than {COMMANDS_MAX} commands are under way")
        self._begin(now)
        commands[token] = None

    def _active(self, name: str) -> Member:
        member = self.member(name)
        if member is None or not member.is_active:
            raise LocalProtocolError(f"{name!r} is no alive or suspect member")
        return member

    def _check_present(self) -> None:
        if self._node.leaving:
            raise LocalProtocolError("this member has left; join again first")

    def _check_fits(self, me: Member) -> None:
        if not self._fits(me):
            raise ConfigError(
                f"name ({len(me.name)} characters) and meta ({len(me.meta)} bytes) do not fit a"
                f" packet of {self._node.packet_limit} bytes"
            )

    def _fits(self, me: Member) -> bool:
        claim = Alive(
            me.incarnation, me.name, me.address, me.meta, me.versions, vouched_by="x" * 64
        )
        return self._node.outbox.fits(claim)

    def _appear(self, reason: Reason) -> None:
        self._node.tell(self._node.own_claim())
        self._own_change(MemberJoined, reason)
        self._prober.start()
        self._sync.start()
        self._rejoin.start()

    def _come_back(self) -> None:
        """Join again after a leave, above the incarnation at which we left."""
        node = self._node
        self._leaving.cancel()
        node.leaving = False
        mine = node.me.member
        back = with_state(mine, MemberState.ALIVE, mine.incarnation + 1)
        node.table.replace(node.me, back, now=node.now)
        node.members_changed()
        self._appear(Reason.STARTED)

    def _own_change(self, event: type[MemberJoined | MemberLeft], reason: Reason) -> None:
        node = self._node
        node.table.version += 1
        node.outbox.notify(
            event(
                node.me.member, node.table.version, reason, health_score=node.awareness.score
            )
        )

    def _on_ack(self, message: Ack, source: Address, _: int) -> None:
        node = self._node
        question = node.questions.pop(message.sequence, None)
        if question is None:
            node.counters.bump("ack_unexpected")
            return
        who, key = question
        if who == "probe":
            self._prober.acked(source)
        elif who == "relay":
            self._relay.acked(message.sequence)
        elif who == "leave":
            self._leaving.acked(str(key))
        elif who == "takeover":
            self._takeover.acked(str(key))
        else:
            node.timers.cancel(("ping", message.sequence))
            token, sent, _name = str(key).split(" ", 2)
            node.outbox.complete(int(token), node.now - float(sent))

    def _on_nack(self, message: Nack, source: Address, _: int) -> None:
        question = self._node.questions.get(message.sequence)
        if question is not None and question[0] == "probe":
            self._prober.nacked(source)
        else:
            self._node.counters.bump("nack_unexpected")

    def _ping_timeout(self, sequence: int) -> None:
        node = self._node
        question = node.questions.pop(sequence)
        token, _, name = str(question[1]).split(" ", 2)
        error = PeerUnreachableError(
            f"{name} did not answer within {node.config.probe_timeout} s"
        )
        node.outbox.complete(int(token), error=error)


def _packet(source: Address, size: int) -> Origin:
    return Origin(Reason.ANNOUNCED, source, received=size)
