"""How much of what this member sends gets lost, judged by its own probes."""

from __future__ import annotations

from typing import Final

WEIGHT: Final = 1.0 / 16.0
"""Of the latest probe in the average: some fifteen probes count."""

LOSSY: Final = 0.2
"""Share of probes without a direct answer from which on the network loses packets. A probe needs
two packets, so that this is one packet of ten. One dead member among many stays far below."""


class Losses:
    """The share of probes of the last while that had no direct answer in time.

    Attributes:
        share: from 0.0 to 1.0; an average in which each probe counts less than the next one.
    """

    __slots__ = ("share",)

    def __init__(self) -> None:
        self.share = 0.0

    def note(self, *, lost: bool) -> bool:
        """A direct probe was answered or not; True when :attr:`is_lossy` has changed."""
        before = self.is_lossy
        self.share += WEIGHT * (lost - self.share)
        return self.is_lossy != before

    @property
    def is_lossy(self) -> bool:
        """True when so much is lost that news has to be told more often."""
        return self.share > LOSSY
