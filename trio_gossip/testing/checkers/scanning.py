"""Rules of who is asked and when, of the detector that weighs evidence: ring, scan, suspects."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.codec.messages import Ping
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.expected import ring_order
from trio_gossip.testing.checkers.inside import (
    attempts_of,
    engine_time,
    graded_of,
    is_isolated,
    is_leaving,
    is_private,
    is_rechecked,
    node_of,
    weighs,
)
from trio_gossip.testing.checkers.wire import PING, first_code, messages_of

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

WINDOW: Final = 8.0
"""Intervals of the slower loop over which the rate of probes is measured."""

LEAST_SHARE: Final = 0.8
"""Of the attempts that are due as many are begun at least."""

ENOUGH: Final = 4
"""Alive members from which on no loop lacks somebody to ask."""

RESTLESS: Final = 8
"""Pings of a suspect beyond what its accusers ask regularly: the hasty first ones, and last ones of
verdicts that were put off."""

SLOWER: Final = 4.0
"""How many times longer an accuser waits when the suspect has not answered for long."""


@attrs.define
class _Window:
    began: float
    counts: tuple[int, int]
    attempts: dict[int, None] = attrs.Factory(dict[int, None])
    few: bool = False


class ScanRate(Checker):
    """A process begins one attempt in each ``ring_interval`` and one in each ``scan_interval``:
    never more, and hardly less (``docs/detector``).

    Counted are attempts that ping in windows of eight intervals, without those that a doubt begins
    (which the process counts) and those about private suspects. ``LEAST_SHARE`` of what is due,
    less two and less those that were left out as a former one went on, are the fewest, unless the
    process knew fewer than four alive members at some time.
    """

    name: ClassVar[str] = "scan-rate"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._windows: dict[Process, _Window] = {}
        self._known: dict[Process, dict[int, None]] = {}

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        window = self._windows.get(process)
        if window is None or first_code(data) != PING:
            return
        ping = messages_of(data)[0]
        if not isinstance(ping, Ping) or ping.sequence not in attempts_of(process):
            return
        known = self._known.setdefault(process, {})
        if ping.sequence not in known and not is_rechecked(process, ping.target):
            window.attempts[ping.sequence] = None
        known[ping.sequence] = None

    def ended(self, process: Process, how: str) -> None:
        self._windows.pop(process, None)
        self._known.pop(process, None)

    def tick(self) -> None:
        for process in self.simulation.processes.values():
            if not weighs(process):
                continue
            window = self._windows.get(process)
            if is_leaving(process):
                self._windows.pop(process, None)  # it may come back, and begin anew
                continue
            if window is None:
                self._begin(process)
                continue
            window.few |= _alive(process) < ENOUGH
            config = process.config
            seconds = engine_time(process) - window.began
            if seconds >= WINDOW * max(config.scan_interval, config.ring_interval or 0.0):
                self._judge(process, window, seconds)
                self._begin(process)

    def _begin(self, process: Process) -> None:
        now = engine_time(process)
        self._windows[process] = _Window(now, _counts(process), few=_alive(process) < ENOUGH)
        self._known[process] = dict.fromkeys(attempts_of(process))

    def _judge(self, process: Process, window: _Window, seconds: float) -> None:
        config = process.config
        due = seconds / config.scan_interval
        due += 0.0 if config.ring_interval is None else seconds / config.ring_interval
        looks, skipped = (
            now - before for now, before in zip(_counts(process), window.counts, strict=True)
        )
        count = len(window.attempts)
        least = 0.0 if window.few else LEAST_SHARE * due - 2 - skipped
        if not least <= count <= due + 2 + looks:
            self.wrong(
                f"{process.name} began {count} attempts in {seconds:.1f} s, {looks} of them for a"
                f" doubt, and left {skipped} out; {due:.1f} were due"
            )
        else:
            self.ok()


def _counts(process: Process) -> tuple[int, int]:
    get = node_of(process).counters.get
    return get("looks", 0), get("probe_skipped", 0)


def _alive(process: Process) -> int:
    """Alive members that a process knows, without itself and those that it suspects in private."""
    members = process.engine.members()
    return sum(member.state is MemberState.ALIVE for member in members) - 1


class RingKept(Checker):
    """Every member is watched by the one before it in the order of hashed names: that one asks the
    nearest alive member after it in each ``ring_interval``.

    Judged where a process has held the same rows for two intervals and the longest timeout, has
    left no probe out in that time, and is no slow one. A private suspect is not alive here.
    """

    name: ClassVar[str] = "ring-kept"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._since: dict[Process, float] = {}
        self._asked: dict[Process, dict[Address, float]] = {}
        self._skipped: dict[Process, int] = {}

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        self._since[process] = engine_time(process)

    def ping_sent(self, process: Process, address: Address) -> None:
        if weighs(process):
            self._asked.setdefault(process, {})[address] = engine_time(process)

    def ended(self, process: Process, how: str) -> None:
        for kept in (self._since, self._asked, self._skipped):
            kept.pop(process, None)

    def tick(self) -> None:
        for process in self.simulation.processes.values():
            config = process.config
            if not weighs(process) or config.ring_interval is None:
                continue
            now = engine_time(process)
            skipped = _counts(process)[1]
            busy = skipped != self._skipped.get(process, 0)
            self._skipped[process] = skipped
            if busy or is_leaving(process) or process.turn_seconds:
                self._since[process] = now
                continue
            names = [
                member.name
                for member in process.engine.members()
                if member.state is MemberState.ALIVE and member.name != process.name
            ]
            order = ring_order(process.name, names)
            row = process.engine.member(order[0]) if order else None
            if row is None:
                continue
            last = max(
                self._since.get(process, now), self._asked.get(process, {}).get(row.address, 0.0)
            )
            bound = 2 * config.ring_interval + 4 * config.rto_ceil + config.stall_threshold
            if now - last > bound:
                self.wrong(f"{process.name} has not asked {row.name} for {now - last:.2f} s")
                self._since[process] = now
            else:
                self.ok()


class SuspectsAsked(Checker):
    """Who accuses a member goes on asking it, each ``reprobe`` seconds, and after long silence a
    quarter as often; not more often, so that a process that stands still does not find its queues
    full. In engine time, with a second of tolerance.
    """

    name: ClassVar[str] = "suspects-are-asked"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._asked: dict[tuple[Process, str], list[float]] = {}

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if first_code(data) != PING or not weighs(process):
            return
        ping = messages_of(data)[0]
        cases = graded_of(process)
        if isinstance(ping, Ping) and ping.target in cases:
            if cases[ping.target].sequence != ping.sequence:
                return
            self._asked.setdefault((process, ping.target), []).append(engine_time(process))

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if after is None or after.state is not MemberState.SUSPECT:
            self._asked.pop((process, name), None)

    def ended(self, process: Process, how: str) -> None:
        for key in [key for key in self._asked if key[0] is process]:
            del self._asked[key]

    def tick(self) -> None:
        for process in self.simulation.processes.values():
            if process.turn_seconds or not weighs(process):
                continue
            now = engine_time(process)
            for name, case in graded_of(process).items():
                if process.name not in case.found or node_of(process).counters.get(
                    "questions_full"
                ):
                    continue
                self._judge(process, name, now, case.started)

    def _judge(self, process: Process, name: str, now: float, started: float) -> None:
        config = process.config
        asked = self._asked.get((process, name), [])
        if asked:
            quick = now - asked[0] if is_private(process, name) else config.quiet
            quick += 8 * config.reprobe + 3 * config.quiet
            slow = max(0.0, now - asked[0] - quick)
            most = RESTLESS + min(quick, now - asked[0]) / config.reprobe
            most += slow / (SLOWER * config.reprobe) * (2 if is_isolated(process) else 1)
            if len(asked) > 2 * most:
                self.wrong(
                    f"{process.name} asked {name} {len(asked)} times in {now - started:.1f} s"
                )
                return
        last = asked[-1] if asked else started
        if now - last > SLOWER * config.reprobe + config.stall_threshold + 1.0:
            self.wrong(
                f"{process.name} accuses {name}, and has not asked it for {now - last:.2f} s"
            )
            self._asked[process, name] = [now]
        else:
            self.ok()
