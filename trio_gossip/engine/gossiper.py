"""Tells what is queued: news at once and paced, the rest in rounds, while there is any."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from trio_gossip.engine.bucket import TokenBucket
from trio_gossip.members import MemberState

if TYPE_CHECKING:
    from trio_gossip.engine.membership import Entry
    from trio_gossip.engine.node import Node

FULL_SHARE: Final = 0.9
"""A packet with this share of its bytes used is full. It may go out more often than others: the
same news in fewer bytes, so that storms spread fast without more packets."""

TARGETS_MAX: Final = 32
"""Different members to which one burst goes; then it begins with the first again."""

LAG_THRESHOLD: Final = 0.05
"""A turn so many seconds after the deadline that was next means that this process has more to do
than it can. A backlog of packets shows here too: the first rumour of it sets a deadline."""

LAG_SECONDS: Final = 1.0
"""After this process was late, news waits so long for rounds: a member with no time for pings and
acks must not forward more than it has to."""


class Gossiper:
    """Serves the broadcast queue. With nothing to tell there is no timer and no wake-up.

    Rumours spread by hops, so that what counts is how soon each member passes on what it has just
    heard: hot news goes out a moment after it came, as long as two token buckets allow it, one for
    packets of any size and one for full ones. Half of the transmissions stay for the rounds, one by
    one: a burst to members that are deaf for that moment would be lost as a whole.
    """

    def __init__(self, node: Node) -> None:
        config = node.config
        self._node = node
        self._any = TokenBucket(config.eager_rate, config.eager_burst)
        self._full = TokenBucket(config.eager_full_rate, config.eager_full_burst)

    def lag(self) -> None:
        """The present turn came too late: no hot packets for a while."""
        node = self._node
        if node.now >= node.eager_not_before:
            node.counters.bump("eager_paused")
        node.eager_not_before = node.now + LAG_SECONDS

    def flush(self) -> None:
        """Timer: tell what is hot, as far as the tokens go."""
        node = self._node
        queue = node.queue
        if node.now < node.eager_not_before:
            return  # the rounds take it
        targets: list[Entry] = []
        missed = 0
        while queue.hot_size:
            is_full = queue.hot_size >= FULL_SHARE * node.packet_limit
            any_at = self._any.ready_at(node.now)
            full_at = self._full.ready_at(node.now) if is_full else math.inf
            if min(any_at, full_at) > node.now:
                node.timers.set(("flush", 0), min(any_at, full_at))
                return
            if not targets:
                targets = node.table.pick(TARGETS_MAX, self._wanted, node.rng)
                if queue.is_fresh:
                    # The first to hear it is the next one. Amid other news that one would get all.
                    targets = _with_last(targets, node.successors(self._wanted))
            if missed >= len(targets):
                return  # nobody is there for whom it is news
            target = targets.pop().member
            if node.outbox.gossip(target.address, target.name):
                (self._full if full_at <= node.now else self._any).take(node.now)
                missed = 0
            else:
                missed += 1

    def tick(self) -> None:
        """Timer: one round. Each target gets its own packet, filled from the queue anew."""
        node = self._node
        queue = node.queue
        node.gossip_not_before = node.now + queue.pace.interval
        if not queue:
            return
        told = self._tell_successors() if queue.pace.eager else []
        targets = node.table.pick(queue.pace.packets, self._wanted, node.rng)
        for entry in targets:
            if len(told) >= queue.pace.packets or queue.next_due() > node.now:
                break
            if entry not in told and node.outbox.gossip(entry.member.address, entry.member.name):
                told.append(entry)
        # Of two members, neither tells the other what that one said itself: such news waits
        # for a third, without waking us up.
        is_for_others = told or node.table.active > 2
        again = queue.next_due(-math.inf if is_for_others else node.now)
        if targets and again < math.inf:
            node.timers.set(("gossip", 0), max(node.gossip_not_before, again))

    def _tell_successors(self) -> list[Entry]:
        """Tell what is no longer hot to the members after this one, and say to whom: each message
        to the second of them once it is due, then to the third and so on, so that it comes to
        every member from each of those before.
        """
        node = self._node
        pace = node.queue.pace
        after = node.successors(self._wanted)
        told: list[Entry] = []
        for level in range(pace.eager, pace.copies):
            if not after or len(told) == pace.packets or node.queue.next_due() > node.now:
                break
            entry = after[(level - pace.eager + 1) % len(after)]
            if entry not in told and node.outbox.gossip(
                entry.member.address, entry.member.name, pace.only(level)
            ):
                told.append(entry)
        return told

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


def _with_last(targets: list[Entry], successors: list[Entry]) -> list[Entry]:
    """The same with the nearest successor as the last, and nobody twice."""
    nearest = successors[:1]
    return [entry for entry in targets if entry not in nearest] + nearest
