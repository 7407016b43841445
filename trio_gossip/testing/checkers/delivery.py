"""Rules of messages of the application: broadcasts and reliable ones."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.codec.messages import Announce, Broadcast
from trio_gossip.events import Delivery, MessageReceived
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.expected import TRANSMISSIONS
from trio_gossip.testing.checkers.inside import (
    active_of,
    evidence_of,
    is_leaving,
    node_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.engine import Complete
    from trio_gossip.events import Event
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

SPREAD_SECONDS: Final = 10.0
"""For a broadcast to reach everybody: many times what gossip takes in a cluster of a hundred."""

PRESENT_SECONDS: Final = 10.0
"""How long a process must have run to be expected to get a broadcast."""

MISSED_SHARE: Final = 0.2
"""Share of expected deliveries that may be missing in one run."""

MISSED_FEW: Final = 15
"""So many may be missing however few were expected: of some broadcasts that died early."""

GHOSTS: Final = 1.25
"""How many times the running members a process may count: transmissions to the dead are lost."""


class BroadcastOnce(Checker):
    """A process delivers each broadcast at most once, never its own, and none that was not sent.

    A broadcast is known by origin, epoch and counter; equal payloads may come as often as they
    were sent. No tolerance, but that forged ones are not judged.
    """

    name: ClassVar[str] = "broadcast-once"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._known: dict[tuple[str, bytes | int], set[tuple[int, int]]] = {}
        self._got: dict[Process, dict[tuple[str, bytes | int], int]] = {}

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        for message in messages:
            if isinstance(message, Broadcast | Announce) and message.origin == process.name:
                # What is announced goes by stream: here it is known by its length.
                what = message.payload if isinstance(message, Broadcast) else message.size
                key = (message.origin, what)
                self._known.setdefault(key, set()).add((message.epoch, message.counter))

    def ended(self, process: Process, how: str) -> None:
        self._got.pop(process, None)

    def event(self, process: Process, event: Event) -> None:
        if type(event) is not MessageReceived or event.delivery is not Delivery.BROADCAST:
            return
        key: tuple[str, bytes | int] = (event.sender, event.payload)
        if key not in self._known and (event.sender, len(event.payload)) in self._known:
            key = (event.sender, len(event.payload))
        got = self._got.setdefault(process, {})
        count = got[key] = got.get(key, 0) + 1
        if self.strangers_spoke:
            return
        sent = len(self._known.get(key, ()))
        if event.sender == process.name:
            self.wrong(f"{process.name} got its own broadcast {event.payload!r}")
        elif count > sent:
            self.wrong(
                f"{process.name} got {event.payload!r} of {event.sender} {count} times, sent {sent}"
            )
        else:
            self.ok()


@attrs.define(eq=False)
class _Awaited:
    source: Process
    origin: str
    what: bytes | int
    """Its payload; of one that was announced, and goes by stream, its length."""
    at: float
    by: dict[Process, None]
    expected: int


class BroadcastToAll(Checker):
    """Broadcasts reach all members, best effort: of all deliveries that can be expected in a run,
    no more than a fifth are missing (or fifteen). Gossip with a transmit limit misses one member in
    a hundred with ten members, more with fewer and under loss, and what misses one often misses
    others too.

    Expected is a delivery to each process that has run for ten seconds, runs on for as long without
    leaving (who has left may run on) and holds the origin at its present life; while the origin
    runs on, and no link that leads from it is cut (of five members with one dead, that takes half
    of its four transmissions); while both count as many members as run, and few more; and only if
    neither is excused meanwhile.

    Not judged in runs in which a broadcast was dropped by a full queue or did not fit a packet, nor
    with the local preset, whose two transmissions are made for a network that loses nothing.
    """

    name: ClassVar[str] = "broadcast-to-all"
    kind: ClassVar[type[Broadcast | Announce]] = Broadcast
    seconds: ClassVar[float] = SPREAD_SECONDS
    few: ClassVar[int] = MISSED_FEW

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._begun: set[tuple[str, int, int]] = set()
        self._awaited: list[_Awaited] = []
        self._expected = 0
        self._missed: list[str] = []

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        for message in messages:
            if isinstance(message, self.kind) and message.origin == process.name:
                key = (message.origin, message.epoch, message.counter)
                if key not in self._begun:
                    self._begun.add(key)
                    self._await(process, message)

    def _await(self, process: Process, message: Broadcast | Announce) -> None:
        few = process.config.retransmit_mult < TRANSMISSIONS
        if few or not self._sees_all(process) or self.simulation.excuses.covers(process.name):
            return
        if self._is_cut_off(process):
            return
        by = {
            other: None
            for other in self.simulation.processes.values()
            if other is not process and self._may_expect(other, message)
        }
        if by:
            now = self.simulation.now
            what = message.payload if isinstance(message, Broadcast) else message.size
            self._awaited.append(_Awaited(process, message.origin, what, now, by, len(by)))

    def _may_expect(self, process: Process, message: Broadcast | Announce) -> bool:
        return (
            self.simulation.now - process.started_at > PRESENT_SECONDS
            and process.can_run
            and not is_leaving(process)
            and self._sees_all(process)
            and evidence_of(process, message.origin) >= message.epoch
            and not self.simulation.excuses.covers(process.name)
        )

    def _is_cut_off(self, process: Process) -> bool:
        """True while nothing reaches some other member on the direct way."""
        severed = self.simulation.links.is_severed
        names = self.simulation.processes
        return any(severed(process.name, name) for name in names if name != process.name)

    def _sees_all(self, process: Process) -> bool:
        running = len(self.simulation.processes)
        return running <= active_of(process) <= GHOSTS * running

    def event(self, process: Process, event: Event) -> None:
        if type(event) is MessageReceived and event.delivery is Delivery.BROADCAST:
            for awaited in self._awaited:
                is_it = awaited.what in (event.payload, len(event.payload))
                if awaited.origin == event.sender and is_it:
                    awaited.by.pop(process, None)

    def tick(self) -> None:
        covers = self.simulation.excuses.covers
        for awaited in list(self._awaited):
            source = awaited.source
            if not source.running or is_leaving(source) or self._is_cut_off(source):
                self._awaited.remove(awaited)  # it may have told nobody, or hardly anybody
                continue
            for process in list(awaited.by):
                gone = not process.running or is_leaving(process)
                if gone or covers(process.name) or covers(awaited.origin):
                    del awaited.by[process]
                    awaited.expected -= 1
            if self.simulation.now - awaited.at > self.seconds:
                self._awaited.remove(awaited)
                self._expected += awaited.expected
                for process in awaited.by:
                    self._missed.append(
                        f"{awaited.what!r} of {awaited.origin} missed {process.name}"
                    )

    def finish(self) -> None:
        if not self._expected or self._has_dropped():
            return
        if len(self._missed) > max(self.few, MISSED_SHARE * self._expected):
            first = ", ".join(self._missed[:3])
            self.wrong(f"{len(self._missed)} of {self._expected} deliveries are missing: {first}")
        else:
            self.ok()

    def _has_dropped(self) -> bool:
        everybody = [*self.simulation.processes.values(), *self.simulation.graves]
        return any(
            node_of(process).counters.get(counter)
            for process in everybody
            for counter in ("broadcast_dropped", "message_too_large")
        )


class ReliableDelivery(Checker):
    """A reliable message whose command has succeeded was delivered before; none is delivered more
    often than commands were given. Counted for each sender, as commands name no message: the
    successes (commands that end without a result and without an error) never exceed the
    deliveries.
    """

    name: ClassVar[str] = "reliable-delivery"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._delivered: dict[str, int] = {}
        self._completed: dict[str, int] = {}
        self._commands: dict[str, int] = {}

    def ended(self, process: Process, how: str) -> None:
        self._commands[process.name] = self._commands.get(process.name, 0) + process.tokens

    def event(self, process: Process, event: Event) -> None:
        if type(event) is not MessageReceived or event.delivery is not Delivery.STREAM:
            return
        sender = event.sender
        count = self._delivered[sender] = self._delivered.get(sender, 0) + 1
        present = self.simulation.processes.get(sender)
        given = self._commands.get(sender, 0) + (0 if present is None else present.tokens)
        if count > given:
            self.wrong(f"{count} reliable messages of {sender}, which gave {given} commands")
        else:
            self.ok()

    def completed(self, process: Process, complete: Complete) -> None:
        if complete.error is not None or complete.result is not None:
            return
        sender = process.name
        count = self._completed[sender] = self._completed.get(sender, 0) + 1
        if count > self._delivered.get(sender, 0):
            self.wrong(f"{sender}: command {complete.token} succeeded, and nothing was delivered")
        else:
            self.ok()
