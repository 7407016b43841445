"""Anti-entropy at a cost in proportion to the difference: sums on pings, records on acks.

Each ping says in eight bytes all that its sender knows. When the answerer knows the same, one byte
ends the matter. Else both look the difference up among their last changes, and who has the
news tells it: the answerer in the packet of its ack, the asker in one more. A difference that no
log explains is left to gossip for a second, since news under way looks just like it, and is then
given to its plane to find out.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from trio_gossip.codec.summary import EQUAL, EXPLAINED, pack_sum, pack_sums, unpack_sums
from trio_gossip.plane import SUM_MASK, total_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Ack, Message, Ping
    from trio_gossip.engine.node import Node
    from trio_gossip.plane import Plane

QUIET_SECONDS: Final = 1.0
"""Without a change for so long on both sides, a difference is no news under way."""

QUIET_BITS: Final = 11
"""The age in an answer from which on it says so: 1,024 milliseconds have 11 bits."""

MISMATCHES: Final = 3
"""So many differences in a row that no log explains, over :data:`QUIET_SECONDS`, are no news
under way either, however much changes."""

START_SECONDS: Final = 1.0
"""Between two comparisons that a member begins, with a quarter more or less."""

START_SECONDS_MAX: Final = 30.0
"""The same when they find nothing: it doubles up to here."""

JITTER: Final = 0.25
"""Share by which that wait is varied, so that members do not begin in step."""

AGREEMENTS: Final = 3
"""So many answers in a row that say the same as we know, and there is nothing to exchange."""

TRIES: Final = 3
"""How often one difference to one peer is mended at once: packets are lost. When it is still there,
the peer refuses what it is told, or we do."""

REFUSED_SECONDS: Final = 30.0
"""For how long such a difference is then let be; twice as long after each further try."""

REFUSED_SECONDS_MAX: Final = 600.0
"""The longest such time."""

DIFFERENCES_MAX: Final = 256
"""Peers and differences for which that is remembered; the one not seen for longest is forgotten."""


class Repair:
    """Compares the planes of this member with those of its peers, in pings that are sent anyway.

    Only with active members at the addresses where we know them: to all others nothing is told, and
    of them nothing is believed.
    """

    def __init__(self, node: Node, planes: Sequence[Plane]) -> None:
        self._node = node
        self._planes = planes
        self._streak = 0
        self._agreements = 0
        self._streak_began = 0.0
        self._hold = START_SECONDS
        self._start_not_before = -math.inf
        self._tries: OrderedDict[tuple[str, int], tuple[int, float]] = OrderedDict()

    def summary(self) -> bytes:
        """What a ping to an active member says of all that we know."""
        return pack_sum(total_of(self._planes)) if self._node.config.summaries else b""

    def answer(self, ping: Ping, source: Address) -> tuple[bytes, Sequence[Message]]:
        """What the ack to a ping says, and what goes along with it."""
        node = self._node
        if not ping.summary or not node.config.summaries or not node.is_peer(ping.source, source):
            return b"", ()
        difference = (total_of(self._planes) - int.from_bytes(ping.summary, "big")) & SUM_MASK
        if not difference:
            return EQUAL, ()
        for plane in self._planes:
            told = self._explain(plane, ping.source, difference)
            if told:
                return EXPLAINED, told
        sums = {plane.code: plane.digest for plane in self._planes}
        changed_at = max(plane.changed_at for plane in self._planes)
        age = max(0, int(1000 * (node.now - changed_at))).bit_length()
        return pack_sums(min(age, 255), sums), ()

    def agrees(self) -> bool:
        """Whether the last peers that we asked knew what we know."""
        return self._agreements >= AGREEMENTS

    def acked(self, ack: Ack, source: Address) -> None:
        """The ack to a ping of ours has come."""
        node = self._node
        if ack.summary == EQUAL:
            self._streak = 0
            self._agreements += 1
            return
        name = node.table.name_at(source)
        if ack.summary == b"" or name is None or not node.is_peer(name, source):
            return
        self._agreements = 0
        if ack.summary == EXPLAINED:
            return
        age, sums = unpack_sums(ack.summary)
        differing = False
        for plane in self._planes:
            theirs = sums.get(plane.code, plane.digest)
            difference = (plane.digest - theirs) & SUM_MASK
            if difference:
                differing = True
                told = self._explain(plane, name, difference)
                if told:
                    node.outbox.packets(source, name, told)
                else:
                    self._unexplained(plane, name, difference, age)
        if not differing:
            self._streak = 0

    def _explain(self, plane: Plane, peer: str, difference: int) -> Sequence[Message]:
        """What the peer lacks; nothing when that is not known, or told it too often."""
        told = plane.explain(difference)
        if not told or not self._may_try(peer, difference):
            return ()
        counters = self._node.counters
        counters.bump("repair_explained")
        counters.bump("repair_told", len(told))
        return told

    def _unexplained(self, plane: Plane, peer: str, difference: int, age: int) -> None:
        node = self._node
        node.counters.bump("repair_unexplained")
        if not self._streak:
            self._streak_began = node.now
        self._streak += 1
        is_quiet = age >= QUIET_BITS and node.now - plane.changed_at >= QUIET_SECONDS
        lasts = self._streak >= MISMATCHES and node.now - self._streak_began >= QUIET_SECONDS
        if not (is_quiet or lasts) or node.now < self._start_not_before:
            return
        if not self._may_try(peer, difference):
            return
        self._streak = 0
        jitter = 1.0 + JITTER * (2.0 * node.rng.random() - 1.0)
        self._start_not_before = node.now + self._hold * jitter
        node.counters.bump("repair_started")
        plane.reconcile(peer, self._ended)

    def _ended(self, found: bool) -> None:
        """A comparison has come to its end. One that found nothing was begun too soon."""
        if found:
            self._hold = START_SECONDS
        else:
            self._node.counters.bump("repair_vain")
            self._hold = min(2.0 * self._hold, START_SECONDS_MAX)

    def _may_try(self, peer: str, difference: int) -> bool:
        """Count a try; False when this very difference is not to be mended by telling."""
        node = self._node
        key = (peer, difference)
        tries, not_before = self._tries.pop(key, (0, -math.inf))
        allowed = node.now >= not_before
        if allowed:
            tries += 1
            if tries >= TRIES:
                longer = REFUSED_SECONDS * 2.0 ** min(tries - TRIES, 32)
                not_before = node.now + min(longer, REFUSED_SECONDS_MAX)
        else:
            node.counters.bump("repair_held")
        self._tries[key] = (tries, not_before)
        if len(self._tries) > DIFFERENCES_MAX:
            self._tries.popitem(last=False)
        return allowed
