"""What this member says when others are wrong about it."""

from __future__ import annotations

import math
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Final

from trio_gossip.engine.claimed import says_the_same, with_state
from trio_gossip.events import NameConflict
from trio_gossip.members import (
    INCARNATION_MAX,
    OWN_JUMP_MAX,
    Member,
    MemberState,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Alive, Conflict
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.origin import Origin

CONFLICT_QUIET: Final = 60.0
"""Seconds during which one other claimant of a name makes no second event."""

ACCUSERS_TOLD: Final = 4
"""Accusers that get a refutation directly."""

CONFLICTS_MAX: Final = 64
"""Other claimants remembered for that, and so the most events in that time."""


class Refutation:
    """Raises this member's incarnation above whatever is held against it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._next_bid = -math.inf
        self._told: OrderedDict[tuple[str, Address], float] = OrderedDict()

    def accused(self, incarnation: int, origin: Origin, accusers: Iterable[str] = ()) -> None:
        """Somebody suspects this member or says that it is dead. ``accusers`` hear from us
        directly: it is they who would declare us failed.
        """
        node = self._node
        mine = node.me.member
        if node.leaving or mine.state is MemberState.LEFT:
            return
        if incarnation < mine.incarnation:
            # An old accusation: the refutation has not reached that member yet.
            node.counters.bump("accusation_stale")
            origin.answer(node, None, node.own_claim())
            return
        if incarnation - mine.incarnation > OWN_JUMP_MAX:
            node.counters.bump("accusation_implausible")
            return
        if self.bid(incarnation + 1):
            node.counters.bump("refuted")
            node.awareness.apply(+1)
            origin.answer(node, None, node.own_claim())
            self._tell(accusers, besides=origin.address)

    def _tell(self, accusers: Iterable[str], *, besides: Address | None) -> None:
        node = self._node
        for name in islice(accusers, ACCUSERS_TOLD):
            entry = node.table.get(name)
            if entry is None or entry is node.me or entry.member.address == besides:
                continue
            if entry.member.is_active and node.spend_answer():
                node.outbox.packet(entry.member.address, name, node.own_claim())

    def alive_about_me(self, claim: Alive, origin: Origin) -> None:
        """Somebody passes on an alive message of this name: an echo, an older life, or a twin."""
        node = self._node
        mine = node.me.member
        if node.leaving or mine.state is MemberState.LEFT or claim.incarnation < mine.incarnation:
            return
        if claim.incarnation == mine.incarnation and says_the_same(claim, mine):
            return
        if claim.incarnation - mine.incarnation > OWN_JUMP_MAX:
            node.counters.bump("alive_implausible")
            return
        # A former life of this name with as high an incarnation must be outbid, or nobody
        # believes this one. Whether it was a former life or is a live twin, those find out
        # who hold the other address; a twin is reported by `conflict`. No direct answer, and
        # not in a hurry: two twins would outbid each other as fast as the network is.
        if node.now >= self._next_bid and self.bid(claim.incarnation + 1):
            self._next_bid = node.now + node.config.gossip_interval
            node.counters.bump("refuted")

    def bid(self, incarnation: int) -> bool:
        """Announce this member at ``incarnation``; False beyond the last one there is, or when
        one packet makes us do it too often.
        """
        node = self._node
        if incarnation > INCARNATION_MAX:
            node.counters.bump("incarnation_exhausted")
            return False
        if not node.spend_answer():
            return False
        mine = node.me.member
        if incarnation > mine.incarnation + 1:
            # Held against us was more than this life ever said: a former one came further. Who
            # remembers the broadcasts of that one must not take ours for repeated.
            node.epoch = incarnation
        self.announce(with_state(mine, MemberState.ALIVE, incarnation))
        return True

    def announce(self, member: Member) -> None:
        """Make ``member`` the truth about this member and tell everybody."""
        node = self._node
        node.table.replace(node.me, member, now=node.now)
        node.tell(node.own_claim())

    def conflict(self, message: Conflict, source: Address) -> None:
        """A member found that this name is claimed at two addresses that both answer."""
        node = self._node
        mine = node.me.member
        known = node.table.knows_address(source)
        if message.name != node.name or node.leaving or not known:
            node.counters.bump("conflict_ignored")
            return
        other = message.other if message.holder == mine.address else message.holder
        if other != mine.address:
            self.report(mine, other)

    def report(self, existing: Member, other: Address) -> None:
        """Tell the application of a conflict, once in a while for each claimant."""
        node = self._node
        key = (existing.name, other)
        last = self._told.get(key)
        if last is not None and node.now - last < CONFLICT_QUIET:
            return
        if len(self._told) >= CONFLICTS_MAX and last is None:
            oldest = next(iter(self._told))
            if node.now - self._told[oldest] < CONFLICT_QUIET:
                node.counters.bump("conflict_ignored")
                return
            del self._told[oldest]
        self._told[key] = node.now
        self._told.move_to_end(key)
        node.counters.bump("name_conflict")
        node.outbox.notify(NameConflict(existing, other))
