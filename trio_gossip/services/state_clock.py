"""Hybrid logical clock: wall time that never goes back and is never behind what was seen."""

from __future__ import annotations

from typing import Final

COUNTER_BITS: Final = 16
"""Low bits of a stamp that count writes within one millisecond. A carry into the milliseconds
does no harm: the clock runs ahead of the wall by one."""


class HybridClock:
    """Makes stamps ``milliseconds << 16 | counter`` (Kulkarni et al., 2014).

    One for both planes of a member. It reads no clock: the wall time is an argument.

    Args:
        skew_ms: a stamp further ahead of the wall than this is not believed.
    """

    def __init__(self, skew_ms: int) -> None:
        self._skew_ms = skew_ms
        self.last = 0

    def tick(self, now_ms: int) -> int:
        """A stamp for a local write: larger than every one made or observed before."""
        self.last = max(self.last + 1, now_ms << COUNTER_BITS)
        return self.last

    def is_ahead(self, stamp: int, now_ms: int) -> bool:
        """The stamp is from a future that cannot be: its writer's clock, or ours, is wrong."""
        return stamp >> COUNTER_BITS > now_ms + self._skew_ms

    def observe(self, stamp: int) -> None:
        """A stamp that is believed was received: later ones of ours are larger."""
        self.last = max(self.last, stamp)
