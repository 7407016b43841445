"""Rules of exchanges of tables: what both sides have when one has come to its end."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.engine import CloseExchange, OpenExchange
from trio_gossip.members import ALIVE_JUMP_MAX, FIRST_INCARNATION_MAX, Member, MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import (
    attempts_of,
    evidence_of,
    is_leaving,
    is_private,
    is_verified,
    node_of,
    weighs,
)

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.engine import Complete
    from trio_gossip.engine.outputs import Output
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

PENDING_MAX: Final = 64
"""Exchanges of a process that are remembered; most are over in milliseconds."""


@attrs.define
class _Begun:
    peer: Process
    ours: dict[str, Member]
    theirs: dict[str, Member]


def _rows(process: Process) -> dict[str, Member]:
    return {member.name: member for member in process.engine.members(all=True)}


class ExchangeMerged(Checker):
    """After a push/pull both sides know what each told.

    Of each row that one side held before and holds still, the other has (of pulls and pushes only
    that side which is told a whole table in all of them):

    * a row at that incarnation or above, if the member is alive;
    * not an active one at that incarnation or below, if the member has left;
    * not an alive one at that incarnation or below, if it is suspected or failed; with the detector
      that weighs evidence it looks for itself instead: it asks that member now. Whom a side
      suspects in private it tells as alive.

    Judged in the turn in which the opener of an exchange notes that it is done, as the other side
    merges before it sends its last frame. Rows are left out which a rule of the engine keeps
    from being believed: another address (it is verified first), a tombstone, hearsay of who may
    be gone (it is asked first), an incarnation out of reach. Not judged: a peer that cannot run,
    is leaving or has changed lives, a table of more than one slice, and all once strangers' packets
    were let in.
    """

    name: ClassVar[str] = "exchange-merged"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._begun: dict[Process, dict[int, _Begun]] = {}
        self._done: dict[Process, int] = {}

    def ended(self, process: Process, how: str) -> None:
        self._begun.pop(process, None)
        self._done.pop(process, None)

    def turned(self, process: Process, outputs: list[Output]) -> None:
        if process in self._begun:
            self._look(process, outputs)
        for output in outputs:
            if type(output) is OpenExchange:
                self._note(process, output)

    def _note(self, process: Process, output: OpenExchange) -> None:
        peer = _process_at(self.simulation, output.address)
        begun = self._begun.setdefault(process, {})
        self._done.setdefault(process, node_of(process).counters.get("sync_done", 0))
        if peer is None or peer is process:
            return
        if len(begun) >= PENDING_MAX:
            del begun[min(begun)]
        begun[output.exchange] = _Begun(peer, _rows(process), _rows(peer))

    def _look(self, process: Process, outputs: list[Output]) -> None:
        """Compare after an exchange that was closed and noted as done in this turn."""
        before = self._done[process]
        done = self._done[process] = node_of(process).counters.get("sync_done", 0)
        begun = self._begun[process]
        closed = [
            begun.pop(output.exchange)
            for output in outputs
            if type(output) is CloseExchange and output.exchange in begun
        ]
        if done != before + 1 or len(closed) != 1 or self.strangers_spoke:
            return
        (one,) = closed
        peer = one.peer
        if not peer.running or not peer.can_run or is_leaving(peer) or is_leaving(process):
            return
        mode = process.config.exchange  # some exchanges move both tables in spite of it
        if mode != "push":
            self._compare(peer, one.theirs, process)
        if mode == "push-pull":
            self._compare(process, one.ours, peer)

    def _compare(self, teller: Process, told: dict[str, Member], hearer: Process) -> None:
        quiet = {name for name in told if is_private(teller, name)}
        for name, before in told.items():
            if name == hearer.name or before.address == hearer.address:
                continue  # of itself it knows better, and nobody else lives where it lives
            if teller.engine.member(name) != before:
                continue
            fault = _fault(before, hearer, quiet)
            if fault is None:
                self.ok()
            else:
                self.wrong(f"{hearer.name} heard of {before} from {teller.name}, and {fault}")


def _fault(told: Member, hearer: Process, quiet: set[str]) -> str | None:
    """What a process that was told of ``told`` should not hold, or None."""
    row = hearer.engine.member(told.name)
    table = node_of(hearer).table
    if told.state is MemberState.SUSPECT and told.name in quiet:
        told = attrs.evolve(told, state=MemberState.ALIVE)
    if row is None:
        gone = table.tombstone(told.name, now=node_of(hearer).now) is not None
        missing = told.state is MemberState.ALIVE and told.incarnation <= FIRST_INCARNATION_MAX
        gone = gone or is_verified(hearer, told.name)
        full = len(table) >= hearer.config.members_max
        return "has no row" if missing and not gone and not full else None
    if told.state is MemberState.ALIVE:
        far = told.incarnation - evidence_of(hearer, told.name) > ALIVE_JUMP_MAX
        known = evidence_of(hearer, told.name) >= told.incarnation
        return None if known or far or told.address != row.address else f"holds {row}"
    if row.incarnation > told.incarnation:
        return None
    if weighs(hearer) and told.state is not MemberState.LEFT and row.is_active:
        return None if _looks(hearer, row) else f"does not ask {row}"
    wrong = row.is_active if told.state is MemberState.LEFT else row.state is MemberState.ALIVE
    return f"holds {row}" if wrong else None


def _looks(process: Process, row: Member) -> bool:
    """True when a process has a doubt about a member, or asks it now; or may not begin to."""
    return (
        row.state is MemberState.SUSPECT
        or any(attempt.target.name == row.name for attempt in attempts_of(process).values())
        or node_of(process).counters.get("looks_full", 0) > 0
        or node_of(process).counters.get("questions_full", 0) > 0
    )


class JoinOutcome(Checker):
    """A join that succeeds has brought the table of its seed: it counts one member at least, who is
    the seed itself and speaks its version; and the process knows who lives at the seed's address,
    if that one runs on. Only the first is judged when strangers' packets were let in, or when the
    seed has changed lives or is leaving.
    """

    name: ClassVar[str] = "join-outcome"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._asked: dict[Process, dict[int, Process | None]] = {}

    def ended(self, process: Process, how: str) -> None:
        self._asked.pop(process, None)

    def turned(self, process: Process, outputs: list[Output]) -> None:
        for output in outputs:
            if type(output) is OpenExchange and output.peer_name is None:
                commands = node_of(process).outbox.commands
                for token, stream in commands.items():
                    if stream == output.exchange:
                        seed = _process_at(self.simulation, output.address)
                        self._asked.setdefault(process, {})[token] = seed

    def completed(self, process: Process, complete: Complete) -> None:
        asked = self._asked.get(process, {})
        if complete.token not in asked:
            return
        seed = asked.pop(complete.token)
        if complete.error is not None:
            self.ok()
        elif not isinstance(complete.result, int) or complete.result < 1:
            self.wrong(f"{process.name} joined, and was told of {complete.result!r} members")
        elif seed is None or self.strangers_spoke or not seed.running or is_leaving(seed):
            return
        elif seed.config.versions != process.config.versions:
            self.wrong(f"{process.name} joined {seed.name}, which speaks another version")
        elif node_of(process).table.get(seed.name) is None:
            self.wrong(f"{process.name} joined through {seed.name}, and does not know it")
        else:
            self.ok()


def _process_at(simulation: Simulation, address: Address) -> Process | None:
    for process in simulation.processes.values():
        if process.address == address:
            return process
    return None
