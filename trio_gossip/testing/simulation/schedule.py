"""Virtual time: a heap of what happens when."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Schedule:
    """Runs actions in the order of their times; equal times in the order of their scheduling."""

    __slots__ = ("_heap", "_order", "now", "steps")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self.now = 0.0
        """Virtual seconds since the simulation began."""
        self.steps = 0
        """Actions that were run."""

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, time: float, action: Callable[..., None], *arguments: Any) -> None:
        """Run ``action(*arguments)`` at ``time``, or now if that has passed."""
        self._order += 1
        heappush(self._heap, (max(time, self.now), self._order, action, arguments))

    def after(self, delay: float, action: Callable[..., None], *arguments: Any) -> None:
        """Run ``action(*arguments)`` in ``delay`` seconds."""
        self.at(self.now + delay, action, *arguments)

    def run(self, end: float) -> None:
        """Run everything that is due until ``end``, which is then the present."""
        heap = self._heap
        steps = 0
        try:
            while heap and heap[0][0] <= end:
                self.now, _, action, arguments = heappop(heap)
                steps += 1
                action(*arguments)
        finally:
            self.steps += steps
        self.now = max(self.now, end)

    def run_until(self, done: Callable[[], bool], end: float) -> bool:
        """The same, but stop as soon as ``done``, which is asked after every action."""
        heap = self._heap
        while not done():
            if not heap or heap[0][0] > end:
                self.now = max(self.now, end)
                return done()
            self.now, _, action, arguments = heappop(heap)
            self.steps += 1
            action(*arguments)
        return True
