"""Rules of the probes: how many, of whom, and what a helper owes."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.codec.messages import Alive
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.expected import SLACK_PROBES, walk_probes
from trio_gossip.testing.checkers.inside import (
    active_of,
    asks_whether_it_is_back,
    engine_time,
    is_leaving,
    weighs,
)
from trio_gossip.testing.checkers.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import IndirectPing, Message
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

WINDOW: Final = 8.0
"""Probe intervals over which the rate of probes is measured."""

COVERAGE_TICKS: Final = 5
"""Seconds between two looks at who was probed."""

TAKEOVER_PINGS: Final = 3
"""Pings of an old address when a name has moved."""

RETURN_PINGS: Final = 4
"""Pings of an address at which a buried name is said to live."""


@attrs.define
class _Window:
    began: float
    healthy: float
    tokens: int
    pings: int = 0
    excess: int = 0
    alone: bool = False


class ProbeRate(Checker):
    """A process starts one probe each probe interval (SWIM section 4): never more, but for one that
    makes up for a long round; and, being healthy, hardly less.

    Counted are pings in windows of eight intervals. Those for others (one for each request), of the
    application (one for each command) and of addresses that a name has left, or is said to have
    (three for each row that changed, or is not where its member is), may come on top. So may those
    of an address at which somebody buried is said to be back, up to four for each of them: when
    nobody is there, no row ever changes. Two less than one in two healthy intervals is too few.
    ``scan-rate`` has the same for the detector that weighs evidence.
    """

    name: ClassVar[str] = "probe-rate"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._pace = Pace()
        self._windows: dict[Process, _Window] = {}

    def ping_sent(self, process: Process, address: Address) -> None:
        window = self._windows.get(process)
        if window is not None:
            window.pings += 1
            window.excess += asks_whether_it_is_back(process, address, RETURN_PINGS)

    def request_arrived(self, process: Process, request: IndirectPing, source: Address) -> None:
        window = self._windows.get(process)
        if window is not None:
            window.excess += 1

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        window = self._windows.get(process)
        if window is not None:
            window.excess += TAKEOVER_PINGS

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        window = self._windows.get(process)
        if window is not None:
            for message in messages:
                if isinstance(message, Alive):
                    row = process.engine.member(message.name)
                    if row is not None and row.address != message.address:
                        window.excess += TAKEOVER_PINGS

    def ended(self, process: Process, how: str) -> None:
        self._windows.pop(process, None)
        self._pace.forget(process)

    def tick(self) -> None:
        self._pace.step(self.simulation)
        for process in self.simulation.processes.values():
            if weighs(process):
                continue
            if is_leaving(process):
                self._windows.pop(process, None)  # it may come back, and begin anew
                continue
            window = self._windows.get(process)
            if window is None:
                self._begin(process)
                continue
            window.alone |= active_of(process) < 2
            intervals = (engine_time(process) - window.began) / process.config.probe_interval
            if intervals >= WINDOW:
                self._judge(process, window, intervals)
                self._begin(process)

    def _begin(self, process: Process) -> None:
        self._windows[process] = _Window(
            engine_time(process),
            self._pace.intervals(process),
            process.tokens,
            alone=active_of(process) < 2,
        )

    def _judge(self, process: Process, window: _Window, intervals: float) -> None:
        moved = TAKEOVER_PINGS * self._moved(process)
        most = intervals + 2 + window.excess + process.tokens - window.tokens + moved
        healthy = self._pace.intervals(process) - window.healthy
        least = 0.0 if window.alone else healthy / 2 - 2
        if not least <= window.pings <= most:
            self.wrong(
                f"{process.name} sent {window.pings} pings in {intervals:.1f} intervals, of which"
                f" {healthy:.1f} healthy; not {least:.1f} to {most:.1f}"
            )
        elif not window.alone:
            self.ok()

    def _moved(self, process: Process) -> int:
        """Members of which a process holds an address at which they are no more."""
        running = self.simulation.processes
        return sum(
            member.name in running and running[member.name].address != member.address
            for member in process.engine.members()
        )


class ProbeCoverage(Checker):
    """A process pings every member that it counts at least once in ``2 (N - 1) + 4`` of its
    healthy probe intervals: two meetings are at most two walks apart (SWIM section 4.3). N is the
    most that it has counted. Counts from when the member came, or came back.
    """

    name: ClassVar[str] = "probe-coverage"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._pace = Pace()
        self._last: dict[Process, dict[Address, float]] = {}
        self._ticks = 0

    def started(self, process: Process) -> None:
        self._last[process] = {}

    def ended(self, process: Process, how: str) -> None:
        self._last.pop(process, None)
        self._pace.forget(process)

    def ping_sent(self, process: Process, address: Address) -> None:
        last = self._last.get(process)
        if last is not None:
            last[address] = self._pace.intervals(process)

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        last = self._last.get(process)
        if last is None or after is None or not after.is_active:
            return
        if before is None or not before.is_active or before.address != after.address:
            last[after.address] = self._pace.intervals(process)

    def tick(self) -> None:
        self._pace.step(self.simulation)
        self._ticks += 1
        if self._ticks % COVERAGE_TICKS:
            return
        for process, last in self._last.items():
            now = self._pace.intervals(process)
            if is_leaving(process):
                last.clear()  # it may come back, and begin anew
                continue
            bound = walk_probes(self._pace.peak(process)) + SLACK_PROBES
            for member in process.engine.members():
                if member.name == process.name:
                    continue
                since = now - last.setdefault(member.address, now)
                if since > bound:
                    self.wrong(
                        f"{process.name} has not pinged {member.name} for {since:.1f} healthy"
                        f" intervals, more than {bound}"
                    )
                    last[member.address] = now
                elif since:
                    self.ok()
