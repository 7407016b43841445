"""What can be seen of an engine from outside: looking, never changing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_gossip.engine.statistics import EngineStatistics
from trio_gossip.errors import LocalProtocolError

if TYPE_CHECKING:
    from trio_gossip.engine.clock import StallClock
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.parts import Parts
    from trio_gossip.members import Member


class EngineView:
    """The half of :class:`~trio_gossip.engine.Engine` that only looks. Needs no time."""

    _node: Node
    _parts: Parts
    _clock: StallClock

    @property
    def local(self) -> Member:
        """This member."""
        return self._node.me.member

    @property
    def version(self) -> int:
        """The table's version, as in events."""
        return self._node.table.version

    @property
    def health_score(self) -> int:
        """This node's own health; 0 is healthy."""
        return self._node.awareness.score

    @property
    def is_isolated(self) -> bool:
        """Whether nobody answers this node any more, neither members nor helpers."""
        return self._node.guard.isolated

    def members(self, *, all: bool = False) -> tuple[Member, ...]:  # noqa: A002 - public name
        """Alive and suspect members, this one included; with ``all`` also failed and left."""
        return tuple(entry.member for entry in self._node.table if all or entry.member.is_active)

    def member(self, name: str) -> Member | None:
        """One member in whatever state, while it is in the table."""
        entry = self._node.table.get(name)
        return None if entry is None else entry.member

    def _active(self, name: str) -> Member:
        member = self.member(name)
        if member is None or not member.is_active:
            raise LocalProtocolError(f"{name!r} is no alive or suspect member")
        return member

    def is_urgent(self, data: bytes) -> bool:
        """Whether a packet should be received before others that came with it: it begins with a
        ping or an answer, for which somebody's time runs. Anybody can make such packets.
        """
        return self._node.codec.is_urgent(data)

    def statistics(self) -> EngineStatistics:
        """Counters and sizes."""
        node = self._node
        _, reason = node.timers.earliest()
        return EngineStatistics(
            counters=dict(node.counters),
            active=node.table.active,
            members=len(node.table),
            health_score=node.awareness.score,
            isolated=node.guard.isolated,
            membership_queue=len(node.queue.membership),
            user_queue=len(node.queue.user),
            exchanges=len(self._parts.streams),
            questions=len(node.questions),
            timers=len(node.timers),
            next_deadline_reason="" if reason is None else reason[0],
            stalls=self._clock.stalls,
            stalled_seconds=self._clock.stalled,
            lateness_max=self._clock.lateness_max,
        )
