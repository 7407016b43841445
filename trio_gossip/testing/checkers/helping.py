"""Rules of probes that fail: what a helper owes, and what a suspect is told."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from trio_gossip.codec.messages import Ack, Nack, Ping, Suspect
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import (
    cases_of,
    engine_time,
    is_private,
    is_relayed,
    node_of,
    weighs,
)
from trio_gossip.testing.checkers.wire import ANSWERS, PING, first_code, messages_of

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import IndirectPing
    from trio_gossip.engine.outputs import Output
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

NACK_SHARE: Final = 0.8
"""Of its time after which a helper that weighs evidence says that it got no answer."""

PINGS_FEW: Final = 10
"""Pings of suspects in a run from which on it is judged whether they were told."""


class SuspectIsTold(Checker):
    """A probe of a suspect tells it that it is suspected, so that it can refute at once
    (Lifeguard's buddy system). Of all pings of suspects that are no answer to anything, half at
    least carry the accusation: those for the application do not. Not counted are pings of an
    address that the member has left, which a takeover asks, pings for others, and of suspects
    that are so in private. Judged from ten on.
    """

    name: ClassVar[str] = "suspect-is-told"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._pings = 0
        self._told = 0
        self._answering = False

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        self._answering = True

    def turned(self, process: Process, outputs: list[Output]) -> None:
        self._answering = False

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if self._answering or not cases_of(process) or first_code(data) != PING:
            return
        name = node_of(process).table.name_at(address)
        if name is None or name not in cases_of(process) or is_private(process, name):
            return
        ping = messages_of(data)[0]
        if isinstance(ping, Ping) and is_relayed(process, ping.sequence):
            return
        present = self.simulation.processes.get(name)
        if present is None or present.address == address:  # else it may be a takeover that asks
            self._pings += 1
            self._told += any(
                isinstance(message, Suspect) and message.name == name
                for message in messages_of(data)
            )

    def finish(self) -> None:
        if self._pings >= PINGS_FEW:
            if self._told < self._pings / 2:
                self.wrong(f"of {self._pings} pings of suspects {self._told} told them so")
            else:
                self.ok()


class RelayInTime(Checker):
    """A helper that takes a request answers it, with an ack or a nack, within the time that the
    requester has left (Lifeguard section IV-A: a nack that comes later is none). One of a stranger
    it refuses (memberlist pings anything for anybody). For a target that it holds at another
    address than the requester it passes on no ack, since a wrong address would pass for a good one,
    but a nack: without one the requester blames itself.

    Demanded when helper and requester, and helper and target, know each other, up to sixteen
    requests of one requester; how soon, where both hold the target at one address. In the
    helper's engine time; lateness that is no stall is allowed. A slow process is not judged.
    """

    name: ClassVar[str] = "relay-in-time"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._request: tuple[Process, IndirectPing, Address, int] | None = None
        self._open: dict[Process, dict[tuple[Address, int], float]] = {}
        self._stranger: tuple[Process, Address, int] | None = None
        self._elsewhere: dict[Process, dict[tuple[Address, int], str]] = {}

    def request_arrived(self, process: Process, request: IndirectPing, source: Address) -> None:
        knows = node_of(process).table.knows_address(source)
        row = process.engine.member(request.target)
        if row is not None and row.address != request.address:
            held = self._elsewhere.setdefault(process, {})
            held[source, request.sequence] = request.target
        if request.want_nack and knows and row is not None:
            self._request = (process, request, source, _refused(process))
        self._stranger = None if knows else (process, source, _refused(process))

    def taken(self, process: Process) -> None:
        stranger, self._stranger = self._stranger, None
        if stranger is not None and stranger[0] is process and _refused(process) == stranger[2]:
            self.wrong(f"{process.name} helps {stranger[1]}, which it does not know")
        if self._request is None:
            return
        helper, request, source, refused = self._request
        self._request = None
        if helper is process and request.target != process.name and _refused(process) == refused:
            seconds = request.budget / 1000 * (NACK_SHARE if weighs(process) else 1.0)
            due = engine_time(process) + seconds + process.config.stall_threshold
            self._open.setdefault(process, {})[source, request.sequence] = due

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        waiting = self._open.get(process, {})
        elsewhere = self._elsewhere.get(process, {})
        if not (waiting or elsewhere) or first_code(data) not in ANSWERS:
            return
        for message in messages_of(data):
            if isinstance(message, Ack) and (address, message.sequence) in elsewhere:
                name = elsewhere.pop((address, message.sequence))
                self.wrong(f"{process.name} says that {name} answers where it does not hold it")
            elif isinstance(message, Nack) and self._is_asked(process, address, message.sequence):
                self._request = None  # who holds the target elsewhere says no at once
                self.ok()
        if process.turn_seconds:
            waiting.clear()
            return
        for message in messages_of(data):
            if isinstance(message, Ack | Nack):
                due = waiting.pop((address, message.sequence), None)
                if due is not None:
                    self._judge(process, due, address)

    def _is_asked(self, process: Process, source: Address, sequence: int) -> bool:
        """True for the request that came in this turn."""
        request = self._request
        return request is not None and (request[0], request[2], request[1].sequence) == (
            process,
            source,
            sequence,
        )

    def _judge(self, process: Process, due: float, address: Address) -> None:
        late = engine_time(process) - due
        if late > 0.0:
            self.wrong(f"{process.name} answered {address} {late:.3f} s after its round")
        else:
            self.ok()

    def ended(self, process: Process, how: str) -> None:
        self._open.pop(process, None)
        self._elsewhere.pop(process, None)

    def tick(self) -> None:
        for process, waiting in self._open.items():
            now = engine_time(process) - 1.0
            if process.turn_seconds:
                waiting.clear()
            for (address, sequence), due in list(waiting.items()):
                if now > due:
                    del waiting[address, sequence]
                    self.wrong(f"{process.name} never answered the request of {address}")


def _refused(process: Process) -> int:
    counters = node_of(process).counters
    return counters.get("relay_refused", 0) + counters.get("questions_full", 0)
