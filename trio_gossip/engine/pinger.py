"""Pings that the application asks for. They measure, and change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_gossip.codec.messages import Ping
from trio_gossip.errors import PeerUnreachableError

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.outputs import Token
    from trio_gossip.members import Member


class Pinger:
    """Round-trip times on demand."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._asked: dict[int, tuple[Token, float, str]] = {}

    def ping(self, member: Member, token: Token) -> None:
        """Ping a member once, directly; completes ``token`` with seconds or with an error."""
        node = self._node
        sequence = node.questions.ask(self._acked)
        if sequence is None:
            error = PeerUnreachableError("too many questions are open")
            node.outbox.complete(token, error=error)
            return
        self._asked[sequence] = (token, node.now, member.name)
        node.timers.set(("ping", sequence), node.now + node.config.probe_timeout)
        node.outbox.packet(member.address, member.name, Ping(sequence, member.name, node.name))

    def _acked(self, sequence: int, source: Address) -> None:
        del source
        token, sent, _ = self._asked.pop(sequence)
        self._node.timers.cancel(("ping", sequence))
        self._node.outbox.complete(token, self._node.now - sent)

    def timeout(self, sequence: int) -> None:
        """Timer: no answer."""
        node = self._node
        token, _, name = self._asked.pop(sequence)
        node.questions.forget(sequence)
        text = f"{name} did not answer within {node.config.probe_timeout} s"
        node.outbox.complete(token, error=PeerUnreachableError(text))
