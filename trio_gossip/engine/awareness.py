"""This node's opinion of its own health (Lifeguard's local health multiplier)."""

from __future__ import annotations


class Awareness:
    """A score from 0, healthy, to ``limit - 1``; slow nodes give others more time."""

    __slots__ = ("_limit", "score")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.score = 0

    def apply(self, delta: int) -> None:
        """Add to the score, within its bounds."""
        self.score = min(max(self.score + delta, 0), self._limit - 1)

    def scale(self, seconds: float) -> float:
        """Stretch a time by the score plus one."""
        return seconds * (self.score + 1)
