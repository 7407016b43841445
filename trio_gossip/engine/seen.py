"""Which broadcasts were delivered: each once, with a bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

WINDOW: Final = 1024
"""Broadcasts of one origin that may overtake each other. Older ones are not delivered: they
may have been delivered before, and twice is worse than never for a best-effort message."""

JUMP_MAX: Final = 2**20
"""A counter this far ahead of the last one is no broadcast of ours that overtook a million."""

ORIGINS_MAX: Final = 4096
"""Origins remembered; beyond it the one not heard for longest is forgotten."""


class Seen:
    """A sliding window of counters for each origin, as DTLS keeps for replays.

    A time limit would be wrong: gossip that is delayed beyond it is delivered twice (a bug
    that ScaleCube shipped). ``epoch`` tells a restarted origin, whose counter starts again.
    """

    __slots__ = ("_windows",)

    def __init__(self) -> None:
        self._windows: OrderedDict[str, tuple[int, int, int]] = OrderedDict()

    def is_new(self, origin: str, epoch: int, counter: int) -> bool:
        """Note a broadcast; True exactly once for each (origin, epoch, counter)."""
        found = self._windows.get(origin)
        if found is None or found[0] < epoch:
            self._windows[origin] = (epoch, counter, 1)
            self._windows.move_to_end(origin)
            if len(self._windows) > ORIGINS_MAX:
                self._windows.popitem(last=False)
            return True
        known_epoch, highest, bits = found
        if epoch < known_epoch:
            return False
        self._windows.move_to_end(origin)
        if counter - highest > JUMP_MAX:
            return False
        if counter > highest:
            shift = counter - highest
            bits = (bits << shift | 1) & ((1 << WINDOW) - 1) if shift < WINDOW else 1
            self._windows[origin] = (epoch, counter, bits)
            return True
        age = highest - counter
        if age >= WINDOW or bits >> age & 1:
            return False
        self._windows[origin] = (epoch, highest, bits | 1 << age)
        return True
