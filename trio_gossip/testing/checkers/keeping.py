"""Rules of versioned state about members that go: their own keys go, what is shared stays."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

from trio_gossip.services.state_records import Plane
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import node_of

if TYPE_CHECKING:
    from trio_gossip.services.state_records import Slot
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

LOOK_TICKS: Final = 3
"""Seconds between two looks."""

EMPTIED: Final = ("state_collected", "state_reset")
"""What a process counts when it drops deleted keys, and their last traces with them."""


class _Looking(Checker, ABC):
    """Looks at all processes every three seconds, and at the end."""

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._ticks = 0

    def tick(self) -> None:
        self._ticks += 1
        if self._ticks % LOOK_TICKS == 0:
            self.finish()

    def finish(self) -> None:
        for process in self.simulation.processes.values():
            self.look(process)

    @abstractmethod
    def look(self, process: Process) -> None:
        """Look at one of them."""


class StateOfMembers(_Looking):
    """A process shows keys of members only: of whom it has no row it has reaped, or never heard,
    and what such a one wrote is gone with it. No tolerance.
    """

    name: ClassVar[str] = "state-of-members"

    def look(self, process: Process) -> None:
        table = node_of(process).table
        for record in process.state.replica(Plane.STATE).items():
            if table.get(record.writer) is not None:
                self.ok()
            else:
                self.wrong(f"{process.name} shows {record.key!r} of {record.writer}, no member")


class SharedKeysStay(_Looking):
    """Shared keys outlive who wrote them: a process that has held a record of one holds the same, a
    newer one or a tombstone ever after. Not demanded of one that has collected tombstones, or
    was told by another one that did.
    """

    name: ClassVar[str] = "shared-keys-stay"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._held: dict[Process, set[Slot]] = {}

    def ended(self, process: Process, how: str) -> None:
        self._held.pop(process, None)

    def look(self, process: Process) -> None:
        counters = node_of(process).counters
        if any(counters.get(name) for name in EMPTIED):
            return
        held = set(process.state.replica(Plane.SHARED).slots.held)
        before = self._held.get(process, set["Slot"]())
        self._held[process] = held
        if not before <= held:
            self.wrong(f"{process.name} has nothing any more under {min(before - held)}")
        elif before:
            self.ok()
