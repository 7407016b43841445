"""Which counters of one sender have come already: a sliding window, as in DTLS (RFC 6347)."""

from __future__ import annotations

from typing import Final

WINDOW: Final = 4096
"""Counters, up to the highest, that are told apart. A sender has one counter for all receivers, so
that this is 4,096 of *its* packets; older ones count as repeated."""

_MASK: Final = (1 << WINDOW) - 1


class Window:
    """Remembers the highest counter and, in one integer, which of the last ``WINDOW`` came.

    Each counter is admitted once. Ask with :meth:`is_new` before a packet is opened, and tell
    :meth:`admit` after it proved authentic.
    """

    __slots__ = ("_highest", "_seen")

    def __init__(self) -> None:
        self._highest = -1
        self._seen = 0

    def is_new(self, counter: int) -> bool:
        """True when this counter has not come, and is not too old to be told."""
        age = self._highest - counter
        if age < 0:
            return True
        return age < WINDOW and not self._seen >> age & 1

    def admit(self, counter: int) -> None:
        """Note that a packet with this counter was authentic; :meth:`is_new` was True."""
        ahead = counter - self._highest
        if ahead > 0:
            # A jump beyond the window leaves nothing of it; shifting by it would take long.
            self._seen = 1 if ahead >= WINDOW else (self._seen << ahead | 1) & _MASK
            self._highest = counter
        elif ahead > -WINDOW:
            self._seen |= 1 << -ahead
