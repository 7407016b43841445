"""The plane of members: what all are to know of who is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_gossip.plane import MEMBERS

if TYPE_CHECKING:
    from trio_gossip.codec.messages import Message
    from trio_gossip.engine.buckets import Buckets
    from trio_gossip.engine.hearsay import Hearsay
    from trio_gossip.engine.node import Node
    from trio_gossip.plane import Ended


class MemberPlane:
    """A :class:`~trio_gossip.plane.Plane` over the member table."""

    def __init__(self, node: Node, hearsay: Hearsay, buckets: Buckets) -> None:
        self.code = MEMBERS
        self._node = node
        self._hearsay = hearsay
        self._buckets = buckets

    @property
    def digest(self) -> int:
        """The sum over all active members."""
        return self._node.table.tally.digest

    @property
    def changed_at(self) -> float:
        """Engine time of its last change."""
        return self._node.table.tally.changed_at

    def explain(self, difference: int) -> list[Message]:
        """Claims about the members whose last changes make up the difference."""
        names = self._node.table.tally.log.explain(difference)
        claims = map(self._hearsay.about, names)
        return [claim for claim in claims if claim is not None]

    def reconcile(self, peer: str, ended: Ended) -> None:
        """Compare tables by buckets."""
        self._buckets.start(peer, ended)
