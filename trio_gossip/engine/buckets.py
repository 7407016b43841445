"""Finding out in which members two tables differ when no log says it: three or four packets.

Members are divided into 64 buckets by their names. (1) The asker sends the sum of each bucket. (2)
Where they are not its own, the answerer sends what it has there: a short id and the incarnation of
each active member. (3) The asker tells of those whom the other lacks or has older, and asks for
those that it lacks or has older itself. (4) The answerer tells of these. With very large
tables that differ in many places the whole tables are exchanged over a stream instead.
"""

from __future__ import annotations

from collections import OrderedDict
from struct import Struct
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.codec.messages import BucketRows, BucketSums, BucketWants
from trio_gossip.codec.summary import BUCKETS, ID_BYTES, ROW_BYTES
from trio_gossip.engine.bucket import TokenBucket
from trio_gossip.engine.tally import bucket_of, id_of, mark_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.engine.hearsay import Hearsay
    from trio_gossip.engine.membership import Entry
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.sync import Sync
    from trio_gossip.plane import Ended

ANSWERS_PER_SECOND: Final = 4.0
"""Comparisons that peers may begin with us, and as many at once; of further ones we are silent, and
the peer tries again with another member."""

COMPARISONS_MAX: Final = 16
"""Comparisons on either side of which the next packet may still come; the oldest is forgotten."""

ROW_PACKETS_MAX: Final = 8
"""Packets of rows in one answer. When more would be needed, whole tables go over a stream: seven
bytes for each member are much less than a record of each, but datagrams know no back-pressure."""

RECORDS_MAX: Final = 64
"""Members of which the answer to one packet tells; of the others the next comparison does."""

INCARNATION_MASK: Final = 2**32 - 1
"""Of an incarnation the low bits are compared, as serial numbers (RFC 1982): two claims of one
member are never two billion refutations apart; if they were, a needless record would be told."""

EVERYTHING: Final = 2**BUCKETS - 1
"""The bits of all buckets: without rows, that so much differs that a stream is better."""

HEADS_BYTES: Final = 16
"""By which the numbers and heads of an answer may be longer than those of an empty one."""

_SUMS: Final = Struct(f">{BUCKETS}I")


@attrs.define
class _Asked:
    """A comparison that we have begun; packets of rows that may still come."""

    peer: str
    ended: Ended
    left: int = ROW_PACKETS_MAX


class Buckets:
    """Both sides of the comparison of two member tables."""

    def __init__(self, node: Node, hearsay: Hearsay, sync: Sync) -> None:
        self._node = node
        self._hearsay = hearsay
        self._sync = sync
        self._asked: OrderedDict[int, _Asked] = OrderedDict()
        self._answered: OrderedDict[tuple[int, str], int] = OrderedDict()
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
        answers = [
            BucketRows(message.sequence, node.name, mask, rows)
            for mask, rows in self._rows(differing)
        ]
        self._answered[(message.sequence, message.source)] = len(answers)
        if len(self._answered) > COMPARISONS_MAX:
            self._answered.popitem(last=False)
        self._send(source, message.source, answers)

    def _rows(self, buckets: list[int]) -> list[tuple[int, bytes]]:
        """Bits of buckets and the rows in them, a pair for each packet: all buckets and no rows,
        which asks for an exchange of whole tables, when there is too much of them.
        """
        node = self._node
        empty = node.codec.encode(BucketRows(0, node.name, 0, b""))
        free = node.codec.room(node.packet_limit).free - len(empty) - HEADS_BYTES
        found: dict[int, list[bytes]] = {at: [] for at in buckets}
        for mark, entry in self._active():
            there = found.get(bucket_of(mark))
            if there is not None:
                there.append(_row(mark, entry.member.incarnation))
        packets = [(0, b"")]
        for at, there in found.items():
            mask, rows = packets[-1]
            if len(rows) + ROW_BYTES * len(there) > free:
                packets.append((0, b""))
                mask, rows = packets[-1]
            packets[-1] = (mask | 1 << at, rows + b"".join(there))
        if len(packets) > ROW_PACKETS_MAX or any(len(rows) > free for _, rows in packets):
            return [(EVERYTHING, b"")]
        return packets

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
        asked.left -= 1
        if not asked.left:
            del self._asked[message.sequence]
        if message.buckets == EVERYTHING and not message.rows:
            node.counters.bump("repair_by_stream")
            self._sync.open(source, message.source)
            asked.ended(True)
            return
        theirs = _versions(message.rows)
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
        self._answered[key] -= 1
        if not self._answered[key]:
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

    def _send(self, address: Address, peer: str, messages: Sequence[Message]) -> None:
        if messages:
            self._node.outbox.packets(address, peer, messages)


def _is_newer(one: int, other: int) -> bool:
    """True when one serial number is above another."""
    return 0 < (one - other) & INCARNATION_MASK < 1 << 31


def _row(mark: int, incarnation: int) -> bytes:
    version = incarnation & INCARNATION_MASK
    return id_of(mark).to_bytes(ID_BYTES, "big") + version.to_bytes(4, "big")


def _versions(rows: bytes) -> dict[int, int]:
    """Incarnations by id."""
    numbers = (
        int.from_bytes(rows[at : at + ROW_BYTES], "big") for at in range(0, len(rows), ROW_BYTES)
    )
    return {number >> 32: number & INCARNATION_MASK for number in numbers}


def _packed(ids: list[int]) -> bytes:
    return b"".join(each.to_bytes(ID_BYTES, "big") for each in ids)


def _unpacked(data: bytes) -> set[int]:
    """At most as many ids as an answer tells of."""
    end = min(len(data), RECORDS_MAX * ID_BYTES)
    return {int.from_bytes(data[at : at + ID_BYTES], "big") for at in range(0, end, ID_BYTES)}
