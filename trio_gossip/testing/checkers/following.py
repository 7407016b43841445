"""The rule of what follows an exchange that found two views of the cluster."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.engine import CloseExchange, OpenExchange
from trio_gossip.engine.rejoin import FOLLOW_UP_DELAY
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import engine_time, is_leaving, node_of

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.engine.outputs import Output
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

LATE_SECONDS: Final = 2.0
"""By which the next exchange may be late, in engine time."""


@attrs.define
class _Search:
    """What a process is at: its tries, and the exchanges that it owes."""

    tried: int = 0
    done: int = 0
    open: dict[int, tuple[Process, list[str]]] = attrs.field(
        factory=dict[int, "tuple[Process, list[str]]"]
    )
    """Tries under way: with whom, and of which members the two had opposite views."""
    due: dict[Address, float] = attrs.field(factory=dict["Address", float])


class ContradictionFollowed(Checker):
    """After a partition each side holds the other dead, and one exchange heals nothing: hearsay
    of a death is a suspicion, and an old word of a living member proves nothing. So when a try
    of a lost address, or a join, finds that one side holds a member failed which the other holds
    active at that incarnation or below, another exchange with that address follows within
    seconds (point 5 of ``docs/differences``).

    Judged where the two held opposite views both before and after.
    """

    name: ClassVar[str] = "contradiction-followed"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._searches: dict[Process, _Search] = {}

    def turned(self, process: Process, outputs: list[Output]) -> None:
        search = self._searches.get(process)
        for output in outputs:
            if type(output) is OpenExchange:
                if search is None:
                    search = self._searches[process] = _Search()
                self._opened(process, search, output)
        if search is not None and search.open:
            self._ended_some(process, search, outputs)
        if search is not None:
            search.done = node_of(process).counters.get("sync_done", 0)

    def _opened(self, process: Process, search: _Search, output: OpenExchange) -> None:
        node = node_of(process)
        if search.due.pop(output.address, None) is not None:
            self.ok()
        tried = node.counters.get("rejoin_tried", 0)
        is_command = output.exchange in node.outbox.commands.values()
        is_join = is_command and output.peer_name is None
        is_try = tried != search.tried and not is_command
        search.tried = tried
        if not is_try and not is_join:
            return
        for peer in self.simulation.processes.values():
            if peer.address == output.address and peer is not process:
                names = _disputed(process, peer)
                if names:
                    search.open[output.exchange] = (peer, names)

    def _ended_some(self, process: Process, search: _Search, outputs: list[Output]) -> None:
        done = node_of(process).counters.get("sync_done", 0) == search.done + 1
        for output in outputs:
            found = (
                search.open.pop(output.exchange, None) if type(output) is CloseExchange else None
            )
            if found is None or not done:
                continue
            peer, names = found
            still = _disputed(process, peer)
            if peer.running and any(name in still for name in names):
                due = engine_time(process) + FOLLOW_UP_DELAY + LATE_SECONDS
                search.due[peer.address] = due

    def tick(self) -> None:
        for process, search in self._searches.items():
            if is_leaving(process) or not process.can_run:
                search.due.clear()
                continue
            for address in [each for each, due in search.due.items() if due < engine_time(process)]:
                del search.due[address]
                self.wrong(f"{process.name} found another view at {address}, and left it at that")

    def ended(self, process: Process, how: str) -> None:
        self._searches.pop(process, None)


def _disputed(asker: Process, peer: Process) -> list[str]:
    """Members that one of two processes holds failed, and the other active without knowing more.

    What the asker has buried counts as well. Of what its peer has buried it does not hear.
    """
    names = [row.name for row in peer.engine.members(all=True) if _buries(asker, row)]
    for row in asker.engine.members():
        theirs = peer.engine.member(row.name)
        if (
            theirs is not None
            and theirs.state is MemberState.FAILED
            and row.incarnation <= theirs.incarnation
        ):
            names.append(row.name)
    return names


def _buries(asker: Process, row: Member) -> bool:
    """True when ``asker`` holds a member failed that is active in this row of another one."""
    if not row.is_active:
        return False
    node = node_of(asker)
    mine = asker.engine.member(row.name)
    if mine is not None:
        return mine.state is MemberState.FAILED and row.incarnation <= mine.incarnation
    stone = node.table.tombstone(row.name, now=node.now)
    return (
        stone is not None
        and stone.state is MemberState.FAILED
        and row.incarnation <= stone.incarnation
    )
