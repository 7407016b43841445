"""What is to be told, how often it was told, and what goes into the next packet."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.codec import Room

_Rank: TypeAlias = tuple[int, int, int]
"""(times sent, -size, -age): fewest sent first, then longest, then newest."""

_SMALLEST_MESSAGE: Final = 4
"""No encoded message is shorter; with less room than this a packet is full."""


_MISSES_MAX: Final = 32
"""Messages too long for what is left of a packet that are looked at before it goes as it is."""


@attrs.define(slots=True, weakref_slot=False)
class _Entry:
    rank: _Rank
    key: object
    data: bytes
    subject: str | None


class Lane:
    """One class of messages: transmit-limited, with at most one message for each key.

    A message with the key of a queued one replaces it and starts again at zero transmissions:
    the newest news of a member is the only one worth sending.
    """

    __slots__ = ("_by_key", "_dropped", "_entries", "_next_id", "_order", "limit", "size")

    def __init__(self, limit: int, dropped: Callable[[], None]) -> None:
        self.limit = limit
        self._dropped = dropped
        self._entries: dict[int, _Entry] = {}
        self._by_key: dict[object, int] = {}
        self._order: list[_Rank] = []
        self._next_id = 0
        self.size = 0
        """Bytes of all queued messages."""

    def __len__(self) -> int:
        return len(self._order)

    @property
    def head_size(self) -> int:
        """Bytes of the message that is next in order; 0 when there is none."""
        return -self._order[0][1] if self._order else 0

    def size_within(self, budget: int) -> int:
        """Bytes of the messages that :meth:`fill` would take into so much room."""
        free = budget
        misses = 0
        for rank in self._order:
            if -rank[1] <= free:
                free += rank[1]
                continue
            misses += 1
            if free < _SMALLEST_MESSAGE or misses == _MISSES_MAX:
                break
        return budget - free

    def put(self, key: object, data: bytes, subject: str | None = None) -> None:
        """Queue a message. When the lane is full the most transmitted, then the shortest, then
        the oldest message is dropped and counted.

        Args:
            key: a queued message of this key is replaced.
            data: the encoded message.
            subject: the member that knows it already, because it said so itself.
        """
        self.discard(key)
        if len(self._order) >= self.limit:
            self._remove(self._order[-1])
            self._dropped()
        self._next_id += 1
        self._insert(self._next_id, key, data, subject, 0)

    def discard(self, key: object) -> None:
        """Forget the queued message of ``key``, if there is one."""
        found = self._by_key.get(key)
        if found is not None:
            self._remove(self._entries[found].rank)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._by_key.clear()
        self._order.clear()
        self.size = 0

    def fill(self, room: Room, transmit_limit: int, peer: str | None = None) -> list[bytes]:
        """Take messages in order as long as they fit; each counts as sent once more.

        A message that has been sent ``transmit_limit`` times is finished and forgotten. None
        is spent on the ``peer`` that it is about: with two transmissions in a cluster of three,
        that would leave it to luck whether the third member hears of it.
        """
        taken: list[_Rank] = []
        misses = 0
        entries = self._entries
        for rank in self._order:
            if peer is not None and entries[-rank[2]].subject == peer:
                continue
            if room.take(-rank[1]):
                taken.append(rank)
                continue
            misses += 1
            if room.free < _SMALLEST_MESSAGE or misses == _MISSES_MAX:
                break
        parts: list[bytes] = []
        for rank in taken:
            entry = self._remove(rank)
            parts.append(entry.data)
            if rank[0] + 1 < transmit_limit:
                self._insert(-rank[2], entry.key, entry.data, entry.subject, rank[0] + 1)
        return parts

    def _insert(
        self, identity: int, key: object, data: bytes, subject: str | None, sent: int
    ) -> None:
        rank = (sent, -len(data), -identity)
        insort(self._order, rank)
        self._entries[identity] = _Entry(rank, key, data, subject)
        self._by_key[key] = identity
        self.size += len(data)

    def _remove(self, rank: _Rank) -> _Entry:
        entry = self._entries.pop(-rank[2])
        del self._by_key[entry.key]
        del self._order[bisect_left(self._order, rank)]
        self.size -= len(entry.data)
        return entry


class BroadcastQueue:
    """Three lanes in order of urgency: our own goodbye, membership, user messages.

    Membership is bounded by itself (one message for each member); user messages have a cap.
    When both compete for packets, user messages get at least ``user_share`` of the bytes:
    memberlist gives them what membership leaves, which under churn is nothing.
    """

    __slots__ = ("_credit", "_user_share", "membership", "urgent", "user")

    def __init__(
        self,
        *,
        members_max: int,
        user_max: int,
        user_share: float,
        dropped: Callable[[], None],
    ) -> None:
        self.urgent = Lane(1, dropped)
        self.membership = Lane(members_max, dropped)
        self.user = Lane(user_max, dropped)
        self._user_share = user_share
        self._credit = 0.0

    def __len__(self) -> int:
        return len(self.urgent) + len(self.membership) + len(self.user)

    def __bool__(self) -> bool:
        # Asked for every packet, and most find nothing.
        return bool(self.membership.size or self.user.size or self.urgent.size)

    def fill(self, room: Room, transmit_limit: int, peer: str | None = None) -> list[bytes]:
        """Messages for one packet to ``peer``, taken as :meth:`Lane.fill` does."""
        parts = self.urgent.fill(room, transmit_limit) if len(self.urgent) else []
        if not len(self.user):
            if len(self.membership):
                parts += self.membership.fill(room, transmit_limit, peer)
            return parts
        reserved = _Reserved(room, self._reserve(room.free))
        parts += self.membership.fill(reserved, transmit_limit, peer)
        left = room.free
        parts += self.user.fill(room, transmit_limit)
        self._credit = max(0.0, self._credit - (left - room.free))
        return parts

    def _reserve(self, free: int) -> int:
        """Bytes of a packet to keep for the user lane: no more than it can use.

        Deficit round robin (Shreedhar and Varghese 1996): each packet adds a share to what is
        owed, and a message is given its room once so much is owed and the packet can hold it. One
        that is longer than a share, or than what an answer leaves free, neither waits for ever nor
        keeps membership out of packets that it would not fit itself.
        """
        share = free * self._user_share
        head = self.user.head_size
        # Nothing is saved up beyond the next message: a lull must not buy a burst.
        self._credit = min(self._credit, head) + share
        budget = min(int(self._credit), free)
        if head > budget or not len(self.membership):
            return 0
        # One more byte, for the head of a packet, which grows when it has many messages.
        return min(self.user.size_within(budget) + 1, free)


class _Reserved:
    """A room of which a part is kept back for another lane."""

    __slots__ = ("_reserve", "_room")

    def __init__(self, room: Room, reserve: int) -> None:
        self._room = room
        self._reserve = reserve

    @property
    def free(self) -> int:
        return self._room.free - self._reserve

    def take(self, size: int) -> bool:
        return size <= self._room.free - self._reserve and self._room.take(size)
