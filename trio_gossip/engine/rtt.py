"""How long answers take, and how long to wait for one."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trio_gossip.config import Config

WINDOW: Final = 64
"""Answers from anybody that are remembered."""

FACTOR: Final = 4.0
"""The timeout is so many times the usual answer: the question is repeated at half of it, and a
second answer must not be wanted where the first one is only a little late."""

PEERS_MAX: Final = 4096
"""Members whose own times are remembered; the one measured longest ago is forgotten."""

RTO_FACTOR_MAX: Final = 4.0
"""Our own bad health stretches a timeout to so many times ``rto_ceil`` at most."""


class RoundTrips:
    """Timeouts that adapt: to a member's own times where they are known, since one pool may have
    near and far members, and to those of all others where they are not.

    The smoothing is that of TCP (Jacobson 1988; RFC 6298).
    """

    __slots__ = ("_ceil", "_floor", "_peers", "_window")

    def __init__(self, config: Config) -> None:
        self._floor = config.rto_floor
        self._ceil = config.rto_ceil
        self._window: deque[float] = deque(maxlen=WINDOW)
        self._peers: dict[str, tuple[float, float]] = {}

    def note(self, name: str, seconds: float, *, is_late: bool = False) -> None:
        """A member answered a question after ``seconds``, or after the timeout.

        Asked more than once, it may have answered a later question: then this is too long, which
        does no harm, while a far member could never be measured without it: among near ones it
        would be late each time. A member that answers late on purpose gains no more than
        ``rto_ceil``, and for others late answers do not count.
        """
        seconds = min(seconds, self._ceil)
        if not is_late:
            self._window.append(seconds)
        known = self._peers.pop(name, None)
        if known is None:
            smooth, spread = seconds, seconds / 2
            if len(self._peers) >= PEERS_MAX:
                del self._peers[next(iter(self._peers))]
        else:
            smooth, spread = known
            spread += (abs(seconds - smooth) - spread) / 4
            smooth += (seconds - smooth) / 8
        self._peers[name] = (smooth, spread)

    def forget(self, name: str) -> None:
        """A member is gone for good."""
        self._peers.pop(name, None)

    def timeout(self, name: str, health: int) -> float:
        """Seconds to wait for an answer of a member, with our own health score."""
        known = self._peers.get(name)
        if known is not None:
            smooth, spread = known
            usual = max(smooth, (smooth + 4 * spread) / 2)
        elif self._window:
            times = sorted(self._window)
            usual = times[int(0.95 * (len(times) - 1))]
        else:
            usual = self._ceil / FACTOR
        base = min(max(FACTOR * usual, self._floor), self._ceil)
        return min(base * (1 + health), RTO_FACTOR_MAX * self._ceil)
