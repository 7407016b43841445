"""A suspect is asked again and again by those who accuse it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.codec.messages import Ping, Suspect
from trio_gossip.failures import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.addresses import Address
    from trio_gossip.engine.graded import GradedSuspicion
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.streams import Streams
    from trio_gossip.members import Member

HASTY: Final = 2
"""Pings of a private suspect that follow each other in half of the time: most outages are short."""

PATIENT: Final = 8
"""Pings after which an accuser asks at a slower pace: a process that stands still for long must
not find its queues full."""

SLOWER: Final = 4
"""By how much slower."""


class Interview:
    """Asks suspects. The answer to any of the pings since the suspicion began is a sign of life:
    nobody who has not seen a ping can make it up.
    """

    answered: Callable[[str], None]
    """Told when a private suspect answers."""

    found: Callable[[str, GradedSuspicion, dict[str, Evidence]], None]
    """Told what a stream to a public suspect came to."""

    def __init__(
        self, node: Node, streams: Streams, find: Callable[[str], GradedSuspicion]
    ) -> None:
        self._node = node
        self._streams = streams
        self._find = find
        self._asked: dict[int, str] = {}

    def tick(self, name: str) -> None:
        """Timer of an accuser: ask again, with the accusation once that is public."""
        node = self._node
        suspicion = self._find(name)
        pause = node.config.reprobe
        if suspicion.private:
            pause /= 2 if suspicion.reprobes < HASTY else 1
        elif suspicion.reprobes >= PATIENT:
            pause *= SLOWER
        self.ask(name, suspicion)
        if not suspicion.private and suspicion.reprobes % 2 == 1:
            self._check_stream(name, suspicion)
        suspicion.reprobes += 1
        node.timers.set(("reprobe", name), node.now + pause)

    def ask(self, name: str, suspicion: GradedSuspicion) -> None:
        """Ping a suspect once."""
        node = self._node
        member = self._member(name)
        if suspicion.sequence is None:
            suspicion.sequence = node.questions.ask(self._acked)
            if suspicion.sequence is None:
                return
            self._asked[suspicion.sequence] = name
        ping = Ping(suspicion.sequence, name, node.name)
        if suspicion.private:
            node.outbox.packet(member.address, name, ping)
        else:
            accusation = Suspect(suspicion.incarnation, name, node.name)
            node.outbox.packet(member.address, name, ping, accusation, piggyback=False)

    def end(self, name: str, suspicion: GradedSuspicion) -> None:
        """The suspicion is over."""
        node = self._node
        node.timers.cancel(("reprobe", name))
        if suspicion.sequence is not None:
            node.questions.forget(suspicion.sequence)
            del self._asked[suspicion.sequence]
        self._streams.cancel(suspicion.stream)

    def _acked(self, sequence: int, source: Address) -> None:
        """The suspect lives: what nobody else heard of is over, and the rest is not over before
        its refutation, but cannot end in a verdict now.
        """
        del source
        name = self._asked.pop(sequence)
        suspicion = self._find(name)
        suspicion.sequence = None
        suspicion.heard = self._node.now
        self._node.guard.heard()
        if suspicion.private:
            self.answered(name)

    def _check_stream(self, name: str, suspicion: GradedSuspicion) -> None:
        """Has a stalled process gone meanwhile, or a silent one come to accept?"""
        node = self._node
        member = self._member(name)
        if suspicion.stream is not None or not self._streams.may_ping(member):
            return

        def answered() -> None:
            suspicion.stream = None
            suspicion.heard = node.now

        def failed(evidence: Evidence) -> None:
            suspicion.stream = None
            if node.config.kernel_evidence:
                self.found(name, suspicion, {node.name: evidence})

        patience = 2 * node.round_trips.timeout(name, node.awareness.score)
        suspicion.stream = self._streams.ping(member, patience, answered, failed)

    def _member(self, name: str) -> Member:
        entry = self._node.table.get(name)
        assert entry is not None, "a suspicion outlived its row"
        return entry.member
