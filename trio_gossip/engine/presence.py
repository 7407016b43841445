"""This member's own life: it appears, changes its metadata, leaves and comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.codec.messages import Alive
from trio_gossip.engine.claimed import with_state
from trio_gossip.errors import ConfigError, LocalProtocolError
from trio_gossip.events import MemberJoined, MemberLeft, MemberUpdated, Reason
from trio_gossip.members import META_BYTES_MAX, Member, MemberState

if TYPE_CHECKING:
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.outputs import Token
    from trio_gossip.engine.parts import Parts

VOUCHER_BYTES: Final = 64
"""Room kept in this member's announcement for the name of a member that vouches for a move."""

INTRODUCTIONS_MAX: Final = 32
"""Members that a newcomer tells of itself directly; in larger clusters gossip reaches more."""


class Presence:
    """Changes of this member that it makes itself."""

    def __init__(self, node: Node, parts: Parts) -> None:
        self._node = node
        self._parts = parts
        me = node.me.member
        if not self._fits(me):
            raise ConfigError(
                f"name ({len(me.name)} characters) and meta ({len(me.meta)} bytes) do not fit a"
                f" packet of {node.packet_limit} bytes"
            )

    def start(self, *, known: bool = False) -> None:
        """Appear for the first time, or as a member that everybody knows already."""
        node = self._node
        node.table.touch(node.me, now=node.now)
        if not known:
            node.tell(node.own_claim())
        self._appear()

    def introduce(self) -> None:
        """After a join: tell members ourselves, beside the gossip that has begun.

        The transmit limit lets one piece of news in twenty miss somebody in a cluster of eight,
        and a member that is thought dead must not stay so until the next push/pull.
        """
        node = self._node
        if node.leaving:
            return
        for entry in node.peers(INTRODUCTIONS_MAX):
            member = entry.member
            node.outbox.packet(member.address, member.name, node.own_claim())

    def check_present(self) -> None:
        """Raise LocalProtocolError when this member has left."""
        if self._node.leaving:
            raise LocalProtocolError("this member has left; join again first")

    def check_meta(self, meta: bytes) -> None:
        """Raise LocalProtocolError when ``meta`` cannot be announced."""
        self.check_present()
        if len(meta) > META_BYTES_MAX:
            raise LocalProtocolError(
                f"meta has {len(meta)} bytes, at most {META_BYTES_MAX} are allowed"
            )
        if not self._fits(self._with_meta(meta)):
            raise LocalProtocolError("name and meta together do not fit a packet")

    def update_meta(self, meta: bytes) -> None:
        """Announce other metadata; ``check_meta`` has been asked."""
        node = self._node
        before = node.me.member
        after = self._with_meta(meta)
        self._parts.refutation.announce(after)
        node.table.version += 1
        node.outbox.notify(
            MemberUpdated(after, node.table.version, Reason.ANNOUNCED, previous=before)
        )

    def leave(self, token: Token) -> None:
        """Stop taking part and say goodbye."""
        parts = self._parts
        news = not self._node.leaving
        parts.prober.stop()
        parts.sync.stop()
        parts.rejoin.stop()
        parts.takeover.clear()
        parts.returns.clear()
        parts.leaving.start(token)
        if news:
            self._tell_change(MemberLeft, Reason.GOODBYE)

    def come_back(self) -> None:
        """After a leave: be a member again, above the incarnation at which we left."""
        node = self._node
        if not node.leaving:
            return
        self._parts.leaving.cancel()
        node.leaving = False
        mine = node.me.member
        back = with_state(mine, MemberState.ALIVE, mine.incarnation + 1)
        node.table.replace(node.me, back, now=node.now)
        node.members_changed()
        node.tell(node.own_claim())
        self._appear()

    def _appear(self) -> None:
        self._tell_change(MemberJoined, Reason.STARTED)
        self._parts.prober.start()
        self._parts.sync.start()
        self._parts.rejoin.start()

    def _tell_change(self, event: type[MemberJoined | MemberLeft], reason: Reason) -> None:
        node = self._node
        node.table.version += 1
        me = node.me.member
        score = node.awareness.score
        node.outbox.notify(event(me, node.table.version, reason, health_score=score))

    def _with_meta(self, meta: bytes) -> Member:
        me = self._node.me.member
        return Member(me.name, me.address, me.state, me.incarnation + 1, meta, me.versions)

    def _fits(self, me: Member) -> bool:
        """True when every member can pass on what we say of ourselves."""
        claim = Alive(
            me.incarnation, me.name, me.address, me.meta, me.versions, "x" * VOUCHER_BYTES
        )
        return self._node.outbox.fits(self._node.codec.encode(claim))
