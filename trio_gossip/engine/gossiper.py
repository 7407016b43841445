"""Rounds of gossip: queued news to a few random members, while there is any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_gossip.members import MemberState

if TYPE_CHECKING:
    from trio_gossip.engine.membership import Entry
    from trio_gossip.engine.node import Node


class Gossiper:
    """Serves the broadcast queue. With nothing to tell there is no timer and no wake-up."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def tick(self) -> None:
        """Timer: one round. Each target gets its own packet, filled from the queue anew."""
        node = self._node
        config = node.config
        node.gossip_not_before = node.now + config.gossip_interval
        if not len(node.queue):
            return
        targets = node.table.pick(config.gossip_nodes, self._wanted, node.rng)
        told = False
        for entry in targets:
            told |= node.outbox.gossip(entry.member.address, entry.member.name)
        # Of two members, neither tells the other what that one said itself: such news waits
        # for a third, without waking us up.
        if targets and len(node.queue) and (told or node.table.active > 2):
            node.timers.set(("gossip", 0), node.gossip_not_before)

    def _wanted(self, entry: Entry) -> bool:
        """Alive and suspect members, and failed ones for a while: they may refute."""
        node = self._node
        member = entry.member
        if entry is node.me:
            return False
        if member.is_active:
            return True
        return (
            member.state is MemberState.FAILED
            and node.now - entry.changed_at <= node.config.gossip_to_dead_time
        )
