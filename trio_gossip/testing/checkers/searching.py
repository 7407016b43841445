"""Rules of the search for lost members: how often, and for whom not."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.engine import OpenExchange
from trio_gossip.engine.rejoin import HASTE, SPLIT_SHARE
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import active_of, engine_time, node_of

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.engine.outputs import Output
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

TRIES_OVER: Final = 15.0
"""Tries beyond twice those that are expected: by chance once in millions of runs."""


@attrs.define
class _Search:
    time: float
    tried: int = 0
    """Tries of lost addresses that the process has counted."""
    seeds: dict[Address, None] = attrs.field(factory=dict["Address", None])
    failed: dict[str, Address] = attrs.field(factory=dict[str, "Address"])
    """Names that it held failed at any time, and where they lived."""


class TriesAreFew(Checker):
    """All members together make about one try for each lost one in a ``rejoin_interval``, and not
    one each: a process tries with the probability lost / N (as Serf does), more often only where
    the cluster is split. Of all processes of a run no more than twice what is expected, and
    fifteen. Lost to a process may be seeds at whose address it counts nobody, and all that it has
    held failed and does not hold otherwise.

    And nobody tries a member that said goodbye, unless the application gave its address.
    """

    name: ClassVar[str] = "tries-are-few"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._searches: dict[Process, _Search] = {}
        self._expected = 0.0
        self._tries = 0

    def started(self, process: Process) -> None:
        self._searches[process] = _Search(engine_time(process))

    def ended(self, process: Process, how: str) -> None:
        search = self._searches.pop(process, None)
        if search is not None:
            self._expect(process, search)

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if after is not None and after.state is MemberState.FAILED:
            self._searches[process].failed[name] = after.address

    def turned(self, process: Process, outputs: list[Output]) -> None:
        search = self._searches.get(process)
        if search is not None:
            for output in outputs:
                if type(output) is OpenExchange:
                    self._dialled(process, search, output)

    def _dialled(self, process: Process, search: _Search, output: OpenExchange) -> None:
        node = node_of(process)
        if output.exchange in node.outbox.commands.values():
            search.seeds[output.address] = None
            return
        tried = node.counters.get("rejoin_tried", 0)
        if tried == search.tried:
            return
        self._tries += tried - search.tried
        search.tried = tried
        there = [each.member for each in node.table if each.member.address == output.address]
        gone = bool(there) and all(member.state is MemberState.LEFT for member in there)
        # Another one of whom it has heard no goodbye may have lived there.
        sought = output.address in search.seeds or output.address in search.failed.values()
        if gone and not sought:
            self.wrong(f"{process.name} looks for {there[0].name}, which said goodbye")
        else:
            self.ok()

    def tick(self) -> None:
        for process, search in self._searches.items():
            self._expect(process, search)

    def _expect(self, process: Process, search: _Search) -> None:
        now = engine_time(process)
        seconds, search.time = now - search.time, now
        active = max(active_of(process), 1)
        lost = _lost(process, search)
        rate = (HASTE if SPLIT_SHARE * lost >= active else 1.0) / process.config.rejoin_interval
        self._expected += seconds * rate * min(1.0, lost / active)

    def finish(self) -> None:
        most = 2.0 * self._expected + TRIES_OVER
        if self._tries > most:
            self.wrong(f"{self._tries} tries of lost members, {most:.0f} are enough")


def _lost(process: Process, search: _Search) -> int:
    """How many addresses a process may try at most."""
    table = node_of(process).table
    rows = (table.get(name) for name in search.failed)
    failed = sum(row is None or row.member.state is MemberState.FAILED for row in rows)
    active = {row.member.address for row in table if row.member.is_active} if search.seeds else ()
    return failed + sum(address not in active for address in search.seeds)
