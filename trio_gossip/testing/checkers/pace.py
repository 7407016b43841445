"""How far each process has come: the measure in which bounds on its probes are stated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trio_gossip.testing.checkers.inside import active_of, engine_time, node_of, weighs

if TYPE_CHECKING:
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation


@attrs.define
class _Pace:
    time: float
    score: int
    intervals: float = 0.0
    skipped: int = 0
    peak: int = 1
    away: bool = False


class Pace:
    """Counts for each process the probe intervals that it really had.

    Engine time, so that a paused process owes nothing; divided by the health score plus one, as a
    process that hears badly takes so much longer for a probe (Lifeguard). Who has left probes
    nobody until it comes back. Brought up to date by :meth:`step`, once a second.

    With the detector that weighs evidence these are intervals of its scan, less those that were
    left out because a former attempt went on.
    """

    def __init__(self) -> None:
        self._paces: dict[Process, _Pace] = {}

    def step(self, simulation: Simulation) -> None:
        """Look at every running process."""
        for process in simulation.processes.values():
            node = node_of(process)
            pace = self._of(process)
            score = max(pace.score, node.awareness.score)
            if not pace.away:
                interval = _interval(process)
                skipped = node.counters.get("probe_skipped", 0)
                passed = (node.now - pace.time) / interval / (1 + score)
                pace.intervals += max(0.0, passed - skipped + pace.skipped)
                pace.skipped = skipped
            pace.away = node.leaving
            pace.time = node.now
            pace.score = node.awareness.score
            pace.peak = max(pace.peak, node.table.active)

    def _of(self, process: Process) -> _Pace:
        pace = self._paces.get(process)
        if pace is None:
            pace = self._paces[process] = _Pace(engine_time(process), 0)
        return pace

    def intervals(self, process: Process) -> float:
        """Healthy probe intervals of a process until the last step."""
        return self._of(process).intervals

    def peak(self, process: Process) -> int:
        """The most members that a process has counted at any step, or counts now."""
        return max(self._of(process).peak, active_of(process))

    def forget(self, process: Process) -> None:
        """A process has ended."""
        self._paces.pop(process, None)


def _interval(process: Process) -> float:
    config = process.config
    return config.scan_interval if weighs(process) else config.probe_interval
