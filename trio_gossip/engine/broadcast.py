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
    When both compete for a packet, user messages get at least ``user_share`` of its bytes:
    memberlist gives them what membership leaves, which under churn is nothing.
    """

    __slots__ = ("_favour_user", "_user_share", "membership", "urgent", "user")

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
        self._favour_user = False

    def __len__(self) -> int:
        return len(self.urgent) + len(self.membership) + len(self.user)

    def fill(self, room: Room, transmit_limit: int, peer: str | None = None) -> list[bytes]:
        """Messages for one packet to ``peer``, taken as :meth:`Lane.fill` does."""
        parts = self.urgent.fill(room, transmit_limit) if len(self.urgent) else []
        if not len(self.user):
            if len(self.membership):
                parts += self.membership.fill(room, transmit_limit, peer)
            return parts
        reserved = _Reserved(room, self._reserve(room.free))
        parts += self.membership.fill(reserved, transmit_limit, peer)
        return parts + self.user.fill(room, transmit_limit)

    def _reserve(self, free: int) -> int:
        """Bytes of a packet to keep for the user lane: no more than it can use.

        A message longer than the share gets its room in every second packet, so that neither
        lane ever starves the other.
        """
        share = int(free * self._user_share)
        head = self.user.head_size
        if head > share and len(self.membership):
            self._favour_user = not self._favour_user
            share = head if self._favour_user else 0
        return min(share, self.user.size)


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
