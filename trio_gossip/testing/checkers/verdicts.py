"""Rules of verdicts by evidence: how long a suspect has had, and that it was asked a last time."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.codec.messages import Ack, Ping, Suspect
from trio_gossip.events import MemberFailed, Reason
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.expected import age_max, class_of, graded_seconds
from trio_gossip.testing.checkers.inside import (
    active_of,
    clock_of,
    engine_time,
    graded_of,
    is_isolated,
    is_private,
    node_of,
    trusted_at,
    weighs,
)
from trio_gossip.testing.checkers.wire import PING, first_code, messages_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.config import Config
    from trio_gossip.engine.graded import GradedSuspicion
    from trio_gossip.engine.outputs import Output
    from trio_gossip.events import Event
    from trio_gossip.failures import Evidence
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

CONFIRMATIONS: Final = 2
"""Accusers beside the first that count, at most."""

ROUNDING: Final = 0.003
"""Seconds that a time may be off: ages are told in milliseconds."""

PATIENCE: Final = 1.2
"""How many times ``min_public`` who is no accuser waits longer, at most."""

HEALTH_STRETCH: Final = 4.0
"""Bad health stretches a timeout to so many times ``rto_ceil`` at most."""

STALL_LONG: Final = 0.2
"""Seconds of a stall after which verdicts are held back."""

HOLD_LEAST: Final = 0.3
"""Seconds for which they are, at least."""

ACKS_KEPT: Final = 256
"""Answers of a process that are remembered."""


@attrs.define
class _Held:
    incarnation: int
    began: float
    """Engine time at which the row became suspect."""
    earliest: float
    """Engine time at which anybody can have begun to suspect it, as far as was told."""
    members: int
    public: float
    final: float | None = None
    score: int = 0
    """Of health, when the last ping of all went out."""
    peak: int = 0
    """The worst score since the beginning."""
    found: tuple[Evidence, ...] = ()
    news: float = -math.inf
    """When an accuser was added, or has found something else."""
    cut_off: float = -math.inf
    """When the process last took itself for cut off."""


class VerdictTime(Checker):
    """Who declares a suspect failed has given it the time that the findings of its accusers make
    (``docs/detector``): the floor of the class, stretched by its own health; more while fewer than
    two others confirm, up to ``max_factor`` times as much; and at least ``min_public`` since it
    could be known to all. And no public suspicion lasts much longer.

    The time begins when this process began to suspect; or before, by the age that an accusation
    told, but not more than the quiet time and four longest timeouts. The class is *refused* only if
    two accusers say so, or one where no third member is. In engine time. At most: by the worst
    health since the beginning, with the time that those wait who are no accusers, that of the last
    question and that after a stall; and after the last accuser has come, and the process has taken
    itself for cut off.
    """

    name: ClassVar[str] = "verdict-time"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._open: dict[Process, dict[str, _Held]] = {}
        self._ages: dict[str, float] = {}
        self._scores: dict[Process, int] = {}

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        for message in messages:
            if isinstance(message, Suspect):
                age = min(message.age / 1000, age_max(process.config))
                self._ages[message.name] = max(age, self._ages.get(message.name, 0.0))

    def taken(self, process: Process) -> None:
        self._ages.clear()

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if not weighs(process):
            return
        opened = self._open.setdefault(process, {})
        if after is not None and after.state is MemberState.SUSPECT:
            found = opened.get(name)
            if found is None or found.incarnation != after.incarnation:
                now = engine_time(process)
                age = self._ages.get(name, 0.0)
                public = math.inf if is_private(process, name) else now
                opened[name] = _Held(after.incarnation, now, now - age, active_of(process), public)
        elif after is None or after.state is not MemberState.FAILED:
            opened.pop(name, None)

    def turned(self, process: Process, outputs: list[Output]) -> None:
        opened = self._open.get(process)
        if not opened:
            return
        score = node_of(process).awareness.score
        low, high = sorted((score, self._scores.get(process, score)))
        self._scores[process] = score
        now = engine_time(process)
        for name, case in graded_of(process).items():
            held = opened.get(name)
            if held is None:
                continue
            held.peak = max(held.peak, high)
            if is_isolated(process):
                held.cut_off = now
            found = tuple(case.found.values())
            if found != held.found:
                held.found, held.news = found, now
            if not case.private:
                held.public = min(held.public, now)
            if case.final != held.final:
                held.final, held.score = case.final, low

    def ended(self, process: Process, how: str) -> None:
        self._open.pop(process, None)
        self._scores.pop(process, None)

    def event(self, process: Process, event: Event) -> None:
        if type(event) is not MemberFailed or not weighs(process):
            return
        held = self._open.get(process, {}).pop(event.member.name, None)
        if event.reason is not Reason.SUSPICION_EXPIRED:
            return
        who = f"{process.name} declared {event.member.name} failed"
        if held is None:
            self.wrong(f"{who}, which it did not suspect")
            return
        config = process.config
        now = engine_time(process)
        ages = dict(event.steps)
        started = now - ages.get("suspected", 0.0)
        wanted = max(0, min(CONFIRMATIONS, held.members - 2))
        evidence = class_of([int(found) for _, found in event.testimony], wanted)
        confirmed = len(event.testimony) - 1
        least = graded_seconds(config, evidence, confirmed, wanted, held.score)
        if started < held.earliest - ROUNDING:
            self.wrong(f"{who} by an age of {now - started:.3f} s that nobody can have told")
        elif now - started < least - ROUNDING:
            self.wrong(
                f"{who} after {now - started:.3f} s of class {evidence} with {confirmed}"
                f" confirmations and health {held.score}, less than {least:.3f} s"
            )
        elif now - held.public < config.min_public - ROUNDING:
            self.wrong(f"{who} {now - held.public:.3f} s after it could be known")
        else:
            self.ok()

    def tick(self) -> None:
        for process, opened in self._open.items():
            if not opened or not process.can_run:
                continue
            now = engine_time(process)
            for name, case in graded_of(process).items():
                held = opened.get(name)
                if held is None or case.private:
                    continue
                late = now - _latest(process.config, case, held)
                if late > _slack(process):
                    self.wrong(f"{process.name} suspects {name} {late:.3f} s too long")
                    del opened[name]
                else:
                    self.ok()


def _latest(config: Config, case: GradedSuspicion, held: _Held) -> float:
    evidence = class_of([int(found) for found in case.found.values()], case.wanted)
    most = graded_seconds(config, evidence, len(case.found) - 1, case.wanted, held.peak)
    public = case.received + config.min_public
    return max(case.started + most, public, held.cut_off, held.news)


def _slack(process: Process) -> float:
    config = process.config
    asked = 2 * HEALTH_STRETCH * config.rto_ceil
    waited = PATIENCE * config.min_public + config.stall_hold + config.reprobe
    return asked + waited + config.stall_threshold + 1.0


class FinalPing(Checker):
    """Nobody is declared failed by evidence without a last ping that tells the suspect of the
    accusation, to which it had at least ``rto_floor`` seconds to answer, and did not. Any answer
    to an earlier question about it that comes in this time counts as one.

    And none within ``stall_hold`` of a long stall of the process itself, or as long as that was;
    nor while it takes itself for cut off, until that has lasted ``max_factor`` silent floors. In
    engine time. Not judged where too many questions were open to ask.
    """

    name: ClassVar[str] = "final-ping"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._asked: dict[tuple[Process, str], deque[tuple[float, int]]] = {}
        self._acks: dict[Process, deque[tuple[float, int]]] = {}
        self._stalled: dict[Process, tuple[float, float]] = {}

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if first_code(data) != PING or not weighs(process) or not graded_of(process):
            return
        ping, *others = messages_of(data)
        if isinstance(ping, Ping) and any(
            isinstance(other, Suspect) and other.name == ping.target for other in others
        ):
            asked = self._asked.setdefault((process, ping.target), deque(maxlen=ACKS_KEPT))
            asked.append((engine_time(process), ping.sequence))

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        if first_code(data) == Ack.code and weighs(process):
            acks = self._acks.setdefault(process, deque(maxlen=ACKS_KEPT))
            acks += [
                (engine_time(process), each.sequence)
                for each in messages_of(data)
                if isinstance(each, Ack)
            ]

    def turned(self, process: Process, outputs: list[Output]) -> None:
        if weighs(process):
            self._stalls(process)

    def _stalls(self, process: Process) -> float:
        """Engine time before which a stall holds verdicts back."""
        stalled = clock_of(process).stalled
        before, hold = self._stalled.get(process, (0.0, -math.inf))
        longest = stalled - before
        if longest > STALL_LONG:
            wait = min(max(longest, HOLD_LEAST), process.config.stall_hold)
            hold = max(hold, engine_time(process) + wait)
        self._stalled[process] = (stalled, hold)
        return hold

    def event(self, process: Process, event: Event) -> None:
        if (
            type(event) is not MemberFailed
            or event.reason is not Reason.SUSPICION_EXPIRED
            or not weighs(process)
            or node_of(process).counters.get("questions_full")
        ):
            return
        name = event.member.name
        who = f"{process.name} declared {name} failed"
        config, now = process.config, engine_time(process)
        asked = self._asked.get((process, name), ())
        at = now - dict(event.steps).get("final_ping", math.inf)
        final = [sequence for time, sequence in asked if abs(time - at) <= ROUNDING]
        answered = [
            sequence for time, sequence in self._acks.get(process, ()) if time > at + ROUNDING
        ]
        if not final:
            self.wrong(f"{who} without a last ping")
        elif now - at < config.rto_floor - ROUNDING:
            self.wrong(f"{who} {now - at:.3f} s after the last ping")
        elif final[-1] in answered:
            self.wrong(f"{who}, which had answered the last ping")
        elif now < self._stalls(process) - ROUNDING:
            self.wrong(f"{who} right after it stood still itself")
        elif is_isolated(process) and now < trusted_at(process) - ROUNDING:
            self.wrong(f"{who}, and takes itself for cut off")
        else:
            self.ok()

    def ended(self, process: Process, how: str) -> None:
        self._acks.pop(process, None)
        self._stalled.pop(process, None)
        for key in [key for key in self._asked if key[0] is process]:
            del self._asked[key]
