"""Rules of single inputs: what must come of a broadcast, a goodbye or an accusation."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from trio_gossip.codec.messages import Ack, Broadcast, Dead, Leave
from trio_gossip.engine import SendPacket
from trio_gossip.events import Delivery, MessageReceived
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import evidence_of, is_leaving, node_of
from trio_gossip.testing.checkers.sealed import is_whole
from trio_gossip.testing.checkers.wire import messages_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.engine.outputs import Output
    from trio_gossip.events import Event
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

OVERTAKEN_MOST: Final = 512
"""Broadcasts of its origin by which one may have been overtaken and must still be delivered: half
of what the engine promises to remember."""

GOODBYES_IN_A_PACKET: Final = 4
"""In a packet with more of them not each needs an answer: those of one turn are bounded."""


class ArrivedIsDelivered(Checker):
    """A broadcast that arrives for the first time is delivered in that very turn, once, even if it
    was overtaken by others of its origin. Demanded of broadcasts of this life of an origin that
    the process knows. Not judged: origins of which one came that was never sent (damaged on
    the way), unless nobody of that name was known, and all once strangers' packets were let in.
    """

    name: ClassVar[str] = "arrived-is-delivered"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._sent: set[tuple[str, int, int]] = set()
        self._had: dict[tuple[Process, str], tuple[int, int, set[int]]] = {}
        self._strange: set[tuple[Process, str]] = set()
        self._due: dict[tuple[str, bytes], int] = {}

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        for message in messages:
            if isinstance(message, Broadcast) and message.origin == process.name:
                self._sent.add((message.origin, message.epoch, message.counter))

    def ended(self, process: Process, how: str) -> None:
        for key in [key for key in self._had if key[0] is process]:
            del self._had[key]

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        for message in messages:
            if not isinstance(message, Broadcast) or message.origin == process.name:
                continue
            key = (process, message.origin)
            if (message.origin, message.epoch, message.counter) not in self._sent:
                if evidence_of(process, message.origin):
                    self._strange.add(key)
                continue
            if key in self._strange or self.strangers_spoke:
                continue
            # Of a life that it does not know yet it may take some after a claim in this packet.
            known = 0 < message.epoch <= evidence_of(process, message.origin)
            if self._is_new(key, message.epoch, message.counter) and known:
                due = (message.origin, message.payload)
                self._due[due] = self._due.get(due, 0) + 1

    def _is_new(self, key: tuple[Process, str], epoch: int, counter: int) -> bool:
        known, highest, had = self._had.get(key, (0, 0, set[int]()))
        if epoch < known or (epoch == known and counter in had):
            return False
        if epoch > known:
            had = set[int]()
            highest = counter
        had.add(counter)
        self._had[key] = (epoch, max(highest, counter), had)
        return highest - counter <= OVERTAKEN_MOST

    def event(self, process: Process, event: Event) -> None:
        if type(event) is MessageReceived and event.delivery is Delivery.BROADCAST:
            due = (event.sender, event.payload)
            if self._due.get(due, 0) > 0:
                self._due[due] -= 1
                self.ok()

    def taken(self, process: Process) -> None:
        for (origin, payload), missing in self._due.items():
            if missing > 0:
                self.wrong(f"{process.name} did not deliver {payload[:60]!r} of {origin}")
        self._due.clear()


class DeliveredWhole(Checker):
    """What the application of a scenario sends arrives as it was: each payload carries its length
    and its checksum, see ``trio_gossip.testing.checkers.sealed``. Others are not judged.
    """

    name: ClassVar[str] = "delivered-whole"

    def event(self, process: Process, event: Event) -> None:
        if type(event) is not MessageReceived or self.strangers_spoke:
            return
        whole = is_whole(event.payload)
        if whole is False:
            self.wrong(f"{process.name} got a damaged payload: {event.payload[:80]!r}")
        elif whole:
            self.ok()


class GoodbyeAnswered(Checker):
    """Who is told a goodbye directly, by a member that it knows, acknowledges it in that turn, also
    when it knew of it: the leaver waits for that, and tells again until it has enough.
    """

    name: ClassVar[str] = "goodbye-answered"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._due: list[Leave] = []
        self._source: Address | None = None

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        told = [message for message in messages if isinstance(message, Leave)]
        if not told or len(told) > GOODBYES_IN_A_PACKET or self.strangers_spoke:
            return
        if node_of(process).table.knows_address(source):
            self._due = told
            self._source = source

    def turned(self, process: Process, outputs: list[Output]) -> None:
        if self._source is None:
            return
        answers = {
            message.sequence
            for output in outputs
            if type(output) is SendPacket and output.address == self._source
            for message in messages_of(output.data)
            if isinstance(message, Ack)
        }
        for message in self._due:
            if message.sequence in answers:
                self.ok()
            else:
                self.wrong(f"{process.name} did not answer {message}")
        self._source = None


class LeaverRests(Checker):
    """A member that has begun to leave probes nobody, opens no exchanges and looks for nobody: the
    timers of these do not run after any of its turns. No tolerance.
    """

    name: ClassVar[str] = "leaver-rests"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._left: set[Process] = set()

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if name == process.name and after is not None and after.state is MemberState.LEFT:
            self._left.add(process)

    def ended(self, process: Process, how: str) -> None:
        self._left.discard(process)

    def turned(self, process: Process, outputs: list[Output]) -> None:
        if process not in self._left:
            return
        if not is_leaving(process):
            self._left.discard(process)
            return
        timers = node_of(process).timers
        running = [kind for kind in ("probe_tick", "push_pull", "rejoin") if (kind, 0) in timers]
        if running:
            self.wrong(f"{process.name} is leaving, and has timers for {', '.join(running)}")
        else:
            self.ok()


class VerdictHasCause(Checker):
    """A member that was alive is declared failed only when somebody's verdict has come in this
    turn, in a packet; what a table says of it makes it a suspect (memberlist). Suspects are
    declared failed by their timers. No tolerance.
    """

    name: ClassVar[str] = "verdict-has-cause"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._verdicts: set[str] = set()

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        self._verdicts = {message.name for message in messages if isinstance(message, Dead)}

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if after is None or after.state is not MemberState.FAILED or before is None:
            return
        if before.state is MemberState.ALIVE and name not in self._verdicts:
            self.wrong(f"{process.name} declared {name} failed, and nobody had said so")
        else:
            self.ok()

    def taken(self, process: Process) -> None:
        self._verdicts.clear()
