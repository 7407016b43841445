"""Saying goodbye so that it is heard: told directly, acknowledged, then a while of lingering."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from trio_gossip.codec.messages import Ack, Dead, Leave
from trio_gossip.engine.claimed import with_state
from trio_gossip.engine.origin import Origin
from trio_gossip.events import Reason
from trio_gossip.members import MemberState

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.engine.claims import Claims
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.outputs import Token
    from trio_gossip.members import Member

TOLD_MAX: Final = 32
"""Members told directly; in larger clusters gossip tells the others."""


class Leaving:
    """Runs one goodbye. memberlist queues it behind other news, never gossips to who has left,
    and counts it as told when it was *sent* often enough.
    """

    def __init__(self, node: Node, claims: Claims) -> None:
        self._node = node
        self._claims = claims
        self._tokens: list[Token] = []
        self._acked: dict[str, None] = {}
        self._questions: list[int] = []
        self._told: list[Member] = []
        self._wanted = 0
        self._done = True

    def start(self, token: Token) -> None:
        """Leave, or wait for the leave that is under way."""
        node = self._node
        if node.leaving:
            if self._done:
                node.outbox.complete(token, len(self._acked))
            else:
                self._tokens.append(token)
            return
        node.leaving = True
        self._tokens = [token]
        self._acked = {}
        self._told = [entry.member for entry in node.peers(TOLD_MAX)]
        self._done = False
        mine = node.me.member
        node.table.replace(
            node.me, with_state(mine, MemberState.LEFT, mine.incarnation), now=node.now
        )
        node.members_changed()
        goodbye = Dead(mine.incarnation, mine.name, mine.name)
        node.queue.membership.discard(mine.name)
        node.queue.urgent.put(mine.name, node.codec.encode(goodbye))
        node.wake_gossip()
        self._wanted = min(node.config.leave_acks, len(self._told))
        node.timers.set(("leave_timeout", 0), node.now + node.config.leave_timeout)
        self.tell()
        if not self._wanted:
            self._finish()

    def tell(self) -> None:
        """Timer: tell those again who have not acknowledged, until the leave is over."""
        node = self._node
        mine = node.me.member
        for member in self._told:
            if member.name in self._acked:
                continue
            sequence = node.questions.ask(partial(self._heard, member.name))
            if sequence is not None:
                self._questions.append(sequence)
                message = Leave(sequence, mine.incarnation, mine.name)
                node.outbox.packet(member.address, member.name, message)
        node.timers.set(("leave_tell", 0), node.now + node.config.gossip_interval)

    def _heard(self, name: str, sequence: int, source: Address) -> None:
        """A member has heard it."""
        del sequence, source
        self._acked[name] = None
        if len(self._acked) >= self._wanted:
            node = self._node
            if ("leave_linger", 0) not in node.timers:
                node.timers.set(("leave_linger", 0), node.now + node.config.leave_linger)

    def timeout(self) -> None:
        """Timer: it has taken as long as it may."""
        self._finish()

    def _finish(self) -> None:
        node = self._node
        self._done = True
        for kind in ("leave_tell", "leave_linger", "leave_timeout"):
            node.timers.cancel((kind, 0))
        self._forget_questions()
        node.queue.urgent.clear()
        tokens, self._tokens = self._tokens, []
        for token in tokens:
            node.outbox.complete(token, len(self._acked))

    def lingered(self) -> None:
        """Timer: nobody can be in the middle of probing us any more."""
        self._finish()

    def _forget_questions(self) -> None:
        for sequence in self._questions:
            self._node.questions.forget(sequence)
        self._questions.clear()

    def cancel(self) -> None:
        """A new join: what was left is over."""
        if not self._done:
            self._finish()

    def told(self, message: Leave, source: Address) -> None:
        """Another member tells us that it leaves."""
        goodbye = Dead(message.incarnation, message.name, message.name)
        self._claims.dead(goodbye, Origin(Reason.GOODBYE, source))
        self._node.answer(source, message.name, Ack(message.sequence))
