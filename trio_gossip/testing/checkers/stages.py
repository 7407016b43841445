"""Rules of one attempt of the detector that weighs evidence: its stages, helpers, our health."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.codec.messages import IndirectPing, Nack, Ping
from trio_gossip.events import MemberSuspected, Reason
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.expected import attempt_seconds
from trio_gossip.testing.checkers.inside import (
    attempts_of,
    engine_time,
    graded_of,
    is_isolated,
    is_leaving,
    is_rechecked,
    node_of,
    weighs,
)
from trio_gossip.testing.checkers.rounds import (
    ANSWERED,
    DRAWN_ROWS,
    POSSIBLE_FEW,
    ROUNDS_FEW,
    SURE_SHARE,
)
from trio_gossip.testing.checkers.wire import (
    INDIRECT_PING,
    PING,
    first_code,
    messages_of,
)

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.engine.outputs import Output
    from trio_gossip.events import Event
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

STAGES: Final = 3
"""Times that helpers are asked in one attempt: once, and twice more when nobody says anything."""

HEALTH_STRETCH: Final = 4.0
"""Bad health stretches a timeout to so many times ``rto_ceil`` at most."""

TRIES_KEPT: Final = 64
"""Attempts of a process that are remembered."""

ROUNDING: Final = 0.002
"""Seconds that a time may be off: budgets are told in milliseconds."""


@attrs.define
class _Try:
    first: float
    """Engine time of the first ping; of the first request where helpers are asked at once."""
    asked_first: bool
    stages: int = 0
    used: list[str] = attrs.Factory(list[str])
    stage: dict[Address, bool] = attrs.Factory(dict["Address", bool])
    """Of each helper of the present stage, whether it has sent a nack."""
    before: list[Address] = attrs.Factory(list["Address"])
    """Helpers of the former stages."""
    nacks: int = 0


class Tries:
    """Follows the attempts of processes by their packets."""

    def __init__(self) -> None:
        self._tries: dict[Process, dict[int, _Try]] = {}
        self._turn: dict[Process, int] = {}

    def sent(self, process: Process, data: bytes, address: Address) -> IndirectPing | None:
        """Note a packet; the request, if it was one to a helper."""
        code = first_code(data)
        if code not in (PING, INDIRECT_PING):
            return None
        message = messages_of(data)[0]
        if not isinstance(message, Ping | IndirectPing):
            return None
        tries = self._tries.setdefault(process, {})
        found = tries.get(message.sequence)
        if found is None:
            if len(tries) >= TRIES_KEPT:
                del tries[next(iter(tries))]
            asked = isinstance(message, Ping)
            found = tries[message.sequence] = _Try(engine_time(process), asked)
        if isinstance(message, Ping):
            return None
        if self._turn.get(process) != message.sequence:
            self._turn[process] = message.sequence
            found.stages += 1
            found.before += found.stage
            found.stage.clear()
        return message

    def nack(self, process: Process, data: bytes, source: Address) -> None:
        """Note an answer of a helper."""
        tries = self._tries.get(process)
        if not tries:
            return
        for message in messages_of(data):
            found = tries.get(message.sequence) if isinstance(message, Nack) else None
            if found is not None and (source in found.stage or source in found.before):
                found.nacks += 1
                if source in found.stage:
                    found.stage[source] = True

    def of(self, process: Process, sequence: int) -> _Try | None:
        """What is known of an attempt."""
        return self._tries.get(process, {}).get(sequence)

    def turned(self, process: Process) -> None:
        """The turn has ended: requests from now on are another stage."""
        self._turn.pop(process, None)

    def ended(self, process: Process) -> None:
        """A process is gone."""
        self._tries.pop(process, None)
        self._turn.pop(process, None)


class StagesKept(Checker):
    """Who gets no answer asks ``helpers`` alive members, or all there are if they are fewer:
    different ones, neither the target nor another name at its address, and none that it has asked
    before about this while there are others. It does so when the timeout is over, which it tells
    them as half of the time that they have; earlier only where nobody listens any more, and at once
    about a suspect that nobody was told of. And it asks three times at most, again only when no
    helper has said anything.

    That nobody was asked is judged over all accusers of a run that know three alive members, from
    four on: half at most may go without. How many are asked is not judged when the table has
    changed in that turn, nor where random draws may find fewer than there are; a slow process not
    at all.
    """

    name: ClassVar[str] = "stages-kept"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._tries = Tries()
        self._now: tuple[Process, IndirectPing, list[Address]] | None = None
        self._changed: Process | None = None
        self._asked: dict[tuple[Process, str], float] = {}
        self._accused = 0
        self._alone = 0

    def event(self, process: Process, event: Event) -> None:
        if (
            type(event) is not MemberSuspected
            or event.reason is not Reason.PROBE_FAILED
            or not event.tried
            or not weighs(process)
        ):
            return
        members = process.engine.members()
        if sum(member.state is MemberState.ALIVE for member in members) >= POSSIBLE_FEW:
            last = self._asked.get((process, event.member.name), -math.inf)
            longest = 4 * attempt_seconds(process.config)
            self._accused += 1
            self._alone += engine_time(process) - last > longest

    def finish(self) -> None:
        if self._accused >= ROUNDS_FEW and self._alone > self._accused / 2:
            self.wrong(f"{self._alone} of {self._accused} accusers asked nobody for help")

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        self._tries.nack(process, data, source)

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if not weighs(process):
            return
        request = self._tries.sent(process, data, address)
        found = None if request is None else self._tries.of(process, request.sequence)
        if request is None or found is None:
            return
        self._asked[process, request.target] = engine_time(process)
        if address == request.address or address in found.stage:
            what = "twice" if address in found.stage else "to probe itself"
            self.wrong(f"{process.name} asked {address} {what}, about {request.target}")
        if not found.stage:
            self._begins(process, request, found)
            self._now = (process, request, [])
        found.stage[address] = False
        if self._now is not None:
            self._now[2].append(address)

    def _begins(self, process: Process, request: IndirectPing, found: _Try) -> None:
        config = process.config
        budget = request.budget / 1000
        least, most = 2 * config.rto_floor, 2 * HEALTH_STRETCH * config.rto_ceil
        what = f"{process.name} asks about {request.target}"
        if not least - ROUNDING <= budget <= most + ROUNDING:
            self.wrong(f"{what} and gives {budget:.3f} s, not {least:g} to {most:g}")
        elif found.stages > STAGES or (found.stages > 1 and found.nacks):
            self.wrong(f"{what} for the {found.stages}th time, after {found.nacks} nacks")
        elif found.stages == 1 and found.asked_first and not process.turn_seconds:
            waited = engine_time(process) - found.first
            listens = any(
                other.address == request.address for other in self.simulation.processes.values()
            )
            rechecks = is_rechecked(process, request.target)
            if waited < budget / 2 - ROUNDING and listens and not rechecks:
                self.wrong(f"{what} after {waited:.3f} s, the timeout is {budget / 2:.3f} s")
            elif waited > budget / 2 + config.stall_threshold + ROUNDING:
                self.wrong(f"{what} only after {waited:.3f} s, at {budget / 2:.3f} s it was due")
            else:
                self.ok()
        else:
            self.ok()

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        self._changed = process

    def turned(self, process: Process, outputs: list[Output]) -> None:
        self._tries.turned(process)
        if self._now is not None and self._now[0] is process:
            (_, request, helpers), self._now = self._now, None
            found = self._tries.of(process, request.sequence)
            if found is not None and self._changed is not process:
                self._count(process, request, found, helpers)
        self._changed = None

    def _count(
        self, process: Process, request: IndirectPing, found: _Try, helpers: list[Address]
    ) -> None:
        used = set(found.before)
        if is_rechecked(process, request.target):
            case = graded_of(process).get(request.target)
            rows = [process.engine.member(name) for name in (case.found if case else ())]
            used |= {row.address for row in rows if row is not None}
        alive = {
            member.address
            for member in process.engine.members()
            if member.state is MemberState.ALIVE
        } - {process.address, request.address}
        fresh = alive - used
        possible = len(fresh or alive)
        rows_all = len(process.engine.members(all=True))
        most = process.config.helpers
        is_sure = rows_all < DRAWN_ROWS * most or possible > rows_all * SURE_SHARE
        least = min(possible, most) if is_sure else min(possible, 1)
        if not least <= len(helpers) <= most:
            self.wrong(f"{process.name} asked {len(helpers)} of {possible} about {request.target}")
        elif fresh and not set(helpers) <= fresh:
            self.wrong(f"{process.name} asked the same again about {request.target}")
        else:
            self.ok()

    def ended(self, process: Process, how: str) -> None:
        self._tries.ended(process)


class HealthWeighed(Checker):
    """The health score follows from what the process has seen: one less for a member that answered,
    and for a failure that every helper confirmed; one more for each stage in which neither the
    member nor a helper said anything; one more for a refutation; one or two more for a stall.
    Between 0 and ``awareness_max - 1``.

    A stage in which the host of the member said that the process is gone says nothing of us.
    An outbid former life may or may not count as a refutation. Turns with several such things,
    beside a stall, are not judged.
    """

    name: ClassVar[str] = "health-weighed"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._tries = Tries()
        self._last: dict[Process, tuple[int, ...]] = {}
        self._open: dict[Process, dict[int, Address]] = {}

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        self._tries.nack(process, data, source)

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if weighs(process) and self._tries.sent(process, data, address) is not None:
            message = messages_of(data)[0]
            found = self._tries.of(process, getattr(message, "sequence", 0))
            if found is not None:
                found.stage.setdefault(address, False)

    def turned(self, process: Process, outputs: list[Output]) -> None:
        if not weighs(process):
            return
        self._tries.turned(process)
        node = node_of(process)
        get = node.counters.get
        now = (
            node.awareness.score,
            sum(get(name, 0) for name in ANSWERED),
            get("probe_failed", 0),
            get("probe_unverified", 0),
            get("refuted", 0),
            get("stalled", 0),
        )
        last, self._last[process] = self._last.get(process), now
        opened = attempts_of(process)
        before = self._open.get(process, {})
        ended = [sequence for sequence in before if sequence not in opened]
        if ended or len(before) != len(opened):
            self._open[process] = {each: attempt.target.address for each, attempt in opened.items()}
        if last is None or is_leaving(process) or (last == now and not ended):
            return
        answered, failed, unverified, refuted, stalled = (now[i] - last[i] for i in range(1, 6))
        if answered + failed + unverified + refuted > 1 or stalled > 1 or len(ended) > 1:
            return
        if unverified and ended:
            return
        deltas = {0}
        if failed:
            deltas = self._of_failure(process, ended[0], before[ended[0]]) if ended else {-1, 0, 1}
        elif answered:
            deltas = {-1}
        elif unverified:
            deltas = {1}
        elif refuted or (ended and is_isolated(process)):
            deltas = {0, 1}
        self._judge(process, last, now, deltas, stalled=stalled)

    def _of_failure(self, process: Process, sequence: int, target: Address) -> set[int]:
        found = self._tries.of(process, sequence)
        if found is None or not found.stage:
            return {0}
        if found.nacks:
            return {-1} if all(found.stage.values()) else {0}
        since = self.simulation.now - HEALTH_STRETCH * attempt_seconds(process.config)
        present = any(
            other.address == target and other.started_at < since
            for other in self.simulation.processes.values()
        )
        refusable = not present or self.simulation.injected["dial_refuse"] > 0
        return {0, 1} if refusable else {1}

    def _judge(
        self,
        process: Process,
        last: tuple[int, ...],
        now: tuple[int, ...],
        deltas: set[int],
        *,
        stalled: int,
    ) -> None:
        most = process.config.awareness_max - 1
        begin = [min(last[0] + each, most) for each in ((1, 2) if stalled else (0,))]
        right = {min(max(score + delta, 0), most) for score in begin for delta in deltas}
        if now[0] in right:
            self.ok()
        else:
            self.wrong(
                f"{process.name} went from health score {last[0]} to {now[0]}, not"
                f" {' or '.join(map(str, sorted(right)))}: counted {last[1:]}, then {now[1:]}"
            )

    def ended(self, process: Process, how: str) -> None:
        self._tries.ended(process)
        self._last.pop(process, None)
        self._open.pop(process, None)
