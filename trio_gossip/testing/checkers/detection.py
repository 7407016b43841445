"""Rules of the failure detector: who is declared failed, how soon, after how long a suspicion."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.codec.messages import Suspect
from trio_gossip.events import MemberFailed, Reason
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.expected import (
    TRANSMISSIONS,
    detection_probes,
    suspicion_seconds,
)
from trio_gossip.testing.checkers.inside import (
    active_of,
    engine_time,
    is_leaving,
    suspicions_of,
    weighs,
)
from trio_gossip.testing.checkers.ledger import Ledger
from trio_gossip.testing.checkers.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.events import Event
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

ROUNDING: Final = 0.001
"""memberlist cuts both the scale of a suspicion and its seconds to so much."""


class NoFalseFailure(Checker):
    """A member that runs is not declared failed (Lifeguard section III).

    Mild faults are no excuse: packet loss up to a tenth, duplication, reordering, short pauses.
    Not judged when the member, the observer or one of the accusers is excused (who is cut off
    or was paused for long accuses others wrongly), nor when the accusation is of a former
    life or of an incarnation that two lives had. Nor with the local preset, whose two
    transmissions are made for a network that loses nothing: a refutation may miss somebody. Nor
    when the observer or the member counts less than half of those that run: its join failed. Such
    an observer has nobody to ask for help. Such a member has nobody to tell that it lives, and
    may answer strangers with no more bytes than they sent, less than a refutation takes.
    """

    name: ClassVar[str] = "no-false-failure"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._ledger = Ledger()

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        self._ledger.note(process, name, after)

    def event(self, process: Process, event: Event) -> None:
        if type(event) is not MemberFailed:
            return
        member = event.member
        subject = self.simulation.processes.get(member.name)
        if subject is None or subject.engine.local.state is not MemberState.ALIVE:
            self.ok()
            return
        if self._ledger.lives_at(member.name, member.incarnation) != [subject]:
            self.ok()
            return
        if process.config.retransmit_mult < TRANSMISSIONS:
            return
        if self._is_alone(process) or self._is_alone(subject):
            return
        covers = self.simulation.excuses.covers
        if any(map(covers, (member.name, process.name, *event.accusers))):
            return
        self.wrong(
            f"{process.name} declared {member.name} failed, which runs:"
            f" {event.reason}, accused by {', '.join(event.accusers)}"
        )

    def _is_alone(self, process: Process) -> bool:
        return 2 * active_of(process) < len(self.simulation.processes)


class DetectionBound(Checker):
    """A member that is gone is declared failed (or left) by each process that counts it, within
    ``2 (N - 1) + 4`` of its healthy probe intervals and the longest suspicion.

    Even alone, whatever is lost or cut: it meets every member within two walks (SWIM section
    4.3), an unhealthy process takes score + 1 as long for each (Lifeguard), four intervals are
    slack, and nobody may confirm. N is the most members that the process has counted. Begins
    anew when late news makes the member alive again; ends when the process leaves.
    """

    name: ClassVar[str] = "detection-bound"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._pace = Pace()
        self._waiting: dict[str, dict[Process, tuple[float, float]]] = {}

    def started(self, process: Process) -> None:
        self._waiting.pop(process.name, None)

    def ended(self, process: Process, how: str) -> None:
        self._pace.forget(process)
        for waiting in self._waiting.values():
            waiting.pop(process, None)
        for observer in self.simulation.processes.values():
            row = observer.engine.member(process.name)
            if row is not None and row.is_active:
                self._wait(observer, process.name)

    def _wait(self, observer: Process, name: str) -> None:
        begun = (self._pace.intervals(observer), self.simulation.now)
        self._waiting.setdefault(name, {})[observer] = begun

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if name in self.simulation.processes or name == process.name:
            return
        waiting = self._waiting.get(name, {})
        if after is None or not after.is_active:
            if waiting.pop(process, None) is not None:
                self.ok()
        elif after.state is MemberState.ALIVE and self._has_lived(name):
            self._wait(process, name)

    def _has_lived(self, name: str) -> bool:
        return any(grave.name == name for grave in self.simulation.graves)

    def tick(self) -> None:
        self._pace.step(self.simulation)
        for name, waiting in self._waiting.items():
            late = [each for each in waiting.items() if self._is_late(*each)]
            for observer, (_, began) in late:
                del waiting[observer]
                if not is_leaving(observer):
                    row = observer.engine.member(name)
                    self.wrong(f"{observer.name} holds {row} since t={began:.3f}, which is gone")

    def _is_late(self, observer: Process, begun: tuple[float, float]) -> bool:
        bound = detection_probes(observer.config, self._pace.peak(observer))
        return is_leaving(observer) or self._pace.intervals(observer) - begun[0] > bound


@attrs.define
class _Suspicion:
    incarnation: int
    began: float
    members: int
    accusers: list[str] = attrs.field(factory=list[str])
    confirmed: float = 0.0

    def due(self, process: Process) -> float:
        """Engine time at which it must have ended, by the accusers that were seen."""
        confirmed = max(0, len(self.accusers) - 1)
        after = suspicion_seconds(process.config, self.members, confirmed)
        return max(self.began + after, self.confirmed)


class SuspicionDuration(Checker):
    """A suspicion that ends by itself has lasted as long as its accusers make it (Lifeguard
    section IV-B): at least ``mult * max(1, log10 N)`` probe intervals, at most
    ``suspicion_max_timeout_mult`` times that; between them it falls with the logarithm of the
    confirmations. And none lasts longer.

    N is what the observer counted at the start. At least: by the accusers that the engine names. At
    most: by those that packets brought while the observer counted them, and by its own failed
    probe, less the first. In engine time. It may be late by the lateness that is no stall yet, and
    by what turns cost. ``verdict-time`` has the same for the detector that weighs evidence.
    """

    name: ClassVar[str] = "suspicion-duration"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._open: dict[tuple[Process, str], _Suspicion] = {}
        self._accused: list[Suspect] = []

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        key = (process, name)
        if weighs(process):
            return
        if after is not None and after.state is MemberState.SUSPECT:
            found = self._open.get(key)
            if found is None or found.incarnation != after.incarnation:
                now = engine_time(process)
                self._open[key] = _Suspicion(after.incarnation, now, active_of(process))
        elif after is None or after.state is not MemberState.FAILED:
            self._open.pop(key, None)

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        for message in messages:
            if isinstance(message, Suspect) and _counts(process, message.accuser):
                self._accused.append(message)

    def taken(self, process: Process) -> None:
        for claim in self._accused:
            found = self._open.get((process, claim.name))
            if (
                found is not None
                and found.incarnation == claim.incarnation
                and claim.accuser not in found.accusers
                and _counts(process, claim.accuser)
            ):
                found.accusers.append(claim.accuser)
                found.confirmed = engine_time(process)
        self._accused.clear()

    def ended(self, process: Process, how: str) -> None:
        for key in [key for key in self._open if key[0] is process]:
            del self._open[key]

    def event(self, process: Process, event: Event) -> None:
        if type(event) is not MemberFailed or weighs(process):
            return
        found = self._open.pop((process, event.member.name), None)
        if event.reason is not Reason.SUSPICION_EXPIRED:
            return
        who = f"{process.name} about {event.member.name}"
        if found is None:
            self.wrong(f"{who}: a suspicion ended that never began")
            return
        lasted = engine_time(process) - found.began
        confirmed = len(event.accusers) - 1
        least = suspicion_seconds(process.config, found.members, confirmed)
        if lasted < least - self._rounding(process):
            self.wrong(
                f"{who}: suspected for {lasted:.3f} s with {confirmed} confirmations"
                f" of {found.members} members, less than {least:.3f} s"
            )
        else:
            self.ok()

    def tick(self) -> None:
        for (process, name), found in list(self._open.items()):
            kept = suspicions_of(process).get(name)
            if kept is not None and kept.tried and process.name not in found.accusers:
                found.accusers.append(process.name)  # its own probe failed
                found.confirmed = engine_time(process)
            late = engine_time(process) - found.due(process)
            if late > self._slack(process):
                self.wrong(
                    f"{process.name} suspects {name} {late:.3f} s too long, accused"
                    f" by {', '.join(found.accusers)}"
                )
                del self._open[process, name]

    @staticmethod
    def _rounding(process: Process) -> float:
        config = process.config
        scales = config.suspicion_mult * config.suspicion_max_timeout_mult * config.probe_interval
        return ROUNDING * (1.0 + scales) + 1e-5

    @staticmethod
    def _slack(process: Process) -> float:
        config = process.config
        return config.stall_threshold + config.probe_interval + 2 * process.turn_seconds


def _counts(process: Process, name: str) -> bool:
    """True when ``name`` is an active member for ``process``: names alone are free."""
    row = process.engine.member(name)
    return row is not None and row.is_active
