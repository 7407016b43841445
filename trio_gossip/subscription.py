"""Bounded event streams for the application. A slow subscriber costs nobody else anything."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from trio_gossip.errors import LocalProtocolError
from trio_gossip.events import Event, Lagged
from trio_gossip.reading import Reading

if TYPE_CHECKING:
    from trio_gossip.members import Member

EVENTS_DEFAULT: Final = 1024
"""Events that wait for a subscriber unless it asks for another number."""

SUBSCRIPTIONS_MAX: Final = 1024
"""Subscriptions of one cluster."""


class Subscription(Reading[Event]):
    """Events from the moment of :meth:`Cluster.events` on. A sync context manager and an
    async iterator; iteration ends when the cluster stops or the subscription is closed.

    When ``limit`` events wait, later ones are dropped and counted in one
    :class:`~trio_gossip.Lagged` at the place where they are missing.

    Attributes:
        members: alive and suspect members at registration. Every later change follows as an
            event, without a gap.
        version: the table's version at registration; the first change has the next one.
    """

    def __init__(
        self, registry: Subscriptions, members: tuple[Member, ...], version: int, limit: int
    ) -> None:
        self.members = members
        self.version = version
        self._registry = registry
        self._limit = limit
        self._events: deque[Event] = deque()
        super().__init__(self._events, partial(registry.remove, self))

    @property
    def has_room(self) -> bool:
        """True when an event would not be dropped."""
        return len(self._events) < self._limit

    def publish(self, event: Event) -> None:
        """Queue an event, or count it as missed."""
        events = self._events
        if len(events) < self._limit:
            events.append(event)
            self._wake()
            return
        last = events[-1]
        if type(last) is Lagged:
            events[-1] = Lagged(last.missed + 1)
        else:
            events.append(Lagged(1))

    def _take(self) -> Event:
        event = self._events.popleft()
        self._registry.made_room()
        return event


class Subscriptions:
    """All subscriptions of one cluster."""

    def __init__(self) -> None:
        self._open: dict[Subscription, None] = {}
        self._room = trio.lowlevel.ParkingLot()
        self._ended = False
        self.missed = 0
        """Events dropped because a subscriber was full."""

    def __len__(self) -> int:
        return len(self._open)

    def add(self, members: tuple[Member, ...], version: int, limit: int) -> Subscription:
        """Register a subscription.

        Raises:
            LocalProtocolError: the limit is below 1, or there are too many subscriptions.
        """
        if limit < 1:
            raise LocalProtocolError(f"limit={limit} must be at least 1")
        if len(self._open) >= SUBSCRIPTIONS_MAX:
            raise LocalProtocolError(f"more than {SUBSCRIPTIONS_MAX} subscriptions are open")
        subscription = Subscription(self, members, version, limit)
        if self._ended:
            subscription.end()
        else:
            self._open[subscription] = None
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """Forget a subscription."""
        self._open.pop(subscription, None)
        self.made_room()

    def publish(self, event: Event) -> None:
        """Give an event to every subscriber; never blocks."""
        for subscription in self._open:
            self.missed += not subscription.has_room
            subscription.publish(event)

    async def wait_room(self) -> None:
        """Wait until no subscriber would miss an event. A checkpoint."""
        await trio.lowlevel.checkpoint()
        while not all(subscription.has_room for subscription in self._open):
            await self._room.park()

    def made_room(self) -> None:
        """A subscriber has taken an event."""
        if self._room:
            self._room.unpark_all()

    def end(self) -> None:
        """The cluster has stopped: iterations end after what still waits."""
        self._ended = True
        for subscription in self._open:
            subscription.end()
        self._open.clear()
