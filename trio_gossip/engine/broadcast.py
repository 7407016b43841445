"""What is to be told, and what goes into the next packet."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from trio_gossip.engine.lane import Lane

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.codec import Room
    from trio_gossip.engine.pacing import Pace


class BroadcastQueue:
    """Three lanes in order of urgency: our own goodbye, membership, user messages.

    Membership is bounded by itself (one message for each member); user messages have a cap.
    When both compete for packets, user messages get at least ``user_share`` of the bytes:
    memberlist gives them what membership leaves, which under churn is nothing.

    Attributes:
        pace: how often and how soon again everything is told; depends on the number of members.
    """

    __slots__ = ("_credit", "_user_share", "membership", "pace", "urgent", "user")

    def __init__(
        self,
        *,
        pace: Pace,
        members_max: int,
        user_max: int,
        user_share: float,
        dropped: Callable[[], None],
    ) -> None:
        self.pace = pace
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

    @property
    def hot_size(self) -> int:
        """Bytes of what is still to be told at once."""
        eager = self.pace.eager
        return (
            self.urgent.hot_size(eager)
            + self.membership.hot_size(eager)
            + self.user.hot_size(eager)
        )

    def next_due(self, after: float = -math.inf) -> float:
        """The earliest :meth:`Lane.next_due` of the lanes."""
        pace = self.pace
        return min(
            self.urgent.next_due(pace, after),
            self.membership.next_due(pace, after),
            self.user.next_due(pace, after),
        )

    def fill(self, room: Room, now: float, peer: str | None = None) -> list[bytes]:
        """Messages for one packet to ``peer``, taken as :meth:`Lane.fill` does."""
        pace = self.pace
        parts = self.urgent.fill(room, pace, now) if len(self.urgent) else []
        if not len(self.user):
            if len(self.membership):
                parts += self.membership.fill(room, pace, now, peer)
            return parts
        reserved = _Reserved(room, self._reserve(room.free, now))
        parts += self.membership.fill(reserved, pace, now, peer)
        left = room.free
        parts += self.user.fill(room, pace, now, peer)
        self._credit = max(0.0, self._credit - (left - room.free))
        return parts

    def _reserve(self, free: int, now: float) -> int:
        """Bytes of a packet to keep for the user lane: no more than it can use.

        Deficit round robin (Shreedhar and Varghese 1996): each packet adds a share to what is
        owed, and a message is given its room once so much is owed and the packet can hold it. One
        that is longer than a share, or than what an answer leaves free, neither waits for ever nor
        keeps membership out of packets that it would not fit itself.
        """
        head = self.user.head_size(self.pace, now)
        if not head:
            return 0
        # Nothing is saved up beyond the next message: a lull must not buy a burst.
        self._credit = min(self._credit, head) + free * self._user_share
        budget = min(int(self._credit), free)
        if head > budget or not len(self.membership):
            return 0
        # One more byte, for the head of a packet, which grows when it has many messages.
        return min(self.user.size_within(budget, self.pace, now) + 1, free)


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
