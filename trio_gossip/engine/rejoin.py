"""Partitions heal by themselves: seeds and failed members are tried again, for ever, rarely."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.members import MemberState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trio_gossip.addresses import Address
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.returns import Returns
    from trio_gossip.engine.sync import Sync

SEEDS_MAX: Final = 64
"""Addresses remembered as seeds."""

FOLLOW_UPS: Final = 3
"""Exchanges that follow one which found two views of the cluster."""

FOLLOW_UP_DELAY: Final = 1.0
"""Seconds between them: time for the members that were buried on either side to refute."""

JITTER: Final = (0.5, 1.5)
"""Each wait is the interval times a random number between these, so that nodes which lost
each other at one moment do not try each other in step."""


SPLIT_SHARE: Final = 4
"""The cluster is split, and has not just lost somebody, when one member is lost for so many active
ones, or for fewer."""

SPLIT_SECONDS: Final = 1.0
"""The interval of the tries in a split cluster, for each active member: where few are left to try,
each tries more often, up to HASTE times as often as ``rejoin_interval`` says."""

HASTE: Final = 3.0

BRIDGE_QUIET: Final = 2.0
"""Seconds after a member's return in which no lost address is tried: one exchange heals both
halves, and the next ones would only ask the same members again."""

SETTLE_TRIES: Final = 3
"""Exchanges after a heal, should the first fail."""


class Rejoin:
    """Tries one lost address at a time. A whole cluster makes about one try per interval and
    lost member, as each node tries with the probability lost / active (as Serf does).
    """

    def __init__(self, node: Node, sync: Sync, returns: Returns) -> None:
        self._node = node
        self._sync = sync
        self._returns = returns
        self._seeds: list[Address] = []
        self._follow_ups: dict[Address, int] = {}

    def start(self) -> None:
        """Begin."""
        self._schedule()

    def stop(self) -> None:
        """Stop; the seeds stay remembered."""
        self._node.timers.cancel(("rejoin", 0))
        self._node.timers.cancel(("follow_up", 0))
        self._follow_ups.clear()

    def remember(self, seeds: Iterable[Address]) -> None:
        """Addresses to come back to; the latest are kept."""
        for seed in seeds:
            if seed in self._seeds:
                self._seeds.remove(seed)
            self._seeds.append(seed)
        del self._seeds[:-SEEDS_MAX]

    def _schedule(self, lost: int = 0) -> None:
        node = self._node
        low, high = JITTER
        wait = node.config.rejoin_interval
        if SPLIT_SHARE * lost >= node.table.active:
            wait = min(wait, max(wait / HASTE, SPLIT_SECONDS * node.table.active))
        wait *= low + (high - low) * node.rng.random()
        node.timers.set(("rejoin", 0), node.now + wait)

    def lost(self) -> list[tuple[Address, str | None]]:
        """Where members may be that this node has no contact with."""
        node = self._node
        table = node.table
        memory = node.config.rejoin_memory
        found: dict[Address, str | None] = {}
        for seed in self._seeds:
            name = table.name_at(seed)
            entry = table.get(name) if name is not None else None
            if entry is None or not entry.member.is_active:
                found[seed] = None
        for entry in table:
            member = entry.member
            if member.state is MemberState.FAILED and node.now - entry.changed_at <= memory:
                found[member.address] = member.name
        for name, stone in table.tombstones():
            if stone.state is MemberState.FAILED and node.now - stone.buried <= memory:
                found.setdefault(stone.address, name)
        found.pop(node.me.member.address, None)
        return list(found.items())

    def tick(self) -> None:
        """Timer: perhaps try one lost address."""
        node = self._node
        lost = self.lost()
        self._schedule(len(lost))
        if self._returns or node.now - self._returns.last < BRIDGE_QUIET:
            return
        if lost and node.rng.random() * node.table.active < len(lost):
            address, name = lost[int(node.rng.random() * len(lost))]
            node.counters.bump("rejoin_tried")
            self._open(address, name)

    def follow_up(self) -> None:
        """Timer: exchange again with the peers that had another view."""
        due, self._follow_ups = self._follow_ups, {}
        for address, left in due.items():
            self._open(address, self._node.table.name_at(address), left - 1)

    def settle(self, left: int = SETTLE_TRIES) -> None:
        """Timer: much has come back just now; let a random member tell what gossip has missed."""
        node = self._node

        def done(members: int, diverged: bool, error: Exception | None) -> None:
            del members, diverged
            if error is not None and left > 1 and not node.leaving:
                self.settle(left - 1)

        for peer in node.peers(1):
            node.counters.bump("settle_tried")
            self._sync.open(peer.member.address, peer.member.name, done=done)

    def diverged(self, address: Address, left: int = FOLLOW_UPS) -> None:
        """An exchange found two views: one more, when those it concerns have spoken."""
        node = self._node
        if left <= 0 or len(self._follow_ups) >= SEEDS_MAX or address in self._follow_ups:
            return
        self._follow_ups[address] = left
        if ("follow_up", 0) not in node.timers:
            node.timers.set(("follow_up", 0), node.now + FOLLOW_UP_DELAY)

    def _open(self, address: Address, name: str | None, left: int = FOLLOW_UPS) -> None:
        def done(members: int, diverged: bool, error: Exception | None) -> None:
            del members
            if error is None and diverged:
                self.diverged(address, left)

        self._sync.open(address, name, done=done)
