"""What the detector that weighs evidence promises if a single fault befalls a healthy cluster."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.events import MemberFailed
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.expected import (
    TRANSMISSIONS,
    attempt_seconds,
    back_seconds,
    graded_longest,
    known_seconds,
)
from trio_gossip.testing.checkers.inside import active_of, is_leaving, weighs
from trio_gossip.testing.checkers.ledger import Ledger

if TYPE_CHECKING:
    from trio_gossip.config import Config
    from trio_gossip.events import Event
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.befallen import Blow
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

SHARE: Final = 0.9
"""Of a floor for which a silence is forgiven for sure: the rest is for the refutation."""

BREATH: Final = 3.0
"""Seconds between two outages of a member, below which they are one: it has to be heard between."""

OUTAGES: Final = ("paused", "cut off")
"""What may befall a member without its being declared failed, if it is short."""

NEWCOMER_SECONDS: Final = 5.0
"""After its start a member is a newcomer, whom not all know."""


def _is_alone(simulation: Simulation, process: Process) -> bool:
    return 2 * active_of(process) < len(simulation.processes)


class OutagesForgiven(Checker):
    """A process that stands still for less than ``floor_stalled``, and a member that the network
    cuts off from all others for less than ``floor_silent``, are not declared failed, nor do they
    declare anybody failed, in a cluster to which nothing else happens (the promise of each
    profile). By nine tenths of these: the rest is for the refutation.

    Without streams or their evidence a process that stands still is like a silent one. Several
    outages of one member are one if it had less than ``BREATH`` seconds between them. Not judged
    where packets are told on too seldom to be heard (``retransmit_mult``), by or of who counts less
    than half of the members, once strangers have spoken, nor of former lives.
    """

    name: ClassVar[str] = "outages-forgiven"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._ledger = Ledger()

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        self._ledger.note(process, name, after)

    def finish(self) -> None:
        if any(blow.what in OUTAGES for blow in self.simulation.befallen.since(0.0)):
            self.ok()

    def event(self, process: Process, event: Event) -> None:
        if type(event) is not MemberFailed or not weighs(process) or self.strangers_spoke:
            return
        simulation = self.simulation
        name = event.member.name
        subject = simulation.processes.get(name)
        if subject is None or subject.engine.local.state is not MemberState.ALIVE:
            return
        if self._ledger.lives_at(name, event.member.incarnation) != [subject]:
            return
        config = process.config
        if config.retransmit_mult < TRANSMISSIONS:
            return
        if _is_alone(simulation, process) or _is_alone(simulation, subject):
            return
        horizon = graded_longest(config) + config.quiet + 4 * attempt_seconds(config)
        blows = list(simulation.befallen.since(simulation.now - horizon))
        outage = _single(blows, simulation.now)
        if outage is None:
            return
        forgiven = SHARE * _forgiven(config, outage.what)
        lasted = outage.ended - outage.began
        if lasted <= forgiven:
            self.wrong(
                f"{process.name} declared {name} failed, as {outage.name} was {outage.what} for"
                f" {lasted:.2f} s from t={outage.began:.2f}"
            )
        else:
            self.ok()


def _single(blows: list[Blow], now: float) -> Blow | None:
    """The one outage of a single member that all of it amounts to, the longest one; or None."""
    found: list[Blow] = []
    for blow in sorted(blows, key=lambda blow: blow.began):
        if blow.what not in OUTAGES or (found and found[0].name != blow.name):
            return None
        ended = min(blow.ended, now)
        last = found[-1] if found else None
        if last is not None and blow.began - last.ended < BREATH:
            last.ended = max(last.ended, ended)
            last.what = "cut off" if "cut off" in (last.what, blow.what) else "paused"
        else:
            found.append(attrs.evolve(blow, ended=ended))
    return max(found, key=lambda blow: blow.ended - blow.began, default=None)


def _forgiven(config: Config, what: str) -> float:
    sees = config.stream_pings and config.kernel_evidence and config.stream_ping_filter is None
    return config.floor_stalled if what == "paused" and sees else config.floor_silent


@attrs.define
class _Gone:
    process: Process
    at: float
    host: bool
    watchers: list[Process]


class GoneIsKnown(Checker):
    """In a cluster to which nothing else happens all know that a process was killed after two ring
    intervals, the timeouts of one attempt, ``floor_refused`` and a moment for the news; and that a
    host is gone after the same with ``floor_silent``, which goes for a killed process as well
    where streams or their evidence are not used (``docs/detector``).

    Judged where a ring is kept, and three members or more were there for some seconds; of who ran
    all that time. Seconds are virtual, since nothing stands still.
    """

    name: ClassVar[str] = "gone-is-known"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._gone: list[_Gone] = []

    def ended(self, process: Process, how: str) -> None:
        simulation = self.simulation
        watchers = [
            other
            for other in simulation.processes.values()
            if _counts(other, process.name)
            and weighs(other)
            and other.config.ring_interval is not None
            and simulation.now - other.started_at > NEWCOMER_SECONDS
        ]
        if how != "crash" or len(watchers) < 2 or self.strangers_spoke or is_leaving(process):
            return
        if simulation.now - process.started_at <= NEWCOMER_SECONDS:
            return
        before = simulation.now - NEWCOMER_SECONDS
        blows = [
            blow
            for blow in simulation.befallen.since(before)
            if blow.name != process.name and blow.ended >= before
        ]
        own = [blow for blow in simulation.befallen.since(before) if blow.name == process.name]
        if blows or len(own) != 1:
            return
        host = own[0].what == "host gone"
        self._gone.append(_Gone(process, simulation.now, host, watchers))

    def started(self, process: Process) -> None:
        self._gone = [gone for gone in self._gone if gone.process.address != process.address]
        self._gone = [gone for gone in self._gone if gone.process.name != process.name]

    def tick(self) -> None:
        simulation = self.simulation
        for gone in list(self._gone):
            others = [
                blow
                for blow in simulation.befallen.since(gone.at)
                if blow.name != gone.process.name
            ]
            config = gone.watchers[0].config
            if others or self.strangers_spoke:
                self._gone.remove(gone)
            elif simulation.now - gone.at > known_seconds(config, host=gone.host):
                self._gone.remove(gone)
                late = [
                    other.name
                    for other in gone.watchers
                    if other.running and not is_leaving(other) and _counts(other, gone.process.name)
                ]
                if late:
                    what = "whose host is gone" if gone.host else "which was killed"
                    self.wrong(
                        f"{', '.join(late)} count {gone.process.name}, {what} at t={gone.at:.2f}"
                    )
                else:
                    self.ok()


def _counts(process: Process, name: str) -> bool:
    row = process.engine.member(name)
    return row is not None and row.is_active


class BuriedComesBack(Checker):
    """A member that most others wrongly hold failed is counted by all of them again within two
    probe intervals, an attempt and a moment for the news, once nothing hinders it any more: wrong
    verdicts must cost little. It asks somebody in each interval, who tells it.

    Judged by virtual seconds without any fault, of members that count more than half of those that
    run, and where all who judge it have run for some seconds; not once strangers have spoken.
    """

    name: ClassVar[str] = "buried-comes-back"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._since: dict[Process, float] = {}
        self._buried: dict[Process, None] = {}

    def started(self, process: Process) -> None:
        self._since.clear()

    def ended(self, process: Process, how: str) -> None:
        self._since.clear()
        self._buried.pop(process, None)

    def tick(self) -> None:
        simulation = self.simulation
        now = simulation.now
        self._come_back()
        if self.strangers_spoke or any(True for _ in simulation.befallen.since(now - 1.0)):
            self._since.clear()
            return
        running = list(simulation.processes.values())
        if any(now - other.started_at < NEWCOMER_SECONDS for other in running):
            self._since.clear()
            return
        for subject in running:
            if not weighs(subject) or is_leaving(subject) or _is_alone(simulation, subject):
                self._since.pop(subject, None)
                continue
            buriers = [other for other in running if _buries(other, subject)]
            since = self._since.get(subject)
            if since is None:
                if 2 * len(buriers) > len(running):
                    self._since[subject] = now
            elif not buriers:
                del self._since[subject]
            elif now - since > back_seconds(subject.config):
                names = ", ".join(other.name for other in buriers)
                self.wrong(f"{names} hold {subject.name} failed for {now - since:.1f} s of peace")
                del self._since[subject]

    def _come_back(self) -> None:
        """Count those who are back, also those who were so fast that nothing had to be judged."""
        running = list(self.simulation.processes.values())
        for subject in running:
            buriers = sum(_buries(other, subject) for other in running)
            if 2 * buriers > len(running) and weighs(subject):
                self._buried[subject] = None
            elif not buriers and subject in self._buried:
                del self._buried[subject]
                self.ok()


def _buries(process: Process, subject: Process) -> bool:
    row = process.engine.member(subject.name)
    return process is not subject and row is not None and row.state is MemberState.FAILED
