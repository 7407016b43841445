"""How late this process is: what every task of trio's loop has to wait, measured in each pass."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import attrs
import trio

if TYPE_CHECKING:
    from collections.abc import Callable

SMOOTHING: Final = 1 / 16
"""Weight of the newest pass in the smoothed lag."""


@attrs.frozen
class LoopLag:
    """How long what was due had to wait for this process, in seconds.

    The lag of one pass of trio's event loop is the time by which it began too late, as after a
    pause of the process, and the time that all tasks took in it. At rest it is a millisecond or
    two, to which the kernel rounds. It is real time, also where trio's clock is a virtual one.

    Attributes:
        last: of the last pass.
        smoothed: moving average over about sixteen passes.
        longest: since the cluster was opened.
        passes: how many were measured.
    """

    last: float = 0.0
    smoothed: float = 0.0
    longest: float = 0.0
    passes: int = 0


class LagMeter(trio.abc.Instrument):
    """Measures :class:`LoopLag` while it is installed.

    Unlike the engine's stall clock, which can only see that a deadline was missed, it also notices
    a program that blocks the loop between two deadlines. It has no task and wakes nobody.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = self._smoothed = self._longest = 0.0
        self._passes = 0
        self._woke: float | None = None
        self._late = 0.0
        self._until: float | None = None

    def snapshot(self) -> LoopLag:
        """What was measured so far."""
        return LoopLag(self._last, self._smoothed, self._longest, self._passes)

    def before_io_wait(self, timeout: float) -> None:
        """A pass has ended; trio waits for at most ``timeout`` seconds."""
        now = self._clock()
        if self._woke is not None:  # else it was installed in the middle of this pass
            self._note(self._late + now - self._woke)
        self._until = now + timeout

    def after_io_wait(self, timeout: float) -> None:
        """A pass begins."""
        del timeout
        now = self._clock()
        until = now if self._until is None else self._until
        self._late = max(0.0, now - until)
        self._woke = now

    def _note(self, lag: float) -> None:
        self._passes += 1
        self._last = lag
        self._smoothed += SMOOTHING * (lag - self._smoothed)
        self._longest = max(self._longest, lag)
