"""Rules of what is held against a suspect: it was said by whom it is said of, and not too early."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from trio_gossip.codec.messages import IndirectPing, Nack, Suspect
from trio_gossip.events import MemberFailed, MemberSuspected, Reason
from trio_gossip.failures import Evidence
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.expected import attempt_seconds
from trio_gossip.testing.checkers.inside import (
    clock_of,
    engine_time,
    graded_of,
    node_of,
    weighs,
)
from trio_gossip.testing.checkers.wire import INDIRECT_PING, first_code, messages_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.events import Event
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

REQUESTS_KEPT: Final = 256
"""Requests of a process to helpers that are remembered."""

ROUNDING: Final = 0.002
"""Seconds that a time may be off: ages are told in milliseconds."""

HELPERS_FEW: Final = 3
"""Helpers whose findings fit into one suspicion, with that of their requester."""


class Helpers:
    """Whom processes have asked for help, and what they said."""

    def __init__(self) -> None:
        self._requests: dict[Process, dict[tuple[int, Address], tuple[str, str]]] = {}

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        """Note a request."""
        if first_code(data) != INDIRECT_PING:
            return
        request = messages_of(data)[0]
        helper = node_of(process).table.name_at(address)
        if isinstance(request, IndirectPing) and helper is not None:
            kept = self._requests.setdefault(process, {})
            if len(kept) >= REQUESTS_KEPT:
                del kept[next(iter(kept))]
            kept[request.sequence, address] = (request.target, helper)

    def said(
        self, process: Process, data: bytes, source: Address
    ) -> Iterable[tuple[str, str, int]]:
        """Who could not be reached, by which helper, and what that found, for each nack."""
        kept = self._requests.get(process)
        if not kept or first_code(data) != Nack.code:
            return
        for message in messages_of(data):
            if isinstance(message, Nack):
                found = kept.get((message.sequence, source))
                if found is not None:
                    yield *found, message.evidence

    def ended(self, process: Process) -> None:
        """A process is gone."""
        self._requests.pop(process, None)


class TestimonyHeard(Checker):
    """What is held against a suspect was said by those of whom it is said: in an accusation that
    arrived, or in the nack of a helper that was asked (``docs/detector``). What the process itself
    found can be: a host refuses only where nobody listens, and accepts only where somebody did.

    And helpers whose nacks have just come are named, since they confirm it.

    A helper's nack counts for the suspicions that the process has in the following turns. What
    the process found itself is not judged once dials were refused by chance, nor of a member that
    lived at its address for a part of the suspicion only. Nothing is, once strangers have spoken.
    """

    name: ClassVar[str] = "testimony-heard"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._helpers = Helpers()
        self._heard: dict[Process, dict[str, dict[str, int]]] = {}
        self._nacks: dict[tuple[Process, str], dict[str, float]] = {}

    def _note(self, process: Process, name: str, accuser: str, evidence: int) -> None:
        heard = self._heard.setdefault(process, {}).setdefault(name, {})
        heard[accuser] = max(evidence, heard.get(accuser, 0))

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        for message in messages:
            if isinstance(message, Suspect):
                for accuser, evidence in (
                    (message.accuser, message.evidence),
                    *message.others,
                ):
                    self._note(process, message.name, accuser, evidence)

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if weighs(process):
            self._helpers.sent(process, data, address)

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        for name, helper, evidence in self._helpers.said(process, data, source):
            self._note(process, name, helper, evidence)
            self._nacks.setdefault((process, name), {})[helper] = engine_time(process)

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        refuted = (
            before is not None
            and after is not None
            and after.incarnation > before.incarnation
            and after.state is MemberState.ALIVE
        )
        if after is None or refuted:
            self._heard.get(process, {}).pop(name, None)

    def event(self, process: Process, event: Event) -> None:
        if type(event) is MemberSuspected and weighs(process) and event.tried:
            self._named(process, event)
        if type(event) is MemberFailed and weighs(process):
            for accuser, evidence in event.testimony:
                self._judge(process, event.member.name, accuser, int(evidence), None)

    def _named(self, process: Process, event: MemberSuspected) -> None:
        """Helpers that were not answered just now are among the accusers: they confirm it."""
        if process.config.helpers > HELPERS_FEW or event.reason is not Reason.PROBE_FAILED:
            return
        since = engine_time(process) - process.config.rto_floor
        nacks = self._nacks.get((process, event.member.name), {})
        missing = [
            name for name, time in nacks.items() if time >= since and name not in event.accusers
        ]
        if missing:
            who = ", ".join(missing)
            self.wrong(f"{process.name} suspects {event.member.name}, and does not name {who}")
        else:
            self.ok()

    def tick(self) -> None:
        for process in self.simulation.processes.values():
            if weighs(process):
                for name, case in graded_of(process).items():
                    for accuser, evidence in case.found.items():
                        self._judge(process, name, accuser, int(evidence), case.started)

    def _judge(
        self, process: Process, name: str, accuser: str, evidence: int, started: float | None
    ) -> None:
        if self.strangers_spoke:
            return
        if accuser == process.name:
            fault = "" if started is None else self._own_fault(process, name, evidence, started)
        else:
            heard = self._heard.get(process, {}).get(name, {}).get(accuser)
            fault = ""
            if heard is None:
                fault = f"as {accuser} says, which never said so"
            elif evidence > (heard if process.config.kernel_evidence else 0):
                fault = f"as {accuser} says by {evidence}, which said {heard}"
        if fault:
            self.wrong(f"{process.name} suspects {name} {fault}")
        else:
            self.ok()

    def _own_fault(self, process: Process, name: str, evidence: int, started: float) -> str:
        """Why this process cannot have found this itself."""
        if not process.config.kernel_evidence:
            return "by evidence that it does not heed" if evidence else ""
        if not evidence or process.clock_skewed or self.simulation.injected["dial_refuse"]:
            return ""
        row = process.engine.member(name)
        began = started - engine_time(process) + self.simulation.now
        began -= attempt_seconds(process.config) + 2.0  # stalls make engine time shorter
        began -= clock_of(process).stalled
        lives = [
            life
            for life in (*self.simulation.graves, *self.simulation.processes.values())
            if row is not None and life.address == row.address and life.ended_at >= began
        ]
        if evidence == Evidence.STALLED:
            return "" if lives else "as its host accepts, and nobody was there"
        steady = [life for life in lives if life.running and life.started_at <= began]
        return "as its host refuses, and it listens" if steady else ""

    def ended(self, process: Process, how: str) -> None:
        self._helpers.ended(process)
        self._heard.pop(process, None)
        for key in [key for key in self._nacks if key[0] is process]:
            del self._nacks[key]
