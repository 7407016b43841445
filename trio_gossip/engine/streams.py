"""All open exchanges: their bytes, their deadlines and which session they belong to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from trio_gossip.codec import DecodeError
from trio_gossip.codec.messages import Frame, Refusal, StreamAck, StreamPing
from trio_gossip.engine.session import Exchange, Session
from trio_gossip.failures import DialFailure, Evidence, RefusalReason

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.outputs import ExchangeId
    from trio_gossip.members import Member

LIFETIME_FACTOR: Final = 12
"""An exchange may last this many times its patience in all, however busy the peer looks: who
sends a byte now and then must not hold a place for ever."""


DETAIL_MAX: Final = 200
"""Characters of what a transport says of a failure that an error repeats."""


def _ignored(_: Evidence) -> None:
    """For who asks only whether there is an answer."""


class Streams:
    """Registry of exchanges. Inputs for an exchange that has ended are ignored: the driver and
    the engine may each end one while the other's word is under way.
    """

    accept_session: Callable[[], Session]
    """Makes the session of an accepted stream."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._open: dict[ExchangeId, Exchange] = {}
        self._next_id = 0

    def __len__(self) -> int:
        return len(self._open)

    def allocate(self) -> ExchangeId:
        """A fresh id."""
        self._next_id += 1
        return self._next_id

    # -- what sessions do ---------------------------------------------------------------

    def dial(
        self, session: Session, address: Address, peer_name: str | None, patience: float
    ) -> ExchangeId:
        """Open a stream for a session; the outcome reaches the session."""
        exchange = Exchange(
            self.allocate(),
            address,
            peer_name,
            session,
            self._node.codec.stream_decoder(accepted=False),
            patience,
            accepted=False,
        )
        self._register(exchange)
        self._node.outbox.open(exchange.id, address, peer_name)
        return exchange.id

    def send(self, exchange: Exchange, frame: Frame, *, more: bool = False) -> None:
        """Send a frame; with ``more`` the session is told when it is written."""
        self._node.outbox.frame(exchange.id, frame, more=more)

    def close(self, exchange: Exchange, *, drain: bool = False) -> None:
        """End an exchange after what was sent, or at once if its session is one that aborts."""
        self._forget(exchange)
        self._node.outbox.close(exchange.id, drain=drain, abort=exchange.session.aborts)

    def refuse(self, exchange: Exchange, reason: RefusalReason, text: str) -> None:
        """End an exchange and tell the peer why."""
        self._node.counters.bump(f"exchange_refused_{reason.name.lower()}")
        self.send(exchange, Refusal(reason, text))
        self.close(exchange, drain=True)

    def cancel(self, exchange_id: ExchangeId | None) -> None:
        """Drop an exchange that is no longer wanted, without telling its session."""
        exchange = self._open.get(exchange_id) if exchange_id is not None else None
        if exchange is not None:
            self.close(exchange)

    def find(self, exchange_id: ExchangeId) -> Exchange | None:
        """The exchange, while it is open."""
        return self._open.get(exchange_id)

    # -- stream pings -------------------------------------------------------------------

    def may_ping(self, member: Member) -> bool:
        """True when a stream ping of this member is allowed."""
        config = self._node.config
        allowed = config.stream_ping_filter
        return config.stream_pings and (allowed is None or allowed(member))

    def ping(
        self,
        member: Member,
        patience: float,
        answered: Callable[[], None],
        failed: Callable[[Evidence], None] = _ignored,
    ) -> ExchangeId:
        """Ping by stream; calls ``answered`` when the right member answers, or ``failed``."""
        session = _PingSession(self, self._node, member.name, answered, failed)
        return self.dial(session, member.address, member.name, patience)

    def is_connected(self, exchange_id: ExchangeId) -> bool:
        """True when the kernel at the other end has taken the connection."""
        exchange = self._open.get(exchange_id)
        return exchange is not None and exchange.connected

    # -- what the driver reports --------------------------------------------------------

    def accepted(
        self, exchange_id: ExchangeId, source: Address, names: tuple[str, ...] = ()
    ) -> None:
        """A peer opened a stream."""
        exchange = Exchange(
            exchange_id,
            source,
            None,
            self.accept_session(),
            self._node.codec.stream_decoder(accepted=True),
            self._node.config.stream_timeout,
            accepted=True,
            names=names,
        )
        self._register(exchange)

    def connected(self, exchange_id: ExchangeId) -> None:
        """The peer's host took the connection, which says nothing of the process there. It is no
        progress either: what shakes hands has the patience of the whole dial.
        """
        exchange = self._open.get(exchange_id)
        if exchange is not None:
            exchange.connected = True

    def opened(self, exchange_id: ExchangeId, names: tuple[str, ...] = ()) -> None:
        """The stream is open."""
        exchange = self._open.get(exchange_id)
        if exchange is not None:
            exchange.names = names
            exchange.connected = True
            self._progress(exchange)
            exchange.session.opened(exchange)

    def received(self, exchange_id: ExchangeId, data: bytes) -> None:
        """Bytes arrived."""
        exchange = self._open.get(exchange_id)
        if exchange is None:
            return
        try:
            frames = exchange.decoder.feed_untrusted(data)
        except DecodeError as error:
            self._malformed(exchange, error.reason)
            return
        for frame in frames:
            if exchange.id not in self._open:
                self._node.counters.bump("frame_after_end")
                return
            self._progress(exchange)
            if isinstance(frame, Refusal):
                self._refused(exchange, frame)
            else:
                exchange.session.frame(exchange, frame)

    def writable(self, exchange_id: ExchangeId) -> None:
        """What was sent with ``more`` is written."""
        exchange = self._open.get(exchange_id)
        if exchange is not None:
            self._progress(exchange)
            exchange.session.writable(exchange)

    def delivered(self, exchange_id: ExchangeId) -> None:
        """The application took what was delivered."""
        exchange = self._open.get(exchange_id)
        if exchange is not None:
            self._progress(exchange)
            exchange.session.delivered(exchange)

    def failed(self, exchange_id: ExchangeId, failure: DialFailure, detail: str = "") -> None:
        """The stream could not be opened, or is gone."""
        exchange = self._open.get(exchange_id)
        if exchange is not None:
            exchange.detail = detail[:DETAIL_MAX]
            self._fail(exchange, failure)

    def timeout(self, exchange_id: ExchangeId) -> None:
        """Timer: no progress for too long, or too old in all."""
        exchange = self._open[exchange_id]
        self._node.counters.bump("exchange_timed_out")
        self._fail(exchange, DialFailure.TIMED_OUT)

    # -- inside -------------------------------------------------------------------------

    def unexpected(self, exchange: Exchange, frame: Frame) -> None:
        """A session got a frame that has no place there."""
        del frame
        self._malformed(exchange, "unexpected")

    def _malformed(self, exchange: Exchange, reason: str) -> None:
        self._node.counters.bump(f"frame_{reason}")
        failure = DialFailure.OTHER
        if reason == "sealed":
            self._node.sealed_peer = exchange.address
            failure = DialFailure.HANDSHAKE
        if exchange.accepted:
            self.refuse(exchange, RefusalReason.MALFORMED, f"frame refused: {reason}")
            exchange.session.failed(exchange, failure)
        else:
            self._fail(exchange, failure)

    def _refused(self, exchange: Exchange, refusal: Refusal) -> None:
        self._node.counters.bump("exchange_refused_by_peer")
        self.close(exchange)
        exchange.session.refused(exchange, refusal)

    def _fail(self, exchange: Exchange, failure: DialFailure) -> None:
        if not exchange.accepted:
            self._node.counters.bump(f"dial_{failure.value}")
        self.close(exchange)
        exchange.session.failed(exchange, failure)

    def _register(self, exchange: Exchange) -> None:
        node = self._node
        self._open[exchange.id] = exchange
        node.timers.set(("exchange", exchange.id), node.now + exchange.patience)
        node.timers.set(
            ("exchange_life", exchange.id), node.now + LIFETIME_FACTOR * exchange.patience
        )

    def _progress(self, exchange: Exchange) -> None:
        node = self._node
        node.timers.set(("exchange", exchange.id), node.now + exchange.patience)

    def _forget(self, exchange: Exchange) -> None:
        del self._open[exchange.id]
        self._node.timers.cancel(("exchange", exchange.id))
        self._node.timers.cancel(("exchange_life", exchange.id))


class _PingSession(Session):
    """Our stream ping of a member."""

    aborts = True

    def __init__(
        self,
        streams: Streams,
        node: Node,
        target: str,
        answered: Callable[[], None],
        failed: Callable[[Evidence], None],
    ) -> None:
        self._streams = streams
        self._node = node
        self._target = target
        self._answered = answered
        self._failed = failed
        self._sequence = node.rng.getrandbits(32)

    def opened(self, exchange: Exchange) -> None:
        self._streams.send(exchange, StreamPing(self._sequence, self._target, self._node.name))

    def frame(self, exchange: Exchange, frame: Frame) -> None:
        if isinstance(frame, StreamAck) and frame.sequence == self._sequence:
            self._streams.close(exchange)
            self._answered()
        else:
            self._streams.unexpected(exchange, frame)

    def refused(self, exchange: Exchange, refusal: Refusal) -> None:
        # Another member has the port: the process that we mean is gone. Any other refusal is
        # no answer, but something lives there.
        gone = refusal.reason is RefusalReason.WRONG_MEMBER
        self._failed(Evidence.REFUSED if gone else Evidence.STALLED)

    def failed(self, exchange: Exchange, failure: DialFailure) -> None:
        if failure is DialFailure.REFUSED:
            self._failed(Evidence.REFUSED)
        else:
            self._failed(Evidence.STALLED if exchange.connected else Evidence.SILENT)
