"""How much work the questions of one peer may cause."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

ANSWERS_BURST: Final = 4096.0
"""Units of work for one peer without a pause: enough for all that two planes hold."""

ANSWERS_RATE: Final = 256.0
"""Units of work for one peer each second after that."""

BYTES_OF_UNIT: Final = 4096
"""A question costs one unit, and one for each so many bytes of it, since they are read..."""

RECORDS_OF_UNIT: Final = 512
"""...and one for each so many records that are looked at to answer it: a peer that has everything
and asks again and again would otherwise cost most."""

PEERS_MAX: Final = 1024
"""Peers of which that is remembered; of which nothing was heard for longest is forgotten."""


class Allowance:
    """A bucket of work for each peer. A question may use more than is left, and then the next ones
    are refused until that is made up for.
    """

    def __init__(self) -> None:
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def admits(self, peer: str, now: float) -> bool:
        """True if a question of ``peer`` may be looked at; it costs one unit."""
        left = self._now(peer, now)
        if left < 1.0:
            return False
        self._left[peer] = (left - 1.0, now)
        return True

    def charge(self, peer: str, now: float, *, size: int = 0, records: int = 0) -> None:
        """A question of so many bytes came, or so many records were looked at for one."""
        cost = size / BYTES_OF_UNIT + records / RECORDS_OF_UNIT
        self._left[peer] = (self._now(peer, now) - cost, now)
        self._left.move_to_end(peer)
        if len(self._left) > PEERS_MAX:
            self._left.popitem(last=False)

    def _now(self, peer: str, now: float) -> float:
        left, before = self._left.get(peer, (ANSWERS_BURST, now))
        return min(ANSWERS_BURST, left + ANSWERS_RATE * (now - before))
