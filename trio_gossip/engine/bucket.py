"""Admits so many events a second."""

from __future__ import annotations

import math
from typing import Final

MOMENT: Final = 1e-6
"""Seconds that are not worth waiting for: a time so near may round to the present one, and who
waits for it would come back at once for ever."""


class TokenBucket:
    """Admits ``rate`` events a second, and up to ``burst`` at once after a pause."""

    __slots__ = ("_burst", "_filled_at", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._filled_at = -math.inf

    def ready_at(self, now: float, tokens: float = 1.0) -> float:
        """When there will be so many tokens, at most a burst; ``now`` when they are there."""
        if now > self._filled_at:
            gained = (now - self._filled_at) * self._rate
            self._tokens = min(self._burst, self._tokens + gained)
            self._filled_at = now
        wait = (min(tokens, self._burst) - self._tokens) / self._rate
        return now if wait <= MOMENT else now + wait

    def take(self, now: float, tokens: float = 1.0) -> bool:
        """Use so many tokens, at most a burst; False when there are fewer."""
        if self.ready_at(now, tokens) > now:
            return False
        self._tokens -= min(tokens, self._burst)
        return True
