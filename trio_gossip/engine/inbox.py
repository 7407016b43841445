"""Packets that have come and are not handled yet: pings and acks before rumours."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

INBOX_PACKETS_MAX: Final = 2048
"""Packets that are read and wait for their turn; the others stay with the transport, which drops
what it cannot hold."""

INBOX_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes of these, beyond which no more are read."""

URGENT_IN_TURN: Final = 32
"""Urgent packets taken before one of the others: a flood of pings must not silence rumours."""

T = TypeVar("T")


class Inbox(Generic[T]):
    """Puts packets that begin with a ping or an answer before the others.

    A rumour costs a member up to half a millisecond, and a storm brings thousands at once. Whoever
    asks meanwhile if we are alive must not wait for all of them, or gossip makes false suspicions.
    Each kind stays in the order of its arrival. Datagrams may be reordered anyway, so that nothing
    can depend on more than that.

    The items are the owner's: packets, or whatever stands for them.
    """

    __slots__ = ("_is_urgent", "_others", "_row", "_urgent", "bytes")

    def __init__(self, is_urgent: Callable[[bytes], bool]) -> None:
        self._is_urgent = is_urgent
        self._urgent: deque[tuple[int, T]] = deque()
        self._others: deque[tuple[int, T]] = deque()
        self._row = 0
        self.bytes = 0
        """Bytes of all packets that wait."""

    def __len__(self) -> int:
        return len(self._urgent) + len(self._others)

    @property
    def is_full(self) -> bool:
        """True when no more should be read for now."""
        return len(self) >= INBOX_PACKETS_MAX or self.bytes >= INBOX_BYTES_MAX

    def put(self, data: bytes, item: T) -> None:
        """Have ``item`` wait, which stands for a packet of ``data``."""
        queue = self._urgent if self._is_urgent(data) else self._others
        queue.append((len(data), item))
        self.bytes += len(data)

    def take(self) -> T:
        """The next item.

        Raises:
            IndexError: there is none.
        """
        if self._urgent and (self._row < URGENT_IN_TURN or not self._others):
            self._row += 1
            size, item = self._urgent.popleft()
        else:
            self._row = 0
            size, item = self._others.popleft()
        self.bytes -= size
        return item
