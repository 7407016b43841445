"""Rules of what the application is told: every change once, in order, and nothing else."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from trio_gossip.events import (
    MemberEvent,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberReaped,
    MemberRecovered,
    MemberSuspected,
    MemberUpdated,
)
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import engine_time
from trio_gossip.testing.checkers.ledger import content_of

if TYPE_CHECKING:
    from trio_gossip.events import Event
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

REPLAY_TICKS: Final = 4
"""Seconds between two comparisons of a table with what its events make of it."""

_ALIVE, _SUSPECT = MemberState.ALIVE, MemberState.SUSPECT
_FAILED, _LEFT = MemberState.FAILED, MemberState.LEFT

TRANSITIONS: Final[dict[type, tuple[frozenset[MemberState | None], MemberState | None]]] = {
    MemberJoined: (frozenset((None, _FAILED, _LEFT)), _ALIVE),
    MemberUpdated: (frozenset((_ALIVE,)), _ALIVE),
    MemberSuspected: (frozenset((_ALIVE,)), _SUSPECT),
    MemberRecovered: (frozenset((_SUSPECT,)), _ALIVE),
    MemberFailed: (frozenset((_ALIVE, _SUSPECT)), _FAILED),
    MemberLeft: (frozenset((_ALIVE, _SUSPECT, _FAILED)), _LEFT),
    MemberReaped: (frozenset((_FAILED, _LEFT)), None),
}
"""For each event the states before it (None: not in the table) and the state after it."""


class VersionsWithoutGap(Checker):
    """Every change has the next version of its table, and between two turns the table is at the
    version of its last event. No tolerance.
    """

    name: ClassVar[str] = "versions-without-gap"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._last: dict[Process, int] = {}

    def event(self, process: Process, event: Event) -> None:
        if isinstance(event, MemberEvent):
            last = self._last.get(process, 0)
            if event.version != last + 1:
                self.wrong(f"{process.name}: version {event.version} after {last}: {event}")
            self._last[process] = event.version

    def tick(self) -> None:
        self.finish()

    def finish(self) -> None:
        for process in self.simulation.processes.values():
            version = process.engine.version
            if version != self._last.get(process, 0):
                self.wrong(f"{process.name}: no event for version {version}")
                self._last[process] = version
            else:
                self.ok()


class LegalTransitions(Checker):
    """Events follow the table of states in ``docs/concepts``: joined out of nothing, failed or
    left; recovered out of suspect alone; reaped out of failed or left. No tolerance.
    """

    name: ClassVar[str] = "legal-transitions"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._states: dict[Process, dict[str, MemberState]] = {}

    def event(self, process: Process, event: Event) -> None:
        if not isinstance(event, MemberEvent):
            return
        states = self._states.setdefault(process, {})
        name = event.member.name
        before = states.get(name)
        allowed, after = TRANSITIONS[type(event)]
        reaped = after is None
        if before not in allowed or event.member.state is not (before if reaped else after):
            self.wrong(f"{process.name}: {type(event).__name__} {event.member} out of {before}")
        else:
            self.ok()
        if after is None:
            states.pop(name, None)
        else:
            states[name] = event.member.state


class ReapTime(Checker):
    """A failed or left member goes out of the table ``reap_time`` after it failed or left, neither
    earlier nor later. In engine time; lateness that is no stall, and a second, are allowed.
    """

    name: ClassVar[str] = "reap-time"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._gone: dict[Process, dict[str, float]] = {}

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        gone = self._gone.setdefault(process, {})
        if after is None:
            since = gone.pop(name, None)
            if since is None:
                self.wrong(f"{process.name} removed {name}, which was neither failed nor left")
                return
            waited = engine_time(process) - since
            if waited < process.config.reap_time - 1e-3:
                self.wrong(f"{process.name} reaped {name} after {waited:.3f} s")
            else:
                self.ok()
        elif after.is_active or name == process.name:
            gone.pop(name, None)
        elif before is None or before.state is not after.state:
            gone[name] = engine_time(process)

    def ended(self, process: Process, how: str) -> None:
        self._gone.pop(process, None)

    def tick(self) -> None:
        for process, gone in self._gone.items():
            config = process.config
            most = config.reap_time + config.stall_threshold + 1.0 + 2 * process.turn_seconds
            now = engine_time(process)
            late = [name for name, since in gone.items() if now - since > most]
            for name in late:
                del gone[name]
                self.wrong(f"{process.name} still has {name}, {most:.1f} s after it was gone")


class EventsMatchTable(Checker):
    """Who replays the events of a process has its table: the same members in the same states, with
    the same address, metadata and versions. Incarnations may be behind, as a refutation that
    changes nothing else is no event, and no update either. Compared every four seconds and at
    the end.
    """

    name: ClassVar[str] = "events-match-table"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._replayed: dict[Process, dict[str, Member]] = {}
        self._changed: dict[Process, None] = {}
        self._ticks = 0

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        self._changed[process] = None

    def event(self, process: Process, event: Event) -> None:
        if isinstance(event, MemberEvent):
            self._changed[process] = None
            members = self._replayed.setdefault(process, {})
            if type(event) is MemberUpdated:
                before = event.previous
                if before is not None and content_of(before) == content_of(event.member):
                    self.wrong(f"{process.name}: an update changes nothing: {event.member}")
            if type(event) is MemberReaped:
                members.pop(event.member.name, None)
            else:
                members[event.member.name] = event.member

    def ended(self, process: Process, how: str) -> None:
        self._replayed.pop(process, None)
        self._changed.pop(process, None)

    def tick(self) -> None:
        self._ticks += 1
        if self._ticks % REPLAY_TICKS == 0:
            self.finish()

    def finish(self) -> None:
        changed, self._changed = self._changed, {}
        for process in changed:
            self._compare(process)

    def _compare(self, process: Process) -> None:
        replayed = self._replayed.get(process, {})
        table = process.engine.members(all=True)
        if len(table) != len(replayed):
            names = sorted({member.name for member in table} ^ set(replayed))
            self.wrong(f"{process.name}: events and table differ about {', '.join(names)}")
            return
        for member in table:
            told = replayed.get(member.name)
            if (
                told is None
                or told.state is not member.state
                or content_of(told) != content_of(member)
                or told.incarnation > member.incarnation
            ):
                self.wrong(f"{process.name}: events say {told}, the table {member}")
                return
        self.ok()
