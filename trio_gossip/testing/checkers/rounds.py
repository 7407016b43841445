"""Rules of one round of the detector: who is asked for help, whose answer counts, who is ill."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.codec.messages import Ack, IndirectPing, Nack
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import is_leaving, is_open_question, node_of, weighs
from trio_gossip.testing.checkers.wire import (
    INDIRECT_PING,
    carries_news,
    first_code,
    messages_of,
)

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.engine.outputs import Output
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

ROUNDS_FEW: Final = 4
"""Failed probes of one run from which on it is judged whether others were asked for help."""

POSSIBLE_FEW: Final = 3
"""Alive members, the target among them, that a process must know for that."""

DRAWN_ROWS: Final = 3
"""Rows for each helper wanted from which on helpers are drawn, and not searched for."""

SURE_SHARE: Final = 0.7
"""Share of the rows that must be possible helpers, for the draws to find as many as are wanted."""

ANSWERED: Final = ("probe_acked", "probe_acked_indirectly", "probe_acked_by_stream")
"""Counters of probes that ended well."""


@attrs.define
class _Round:
    sequence: int
    helpers: dict[Address, bool] = attrs.field(factory=dict["Address", bool])


class HelpersAsked(Checker):
    """A probe without a direct answer asks ``indirect_probes`` alive members for help, or all there
    are if they are fewer (SWIM section 3.1): different ones, and neither the target nor
    another name at its address (al8n/memberlist 175).

    How many is not judged when the table has changed in that turn; and where fewer than
    ``SURE_SHARE`` of many rows are possible, random draws may find fewer than there are.
    That nobody was asked is judged over all failed probes of a run, from four on, of processes
    that know ``POSSIBLE_FEW`` alive members when the round ends: half at most may go without.
    ``stages-kept`` has the same for the detector that weighs evidence.
    """

    name: ClassVar[str] = "helpers-asked"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._asked: dict[Process, _Round] = {}
        self._now: tuple[Process, IndirectPing] | None = None
        self._changed: Process | None = None
        self._failed: dict[Process, int] = {}
        self._rounds = 0
        self._alone = 0

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if first_code(data) != INDIRECT_PING or weighs(process):
            return
        request = messages_of(data)[0]
        if not isinstance(request, IndirectPing):
            return
        asked = self._asked.get(process)
        if asked is None or asked.sequence != request.sequence:
            asked = self._asked[process] = _Round(request.sequence)
        self._now = (process, request)
        if address == request.address or address in asked.helpers:
            what = "twice" if address in asked.helpers else "to probe itself"
            self.wrong(f"{process.name} asked {address} {what}, about {request.target}")
        asked.helpers[address] = False

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        self._changed = process

    def turned(self, process: Process, outputs: list[Output]) -> None:
        if self._now is not None and self._now[0] is process:
            request, self._now = self._now[1], None
            if self._changed is not process:
                self._count(process, request)
        self._changed = None
        if weighs(process):
            return
        failed = node_of(process).counters.get("probe_failed", 0)
        if failed != self._failed.get(process, 0):
            self._failed[process] = failed
            asked = self._asked.pop(process, None)
            if len(_helpers(process, None)) >= POSSIBLE_FEW:
                self._rounds += 1
                self._alone += asked is None

    def _count(self, process: Process, request: IndirectPing) -> None:
        possible = len(_helpers(process, request.address))
        count = len(self._asked[process].helpers)
        rows = len(process.engine.members(all=True))
        most = process.config.indirect_probes
        is_sure = rows < DRAWN_ROWS * most or possible > rows * SURE_SHARE
        least = min(possible, most) if is_sure else min(possible, 1)
        if not least <= count <= most:
            self.wrong(f"{process.name} asked {count} of {possible} about {request.target}")
        else:
            self.ok()

    def ended(self, process: Process, how: str) -> None:
        self._asked.pop(process, None)
        self._failed.pop(process, None)

    def finish(self) -> None:
        if self._rounds >= ROUNDS_FEW and self._alone > self._rounds / 2:
            self.wrong(f"{self._alone} of {self._rounds} failed probes asked nobody for help")


def _helpers(process: Process, target: Address | None) -> set[Address]:
    """The addresses of alive members, without the process and the target."""
    found = {
        member.address for member in process.engine.members() if member.state is MemberState.ALIVE
    }
    return found - {process.address, target}


class HealthScore(Checker):
    """The health score follows from what the process has seen (Lifeguard section IV-A): one less
    for a probe that was answered; for one that failed one more for each helper asked that
    sent no nack, or one if none was asked; one more for a refutation; one or two more for a
    stall. Between 0 and ``awareness_max - 1``.

    An outbid former life may or may not count as a refutation. Turns with several such things,
    beside a stall, are not judged. ``health-weighed`` has the same for the detector that weighs
    evidence.
    """

    name: ClassVar[str] = "health-score"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._rounds: dict[Process, _Round] = {}
        self._last: dict[Process, tuple[int, int, int, int, int]] = {}

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if first_code(data) == INDIRECT_PING and not weighs(process):
            request = messages_of(data)[0]
            if isinstance(request, IndirectPing):
                found = self._rounds.get(process)
                if found is None or found.sequence != request.sequence:
                    found = self._rounds[process] = _Round(request.sequence)
                found.helpers[address] = False

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        found = self._rounds.get(process)
        if found is None or source not in found.helpers:
            return
        for message in messages_of(data):
            if isinstance(message, Nack) and message.sequence == found.sequence:
                found.helpers[source] = True

    def turned(self, process: Process, outputs: list[Output]) -> None:
        if weighs(process):
            return
        node = node_of(process)
        get = node.counters.get
        now = (
            node.awareness.score,
            sum(get(name, 0) for name in ANSWERED),
            get("probe_failed", 0),
            get("refuted", 0),
            get("stalled", 0),
        )
        last = self._last.get(process)
        self._last[process] = now
        if node.leaving:
            self._rounds.pop(process, None)
        if last is None or last == now:
            return
        answered, failed, refuted, stalled = (now[i] - last[i] for i in range(1, 5))
        deltas = {0}
        if failed:
            found = self._rounds.pop(process, None)
            deltas = {1 if found is None else sum(not nack for nack in found.helpers.values())}
        elif answered:
            self._rounds.pop(process, None)
            deltas = {-1}
        elif refuted:
            deltas = {0, 1}
        if answered + failed + refuted > 1 or stalled > 1:
            return
        most = process.config.awareness_max - 1
        begin = [min(last[0] + each, most) for each in ((1, 2) if stalled else (0,))]
        right = {min(max(score + delta, 0), most) for score in begin for delta in deltas}
        if now[0] in right:
            self.ok()
        else:
            self.wrong(
                f"{process.name} went from health score {last[0]} to {now[0]}, not"
                f" {' or '.join(map(str, sorted(right)))}: {answered} probes answered, {failed}"
                f" failed, {refuted} refutations, {stalled} stalls"
            )

    def ended(self, process: Process, how: str) -> None:
        self._rounds.pop(process, None)
        self._last.pop(process, None)


class AcksMatch(Checker):
    """An ack ends the question whose number it carries, and no other: one that nobody waits for,
    late or repeated, is counted and has no effect (icgood/swim-protocol took any ack for the
    present probe). Judged for packets with one ack.
    """

    name: ClassVar[str] = "acks-match"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._before: tuple[Process, int, bool] | None = None

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        if first_code(data) != Ack.code and not carries_news(data):
            return
        acks = [message for message in messages_of(data) if isinstance(message, Ack)]
        if len(acks) == 1:
            is_open = is_open_question(process, acks[0].sequence)
            self._before = (process, _unexpected(process), is_open)

    def turned(self, process: Process, outputs: list[Output]) -> None:
        if self._before is None or self._before[0] is not process:
            return
        _, count, is_open = self._before
        self._before = None
        if is_leaving(process):
            return
        if _unexpected(process) - count == (not is_open):
            self.ok()
        else:
            what = "that it waits for" if is_open else "that nobody waits for"
            self.wrong(f"{process.name} got an ack {what}, and counted it otherwise")


def _unexpected(process: Process) -> int:
    return node_of(process).counters.get("ack_unexpected", 0)
