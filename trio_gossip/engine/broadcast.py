"""What is to be told, and what goes into the next packet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from trio_gossip.engine.lane import Lane

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.codec import Room
    from trio_gossip.engine.pacing import Pace


NEWS_QUEUE_MAX: Final = 1024
"""News of services that waits to be told; the most transmitted is dropped beyond it and counted.
What is lost by that is found by comparing."""


class BroadcastQueue:
    """Four lanes in order of urgency: our own goodbye, membership, news of services, user messages.

    Membership is bounded by itself (one message for each member); the others have a cap. When they
    compete for packets, news of services and user messages each get at least their share of the
    bytes: memberlist gives them what membership leaves, which under churn is nothing.

    Attributes:
        pace: how often and how soon again everything is told; depends on the number of members.
    """

    __slots__ = ("_lanes", "_shares", "membership", "news", "pace", "urgent", "user")

    def __init__(
        self,
        *,
        pace: Pace,
        members_max: int,
        user_max: int,
        user_share: float,
        news_share: float,
        bump: Callable[[str], None],
    ) -> None:
        self.pace = pace
        self.urgent = Lane(1, lambda: bump("broadcast_dropped"))
        self.membership = Lane(members_max, lambda: bump("broadcast_dropped"))
        self.news = Lane(NEWS_QUEUE_MAX, lambda: bump("news_dropped"))
        self.user = Lane(user_max, lambda: bump("broadcast_dropped"))
        self._lanes = (self.urgent, self.membership, self.news, self.user)
        self._shares = (Share(self.news, news_share), Share(self.user, user_share))

    def __len__(self) -> int:
        return sum(map(len, self._lanes))

    def __bool__(self) -> bool:
        # Asked for every packet, and most find nothing.
        return bool(self.membership.size or self.user.size or self.urgent.size or self.news.size)

    @property
    def hot_size(self) -> int:
        """Bytes of what is still to be told at once."""
        return self._size_of(self.pace.eager)

    @property
    def is_fresh(self) -> bool:
        """True when nothing of what is hot was told before."""
        return self._size_of(1) == self.hot_size

    def _size_of(self, levels: int) -> int:
        return sum(lane.hot_size(levels) for lane in self._lanes)

    def next_due(self, after: float = -math.inf) -> float:
        """The earliest :meth:`Lane.next_due` of the lanes."""
        pace = self.pace
        return min(lane.next_due(pace, after) for lane in self._lanes)

    def fill(
        self, room: Room, now: float, peer: str | None = None, pace: Pace | None = None
    ) -> list[bytes]:
        """Messages for one packet to ``peer``, taken as :meth:`Lane.fill` does; at another pace
        than :attr:`pace` where one is given.
        """
        pace = self.pace if pace is None else pace
        parts = self.urgent.fill(room, pace, now) if len(self.urgent) else []
        shares = [share for share in self._shares if len(share.lane)]
        if not shares:
            if len(self.membership):
                parts += self.membership.fill(room, pace, now, peer)
            return parts
        competing = len(shares) + bool(len(self.membership)) > 1
        free = room.free
        kept = 0
        for share in shares:
            kept += share.reserve(free, free - kept, pace, now, competing=competing)
        parts += self.membership.fill(_Reserved(room, kept), pace, now, peer)
        for share in shares:
            kept -= share.reserved
            left = room.free
            parts += share.lane.fill(_Reserved(room, kept), pace, now, peer)
            share.spend(left - room.free)
        return parts


class Share:
    """A lane that has a part of the bytes when others have something to tell as well.

    Deficit round robin (Shreedhar and Varghese 1996): each packet adds a share to what is owed, and
    a message is given its room once so much is owed and the packet can hold it. One that is longer
    than a share, or than what an answer leaves free, neither waits for ever nor keeps others out
    of packets that it would not fit itself.

    Attributes:
        reserved: bytes of the present packet that are kept for the lane.
    """

    __slots__ = ("_credit", "_share", "lane", "reserved")

    def __init__(self, lane: Lane, share: float) -> None:
        self.lane = lane
        self._share = share
        self._credit = 0.0
        self.reserved = 0

    def reserve(self, free: int, left: int, pace: Pace, now: float, *, competing: bool) -> int:
        """Keep bytes of a packet for the lane: no more than it can use.

        Args:
            free: bytes of the packet, of which the share counts.
            left: of these, what other shares leave.
            pace: see :class:`BroadcastQueue`.
            now: engine time.
            competing: whether another lane may want them.
        """
        self.reserved = 0
        head = self.lane.head_size(pace, now)
        if not head:
            return 0
        # Nothing is saved up beyond the next message: a lull must not buy a burst.
        self._credit = min(self._credit, head) + free * self._share
        budget = min(int(self._credit), left)
        if competing and head <= budget:
            # One more byte, for the head of a packet, which grows when it has many messages.
            self.reserved = min(self.lane.size_within(budget, pace, now) + 1, left)
        return self.reserved

    def spend(self, size: int) -> None:
        """The lane took ``size`` bytes of the packet."""
        self._credit = max(0.0, self._credit - size)


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
