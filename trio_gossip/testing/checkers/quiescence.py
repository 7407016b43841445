"""The rule for a cluster in which nothing happens: it is quiet."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from trio_gossip.codec.messages import (
    Alive,
    Announce,
    Broadcast,
    Dead,
    Leave,
    ServiceNews,
    Suspect,
)
from trio_gossip.engine import Complete, OpenExchange
from trio_gossip.services.state_records import Plane
from trio_gossip.testing.checkers.convergence import AfterFaults
from trio_gossip.testing.checkers.expected import push_pull_seconds
from trio_gossip.testing.checkers.inside import active_of, node_of, suspicions_of
from trio_gossip.testing.checkers.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.engine.outputs import Output
    from trio_gossip.members import Member, MemberState
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

TOLD: Final = (Alive, Suspect, Dead, Broadcast, Announce, Leave, ServiceNews)
"""Messages that an idle cluster does not send."""

QUEUE_SECONDS: Final = 20.0
"""How long after the last change of any row news may be queued: a hundred rounds of gossip."""

REST_SECONDS: Final = 15.0
"""How long all tables must have been equal before silence is demanded: an exchange with an older
snapshot may still be under way for ``stream_timeout``."""

SPLIT_HASTE: Final = 3.0
"""How many times as often lost addresses are tried where a good part of the cluster is lost."""


STREAMS_EACH: Final = 1 + len(Plane)
"""Of an exchange: one of tables, and then one of each plane of state."""


class Quiescence(AfterFaults):
    """When nothing changes, only probes and their answers travel, and streams no oftener than
    push/pull and the tries of lost addresses have it (ringpop issue 143: two members exchange
    their tables for ever). Without summaries, each push/pull is followed by a stream for each plane
    of state. Demanded once all tables have been equal, failed and left members included, with
    nothing queued, for fifteen seconds. And the queues of all who count three members are empty
    when no row has changed anywhere for twenty, unless they suspect somebody, whom one more may
    accuse.

    Not demanded while a command of an application is under way: a change of keys that nobody waits
    for any more gives back its leases a while later, one stream for each member. That commands end
    is what ``commands-complete`` is for. Nor before each process has had a whole probe interval,
    in its own pace, since the last thing that happened: a probe that was lost under the faults
    fails when its round ends, and that takes an unhealthy process up to nine intervals (Lifeguard).
    """

    name: ClassVar[str] = "quiescence"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._equal_since: float | None = None
        self._resting: float | None = None
        self._last_change = 0.0
        self._news: str = ""
        self._said: dict[Process, tuple[int, int]] = {}
        self._dials: dict[Process, int] = {}
        self._pace = Pace()
        self._paces: dict[Process, float] = {}
        """How far each process had come at the first look after the last thing that happened."""

    def ended(self, process: Process, how: str) -> None:
        super().ended(process, how)
        self._pace.forget(process)

    def disturbed(self) -> None:
        super().disturbed()
        self._equal_since = self._resting = None
        self._news = ""
        self._paces.clear()

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        super().changed(process, name, before, after)
        self._last_change = self.simulation.now

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        if self._calm is None:
            return
        for message in messages:
            if isinstance(message, Broadcast | Announce) and message.origin == process.name:
                key = (message.epoch, message.counter)
                if key > self._said.get(process, (0, 0)):
                    self._said[process] = key
                    self.disturbed()  # the application said something
                    return
            if self._resting is not None and isinstance(message, TOLD):
                self._news = f"{process.name} tells {address}: {message}"

    def turned(self, process: Process, outputs: list[Output]) -> None:
        if self._resting is None:
            return
        for output in outputs:
            if type(output) is Complete:
                self.disturbed()  # a command of the application, perhaps a join
                return
            if type(output) is OpenExchange:
                self._dials[process] = self._dials.get(process, 0) + 1
        if self._news:
            self.wrong(f"nothing changes, and yet {self._news}")
            self.disturbed()

    def tick(self) -> None:
        if self._calm is None or not self.simulation.processes:
            return
        now = self.simulation.now
        if now - max(self._calm, self._last_change) > QUEUE_SECONDS:
            self._look_at_queues()
        if not self._is_left_alone() or not self._is_equal():
            self._equal_since = self._resting = None
            return
        if self._equal_since is None:
            self._equal_since = now
        if self._resting is None and now - self._equal_since >= REST_SECONDS:
            self._resting = now
            self._dials.clear()
        elif self._resting is not None:
            self.ok()
            self._count_dials(now - self._resting)

    def _look_at_queues(self) -> None:
        for process in self.simulation.processes.values():
            queue = node_of(process).queue
            if len(queue) and active_of(process) > 2 and not suspicions_of(process):
                self.wrong(f"{process.name} still has {len(queue)} news to tell")
                self.disturbed()
                return

    def _count_dials(self, seconds: float) -> None:
        for process, dials in self._dials.items():
            config = process.config
            pulls = seconds / push_pull_seconds(config, 1)
            tries = seconds / (0.5 * config.rejoin_interval / SPLIT_HASTE)
            # Where pings do not compare, each exchange goes on with one of each plane of state.
            streams = 1 if config.summaries else STREAMS_EACH
            if dials > streams * (2 + pulls + tries):
                self.wrong(f"{process.name} opened {dials} streams in {seconds:.0f} quiet seconds")
                self.disturbed()
                return

    def _is_left_alone(self) -> bool:
        """True when nothing goes on that began before: no command, and no probe."""
        processes = self.simulation.processes.values()
        self._pace.step(self.simulation)
        if not self._paces:
            self._paces = {process: self._pace.intervals(process) for process in processes}
        probed = all(
            self._pace.intervals(process) - since > 1.0 for process, since in self._paces.items()
        )
        return probed and not any(node_of(process).outbox.commands for process in processes)

    def _is_equal(self) -> bool:
        """True when no news can be left: equal tables, equal state and empty queues."""
        processes = self.simulation.processes.values()
        if any(len(node_of(process).queue) for process in processes) or not self.agree():
            return False
        if any(
            len({process.state.planes[plane].digest for process in processes}) > 1
            for plane in Plane
        ):
            return False
        gone: dict[str, tuple[MemberState, int]] = {}
        for process in processes:
            for member in process.engine.members(all=True):
                if not member.is_active:
                    state = (member.state, member.incarnation)
                    if gone.setdefault(member.name, state) != state:
                        return False
        return True
