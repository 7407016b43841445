"""How much of something may happen in a second."""

from __future__ import annotations


class Budget:
    """A bucket of tokens: ``burst`` at once, and ``rate`` more each second."""

    __slots__ = ("_burst", "_left", "_rate", "_then")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._then: float | None = None

    def take(self, now: float) -> bool:
        """Take one; False when there is none at the moment.

        Args:
            now: monotonic seconds.
        """
        if self._then is not None:
            gained = max(0.0, now - self._then) * self._rate
            self._left = min(self._burst, self._left + gained)
        self._then = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
