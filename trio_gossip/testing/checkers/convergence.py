"""Rules for the time after all faults: the cluster heals, agrees, and falls silent."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from trio_gossip.engine import OpenExchange
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.expected import (
    detection_probes,
    heal_seconds,
    settle_seconds,
)
from trio_gossip.testing.checkers.inside import active_of
from trio_gossip.testing.checkers.pace import Pace

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.engine.outputs import Output
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

AGREE_TICKS: Final = 5
"""Seconds between two looks at whether all still agree."""


class AfterFaults(Checker):
    """Knows when the last thing happened that a cluster has to settle from."""

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._calm: float | None = None
        """Since when nothing happens, or None while faults go on."""
        self._agrees: bool | None = None

    def calm(self) -> None:
        self._calm = self.simulation.now
        self.disturbed()

    def disturbed(self) -> None:
        """Something happens from outside: the cluster may need all its time again."""
        self._agrees = None
        if self._calm is not None:
            self._calm = self.simulation.now

    def agree(self) -> bool:
        """:meth:`Simulation.agree`, asked again only when some row has changed."""
        if self._agrees is None:
            self._agrees = self.simulation.agree()
        return self._agrees

    def started(self, process: Process) -> None:
        self.disturbed()

    def ended(self, process: Process, how: str) -> None:
        self.disturbed()

    def injected(self, kind: str, names: tuple[str, ...]) -> None:
        self.disturbed()

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        self._agrees = None
        if (
            name == process.name
            and before is not None
            and after is not None
            and (before.meta != after.meta or before.state is not after.state)
        ):
            self.disturbed()


def parts_of(simulation: Simulation) -> dict[str, str]:
    """The parts of the cluster that are lost to each other: for each running process the name of
    one in its part. Two are in one part if one of them counts the other as a member where it
    really is; so are the parts of both.
    """
    processes = simulation.processes
    group = {name: name for name in processes}

    def root(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for name, process in processes.items():
        for member in process.engine.members():
            other = processes.get(member.name)
            if other is not None and other.address == member.address:
                group[root(name)] = root(member.name)
    return {name: root(name) for name in processes}


class Healing(AfterFaults):
    """When faults have ended, no part of the cluster stays lost to the others for longer than six
    of the longest waits between two tries of a lost address (hashicorp/memberlist issue 222:
    it stays so for ever). Why six, ``expected.heal_seconds`` says.

    Demanded while somebody in one part has a reason to look for somebody in another: it dialled
    that address when it was alone (a seed), or held that member failed there last. Counted as
    checked in runs in which parts were lost when the faults ended.
    """

    name: ClassVar[str] = "healing"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._lost_since: float | None = None
        self._healed = False
        self._alone: set[Process] = set()
        self._sought: dict[Process, dict[Address, None]] = {}

    def disturbed(self) -> None:
        super().disturbed()
        self._lost_since = None
        self._healed = False

    def started(self, process: Process) -> None:
        super().started(process)
        self._alone.add(process)

    def ended(self, process: Process, how: str) -> None:
        super().ended(process, how)
        self._alone.discard(process)
        self._sought.pop(process, None)

    def turned(self, process: Process, outputs: list[Output]) -> None:
        if process in self._alone:
            sought = self._sought.setdefault(process, {})
            for output in outputs:
                if type(output) is OpenExchange:
                    sought[output.address] = None
            if active_of(process) > 1:
                self._alone.discard(process)

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        super().changed(process, name, before, after)
        if after is not None and name != process.name:
            sought = self._sought.setdefault(process, {})
            if after.state is MemberState.FAILED:
                sought[after.address] = None
            elif after.state is MemberState.LEFT:
                sought.pop(after.address, None)

    def tick(self) -> None:
        processes = self.simulation.processes
        if self._calm is None or self._healed or self._calm == self.simulation.now:
            return
        parts = parts_of(self.simulation)
        if len(set(parts.values())) < 2:
            if self._lost_since is not None:
                self.ok()
            self._healed = True
        elif not self._may_heal(parts):
            self._lost_since = None
        elif self._lost_since is None:
            self._lost_since = self.simulation.now
        else:
            bound = max(heal_seconds(process.config) for process in processes.values())
            if self.simulation.now - self._lost_since > bound:
                views = views_of(self.simulation)
                self.wrong(f"parts are lost to each other for {bound:.0f} s: {views}")
                self._healed = True

    def _may_heal(self, parts: dict[str, str]) -> bool:
        running = self.simulation.processes
        places = {process.address: parts[name] for name, process in running.items()}
        return any(
            places.get(address, part) != part
            for name, part in parts.items()
            for address in self._sought.get(running[name], ())
        )


class Convergence(AfterFaults):
    """When faults have ended and no part is lost, all running processes see exactly the running
    ones, in one version, within ``expected.settle_seconds``: each finds out alone who is gone
    at the latest (longer while it is unhealthy, in probe intervals as for ``detection-bound``),
    and learns who is there from two exchanges of tables. From then on they agree at every look.
    A look every five seconds; nothing is said of runs that end before.
    """

    name: ClassVar[str] = "convergence"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._linked: float | None = None
        self._pace = Pace()
        self._paces: dict[Process, float] = {}
        self._agreed: float | None = None
        self._ticks = 0
        self.slowest = 0.0
        """Seconds from when no part was lost to the first look at which all agreed."""

    def disturbed(self) -> None:
        super().disturbed()
        self._linked = self._agreed = None

    def tick(self) -> None:
        simulation = self.simulation
        if self._calm is None or not simulation.processes or self._calm == simulation.now:
            return
        if self._linked is None:
            if len(set(parts_of(simulation).values())) > 1:
                return
            self._linked = simulation.now
            self._pace.step(simulation)
            self._paces = {
                process: self._pace.intervals(process) for process in simulation.processes.values()
            }
        self._ticks += 1
        if self._agreed is not None and self._ticks % AGREE_TICKS:
            return
        self._look()

    def _look(self) -> None:
        simulation = self.simulation
        if self._linked is None:
            return
        waited = simulation.now - self._linked
        late = waited > self._bound() and self._had_their_probes()
        if self.agree():
            if self._agreed is None:
                self._agreed = simulation.now
                self.slowest = max(self.slowest, waited)
            if late:
                self.ok()
        elif late:
            self.wrong(f"no agreement after {waited:.1f} s: {views_of(simulation)}")
            self.disturbed()

    def _had_their_probes(self) -> bool:
        """True when nobody is so unhealthy that it still may be finding out who is gone."""
        self._pace.step(self.simulation)
        return all(
            self._pace.intervals(process) - since
            > detection_probes(process.config, self._pace.peak(process))
            for process, since in self._paces.items()
        )

    def _bound(self) -> float:
        processes = self.simulation.processes.values()
        n = len(processes) + len({grave.name for grave in self.simulation.graves})
        return max(settle_seconds(process.config, n) for process in processes)

    def finish(self) -> None:
        if self._calm is not None and self.simulation.processes:
            self._look()


def views_of(simulation: Simulation) -> str:
    """Who is missing or too many in whose view, in few words."""
    running = set(simulation.processes)
    found: list[str] = []
    for name, process in simulation.processes.items():
        seen = process.active_names()
        missing, extra = sorted(running - seen), sorted(seen - running)
        if missing or extra:
            found.append(f"{name} lacks {','.join(missing) or '-'} has {','.join(extra) or '-'}")
    return "; ".join(found[:4]) or "the same members, in different versions"
