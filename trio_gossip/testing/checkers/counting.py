"""Rules of what an engine says of itself, and of when it wants to be woken."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.engine.refutation import CONFLICT_QUIET
from trio_gossip.events import NameConflict
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import clock_of, engine_time, is_leaving, node_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.engine.outputs import Output
    from trio_gossip.events import Event
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

LOOK_TICKS: Final = 5
"""Seconds between two looks at statistics."""

TURNS_AT_ONCE: Final = 20_000
"""Turns in one moment of virtual time after which somebody is taken to be in a loop. A full inbox,
once its process is resumed, makes about a thousand."""


REFUSAL_DUE: Final = "refusal due: "
"""How a note of the test begins which says that a member is about to get what it has to refuse; the
beginning of the counters that have to count it follows."""

REFUSAL_SECONDS: Final = 1.0
"""Within which it has come."""

ROUNDING: Final = 1e-6
"""Seconds by which two clocks that are converted into each other may seem to differ."""


class EndlessTurnsError(RuntimeError):
    """An engine wants a turn in the same moment for ever; raised to end the run."""


@attrs.define
class _Seen:
    active: int = 0
    rows: int = 0
    probes: int = 0
    raises: int = 0
    conflicts: int = 0
    told: dict[tuple[str, Address], float] = attrs.field(factory=dict["tuple[str, Address]", float])
    """When the application heard of each conflict the last time."""
    malformed: int = 0
    due: list[tuple[float, str]] = attrs.field(factory=list["tuple[float, str]"])
    """Refusals that the test has announced: when, and the beginning of their counters."""
    refusals: list[tuple[float, Address]] = attrs.field(factory=list["tuple[float, Address]"])
    """Words that nobody listens, which are under way: when they come, and of where."""
    refused: int = 0
    unsure: int = 0
    """Those for addresses at which somebody began to listen meanwhile, perhaps not for long."""


class StatisticsMatch(Checker):
    """The statistics of an engine agree with what was seen of it from outside: members and active
    ones with the changes of its table, refutations with its own incarnations, conflicts with
    events, of which each comes once in a while only; ended probes are not more than pings that
    were sent, and dropped packets not fewer than those that cannot be read; refused ones are
    those for which the network said so; what a test knows to be wrong was refused; the health
    score stays in its range. Looked at every five seconds and at the end.
    """

    name: ClassVar[str] = "statistics-match-trace"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._seen: dict[Process, _Seen] = {}
        self._ticks = 0

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        seen = self._seen.setdefault(process, _Seen())
        seen.rows += (after is not None) - (before is not None)
        seen.active += (after is not None and after.is_active) - (
            before is not None and before.is_active
        )
        if name == process.name and before is not None and after is not None:
            seen.raises += (
                before.state is after.state is MemberState.ALIVE
                and after.incarnation > before.incarnation
            )

    def ping_sent(self, process: Process, address: Address) -> None:
        seen = self._seen.get(process)
        if seen is not None:
            seen.probes += 1

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        if not messages and process in self._seen:
            self._seen[process].malformed += 1

    def injected(self, kind: str, names: tuple[str, ...]) -> None:
        if kind.startswith(REFUSAL_DUE):
            for process, seen in self._seen.items():
                if process.name in names:
                    now = self.simulation.schedule.now
                    seen.due.append((now, kind.removeprefix(REFUSAL_DUE)))

    def event(self, process: Process, event: Event) -> None:
        if type(event) is NameConflict:
            seen = self._seen.setdefault(process, _Seen())
            seen.conflicts += 1
            key, now = (event.existing.name, event.other), engine_time(process)
            last = seen.told.get(key)
            if last is not None and now - last < CONFLICT_QUIET - ROUNDING:
                self.wrong(f"{process.name} tells of {event} again after {now - last:.1f} s")
            seen.told[key] = now

    def refused(self, process: Process, address: Address, due: float) -> None:
        if process in self._seen:
            self._seen[process].refusals.append((due, address))

    def started(self, process: Process) -> None:
        self._take_refusals()
        for seen in self._seen.values():  # somebody listens there now
            kept = [each for each in seen.refusals if each[1] != process.address]
            seen.unsure += len(seen.refusals) - len(kept)
            seen.refusals = kept

    def _take_refusals(self) -> None:
        """Count what has come by now; of the very moment it is not known if it came already."""
        before = self.simulation.schedule.now - ROUNDING
        for seen in self._seen.values():
            under_way = [each for each in seen.refusals if each[0] >= before]
            seen.refused += len(seen.refusals) - len(under_way)
            seen.refusals = under_way

    def ended(self, process: Process, how: str) -> None:
        self._take_refusals()  # of others, before the address is free
        self._seen.pop(process, None)

    def tick(self) -> None:
        self._ticks += 1
        if self._ticks % LOOK_TICKS == 0:
            self.finish()

    def finish(self) -> None:
        self._take_refusals()
        for process, seen in self._seen.items():
            if process.running:
                self._compare(process, seen)

    def _compare(self, process: Process, seen: _Seen) -> None:
        said = process.engine.statistics()
        count = said.counters.get
        probes = sum(
            count(f"probe_{how}", 0)
            for how in ("acked", "acked_indirectly", "acked_by_stream", "failed")
        )
        dropped = _total(said.counters, "packet_")
        refused = count("packet_refused", 0) + count("packet_refused_stranger", 0)
        settled = process.can_run and not process.waiting and not seen.refusals
        faults = [
            text
            for holds, text in (
                (said.active == seen.active, f"{said.active} active, seen {seen.active}"),
                (said.members == seen.rows, f"{said.members} rows, seen {seen.rows}"),
                (0 <= said.health_score < process.config.awareness_max, "health out of range"),
                (probes <= seen.probes, f"{probes} probes ended, {seen.probes} pings sent"),
                (
                    count("refuted", 0) <= seen.raises,
                    f"refuted {count('refuted', 0)} times, raised itself {seen.raises} times",
                ),
                (count("name_conflict", 0) == seen.conflicts, "conflicts are not the events"),
                (dropped >= seen.malformed, f"{dropped} dropped, {seen.malformed} malformed"),
                (
                    not settled or 0 <= refused - seen.refused <= seen.unsure,
                    f"{refused} packets refused, the network said so {seen.refused} times",
                ),
                (count("stalled", 0) == said.stalls, "stalls are not those of the clock"),
                (said.next_deadline_reason != "" or is_leaving(process), "nothing to wake for"),
            )
            if not holds
        ]
        before = self.simulation.schedule.now - REFUSAL_SECONDS
        dues = Counter(prefix for time, prefix in seen.due if time < before)
        for prefix, due in dues.items():
            if process.can_run and not process.waiting and _total(said.counters, prefix) < due:
                faults.append(f"{due} times something was to be refused as {prefix}")
        if faults:
            self.wrong(f"{process.name}: {'; '.join(faults)}")
        else:
            self.ok()


def _total(counters: Mapping[str, int], prefix: str) -> int:
    """All counts whose names begin so; what the network refused is not for the member to refuse."""
    return sum(
        count
        for name, count in counters.items()
        if name.startswith(prefix) and not name.startswith("packet_refused")
    )


class CountersMonotone(Checker):
    """Counters are never negative and never fall, nor does engine time. Looked at every five
    seconds and at the end.
    """

    name: ClassVar[str] = "counters-monotone"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._last: dict[Process, tuple[float, dict[str, int]]] = {}
        self._ticks = 0

    def tick(self) -> None:
        self._ticks += 1
        if self._ticks % LOOK_TICKS == 0:
            self.finish()

    def ended(self, process: Process, how: str) -> None:
        self._last.pop(process, None)

    def finish(self) -> None:
        for process in self.simulation.processes.values():
            time, counters = self._last.get(process, (0.0, {}))
            present = dict(node_of(process).counters)
            fallen = [name for name, count in counters.items() if present.get(name, 0) < count]
            negative = [name for name, count in present.items() if count < 0]
            back = time - engine_time(process)
            if fallen or negative or back > ROUNDING:
                self.wrong(f"{process.name}: {fallen} fell, {negative} below 0, time by {back:.3f}")
            else:
                self.ok()
            self._last[process] = (engine_time(process), present)


class Progress(Checker):
    """A process wants to be woken again, at a finite time, until it has left; when it can run it is
    never overdue; and it does not want turn after turn in one moment.

    Raises:
        EndlessTurnsError: from the hook, to end a run that would never end.
    """

    name: ClassVar[str] = "progress"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._moment = -1.0
        self._turns = 0
        self._overdue: set[Process] = set()

    def turned(self, process: Process, outputs: list[Output]) -> None:
        now = self.simulation.schedule.now
        if now != self._moment:
            self._moment = now
            self._turns = 0
            return
        self._turns += 1
        if self._turns >= TURNS_AT_ONCE:
            text = f"{TURNS_AT_ONCE} turns in one moment, the last of {process.name}"
            self.wrong(text)
            raise EndlessTurnsError(text)

    def tick(self) -> None:
        now = self.simulation.now
        before, self._overdue = self._overdue, set()
        for process in self.simulation.processes.values():
            deadline = process.virtual(process.engine.next_deadline)
            if math.isnan(deadline) or (deadline == math.inf and not is_leaving(process)):
                self.wrong(f"{process.name} never wants to be woken again")
            elif process.can_run and deadline < now:
                # Once may be in the middle of what waited for it; the next tick is a second later.
                self._overdue.add(process)
                if process in before and now - deadline > 1.0:
                    self.wrong(f"{process.name} was to be woken at {deadline:.3f}")
            else:
                self.ok()


class StallIsReal(Checker):
    """Engine time stands still only while a process did: what it takes for a stall is no longer
    than the time since its turn before, and the lateness that is no stall yet. A stall that is
    none would move all deadlines and lower the health score. Processes whose own clock was made
    to jump or drift are not judged.
    """

    name: ClassVar[str] = "stall-is-real"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._turns: dict[Process, float] = {}
        self._stalls: dict[Process, tuple[int, float]] = {}

    def turned(self, process: Process, outputs: list[Output]) -> None:
        now = self.simulation.schedule.now
        last = self._turns.get(process, now)
        self._turns[process] = now
        clock = clock_of(process)
        if clock.stalls:
            stalls, stalled = self._stalls.get(process, (0, 0.0))
            if clock.stalls != stalls:
                self._stalls[process] = (clock.stalls, clock.stalled)
                self._judge(process, clock.stalled - stalled, now - last)

    def _judge(self, process: Process, stalled: float, elapsed: float) -> None:
        if process.clock_skewed:
            return
        if stalled <= elapsed + process.config.stall_threshold:
            self.ok()
        else:
            self.wrong(f"{process.name} stalled for {stalled:.3f} s within {elapsed:.3f} s")

    def ended(self, process: Process, how: str) -> None:
        self._turns.pop(process, None)
        self._stalls.pop(process, None)
