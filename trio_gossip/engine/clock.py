"""The engine's own time: real time less all the time for which this process stood still."""

from __future__ import annotations

import math

from trio_gossip.errors import LocalProtocolError


class StallClock:
    """Turns the driver's monotonic ``now`` into engine time, which skips stalls.

    When a turn comes ``threshold`` or more seconds after the deadline for which the driver
    should have woken us, this process was paused, suspended or overloaded. What expired
    meanwhile says nothing about others: our own questions and their answers waited alike. So
    engine time stands still for as long as we overslept, which moves *every* deadline by
    as much: probe stages, suspicions, ticks. memberlist lets Go's timers fire late and
    declares deaths on them.
    """

    __slots__ = (
        "_last",
        "_offset",
        "_threshold",
        "lateness",
        "lateness_max",
        "stalled",
        "stalls",
    )

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._offset = 0.0
        self._last = -math.inf
        self.stalls = 0
        """How often this process stalled."""
        self.stalled = 0.0
        """Seconds stalled, in all."""
        self.lateness = 0.0
        """Seconds by which the present turn comes too late; 0.0 when it is in time."""
        self.lateness_max = 0.0
        """Longest lateness seen, in seconds."""

    def advance(self, now: float, earliest: float) -> tuple[float, float]:
        """Return engine time and the seconds just stalled (0.0 when in time).

        Args:
            now: the driver's monotonic seconds.
            earliest: the next deadline, in engine time.

        Raises:
            LocalProtocolError: ``now`` is not a finite number or is before the turn before.
        """
        if not self._last <= now < math.inf:
            raise LocalProtocolError(f"now={now} runs backwards; the turn before was {self._last}")
        before = self._last - self._offset
        self._last = now
        time = now - self._offset
        late = time - earliest
        self.lateness = max(0.0, late)
        if late <= 0.0:
            return time, 0.0
        self.lateness_max = max(self.lateness_max, late)
        if late < self._threshold:
            return time, 0.0
        # Not back before the turn before, which may have come a little after the deadline.
        late = min(late, time - before)
        if late <= 0.0:
            return time, 0.0
        self._offset += late
        self.stalls += 1
        self.stalled += late
        return now - self._offset, late

    def outside(self, time: float) -> float:
        """Engine time as the driver's time."""
        return time + self._offset
