"""Rules of what a member owes to who sent it a packet: an ack, and what it does not know yet."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from trio_gossip.codec.messages import Ack, Alive, Dead, Ping, Suspect
from trio_gossip.members import INCARNATION_MAX, OWN_JUMP_MAX, MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import (
    engine_time,
    evidence_of,
    is_leaving,
    is_private,
    node_of,
)
from trio_gossip.testing.checkers.wire import PING, first_code, messages_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Claim, Message
    from trio_gossip.engine.outputs import Output
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation


@attrs.define
class _Turn:
    process: Process
    source: Address
    withheld: int
    ping: Ping | None = None
    failed: int = 0
    """The evidence against the member that pings, if it is held failed, or was reaped."""
    reaped: bool = False
    owed: list[tuple[str, int]] = attrs.field(factory=list[tuple[str, int]])
    """Of whom the source has to hear, and from which incarnation on."""
    sent: list[tuple[Message, Address]] = attrs.field(factory=list["tuple[Message, Address]"])


class PingsAnswered(Checker):
    """Whoever is pinged by its own name answers in the same turn (SWIM section 3.1), and nobody
    answers for another name. A member that is held failed and pings is told so beside the ack
    (it may know nothing of that, and refutes); so is one that was reaped, as long as there is
    a tombstone.

    A stranger is answered with no more bytes than it sent; an answer that was withheld for that
    is excused.
    """

    name: ClassVar[str] = "pings-answered"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._turn: _Turn | None = None

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        if first_code(data) != PING:
            return
        messages = messages_of(data)
        if messages and isinstance(messages[0], Ping):
            ping = messages[0]
            turn = self._turn = _Turn(process, source, _withheld(process), ping)
            row = process.engine.member(ping.source)
            if row is not None and row.state is MemberState.FAILED:
                turn.failed = evidence_of(process, ping.source)
            elif row is None:
                turn.failed = _buried_at(process, ping.source)
                turn.reaped = True

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if self._turn is not None and self._turn.process is process:
            self._turn.sent += [(message, address) for message in messages_of(data)]

    def turned(self, process: Process, outputs: list[Output]) -> None:
        turn, self._turn = self._turn, None
        if turn is None or turn.process is not process or turn.ping is None:
            return
        ping = turn.ping
        acked = any(type(m) is Ack and m.sequence == ping.sequence for m, _ in turn.sent)
        if ping.target != process.name:
            if acked:
                self.wrong(f"{process.name} answered a ping for {ping.target}")
            else:
                self.ok()
        elif _withheld(process) == turn.withheld:
            told = any(
                type(m) is Dead and m.name == ping.source and m.incarnation >= turn.failed
                for m, _ in turn.sent
            )
            if not acked:
                self.wrong(f"{process.name} did not answer a ping of {ping.source}")
            elif turn.reaped and not _buried_at(process, ping.source):
                self.ok()  # unknown, or its tombstone has just gone
            elif turn.failed and not told:
                self.wrong(f"{process.name} did not tell {ping.source} that it holds it failed")
            else:
                self.ok()


class AnswersOwed(Checker):
    """Who sends a claim that is behind what the receiver knows is answered in the same turn with
    what it does not know, if that makes anything better: an accusation of the receiver with its
    own claim (SWIM section 4.2); an alive claim of the sender itself with what is held
    against it (memberlist 311: dead at 100 never reached members that were back at 1); an
    accusation below the incarnation that the receiver holds alive, by the accuser itself.

    Only the first claim of a packet about each member is judged; an answer withheld, as one packet
    causes only so many and strangers get no more bytes than they send, is excused. Nothing is
    demanded of a member that leaves, and no private suspicion is held against anybody.
    """

    name: ClassVar[str] = "answers-owed"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._turn: _Turn | None = None
        self._buried: dict[tuple[Process, str], tuple[int, float]] = {}

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if after is None and before is not None:
            self._buried[process, name] = (before.incarnation, engine_time(process))

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        if is_leaving(process):
            return
        self._turn = _Turn(process, source, _withheld(process))
        self._turn.owed += (
            (claim.name, owed)
            for claim in first_claims(messages)
            if (owed := self._owed(process, claim, source))
        )

    def _owed(self, process: Process, claim: Claim, source: Address) -> int:
        """The incarnation from which on the source has to hear of the member; 0 for nothing."""
        if claim.name == process.name:
            mine = process.engine.local.incarnation
            plausible = claim.incarnation - mine <= OWN_JUMP_MAX
            if isinstance(claim, Alive) or not plausible or claim.incarnation >= INCARNATION_MAX:
                return 0
            return max(mine, claim.incarnation + 1)
        row = process.engine.member(claim.name)
        if isinstance(claim, Alive):
            if source != claim.address:
                return 0
            if row is None:
                held, since = self._buried.get((process, claim.name), (0, 0.0))
                kept = engine_time(process) - since < process.config.tombstone_time - 60.0
                return held if kept and claim.incarnation <= held else 0
            evidence = evidence_of(process, claim.name)
            behind = evidence > claim.incarnation or (
                evidence == claim.incarnation
                and row.state is not MemberState.ALIVE
                and not is_private(process, claim.name)
            )
            return evidence if behind else 0
        if (
            row is None
            or row.state is not MemberState.ALIVE
            or claim.incarnation >= row.incarnation
        ):
            return 0
        accuser = process.engine.member(claim.accuser)
        return row.incarnation if accuser is not None and accuser.address == source else 0

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        if self._turn is not None and self._turn.process is process:
            self._turn.sent += [(message, address) for message in messages]

    def taken(self, process: Process) -> None:
        turn, self._turn = self._turn, None
        if turn is None or turn.process is not process or _withheld(process) != turn.withheld:
            return
        for name, incarnation in turn.owed:
            for message, address in turn.sent:
                if (
                    isinstance(message, Alive | Suspect | Dead)
                    and message.name == name
                    and message.incarnation >= incarnation
                    and address == turn.source
                ):
                    self.ok()
                    break
            else:
                self.wrong(
                    f"{process.name} knows {name} at {incarnation}, and did not tell"
                    f" {turn.source}, which does not"
                )

    def ended(self, process: Process, how: str) -> None:
        for key in [key for key in self._buried if key[0] is process]:
            del self._buried[key]


def first_claims(messages: Sequence[Message]) -> Iterator[Claim]:
    """The first claim about each member in a packet: those behind it meet what it has changed."""
    seen: list[str] = []
    for message in messages:
        if isinstance(message, Alive | Suspect | Dead) and message.name not in seen:
            seen.append(message.name)
            yield message


def _buried_at(process: Process, name: str) -> int:
    """The incarnation at which a process has reaped a member; 0 when it remembers none."""
    node = node_of(process)
    stone = node.table.tombstone(name, now=node.now)
    return 0 if stone is None else stone.incarnation


def _withheld(process: Process) -> int:
    get = node_of(process).counters.get
    return get("answer_withheld", 0) + get("message_too_large", 0)
