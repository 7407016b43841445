"""What the fault model tolerates: who may be declared failed wrongly, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trio_gossip.testing.simulation.schedule import Schedule


class Excuses:
    """Kept by whoever injects faults, asked by checkers.

    Mild faults excuse nothing: up to a tenth of all packets lost, duplication, reordering, short
    pauses. Under a partition or a long pause a detector cannot but be wrong, and for a while after:
    what was suspected before goes on to its end.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._everybody = -1.0
        self._members: dict[str, float] = {}

    def excuse(self, names: Iterable[str] | None, until: float) -> None:
        """Do not blame the protocol for failures of ``names`` (None: of anybody) until a time."""
        if names is None:
            self._everybody = max(self._everybody, until)
            return
        for name in names:
            self._members[name] = max(self._members.get(name, -1.0), until)

    def covers(self, name: str) -> bool:
        """True when ``name`` may be declared failed now although it lives."""
        now = self._schedule.now
        return now <= self._everybody or now <= self._members.get(name, -1.0)

    @property
    def until(self) -> float:
        """When the last general excuse ends."""
        return self._everybody
