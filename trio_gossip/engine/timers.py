"""Named deadlines in one heap."""

from __future__ import annotations

import heapq
import math
from typing import Final, TypeAlias

Key: TypeAlias = tuple[str, int | str]
"""What a timer is for, and for which probe, member or exchange."""

_SLACK: Final = 64
"""Cancelled entries that the heap may hold beyond twice the live ones."""


class Timers:
    """At most one deadline for each key; fires in order of time, then of setting.

    A heap of plain tuples: ``attrs(order=True)`` objects cost forty times as much to compare.
    Cancelling only forgets the key; an entry of the heap that is not the very one that its key has
    is dead, and skipped when it surfaces.
    """

    __slots__ = ("_heap", "_live", "_sequence")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Key]] = []
        self._live: dict[Key, tuple[float, int, Key]] = {}
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, key: Key) -> bool:
        return key in self._live

    def set(self, key: Key, at: float) -> None:
        """Set or move the deadline of ``key``."""
        self._sequence += 1
        entry = self._live[key] = (at, self._sequence, key)
        heapq.heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._live) + _SLACK:
            self._heap = list(self._live.values())
            heapq.heapify(self._heap)

    def cancel(self, key: Key) -> None:
        """Forget the deadline of ``key``, if there is one."""
        self._live.pop(key, None)

    def deadline(self, key: Key) -> float:
        """When ``key`` fires; ``math.inf`` when it is not set."""
        found = self._live.get(key)
        return math.inf if found is None else found[0]

    def earliest(self) -> tuple[float, Key | None]:
        """The next deadline and what it is for; ``(inf, None)`` when nothing is set."""
        heap = self._heap
        live = self._live
        while heap:
            entry = heap[0]
            key = entry[2]
            if live.get(key) is entry:
                return entry[0], key
            heapq.heappop(heap)
        return math.inf, None

    @property
    def mark(self) -> int:
        """Stands for all deadlines that were set until now; see :meth:`pop_due`."""
        return self._sequence

    def pop_due(self, now: float, mark: int) -> Key | None:
        """Remove and return the earliest key that is due and was set before ``mark``, or None.

        A deadline that is set at once for the present moment thus waits for the next turn, and
        the driver gets to yield between two slices of long work.
        """
        at, key = self.earliest()
        if key is None or at > now or self._live[key][1] > mark:
            return None
        heapq.heappop(self._heap)
        del self._live[key]
        return key
