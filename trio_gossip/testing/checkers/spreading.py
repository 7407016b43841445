"""Rules of spreading: news is told in full, goes on being told, to everybody, and is not stale."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

import attrs

from trio_gossip.codec.messages import Alive, Announce, Broadcast, Dead, Suspect
from trio_gossip.engine import Complete
from trio_gossip.events import Delivery, MessageReceived
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.expected import gossip_pause, transmit_limit
from trio_gossip.testing.checkers.inside import (
    active_of,
    engine_time,
    is_leaving,
    is_private,
    node_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.engine.membership import Entry, Membership
    from trio_gossip.engine.outputs import Output
    from trio_gossip.events import Event
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

FEW_PEERS: Final = 5
"""Peers from which on it is judged whether gossip goes to all sorts of them."""

FEW_PACKETS: Final = 40
"""Packets of gossip from which on it is judged to how many members they went."""

FEW_TARGETS: Final = 3
"""So many different ones at least: of five peers, two alone come by chance once in 1e15."""

FAILED_EXPECTED: Final = 14.0
"""Packets of gossip that should have gone to failed members, of which one must have: none goes to
them by chance once in a million runs."""

Piece: TypeAlias = "tuple[str, int] | tuple[str, int, int]"
"""A claim that a member lives at an incarnation, or a broadcast by origin, epoch and counter."""


@attrs.define
class _Telling:
    lowest: int
    """The fewest members that the process has counted since its queue was empty."""
    pieces: dict[Piece, int] = attrs.Factory(dict["Piece", int])
    """How often each piece of news has been sent."""
    turn: list[tuple[int, Piece]] = attrs.Factory(list["tuple[int, Piece]"])
    arrived: list[Broadcast] = attrs.Factory(list["Broadcast"])


class NewsInFull(Checker):
    """What a process takes for news it sends ``retransmit_mult * ceil(log10(N + 1))`` times (SWIM
    section 5), N being the fewest members that it has counted meanwhile: not less. News is each
    claim that makes a row alive at a new incarnation, its own too, and each broadcast that it
    delivers or begins. Judged when its queue is empty, unless the row has changed again: newer
    news replaces older.

    Claims that are sent directly count as well, except introductions. That somebody is suspected in
    private, or is not any more, is no news. Not judged: who is leaving,
    has dropped a broadcast, or had news that fits no packet, and all once strangers have spoken.
    """

    name: ClassVar[str] = "news-in-full"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._telling: dict[Process, _Telling] = {}

    def started(self, process: Process) -> None:
        telling = self._of(process)
        me = process.engine.local
        telling.pieces[me.name, me.incarnation] = 0

    def ended(self, process: Process, how: str) -> None:
        self._telling.pop(process, None)

    def _of(self, process: Process) -> _Telling:
        telling = self._telling.get(process)
        if telling is None:
            telling = self._telling[process] = _Telling(active_of(process))
        return telling

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        telling = self._of(process)
        telling.lowest = min(telling.lowest, active_of(process))
        if before is not None and after is not None and _is_private(process, before, after):
            return
        if before is not None:
            telling.pieces.pop((name, before.incarnation), None)
        if after is not None and after.state is MemberState.ALIVE:
            telling.pieces[name, after.incarnation] = 0

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        self._of(process).arrived = [each for each in messages if isinstance(each, Broadcast)]

    def event(self, process: Process, event: Event) -> None:
        if type(event) is MessageReceived and event.delivery is Delivery.BROADCAST:
            telling = self._of(process)
            for message in telling.arrived:
                # Of two members, who was told has nobody to tell.
                heard = message.origin == event.sender and message.payload == event.payload
                if heard and active_of(process) > 2:
                    piece = (message.origin, message.epoch, message.counter)
                    telling.pieces.setdefault(piece, 0)

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        turn = self._of(process).turn
        for position, message in enumerate(messages):
            if isinstance(message, Alive):
                turn.append((position, (message.name, message.incarnation)))
            elif isinstance(message, Broadcast):
                turn.append((position, (message.origin, message.epoch, message.counter)))

    def turned(self, process: Process, outputs: list[Output]) -> None:
        telling = self._telling.get(process)
        if telling is None or not telling.turn:
            return
        # With the end of a join a member introduces itself to others, directly.
        introduces = any(type(output) is Complete for output in outputs)
        for position, piece in telling.turn:
            if position == 0 and introduces and piece[0] == process.name:
                continue
            if len(piece) == 3 and piece[0] == process.name:
                telling.pieces.setdefault(piece, 0)
            if piece in telling.pieces:
                telling.pieces[piece] += 1
        telling.turn.clear()

    def tick(self) -> None:
        for process, telling in self._telling.items():
            node = node_of(process)
            if len(node.queue):
                continue
            pieces, telling.pieces = telling.pieces, {}
            lowest, telling.lowest = telling.lowest, active_of(process)
            counters = node.counters
            if is_leaving(process) or self.strangers_spoke or counters.get("message_too_large"):
                continue
            limit = transmit_limit(process.config, lowest)
            dropped = counters.get("broadcast_dropped")
            for piece, count in pieces.items():
                if count >= limit:
                    self.ok()
                elif not dropped or len(piece) == 2:
                    self.wrong(f"{process.name} told {piece} {count} times, {limit} are due")


def _is_private(process: Process, before: Member, after: Member) -> bool:
    """True for a change between alive and suspect at one incarnation of which nobody is told."""
    if before.incarnation != after.incarnation or not (before.is_active and after.is_active):
        return False
    return after.state is MemberState.ALIVE or is_private(process, after.name)


class GossipKept(Checker):
    """A process with news to tell, and with two others to tell it, has a round of gossip before
    it, at most one ``gossip_interval`` ahead, or with eager copies one round and the longest gap. A
    look every second. No tolerance.
    """

    name: ClassVar[str] = "gossip-kept"

    def tick(self) -> None:
        for process in self.simulation.processes.values():
            node = node_of(process)
            if not len(node.queue) or active_of(process) < 3 or is_leaving(process):
                continue
            wait = node.timers.deadline(("gossip", 0)) - engine_time(process)
            if wait > 1.001 * gossip_pause(process.config):
                self.wrong(f"{process.name} has {len(node.queue)} news, and no round of gossip")
            else:
                self.ok()


class GossipFair(Checker):
    """Gossip goes to random members (SWIM section 4.1), failed ones included for
    ``gossip_to_dead_time`` (memberlist: they may refute).

    Looked at are packets of queued news alone: they are no answers and begin with a broadcast, or
    with a claim that is not the sender's own and not about a receiver that lives. Two demands on
    statistics: a process has sent them to three members at least, when there were forty while it
    counted five peers; and of fourteen that should by chance have gone to failed members, over
    all processes, one has.
    """

    name: ClassVar[str] = "gossip-fair"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._sent: dict[Process, dict[Address, int]] = {}
        self._expected = 0.0
        self._to_failed = 0

    def ended(self, process: Process, how: str) -> None:
        self._sent.pop(process, None)

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        head = messages[0] if messages else None
        if answering or not isinstance(head, Broadcast | Announce | Alive | Suspect | Dead):
            return
        node = node_of(process)
        since = node.now - process.config.gossip_to_dead_time
        failed = [
            entry.member.address
            for entry in node.table
            if entry.member.state is MemberState.FAILED and entry.changed_at >= since
        ]
        is_failed = address in failed  # by address: another name may have come to live there
        name = node.table.name_at(address)
        about = None if isinstance(head, Broadcast | Announce) else head.name
        if name is None or about == process.name or (about == name and not is_failed):
            return
        peers = max(0, active_of(process) - 1)  # who has left does not count itself
        self._expected += len(failed) / (len(failed) + peers) if failed else 0.0
        self._to_failed += is_failed
        if peers >= FEW_PEERS:
            sent = self._sent.setdefault(process, {})
            sent[address] = sent.get(address, 0) + 1

    def finish(self) -> None:
        for process, sent in self._sent.items():
            if sum(sent.values()) < FEW_PACKETS:
                continue
            if len(sent) < FEW_TARGETS:
                self.wrong(f"all gossip of {process.name} went to {', '.join(map(str, sent))}")
            else:
                self.ok()
        if self._expected >= FAILED_EXPECTED and not self._to_failed:
            self.wrong(f"no gossip went to failed members, {self._expected:.0f} were expected")
        elif self._to_failed:
            self.ok()


def _shared(table: Membership, entry: Entry | None) -> bool:
    """True when the address of a row is that of another one as well."""
    return entry is not None and any(
        other is not entry and other.member.address == entry.member.address for other in table
    )


class NoStaleNews(Checker):
    """A process does not tell what it knows better: no claim goes out as gossip below the
    incarnation of the sender's own row, and none that a member lives goes to that very member.

    Judged are packets of queued news, as for ``gossip-fair``, and what rides along behind the
    head of other packets that are no answers. Not judged once strangers' packets were let in, nor
    where two names are at one address. A turn may pack its packet before it learns better: what
    the row was at the start of this instant will do.
    """

    name: ClassVar[str] = "no-stale-news"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._raised: dict[tuple[str, str], tuple[float, int]] = {}

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        now = self.simulation.now
        pair = (process.name, name)
        if before is not None and self._raised.get(pair, (-1.0, 0))[0] != now:
            self._raised[pair] = (now, before.incarnation)

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        if answering or self.strangers_spoke:
            return
        table = node_of(process).table
        there = table.name_at(address)
        for message in messages[1:]:
            if not isinstance(message, Alive | Suspect | Dead):
                continue
            row = table.get(message.name)
            if row is not None and message.incarnation < self._known_before(process, row.member):
                self.wrong(f"{process.name} tells {message}, and holds {row.member}")
            elif isinstance(message, Alive) and message.name == there and not _shared(table, row):
                self.wrong(f"{process.name} tells {there} what it said: {message}")
            else:
                self.ok()

    def _known_before(self, process: Process, member: Member) -> int:
        """The incarnation of the row when this instant began."""
        changed, incarnation = self._raised.get((process.name, member.name), (-1.0, 0))
        return incarnation if changed == self.simulation.now else member.incarnation
