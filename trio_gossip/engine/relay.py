"""Answering pings, and asking others on behalf of a member that cannot reach them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.codec.messages import Ack, Dead, Nack, Ping
from trio_gossip.failures import Evidence
from trio_gossip.members import MemberState

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import IndirectPing
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.repair import Repair
    from trio_gossip.engine.streams import Streams
    from trio_gossip.members import Member

NACK_FRACTION: Final = 0.8
"""A relay answers "I could not reach it either" at this share of the time that its requester
has left (Lifeguard paper, section IV-A). memberlist waits its whole probe timeout, so that
at its defaults no nack is ever in time."""

STREAM_SECONDS_MIN: Final = 0.01
"""Least patience of a relay's stream; it is closed with the relay in any case."""

SAID_SECONDS: Final = 60.0
"""For how long it is remembered of whom this node said that it does not answer."""

SAID_MAX: Final = 256
"""Of how many members; the one of which it was said longest ago is forgotten."""

RELAYS_EACH_MAX: Final = 16
"""The same for one requester, who has a few doubts at a time and asks others as well."""

RELAYS_MAX: Final = 256
"""Pings made for others at once; further requests are counted and not served."""


@attrs.define
class _Relayed:
    requester: Address
    requester_name: str
    sequence: int
    want_nack: bool
    target: Member
    ends: float
    again: bool
    evidence: Evidence = Evidence.SILENT
    stream: int | None = None


class Relay:
    """The answering side of the failure detector."""

    def __init__(self, node: Node, repair: Repair, streams: Streams) -> None:
        self._node = node
        self._streams = streams
        self._repair = repair
        self._open: dict[int, _Relayed] = {}
        self._asked_by: dict[Address, int] = {}
        self._said: dict[str, float] = {}

    def ping(self, message: Ping, source: Address) -> None:
        """Somebody asks whether we are there."""
        node = self._node
        if message.target != node.name:
            node.counters.bump("ping_for_another")
            return
        asker = node.table.get(message.source)
        reply_to = message.reply_to
        to = source if reply_to is None or not node.table.knows_address(reply_to) else reply_to
        if asker is not None and asker.member.state is MemberState.FAILED:
            # It lives, perhaps at another port, and we missed its return: let it speak up. This
            # goes before the ack, for at an address that we do not know there may be no
            # room for both, and only this one mends anything.
            node.answer(to, message.source, Dead(asker.evidence, message.source, node.name))
        elif asker is None:
            self._answer_the_buried(message.source, to)
        summary, told = self._repair.answer(message, to)
        node.answer(to, message.source, Ack(message.sequence, summary=summary), told)

    def _answer_the_buried(self, name: str, to: Address) -> None:
        """The same for one that is reaped: all its claims below its tombstone are old news to us,
        so that without this it stays unknown here for as long as the tombstone lasts.
        """
        node = self._node
        stone = node.table.tombstone(name, now=node.now)
        if stone is not None:
            accuser = name if stone.state is MemberState.LEFT else node.name
            node.answer(to, name, Dead(stone.incarnation, name, accuser))

    def request(self, message: IndirectPing, source: Address) -> None:
        """A member asks us to ping a third one: only one that we know, at its own address.

        A target address out of the request, or an answer to a stranger, would make us a tool
        to send packets at anybody. And who holds the member elsewhere must not hear that it
        answers: it answers us, and a wrong address would be taken for a good one for ever.
        """
        node = self._node
        entry = node.table.get(message.target)
        if (
            entry is None
            or entry is node.me
            or not node.table.knows_address(source)
            or self._asked_by.get(source, 0) >= RELAYS_EACH_MAX
            or len(self._open) >= RELAYS_MAX
        ):
            node.counters.bump("relay_refused")
            return
        if entry.member.address != message.address:
            node.counters.bump("relay_elsewhere")
            if message.want_nack:
                node.answer(source, message.source, Nack(message.sequence))
            return
        sequence = node.questions.ask(self._acked)
        if sequence is None:
            return
        self._asked_by[source] = self._asked_by.get(source, 0) + 1
        # The requester must have the nack before its round ends; memberlist's relay waits its
        # own whole probe timeout, which at the defaults is always too late.
        config = node.config
        longest = config.awareness_max * config.probe_interval
        patience = min(NACK_FRACTION * message.budget / 1000, longest)
        # By memberlist's rules one ping is all; otherwise a second one and a stream follow halfway,
        # so that what we say confirms or refutes, and tells what the kernel said.
        again = config.detector != "memberlist"
        ends = node.now + patience
        self._open[sequence] = _Relayed(
            source,
            message.source,
            message.sequence,
            message.want_nack,
            entry.member,
            ends,
            again,
        )
        node.timers.set(("relay", sequence), node.now + patience / 2 if again else ends)
        self._ping(sequence, entry.member)

    def _ping(self, sequence: int, target: Member) -> None:
        node = self._node
        node.outbox.packet(target.address, target.name, Ping(sequence, target.name, node.name))

    def _acked(self, sequence: int, source: Address) -> None:
        """The third member answered: pass it on."""
        del source
        self._answered(sequence)

    def _answered(self, sequence: int) -> None:
        relayed = self._close(sequence)
        self._reply(relayed, Ack(relayed.sequence))

    def timeout(self, sequence: int) -> None:
        """Timer: it did not answer so far."""
        relayed = self._open[sequence]
        if relayed.again:
            self._try_again(sequence, relayed)
            return
        if relayed.stream is not None and self._streams.is_connected(relayed.stream):
            relayed.evidence = Evidence.STALLED
        self._nack(sequence)

    def _try_again(self, sequence: int, relayed: _Relayed) -> None:
        node = self._node
        relayed.again = False
        node.timers.set(("relay", sequence), relayed.ends)
        self._ping(sequence, relayed.target)
        if self._streams.may_ping(relayed.target):
            relayed.stream = self._streams.ping(
                relayed.target,
                max(relayed.ends - node.now, STREAM_SECONDS_MIN),
                lambda: self._answered(sequence),
                lambda evidence: self._stream_failed(sequence, evidence),
            )

    def _stream_failed(self, sequence: int, evidence: Evidence) -> None:
        relayed = self._open[sequence]
        relayed.stream = None
        relayed.evidence = evidence
        if evidence is Evidence.REFUSED:
            self._nack(sequence)  # a reset cannot be forged from afar: there is no more to know

    def refused(self, address: Address) -> None:
        """An ICMP answer: whoever is asked for there is tried by stream now."""
        for sequence, relayed in list(self._open.items()):
            if relayed.again and relayed.target.address == address:
                self._try_again(sequence, relayed)

    def said_of(self, name: str) -> bool:
        """Whether this node told somebody lately that it could not reach a member."""
        return self._node.now - self._said.get(name, -math.inf) <= SAID_SECONDS

    def _nack(self, sequence: int) -> None:
        relayed = self._close(sequence)
        name = relayed.target.name
        self._said.pop(name, None)
        if len(self._said) >= SAID_MAX:
            del self._said[next(iter(self._said))]
        self._said[name] = self._node.now
        if relayed.want_nack:
            heeded = self._node.config.kernel_evidence
            self._reply(relayed, Nack(relayed.sequence, int(relayed.evidence) if heeded else 0))

    def _close(self, sequence: int) -> _Relayed:
        relayed = self._open.pop(sequence)
        self._node.questions.forget(sequence)
        self._node.timers.cancel(("relay", sequence))
        self._streams.cancel(relayed.stream)
        left = self._asked_by.pop(relayed.requester) - 1
        if left:
            self._asked_by[relayed.requester] = left
        return relayed

    def _reply(self, relayed: _Relayed, message: Ack | Nack) -> None:
        self._node.outbox.packet(relayed.requester, relayed.requester_name, message)
