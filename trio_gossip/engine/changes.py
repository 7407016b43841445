"""Which records changed lately: what a cluster that only pushes has to pass on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable


class Changes:
    """Names whose records are pushed for some more rounds, and then count as known to all.

    Args:
        most: names that are remembered; beyond it the oldest goes.
        dropped: called for each one that goes so: it waits for the next whole table.
    """

    __slots__ = ("_dropped", "_left", "_most")

    def __init__(self, most: int, dropped: Callable[[], None]) -> None:
        self._left: OrderedDict[str, int] = OrderedDict()
        self._most = most
        self._dropped = dropped

    def __len__(self) -> int:
        return len(self._left)

    def note(self, name: str, rounds: int) -> None:
        """The record of ``name`` has changed: push it in the next ``rounds`` rounds."""
        self._left[name] = rounds
        self._left.move_to_end(name)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
            self._dropped()

    def take(self) -> list[str]:
        """The names to push in this round, those first that changed first."""
        names = list(self._left)
        for name in names:
            self._left[name] -= 1
            if self._left[name] <= 0:
                del self._left[name]
        return names
