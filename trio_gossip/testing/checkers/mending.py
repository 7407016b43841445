"""Rules of what repair tells: what it promises, what it is asked for, and by its right name."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from abc import ABC, abstractmethod
from struct import Struct
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.codec.messages import (
    Ack,
    Alive,
    BucketRows,
    BucketSums,
    BucketWants,
    Dead,
    Ping,
    ServiceNews,
    Suspect,
)
from trio_gossip.codec.summary import BUCKETS, EXPLAINED, ID_BYTES
from trio_gossip.engine.buckets import EVERYTHING, RECORDS_MAX
from trio_gossip.engine.tally import id_of, mark_of
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import node_of, summary_of
from trio_gossip.testing.checkers.wire import PING, carries_news, first_code, messages_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.engine.outputs import Output
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

_LEGS: Final = (BucketSums.code, BucketWants.code)
_SUMS: Final = Struct(f">{BUCKETS}I")


@attrs.define
class _Turn:
    process: Process
    source: Address
    asked: Message
    refused: int = 0
    differing: int = 0
    """Bits of the buckets that differ."""
    owed: frozenset[str] = frozenset()
    """Members of which the source has to hear."""
    sent: list[Message] = attrs.field(factory=list["Message"])


class _Answering(Checker, ABC):
    """Collects what a process sends back to where a packet came from, within the turn."""

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._turn: _Turn | None = None

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        turn = self._turn
        if turn is not None and turn.process is process and turn.source == address:
            turn.sent += messages_of(data)

    def turned(self, process: Process, outputs: list[Output]) -> None:
        turn, self._turn = self._turn, None
        if turn is not None and turn.process is process:
            self.judge(turn)

    @abstractmethod
    def judge(self, turn: _Turn) -> None:
        """The turn in which a packet arrived is over."""


class ExplainedIsTold(_Answering):
    """Who answers a ping by saying that it knows what the other lacks tells it in that turn. And it
    is news to the other, if it still knows what it knew when it pinged: it does not hold at
    least one of the members as it is told. Not judged once strangers' packets were let in.
    """

    name: ClassVar[str] = "explained-is-told"

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        if first_code(data) == PING:
            ping = messages_of(data)[:1]
            if ping and isinstance(ping[0], Ping) and ping[0].summary:
                self._turn = _Turn(process, source, ping[0])

    def judge(self, turn: _Turn) -> None:
        acks = [at for at, each in enumerate(turn.sent) if isinstance(each, Ack)]
        explained = [at for at in acks if _summary(turn.sent[at]) == EXPLAINED]
        if not explained or self.strangers_spoke:
            return
        told = [each for each in turn.sent if isinstance(each, Alive | Suspect | Dead)]
        if not told and not any(isinstance(each, ServiceNews) for each in turn.sent):
            self.wrong(f"{turn.process.name} explains a difference, and does not tell it")
            return
        asked = turn.asked
        for asker in self.simulation.processes.values():
            if (
                told
                and asker.address == turn.source
                and isinstance(asked, Ping)
                and asked.summary == summary_of(asker)
                and not any(_is_news(asker, claim) for claim in told)
            ):
                self.wrong(f"{turn.process.name} tells {asker.name} what it knows: {told[0]}")
                return
        self.ok()


class ComparedIsTold(_Answering):
    """Who compares tables by buckets gets all that it asks for: rows of each bucket whose sum
    differs, or the offer to exchange whole tables; then a claim about each member that it wants and
    about each that it holds alive and the other knows to be gone. In the turn in which it asked.

    Not judged of comparisons that are refused, nor of answers to nobody's rows, nor where more is
    wanted than one answer may have.
    """

    name: ClassVar[str] = "compared-is-told"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._answered: dict[tuple[Process, Address, int], int] = {}
        """By comparison, how many packets of rows were not answered yet."""

    def ended(self, process: Process, how: str) -> None:
        for key in [key for key in self._answered if key[0] is process]:
            del self._answered[key]

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        if not carries_news(data) and first_code(data) not in _LEGS:
            return
        for message in messages_of(data):
            if isinstance(message, BucketSums):
                mine = node_of(process).table.tally.buckets
                theirs = _SUMS.unpack(message.sums)
                bits = sum(1 << at for at in range(BUCKETS) if mine[at] != theirs[at])
                self._turn = _Turn(process, source, message, _refused(process), bits)
            elif isinstance(message, BucketWants):
                key = (process, source, message.sequence)
                if self._answered.get(key) and node_of(process).is_peer(message.source, source):
                    self._answered[key] -= 1
                    self._turn = _Turn(process, source, message, owed=_wanted(process, message))

    def judge(self, turn: _Turn) -> None:
        if isinstance(turn.asked, BucketSums):
            if _refused(turn.process) != turn.refused:
                return
            rows = [each for each in turn.sent if isinstance(each, BucketRows)]
            key = (turn.process, turn.source, turn.asked.sequence)
            self._answered[key] = len(rows)
            sent = 0
            for message in rows:
                sent |= message.buckets
            missing = turn.differing & ~sent
            if missing and sent != EVERYTHING:
                self.wrong(f"{turn.process.name} sends no rows of {missing.bit_count()} buckets")
            else:
                self.ok()
            return
        told = {each.name for each in turn.sent if isinstance(each, Alive | Suspect | Dead)}
        owed = turn.owed
        if isinstance(turn.asked, BucketWants):
            owed &= _wanted(turn.process, turn.asked)  # claims beside it may have changed that
        if len(owed) > RECORDS_MAX or owed <= told:
            self.ok()
        else:
            names = ", ".join(sorted(owed - told))
            self.wrong(f"{turn.process.name} was asked about {names}, and says nothing")


class GoodbyesToldAsSuch(Checker):
    """Who holds a member as left tells others that it left, in its own name, and not that somebody
    accuses it: who hears that takes it for a failure. What the row was at the start of this
    instant will do, as a packet may be packed before the goodbye is read.
    """

    name: ClassVar[str] = "goodbyes-told-as-such"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._left: dict[tuple[Process, str], tuple[float, int]] = {}
        """Since when, and at which incarnation."""

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if after is not None and after.state is MemberState.LEFT and name != process.name:
            self._left[process, name] = (self.simulation.now, after.incarnation)
        else:
            self._left.pop((process, name), None)

    def ended(self, process: Process, how: str) -> None:
        for key in [key for key in self._left if key[0] is process]:
            del self._left[key]

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        for message in messages:
            if not isinstance(message, Alive | Suspect | Dead):
                continue
            since, incarnation = self._left.get((process, message.name), (0.0, 0))
            if incarnation != message.incarnation or since == self.simulation.now:
                continue
            if isinstance(message, Dead) and message.is_goodbye:
                self.ok()
            elif not isinstance(message, Alive):
                self.wrong(f"{process.name} tells {message} of who left")


def _summary(message: Message) -> bytes:
    return message.summary if isinstance(message, Ack) else b""


def _refused(process: Process) -> int:
    get = node_of(process).counters.get
    return get("repair_refused", 0) + get("repair_busy", 0) + get("message_too_large", 0)


def _is_news(process: Process, claim: Alive | Suspect | Dead) -> bool:
    """True when a process does not hold what it is told. A suspicion may stand for either: who
    tells it suspects a member that the process holds failed, or has buried one that it holds alive.
    """
    row = process.engine.member(claim.name)
    if row is None or row.incarnation < claim.incarnation or isinstance(claim, Suspect):
        return True
    return row.is_active != isinstance(claim, Alive)


def _wanted(process: Process, message: BucketWants) -> frozenset[str]:
    """The members of which somebody wants to hear, and has to."""
    wanted, told = _ids(message.wanted), _ids(message.told)
    node = node_of(process)
    names = {stone[0] for stone in node.table.tombstones() if id_of(mark_of(stone[0])) in told}
    for entry in node.table:
        if id_of(mark_of(entry.member.name)) in (wanted if entry.member.is_active else told):
            names.add(entry.member.name)
    return frozenset(names)


def _ids(data: bytes) -> frozenset[int]:
    parts = range(0, len(data), ID_BYTES)
    return frozenset(int.from_bytes(data[at : at + ID_BYTES], "big") for at in parts)
