"""What the parts of one engine share: settings, table, queue, time of the turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.codec.messages import Alive, Dead
from trio_gossip.engine.awareness import Awareness
from trio_gossip.engine.broadcast import BroadcastQueue
from trio_gossip.engine.changes import Changes
from trio_gossip.engine.counters import Counters
from trio_gossip.engine.formulas import push_rounds
from trio_gossip.engine.guard import Guard
from trio_gossip.engine.losses import Losses
from trio_gossip.engine.membership import Membership
from trio_gossip.engine.outbox import Outbox
from trio_gossip.engine.pacing import pace_for
from trio_gossip.engine.questions import Questions
from trio_gossip.engine.rtt import RoundTrips
from trio_gossip.engine.successors import Successors
from trio_gossip.engine.timers import Timers
from trio_gossip.events import ContactLost, ContactRegained
from trio_gossip.members import MemberState

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec import Codec
    from trio_gossip.codec.messages import Claim, Message
    from trio_gossip.config import Config
    from trio_gossip.engine.membership import Entry
    from trio_gossip.members import Member

ANSWERS_MAX: Final = 8
"""Answers and refutations that one packet or one slice of a table may cause; a good packet causes
one or two."""


class Node:
    """Shared by the parts of an engine, owned by it; nothing outside sees it.

    Attributes:
        now: engine time of the present turn.
        epoch: under which this life numbers its broadcasts: its first incarnation, or the one
            with which it outbid a former life that had come further.
        me: this member's own row, the same object for good, also found in ``table``.
        gossip_not_before: engine time of the next round of gossip, should there be news.
        eager_not_before: engine time until which news waits for rounds.
        source: address of the sender of the present packet, None in other turns.
        changes: records that exchanges which only push have to bring.
        answers: reactions (answers, own announcements) that the present turn may still make.
        allowance: bytes that the source of the present packet may still get, if a stranger.
        leaving: from the call of leave until a new join.
    """

    __slots__ = (
        "allowance",
        "answers",
        "awareness",
        "changes",
        "codec",
        "config",
        "counters",
        "eager_not_before",
        "epoch",
        "gossip_not_before",
        "guard",
        "leaving",
        "losses",
        "me",
        "now",
        "outbox",
        "packet_limit",
        "questions",
        "queue",
        "rng",
        "round_trips",
        "sealed_peer",
        "source",
        "successors",
        "table",
        "timers",
    )

    me: Entry
    source: Address | None

    def __init__(
        self,
        config: Config,
        me: Member,
        codec: Codec,
        rng: random.Random,
        packet_limit: int,
        *,
        table: Membership | None = None,
    ) -> None:
        self.config = config
        self.codec = codec
        self.rng = rng
        self.packet_limit = packet_limit
        self.now = 0.0
        self.epoch = me.incarnation
        self.leaving = False
        self.allowance = 0
        self.sealed_peer: Address | None = None
        self.answers = ANSWERS_MAX
        self.gossip_not_before = 0.0
        self.eager_not_before = 0.0
        self.source = None
        self.table = Membership() if table is None else table
        self.timers = Timers()
        self.counters = Counters()
        self.changes = Changes(config.members_max, lambda: self.counters.bump("changes_dropped"))
        self.losses = Losses()
        self.awareness = Awareness(config.awareness_max)
        self.guard = Guard(config)
        self.round_trips = RoundTrips(config)
        self.queue = BroadcastQueue(
            pace=pace_for(config, 1),
            members_max=config.members_max,
            user_max=config.broadcast_queue_max,
            user_share=config.broadcast_share,
            news_share=config.state_share,
            bump=self.counters.bump,
        )
        self.successors = Successors(self)
        self.outbox = Outbox(codec, self.queue, self.counters, packet_limit)
        self.guard.changed = self._contact
        self.questions = Questions(rng, self.counters)
        self.me = self.table.adopt(me, now=0.0, rng=rng)
        self.members_changed()

    def _contact(self, is_lost: bool) -> None:
        self.outbox.notify(ContactLost() if is_lost else ContactRegained())

    @property
    def name(self) -> str:
        """This member's name."""
        return self.config.name

    def members_changed(self) -> None:
        """Apply the number of active members to what depends on it."""
        self._set_pace()
        if self.queue:
            self.wake_gossip()  # there may be somebody to tell now

    def probed(self, *, lost: bool) -> None:
        """A direct probe was answered in time or not: where much is lost, more is told."""
        if self.losses.note(lost=lost):
            self._set_pace()

    def _set_pace(self) -> None:
        self.queue.pace = pace_for(self.config, self.table.active, lossy=self.losses.is_lossy)

    def tell(self, claim: Claim) -> None:
        """Queue news of a member for everybody; it replaces queued older news of that member."""
        if self.guard.isolated and type(claim) is not Alive and not _is_goodbye(claim):
            # Who hears nobody spreads no word of others' silence: it would be of his own.
            self.counters.bump("gossip_withheld")
            return
        data = self.codec.encode(claim)
        if not self.outbox.fits(data):
            self.counters.bump("message_too_large")  # another member has a larger packet limit
            return
        if self.config.exchange == "push":
            self.changes.note(claim.name, push_rounds(self.table.active))
        subject = claim.name if type(claim) is Alive else None
        self.queue.membership.put(claim.name, data, subject, self.told_by())
        self.wake_gossip()

    def told_by(self) -> str | None:
        """The member from which the present packet came."""
        return None if self.source is None else self.table.name_at(self.source)

    def wake_gossip(self) -> None:
        """Have the queue served: hot news after a moment in which more may come, and the rest in
        rounds, at once when the last one is long ago.
        """
        timers = self.timers
        soon = self.now + self.config.eager_coalesce
        if self.queue.pace.eager and timers.deadline(("flush", 0)) > soon:
            timers.set(("flush", 0), soon)  # one that waits for a token may find another kind now
        if ("gossip", 0) not in timers:
            wait = self.queue.pace.interval if self.queue.pace.eager else 0.0
            timers.set(("gossip", 0), max(self.now + wait, self.gossip_not_before))

    def is_peer(self, name: str, source: Address) -> bool:
        """True when ``source`` is where another active member of this name lives, and we stay."""
        entry = self.table.get(name)
        return (
            entry is not None
            and entry is not self.me
            and not self.leaving
            and entry.member.is_active
            and entry.member.address == source
        )

    def answer(
        self,
        source: Address,
        peer_name: str | None,
        message: Message,
        also: Sequence[Message] = (),
    ) -> None:
        """Send one message back to where the present packet came from, and to a known member what
        is to go along.

        All answers to one packet together have no more bytes than came, unless a known member
        lives there: a forged source must not turn us into an amplifier.
        """
        if not self.spend_answer():
            return
        if self.table.knows_address(source):
            # News ride along once: a packet of a hundred pings is no way to fetch a megabyte.
            first = self.answers == ANSWERS_MAX - 1
            if also:
                self.outbox.packets(source, peer_name, [message, *also])
            else:
                self.outbox.packet(source, peer_name, message, piggyback=first)
        elif self.spend_allowance(message):
            self.outbox.packet(source, peer_name, message, piggyback=False)

    def spend_answer(self) -> bool:
        """Count one reaction to the present turn's input; False when there were enough."""
        if not self.answers:
            self.counters.bump("answer_withheld")
            return False
        self.answers -= 1
        return True

    def spend_allowance(self, message: Message) -> bool:
        """Take the size of a packet with ``message`` from what a stranger may still get."""
        size = len(self.codec.pack([self.codec.encode(message)]))
        if size > self.allowance:
            self.counters.bump("answer_withheld")
            return False
        self.allowance -= size
        return True

    def own_claim(self) -> Alive:
        """The alive message that this member says of itself."""
        return alive_claim(self.me.member)

    def peers(
        self, count: int, *, besides: Member | None = None, after: Collection[str] = ()
    ) -> list[Entry]:
        """Random alive members, without this one, ``besides`` and aliases of their addresses.

        Two names at one address are one helper, not two, and an alias of the target is none.
        Those named in ``after`` only come where there are no others.
        """
        mine = self.me.member.address
        theirs = None if besides is None else besides.address
        taken = {mine, theirs}

        def wanted(entry: Entry) -> bool:
            member = entry.member
            if member.state is not MemberState.ALIVE or member.address in taken:
                return False
            if member.name in after:
                return False
            taken.add(member.address)
            return True

        picked = self.table.pick(count, wanted, self.rng)
        if not picked and after:
            return self.peers(count, besides=besides)
        return picked


def _is_goodbye(claim: Claim) -> bool:
    return type(claim) is Dead and claim.is_goodbye


def alive_claim(member: Member) -> Alive:
    """``member`` as an alive message."""
    return Alive(member.incarnation, member.name, member.address, member.meta, member.versions)
