"""Exchanges: two members bring their tables together over a stream, both or one of them."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from trio_gossip.codec.messages import Alive, Refusal, SyncEnd, SyncMembers, SyncOpen
from trio_gossip.engine.formulas import push_pull_scale
from trio_gossip.engine.session import Exchange, Session
from trio_gossip.engine.tables import TableReader, TableSender
from trio_gossip.errors import PeerUnreachableError, RemoteProtocolError
from trio_gossip.failures import DialFailure, RefusalReason
from trio_gossip.members import EXCHANGE_MODES

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Frame, Record
    from trio_gossip.engine.admission import Admission
    from trio_gossip.engine.merge import Merge
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.streams import Streams
    from trio_gossip.members import Member

PUSH_PULL, PUSH, PULL = range(len(EXCHANGE_MODES))

PUSH_WHOLE: Final = 4
"""Where exchanges only push, each so many-th one brings the whole table, and the others what
changed: so that who missed all rounds of a change still hears of it."""

SKIPPED_MAX: Final = 9
"""Periodic exchanges in a row that are left out while pings find nothing to bring together. The
tenth is a precaution: against what no sum shows."""

HELD_TABLES: Final = 4
"""Tables of ``members_max`` records that are held for peers at once; more are refused as busy."""


class Sync:
    """Starts exchanges, answers them and keeps their number bounded."""

    def __init__(self, node: Node, streams: Streams, merge: Merge, admission: Admission) -> None:
        self._node = node
        self.streams = streams
        self.merge = merge
        self._admission = admission
        self.answering = 0
        """Exchanges that peers have open with us."""
        self.held = 0
        """Records that have come on them and are not merged yet."""
        self.met: Callable[[str, str], None] = lambda _, __: None
        """Told with whom tables were exchanged, and in which mode, where nothing else compares what
        else there is."""
        self.agrees: Callable[[], bool] = lambda: False
        """Whether pings have shown that others know what we know."""
        self._skipped = 0
        self._mode = EXCHANGE_MODES.index(node.config.exchange)
        self._pushed = 0

    def start(self) -> None:
        """Begin the periodic exchanges, at a random moment of the interval."""
        node = self._node
        node.timers.set(("push_pull", 0), node.now + node.rng.random() * self._interval())

    def stop(self) -> None:
        """Stop the periodic exchanges; one that runs comes to its end."""
        self._node.timers.cancel(("push_pull", 0))

    def tick(self) -> None:
        """Timer: exchange tables with one random member, in the mode of the cluster. Not while
        there is no difference, which pings have told for less.
        """
        self.schedule()
        if self._skipped < SKIPPED_MAX and self.agrees():
            self._skipped += 1
            self._node.counters.bump("sync_skipped")
            return
        self._skipped = 0
        for peer in self._node.peers(1):
            self.open(peer.member.address, peer.member.name, mode=self._mode)

    def schedule(self) -> None:
        """Set the next periodic exchange."""
        node = self._node
        node.timers.set(("push_pull", 0), node.now + self._interval())

    def _interval(self) -> float:
        """Longer in large clusters, as the cost of an exchange grows with N."""
        node = self._node
        return node.config.push_pull_interval * push_pull_scale(node.table.active)

    def open(
        self,
        address: Address,
        peer_name: str | None,
        *,
        joining: bool = False,
        mode: int = PUSH_PULL,
        done: Callable[[int, bool, Exception | None], None] | None = None,
    ) -> int:
        """Exchange tables with whoever is at ``address``; returns the exchange's id.

        Who joins, or looks for lost members, does both whatever the mode of the cluster.
        ``done(members, diverged, error)`` is called once: with how many members the peer told
        of and whether the tables contradicted each other, or with what went wrong.
        """
        session = _Asking(self, self._node, joining, mode, done)
        return self.streams.dial(session, address, peer_name, self._node.config.stream_timeout)

    def table_sender(self, joining: bool, mode: int, *, answer: bool) -> TableSender:
        """What of our table the mode asks for, as it is now, ready to be sent: all, what changed,
        or only our own record, by which the peer knows who we are.
        """
        node = self._node
        mine = node.me.member
        if mode == PUSH_PULL or (mode == PULL and answer):
            members = [entry.member for entry in node.table]
        elif mode == PUSH and not answer:
            members = [mine, *self._changed()]
        else:
            members = [mine]
        opening = SyncOpen(mine.name, mine.address, joining, mode)
        shown = list(map(self.merge.shown, members))
        return TableSender(opening, shown, node.config.sync_chunk_members)

    def _changed(self) -> list[Member]:
        """The records of others to push now."""
        node = self._node
        changed = node.changes.take()
        entries = [node.table.get(name) for name in changed]
        if self._pushed % PUSH_WHOLE == 0:
            entries = list(node.table)
        self._pushed += 1
        return [entry.member for entry in entries if entry is not None and entry is not node.me]

    def reader(self) -> TableReader:
        """An empty table for what the peer tells."""
        return TableReader(self._node.config.members_max)

    def fault_of_peer(
        self, name: str, record: Record | None, names: tuple[str, ...]
    ) -> tuple[RefusalReason, str] | None:
        """Why the peer itself may not exchange tables with us, by its own record.

        Args:
            name: what it calls itself.
            record: what its table says of it.
            names: those that it may use, as the transport vouches; empty for any.
        """
        node = self._node
        if names and name not in names:  # who dialled us was asked before; a seed was not
            return RefusalReason.NOT_ADMITTED, f"your certificate does not name {name}"
        if record is None:
            return RefusalReason.MALFORMED, f"{name} is not in its own table"
        if name == node.name:
            return None  # ourselves through another address, or a twin: claims will tell
        claim = Alive(record.incarnation, record.name, record.address, record.meta, record.versions)
        if not self._admission.compatible(record.versions):
            node.counters.bump("refused_versions")
            mine = node.config.versions
            text = (
                f"{name} speaks protocol {record.versions[2]} of {record.versions[0]} to"
                f" {record.versions[1]}, user protocol {record.versions[5]};"
                f" {node.name} speaks {mine.protocol} of {mine.protocol_min} to"
                f" {mine.protocol_max}, user protocol {mine.user}"
            )
            return RefusalReason.INCOMPATIBLE, text
        if not self._admission.admits(claim, node.table.get(name), names):
            return RefusalReason.NOT_ADMITTED, f"{node.name} does not admit {name}"
        return None


class _Talk(Session):
    """What both ends of an exchange have in common: read a table, send a table."""

    def __init__(self, sync: Sync, node: Node) -> None:
        self._sync = sync
        self._node = node
        self._reader = sync.reader()
        self._sender: TableSender | None = None
        self._peer: SyncOpen | None = None
        self._ended = False

    @property
    def _opening(self) -> SyncOpen:
        """How the peer began."""
        assert self._peer is not None, "a table came before its opening"
        return self._peer

    def _send_next(self, exchange: Exchange) -> bool:
        """Send the next frame; False when it was the last."""
        assert self._sender is not None
        frame = self._sender.next_frame()
        more = not isinstance(frame, SyncEnd)
        self._sync.streams.send(exchange, frame, more=more)
        return more

    def _hold(self, exchange: Exchange, frame: SyncMembers) -> bool:
        """Take a chunk, or refuse the exchange and return False."""
        if self._reader.add(frame):
            return True
        limit = self._node.config.members_max
        self._refuse(exchange, RefusalReason.TOO_LARGE, f"more than {limit} members")
        return False

    def frame(self, exchange: Exchange, frame: Frame) -> None:
        sync = self._sync
        if self._ended:
            sync.streams.unexpected(exchange, frame)
        elif isinstance(frame, SyncOpen) and self._peer is None:
            self._peer = frame
        elif isinstance(frame, SyncMembers) and self._peer is not None:
            self._hold(exchange, frame)
        elif isinstance(frame, SyncEnd) and self._peer is not None:
            self._ended = True
            peer = self._peer
            if not self._reader.is_complete(frame):
                self._refuse(exchange, RefusalReason.MALFORMED, "members are missing or doubled")
                return
            record = self._reader.find(peer.source)
            fault = sync.fault_of_peer(peer.source, record, exchange.names)
            if fault is not None:
                self._refuse(exchange, *fault)
            else:
                self._complete(exchange)
        else:
            sync.streams.unexpected(exchange, frame)

    def _refuse(self, exchange: Exchange, reason: RefusalReason, text: str) -> None:
        self._sync.streams.refuse(exchange, reason, text[:200])

    @abstractmethod
    def _complete(self, exchange: Exchange) -> None:
        """The peer's table is here and the peer is welcome."""


class _Asking(_Talk):
    """Our end of an exchange that we opened."""

    def __init__(
        self,
        sync: Sync,
        node: Node,
        joining: bool,
        mode: int,
        done: Callable[[int, bool, Exception | None], None] | None,
    ) -> None:
        super().__init__(sync, node)
        self._joining = joining
        self._mode = mode
        self._done = done

    def opened(self, exchange: Exchange) -> None:
        self._sender = self._sync.table_sender(self._joining, self._mode, answer=False)
        self._send_next(exchange)

    def writable(self, exchange: Exchange) -> None:
        self._send_next(exchange)

    def _complete(self, exchange: Exchange) -> None:
        if self._opening.mode != self._mode:
            self._refuse(exchange, RefusalReason.MALFORMED, "the answer is in another mode")
            return
        self._sync.streams.close(exchange)
        records = self._reader.records

        def merged(diverged: bool) -> None:
            self._node.counters.bump("sync_done")
            if self._joining or not self._node.config.summaries:
                self._sync.met(self._opening.source, EXCHANGE_MODES[self._mode])
            if self._done is not None:
                self._done(len(records), diverged, None)

        self._sync.merge.start(exchange, self._opening.source, records, merged)

    def _refuse(self, exchange: Exchange, reason: RefusalReason, text: str) -> None:
        super()._refuse(exchange, reason, text)
        self._end(RemoteProtocolError(f"we refused {exchange.address}: {text}"))

    def refused(self, exchange: Exchange, refusal: Refusal) -> None:
        reason = refusal_name(refusal.reason)
        self._end(RemoteProtocolError(f"{exchange.address} refused us ({reason}): {refusal.text}"))

    def failed(self, exchange: Exchange, failure: DialFailure) -> None:
        self._end(PeerUnreachableError(f"{exchange.address}: {describe(exchange, failure)}"))

    def _end(self, error: Exception) -> None:
        self._node.counters.bump("sync_failed")
        if self._done is not None:
            self._done(0, False, error)


class Answering(_Talk):
    """Our end of an exchange that a peer opened. Sends what it knew before it merges."""

    def __init__(self, sync: Sync, node: Node) -> None:
        super().__init__(sync, node)
        sync.answering += 1
        self._held = 0

    def begin(self, exchange: Exchange, frame: SyncOpen) -> None:
        """The opening frame: is there room, and are we staying?"""
        node = self._node
        if node.leaving:
            self._refuse(exchange, RefusalReason.LEAVING, f"{node.name} is leaving")
        elif self._sync.answering > node.config.sync_concurrent_max:
            self._refuse(exchange, RefusalReason.BUSY, f"{node.name} is busy, try later")
        else:
            self.frame(exchange, frame)

    def writable(self, exchange: Exchange) -> None:
        if not self._send_next(exchange):
            self._sync.streams.close(exchange)
            self._end(exchange)

    def _end(self, exchange: Exchange) -> None:
        """Merge the peer's table, if all of it came, and then free the place: tables that
        wait to be merged are as many as there are places.
        """
        if self._sender is None:
            self._release()
            return
        records = self._reader.records
        self._sync.merge.start(exchange, self._opening.source, records, self._merged)

    def _merged(self, diverged: bool) -> None:
        del diverged
        self._release()
        self._node.counters.bump("sync_answered")

    def _complete(self, exchange: Exchange) -> None:
        self._sender = self._sync.table_sender(False, self._opening.mode, answer=True)
        self._send_next(exchange)

    def _refuse(self, exchange: Exchange, reason: RefusalReason, text: str) -> None:
        self._release()
        super()._refuse(exchange, reason, text)

    def refused(self, exchange: Exchange, refusal: Refusal) -> None:
        self._release()

    def _hold(self, exchange: Exchange, frame: SyncMembers) -> bool:
        if not super()._hold(exchange, frame):
            return False
        self._sync.held += len(frame.records)
        self._held += len(frame.records)
        if self._sync.held <= HELD_TABLES * self._node.config.members_max:
            return True
        self._refuse(exchange, RefusalReason.BUSY, f"{self._node.name} holds too many tables")
        return False

    def _release(self) -> None:
        """Free the place and what was held on it."""
        self._sync.answering -= 1
        self._sync.held -= self._held

    def failed(self, exchange: Exchange, failure: DialFailure) -> None:
        self._end(exchange)


def refusal_name(number: int) -> str:
    """A refusal's reason in words, also when a later version sent it."""
    known = number in RefusalReason.__members__.values()
    reason = RefusalReason(number) if known else RefusalReason.UNKNOWN
    return reason.name.lower().replace("_", " ")


def describe(exchange: Exchange, failure: DialFailure) -> str:
    """Why an exchange failed, in words."""
    words = failure.value.replace("_", " ")
    return f"{words} ({exchange.detail})" if exchange.detail else words
