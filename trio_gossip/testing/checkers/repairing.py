"""The rules of repair: sums say what the tables say, and no difference stays."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from trio_gossip.engine.tally import Tally
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.convergence import AfterFaults
from trio_gossip.testing.checkers.inside import is_leaving, node_of

if TYPE_CHECKING:
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

SLACK_SECONDS: Final = 5.0
"""Beyond two walks through the members: some mismatches in a row, and a comparison."""

SUM_TICKS: Final = 4
"""Seconds between two looks at the sums."""


class SumsMatchTable(Checker):
    """The digest of a table and the sums of its buckets, kept change by change, are those of its
    active members; so tables with the same members in the same incarnations have equal digests,
    and others have not. Looked at every four seconds where a row has changed. No tolerance.
    """

    name: ClassVar[str] = "sums-match-table"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._changed: dict[Process, None] = {}
        self._ticks = 0

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        self._changed[process] = None

    def ended(self, process: Process, how: str) -> None:
        self._changed.pop(process, None)

    def tick(self) -> None:
        self._ticks += 1
        if self._ticks % SUM_TICKS == 0:
            self.finish()

    def finish(self) -> None:
        changed, self._changed = self._changed, {}
        views: dict[int, frozenset[tuple[str, int]]] = {}
        for process in changed:
            table = node_of(process).table
            active = [entry.member for entry in table if entry.member.is_active]
            anew = Tally.of(active)
            view = frozenset((member.name, member.incarnation) for member in active)
            if (anew.digest, anew.buckets) != (table.tally.digest, table.tally.buckets):
                self.wrong(f"{process.name}: the sums are not those of its table")
            elif views.setdefault(anew.digest, view) != view:
                self.wrong(f"{process.name}: another table has the same sum")
            else:
                self.ok()


class MissedIsRepaired(AfterFaults):
    """When faults have ended, two members that count each other where they are do not differ for
    longer than two walks through the members of the one that has more of them, and five seconds,
    in which neither table changes: one of them has probed the other, and has told it, or asked.

    Not demanded of members without summaries, nor once packets of strangers were let in, nor when
    repair has found that something is refused.
    """

    name: ClassVar[str] = "missed-is-repaired"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._since: dict[tuple[Process, Process], tuple[int, int, float]] = {}
        self._equal: set[tuple[Process, Process]] = set()

    def disturbed(self) -> None:
        super().disturbed()
        self._since.clear()
        self._equal.clear()

    def ended(self, process: Process, how: str) -> None:
        super().ended(process, how)
        self.disturbed()

    def tick(self) -> None:
        if self._calm is None or self.strangers_spoke:
            return
        processes = [each for each in self.simulation.processes.values() if _repairs(each)]
        for at, one in enumerate(processes):
            for other in processes[at + 1 :]:
                self._look(one, other)

    def _look(self, one: Process, other: Process) -> None:
        mine, theirs = (node_of(each).table.tally.digest for each in (one, other))
        pair = (one, other)
        if not (_counts(one, other) and _counts(other, one)):
            self._since.pop(pair, None)
            return
        if mine == theirs:
            if self._since.pop(pair, None) is not None or pair not in self._equal:
                self._equal.add(pair)
                self.ok()
            return
        now = self.simulation.now
        since = self._since.get(pair)
        if since is None or since[:2] != (mine, theirs):
            self._since[pair] = (mine, theirs, now)
        elif now - since[2] > self._bound(one, other):
            self._since[pair] = (mine, theirs, now)
            if not (_has_given_up(one) or _has_given_up(other)):
                self.wrong(f"{one.name} and {other.name} differ for {now - since[2]:.1f} s")

    @staticmethod
    def _bound(one: Process, other: Process) -> float:
        return SLACK_SECONDS + max(
            2.0 * len(node.table) * node.awareness.scale(process.config.probe_interval)
            for process in (one, other)
            for node in (node_of(process),)
        )


def _repairs(process: Process) -> bool:
    return process.can_run and process.config.summaries and not is_leaving(process)


def _counts(process: Process, other: Process) -> bool:
    row = process.engine.member(other.name)
    return row is not None and row.is_active and row.address == other.address


def _has_given_up(process: Process) -> bool:
    return node_of(process).counters.get("repair_held", 0) > 0
