"""Finding out in which members two tables differ when no log says it: three or four packets.

Members are divided into 64 buckets by their names. (1) The asker sends the sum of each bucket. (2)
Where they are not its own, the answerer sends what it has there: a short id and the incarnation of
each active member. (3) The asker tells of those whom the other lacks or has older, and asks for
those that it lacks or has older itself. (4) The answerer tells of these. When more than half of
the buckets differ, the whole tables are exchanged over a stream instead.
"""

from __future__ import annotations

from collections import OrderedDict
from struct import Struct, iter_unpack
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.codec.messages import BucketRows, BucketSums, BucketWants
from trio_gossip.codec.summary import BUCKETS, NAME_BYTES, ROW_BYTES
from trio_gossip.engine.bucket import TokenBucket
from trio_gossip.engine.tally import bucket_of, id_of, mark_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.engine.hearsay import Hearsay
    from trio_gossip.engine.membership import Entry
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.plane import Ended
    from trio_gossip.engine.sync import Sync

ANSWERS_PER_SECOND: Final = 4.0
"""Comparisons that peers may begin with us, and as many at once; of further ones we are silent, and
the peer tries again with another member."""

COMPARISONS_MAX: Final = 16
"""Comparisons on either side of which the next packet may still come; the oldest is forgotten."""

RECORDS_MAX: Final = 64
"""Members that one leg tells of; of the others the next comparison does."""

INCARNATION_MASK: Final = 2**32 - 1
"""Of an incarnation the low bits are compared, as serial numbers (RFC 1982): two claims of one
member are never two billion refutations apart; if they were, a needless record would be told."""

_SUMS: Final = Struct(f">{BUCKETS}I")
_ROW: Final = Struct(">II")
_ID: Final = Struct(">I")


@attrs.define
class _Asked:
    peer: str
    ended: Ended


class Buckets:
    """Both sides of the comparison of two member tables."""

    def __init__(self, node: Node, hearsay: Hearsay, sync: Sync) -> None:
        self._node = node
        self._hearsay = hearsay
        self._sync = sync
        self._asked: OrderedDict[int, _Asked] = OrderedDict()
        self._answered: OrderedDict[tuple[int, str], None] = OrderedDict()
        self._tokens = TokenBucket(ANSWERS_PER_SECOND, ANSWERS_PER_SECOND)

    def start(self, peer: str, ended: Ended) -> None:
        """Send the first leg to an active member."""
        node = self._node
        entry = node.table.get(peer)
        assert entry is not None, "a comparison with nobody"
        sequence = node.rng.getrandbits(32)
        self._asked[sequence] = _Asked(peer, ended)
        if len(self._asked) > COMPARISONS_MAX:
            self._asked.popitem(last=False)
        sums = _SUMS.pack(*node.table.tally.buckets)
        self._send(entry.member.address, peer, [BucketSums(sequence, node.name, sums)])

    def on_sums(self, message: BucketSums, source: Address) -> None:
        """First leg, from a peer: answer with what we have in the buckets that differ."""
        node = self._node
        if not node.is_peer(message.source, source):
            node.counters.bump("repair_refused")
            return
        if not self._tokens.take(node.now):
            node.counters.bump("repair_busy")
            return
        mine = node.table.tally.buckets
        theirs = _SUMS.unpack(message.sums)
        differing = [at for at in range(BUCKETS) if mine[at] != theirs[at]]
        rows = b""
        if differing and not _is_too_much(len(differing)):
            differing, rows = self._rows(differing)
        mask = sum(1 << at for at in differing)
        self._answered[(message.sequence, message.source)] = None
        if len(self._answered) > COMPARISONS_MAX:
            self._answered.popitem(last=False)
        answer = BucketRows(message.sequence, node.name, mask, rows)
        self._send(source, message.source, [answer])

    def _rows(self, buckets: list[int]) -> tuple[list[int], bytes]:
        """As many of these buckets as fit a packet, and their rows; all buckets and no rows, which
        asks for a whole exchange, when not even one of them fits.
        """
        node = self._node
        empty = node.codec.encode(BucketRows(0, node.name, 0, b""))
        room = node.codec.room(node.packet_limit)
        free = room.free - len(empty) - HEADS
        found: dict[int, list[bytes]] = {at: [] for at in buckets}
        for mark, entry in self._active():
            if bucket_of(mark) in found:
                row = _ROW.pack(id_of(mark), entry.member.incarnation & INCARNATION_MASK)
                found[bucket_of(mark)].append(row)
        taken: list[int] = []
        rows: list[bytes] = []
        for at, there in found.items():
            if ROW_BYTES * (len(rows) + len(there)) <= free:
                taken.append(at)
                rows += there
        return (taken, b"".join(rows)) if taken else (list(range(BUCKETS)), b"")

    def _active(self) -> Iterator[tuple[int, Entry]]:
        for entry in self._node.table:
            if entry.member.is_active:
                yield mark_of(entry.member.name), entry

    def on_rows(self, message: BucketRows, source: Address) -> None:
        """Second leg: compare, tell and ask."""
        node = self._node
        asked = self._asked.get(message.sequence)
        if (
            asked is None
            or asked.peer != message.source
            or not node.is_peer(message.source, source)
        ):
            node.counters.bump("repair_refused")
            return
        del self._asked[message.sequence]
        if _is_too_much(message.buckets.bit_count()):
            node.counters.bump("repair_by_stream")
            self._sync.open(source, message.source)
            asked.ended(True)
            return
        theirs = dict(_ROW.iter_unpack(message.rows))
        told: dict[int, str] = {}
        for mark, entry in self._active():
            if not message.buckets >> bucket_of(mark) & 1:
                continue
            mine = entry.member.incarnation & INCARNATION_MASK
            version = theirs.get(id_of(mark))
            if version is None or _is_newer(mine, version):
                told[id_of(mark)] = entry.member.name
            if version is not None and not _is_newer(version, mine):
                del theirs[id_of(mark)]
        asked.ended(bool(told or theirs))
        if told or theirs:
            ids = list(told)[:RECORDS_MAX]
            wants = BucketWants(
                message.sequence, node.name, _packed(list(theirs)[:RECORDS_MAX]), _packed(ids)
            )
            self._tell(source, message.source, [told[each] for each in ids], wants)

    def on_wants(self, message: BucketWants, source: Address) -> None:
        """Third leg, from a peer: tell it what it lacks, and of whom it does not know the end."""
        node = self._node
        key = (message.sequence, message.source)
        if key not in self._answered or not node.is_peer(message.source, source):
            node.counters.bump("repair_refused")
            return
        del self._answered[key]
        wanted = _unpacked(message.wanted)
        names = [e.member.name for mark, e in self._active() if id_of(mark) in wanted]
        told = _unpacked(message.told)
        names += [name for name in self._gone() if id_of(mark_of(name)) in told]
        self._tell(source, message.source, names[:RECORDS_MAX])

    def _gone(self) -> Iterator[str]:
        """Members whose end we know."""
        table = self._node.table
        for entry in table:
            if not entry.member.is_active:
                yield entry.member.name
        for name, _ in table.tombstones():
            yield name

    def _tell(self, address: Address, peer: str, names: Iterable[str], *also: Message) -> None:
        claims = [claim for name in names if (claim := self._hearsay.about(name)) is not None]
        self._node.counters.bump("repair_told", len(claims))
        self._send(address, peer, [*claims, *also])

    def _send(self, address: Address, peer: str, messages: list[Message]) -> None:
        if messages:
            self._node.outbox.packets(address, peer, messages)


HEADS: Final = 16
"""Bytes by which the numbers and heads of an answer may be longer than those of an empty one."""


def _is_too_much(differing: int) -> bool:
    """True when the whole tables are cheaper."""
    return differing > BUCKETS // 2


def _is_newer(one: int, other: int) -> bool:
    """True when one serial number is above another."""
    return 0 < (one - other) & INCARNATION_MASK < 1 << 31


def _packed(ids: list[int]) -> bytes:
    return b"".join(map(_ID.pack, ids))


def _unpacked(data: bytes) -> set[int]:
    return {item for (item,) in iter_unpack(">I", data[: RECORDS_MAX * NAME_BYTES])}
