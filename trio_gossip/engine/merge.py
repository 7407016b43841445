"""Merging a peer's table into ours, a slice in each turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.codec.messages import Alive, Dead, Suspect
from trio_gossip.engine.claimed import STATE_BY_NUMBER, says_the_same
from trio_gossip.engine.origin import Origin
from trio_gossip.events import Reason
from trio_gossip.members import MemberState

if TYPE_CHECKING:
    from trio_gossip.codec.messages import Record
    from trio_gossip.engine.claims import Claims
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.session import Exchange
    from trio_gossip.members import Member

SLICE: Final = 128
"""Records merged in one turn: about a quarter of a millisecond."""


@attrs.define
class _Job:
    records: list[Record]
    origin: Origin
    done: Callable[[bool], None]
    at: int = 0
    diverged: bool = False


class Merge:
    """Turns records into claims, by memberlist's rules.

    * alive: an alive claim.
    * left: the member's own word, a goodbye.
    * suspect or failed: only a suspicion of ours. Hearsay never declares a member failed.
    """

    def __init__(self, node: Node, claims: Claims) -> None:
        self._node = node
        self._claims = claims
        self._jobs: dict[int, _Job] = {}

    def shown(self, member: Member) -> Member:
        """A member as a peer is to hear of it."""
        return self._claims.judge.shown(member)

    def start(
        self,
        exchange: Exchange,
        peer: str,
        records: list[Record],
        done: Callable[[bool], None],
    ) -> None:
        """Merge the ``records`` of an exchange with ``peer``; calls ``done`` with True when the
        two tables contradicted each other, so that a second exchange is worth while.
        """
        job = exchange.id
        host = exchange.address.host
        origin = Origin(Reason.SYNCED, host=host, peer=peer, names=exchange.names)
        self._jobs[job] = _Job(records, origin, done)
        self.step(job)

    def step(self, job_id: int) -> None:
        """Timer: merge the next slice; comes again at once until all are merged."""
        node = self._node
        job = self._jobs[job_id]
        for record in job.records[job.at : job.at + SLICE]:
            if not self._is_known(record):
                job.diverged |= self._contradicts(record)
                self._claim(record, job.origin)
        job.at += SLICE
        if job.at < len(job.records):
            node.timers.set(("merge", job_id), node.now)
            return
        del self._jobs[job_id]
        job.done(job.diverged)

    def _is_known(self, record: Record) -> bool:
        """True when both sides hold a member alive in one version: the ordinary case, and
        of most records in a cluster at rest. No rule has anything to say about it.
        """
        node = self._node
        entry = node.table.get(record.name)
        return (
            entry is not None
            and entry.evidence == record.incarnation
            and entry.member.state is MemberState.ALIVE
            and says_the_same(record, entry.member)
            and STATE_BY_NUMBER[record.state] is MemberState.ALIVE
            and entry is not node.me
        )

    def _claim(self, record: Record, origin: Origin) -> None:
        state = STATE_BY_NUMBER[record.state]
        if state is MemberState.ALIVE:
            self._claims.alive(
                Alive(
                    record.incarnation, record.name, record.address, record.meta, record.versions
                ),
                origin,
            )
        elif state is MemberState.LEFT:
            self._claims.dead(Dead(record.incarnation, record.name, record.name), origin)
        elif not self._claims.judge.hearsay(record, self._node.table.get(record.name), origin):
            accusation = Suspect(record.incarnation, record.name, self._node.name)
            self._claims.suspect(accusation, origin)

    def _contradicts(self, record: Record) -> bool:
        """True where one side holds a member alive that the other has buried, and neither
        can convince the other before the member itself has spoken.
        """
        node = self._node
        entry = node.table.get(record.name)
        theirs = STATE_BY_NUMBER[record.state]
        if entry is None:
            stone = node.table.tombstone(record.name, now=node.now)
            return (
                stone is not None
                and theirs.is_active
                and record.incarnation <= stone.incarnation
                and stone.state is MemberState.FAILED
            )
        mine = entry.member.state
        if mine is MemberState.FAILED:
            return theirs.is_active and record.incarnation <= entry.evidence
        return (
            mine.is_active
            and theirs is MemberState.FAILED
            and record.incarnation >= entry.member.incarnation
        )
