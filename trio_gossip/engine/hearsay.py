"""What to tell a peer of a member that the two of us have otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.codec.messages import Alive, Dead, Suspect
from trio_gossip.engine.node import alive_claim
from trio_gossip.members import MemberState

if TYPE_CHECKING:
    from trio_gossip.engine.claims import Claims
    from trio_gossip.engine.node import Node

DEATH_SECONDS: Final = 10.0
"""For how long a failure that we know of is told as one. Later it is only a reason to look: the
peer may come from a part of the cluster that was cut off, in which that member lives."""


class Hearsay:
    """Makes claims out of rows and tombstones. They are ordinary ones, and weighed as such."""

    __slots__ = ("_claims", "_node")

    def __init__(self, node: Node, claims: Claims) -> None:
        self._node = node
        self._claims = claims

    def about(self, name: str) -> Alive | Suspect | Dead | None:
        """The claim about a member; None when nothing is remembered of it."""
        node = self._node
        entry = node.table.get(name)
        if entry is None:
            stone = node.table.tombstone(name, now=node.now)
            if stone is None:
                return None
            return self._gone(name, stone.incarnation, stone.state, recent=False)
        member = entry.member
        if member.state is MemberState.ALIVE:
            return alive_claim(member)
        if member.state is MemberState.SUSPECT:
            suspicion = self._claims.suspicions[name]
            if suspicion.private:
                return alive_claim(member)  # in its own words, at the incarnation that it said
            # Otherwise never as alive: of a higher incarnation we may not have its words.
            return suspicion.told(name, node.now)
        recent = node.now - entry.changed_at <= DEATH_SECONDS
        return self._gone(name, member.incarnation, member.state, recent=recent)

    def _gone(
        self, name: str, incarnation: int, state: MemberState, *, recent: bool
    ) -> Suspect | Dead:
        if state is MemberState.LEFT:
            return Dead(incarnation, name, name)
        kind = Dead if recent else Suspect
        return kind(incarnation, name, self._node.name)
