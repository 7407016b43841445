"""The agents' lines in the order in which things happened, and not in that of their pipes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from typing import Any, Final

import trio

from trio_gossip.cli.phases import Seen

HOLD_SECONDS: Final = 0.1
"""So long after it happened is a line kept back: what another agent did before is read by then.
A line that takes longer to arrive is shown late and out of order."""


class OwnTimes:
    """Turns the ``time`` that agents of this machine print into seconds since a beginning."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        """Args:
        elapsed: seconds since the beginning, now.
        """
        self._elapsed = elapsed
        self._began = time.time() - elapsed()
        self._latest: dict[str, float] = {}

    def at(self, observer: str, event: Mapping[str, Any]) -> float:
        """When an event happened, or now if it does not say so.

        Never in the future and never before the agent's last line, also when the machine's clock
        is set meanwhile.
        """
        now = self._elapsed()
        own = event.get("time")
        at = own - self._began if isinstance(own, int | float) else now
        self._latest[observer] = min(now, max(at, self._latest.get(observer, 0.0)))
        return self._latest[observer]


class InOrder:
    """Hands out lines sorted by :attr:`~trio_gossip.cli.phases.Seen.at`.

    State: what waits to be sorted; a cancelled :meth:`receive` loses nothing.
    """

    def __init__(
        self, lines: trio.MemoryReceiveChannel[Seen], elapsed: Callable[[], float]
    ) -> None:
        """Args:
        lines: in the order in which they arrive.
        elapsed: the clock of their ``at``.
        """
        self._lines = lines
        self._elapsed = elapsed
        self._heap: list[tuple[float, int, Seen]] = []
        self._count = 0

    async def receive(self, hold: float = HOLD_SECONDS) -> Seen:
        """The earliest line, ``hold`` seconds after it happened."""
        while True:
            self._take_what_arrived()
            if not self._heap:
                self._push(await self._lines.receive())
                continue
            rest = self._heap[0][0] + hold - self._elapsed()
            if rest <= 0:
                return heappop(self._heap)[2]
            with trio.move_on_after(rest):
                self._push(await self._lines.receive())

    def _take_what_arrived(self) -> None:
        while True:
            try:
                self._push(self._lines.receive_nowait())
            except trio.WouldBlock:
                return

    def _push(self, seen: Seen) -> None:
        # The count keeps lines of the same moment in the order of their arrival.
        self._count += 1
        heappush(self._heap, (seen.at, self._count, seen))
