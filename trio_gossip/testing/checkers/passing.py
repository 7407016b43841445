"""Rules of what follows from a change: others are told, the lost are sought, and not for ever."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.codec.messages import Alive, Dead, Suspect
from trio_gossip.engine import OpenExchange
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.expected import push_pull_seconds
from trio_gossip.testing.checkers.inside import (
    active_of,
    engine_time,
    is_isolated,
    is_leaving,
    is_private,
    is_queued,
    node_of,
    weighs,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.engine.outputs import Output
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

TRIES_EXPECTED: Final = 14.0
"""Tries of lost members that must have been due before it is judged that there was none: the chance
of that is about one in a million."""

EXCHANGES_EACH: Final = 4
"""Exchanges that one try of a lost address may come to: itself, and three that follow."""

JOIN_SEEDS: Final = 4
"""Exchanges that one command may come to: the join, and three that follow."""

SEEDS_LOST: Final = 4
"""Lost addresses beside the failed members that a process may also try: seeds."""


class NewsIsQueued(Checker):
    """What changes in a table is passed on (SWIM section 4.1): when a turn ends in which a row was
    added or has changed, news of that member is queued, or was sent in that turn already.

    Not demanded of the first row, one's own; of a process that leaves, or counts nobody else; nor
    when news was dropped as the queue was full, or was too large for a packet. Nor of a suspicion
    that is private, and of its end without a refutation; nor of what a process that takes itself
    for cut off holds against others.
    """

    name: ClassVar[str] = "news-is-queued"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._changed: dict[str, None] = {}
        self._process: Process | None = None
        self._told: list[str] = []

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if self._process is not process:
            self._process = process
            self._changed.clear()
        if (
            after is None
            or (before is None and name == process.name)
            or (weighs(process) and _is_private_change(process, before, after))
        ):
            self._changed.pop(name, None)
        else:
            self._changed[name] = None

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        self._told += (m.name for m in messages if isinstance(m, Alive | Suspect | Dead))

    def turned(self, process: Process, outputs: list[Output]) -> None:
        told, self._told = self._told, []
        if not self._changed or self._process is not process:
            return
        changed = list(self._changed)
        self._changed.clear()
        counters = node_of(process).counters
        if (
            is_leaving(process)
            or active_of(process) < 2
            or counters.get("broadcast_dropped")
            or counters.get("message_too_large")
        ):
            return
        for name in changed:
            if name in told or is_queued(process, name):
                self.ok()
            else:
                self.wrong(f"{process.name} holds {process.engine.member(name)} and tells nobody")


def _is_private_change(process: Process, before: Member | None, after: Member) -> bool:
    """True when a row has changed of which nobody is told."""
    if after.state is MemberState.SUSPECT and is_private(process, after.name):
        return True
    if after.state is not MemberState.ALIVE:
        return is_isolated(process)
    return (
        before is not None
        and before.incarnation == after.incarnation
        and before.state is MemberState.SUSPECT
    )


@attrs.define
class _Search:
    time: float
    tried: int = 0
    """Tries of lost addresses that the process has counted."""
    seeds: dict[Address, None] = attrs.field(factory=dict["Address", None])
    """Where its joins went."""
    failed: dict[str, Address] = attrs.field(factory=dict[str, "Address"])
    """Rows that are failed now, and those that were when they were reaped."""
    forgotten: dict[str, float] = attrs.field(factory=dict[str, float])
    """Of the latter, when the tombstone goes."""

    def kind_of(self, name: str) -> str:
        """What a failed member is to who looks for it."""
        if self.failed[name] in self.seeds:
            return "a seed"
        return "reaped" if name in self.forgotten else "no seed"


class LostAreTried(Checker):
    """Members that failed are looked for (memberlist issue 222, where nobody does): a process tries
    a lost address once in each ``rejoin_interval`` with the probability lost / N, as Serf does.
    Of all processes of a run together at least one has tried one of those that it held failed
    when ``TRIES_EXPECTED`` such tries were due; and the same holds of those through which it did
    not join (weaviate issue 8246, where seeds alone are tried), and of the reaped ones among them,
    which count as long as their tombstones and are lost for ever if nobody tries them.
    """

    name: ClassVar[str] = "lost-are-tried"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._searches: dict[Process, _Search] = {}
        self._tries: dict[str, int] = dict.fromkeys(("a seed", "no seed", "reaped"), 0)
        """Of addresses that are seeds of who tries, of others in its table, and of reaped ones."""
        self._due: dict[str, float] = dict.fromkeys(self._tries, 0.0)

    def started(self, process: Process) -> None:
        self._searches[process] = _Search(engine_time(process))

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        search = self._searches[process]
        if after is not None and after.state is MemberState.FAILED:
            search.failed[name] = after.address
            search.forgotten.pop(name, None)
        elif after is not None:
            search.failed.pop(name, None)
            search.forgotten.pop(name, None)
        elif name in search.failed:
            search.forgotten[name] = engine_time(process) + process.config.tombstone_time

    def turned(self, process: Process, outputs: list[Output]) -> None:
        search = self._searches.get(process)
        if search is None:
            return
        for output in outputs:
            if type(output) is OpenExchange:
                self._dialled(process, search, output)

    def _dialled(self, process: Process, search: _Search, output: OpenExchange) -> None:
        node = node_of(process)
        if output.exchange in node.outbox.commands.values():
            if output.peer_name is None:
                search.seeds[output.address] = None
            return
        tried = node.counters.get("rejoin_tried", 0)
        if tried != search.tried and output.address in search.failed.values():
            for name, address in search.failed.items():
                if address == output.address:
                    self._tries[search.kind_of(name)] += 1
            self.ok()
        search.tried = tried

    def tick(self) -> None:
        for process, search in self._searches.items():
            now = engine_time(process)
            seconds, search.time = now - search.time, now
            for name in [name for name, until in search.forgotten.items() if until <= now]:
                del search.forgotten[name], search.failed[name]
            if not search.failed or is_leaving(process):
                continue
            most = max(active_of(process), len(search.failed) + SEEDS_LOST)
            for name in search.failed:
                share = seconds / process.config.rejoin_interval / most
                self._due[search.kind_of(name)] += share

    def ended(self, process: Process, how: str) -> None:
        self._searches.pop(process, None)

    def finish(self) -> None:
        due, tries = sum(self._due.values()), sum(self._tries.values())
        if due >= TRIES_EXPECTED and not tries:
            self.wrong(f"nobody has tried a failed member, {due:.0f} tries were due")
        for kind in ("no seed", "reaped"):
            if self._due[kind] >= TRIES_EXPECTED and not self._tries[kind]:
                due = self._due[kind]
                self.wrong(f"nobody has tried a member that is {kind}, {due:.0f} tries were due")


class ExchangeRate(Checker):
    """A process does not exchange its table more often than it has reason to (ringpop issue 143:
    two members exchanged theirs for ever): once in a ``push_pull_interval``, four times for each
    try of a lost address, once after a heal, and for each command once with each seed.

    Counted are exchanges that it opened and that were done, over its whole life, with half as many
    again of the periodic ones and three more.
    """

    name: ClassVar[str] = "exchange-rate"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._judged: dict[Process, int] = {}

    def ended(self, process: Process, how: str) -> None:
        self._judged.pop(process, None)

    def tick(self) -> None:
        for process in self.simulation.processes.values():
            counters = node_of(process).counters
            done = counters.get("sync_done", 0)
            if done == self._judged.get(process, 0):
                continue
            self._judged[process] = done
            seconds = engine_time(process) - process.started_at
            periodic = 3 + 1.5 * max(seconds, 0.0) / push_pull_seconds(process.config, 1)
            tried = EXCHANGES_EACH * counters.get("rejoin_tried", 0)
            settling = counters.get("settle_tried", 0)
            most = periodic + tried + settling + JOIN_SEEDS * process.tokens
            if done > most:
                self.wrong(f"{process.name} made {done} exchanges, {most:.0f} had a reason")
            else:
                self.ok()
