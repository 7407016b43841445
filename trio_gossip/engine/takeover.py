"""When a name turns up at a new address while the old one counts as alive.

A restarted pod, or two processes with one name? Ask the old address. Silence: the name has
moved, and the news says who checked, so that not every member has to ask again. An answer: a
conflict, and both claimants hear of it. memberlist refuses the new address until the old record
is reaped.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.codec.messages import Conflict, Ping
from trio_gossip.events import Reason

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Alive
    from trio_gossip.engine.admission import Admission
    from trio_gossip.engine.membership import Entry
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.origin import Origin
    from trio_gossip.engine.refutation import Refutation
    from trio_gossip.engine.streams import Streams
    from trio_gossip.members import Member

PENDING_MAX: Final = 64
"""Names being verified at once; further ones are counted and come again with the next sync."""

PINGS: Final = 3
"""Pings of the old address, spread over the probe timeout."""

VERDICT_QUIET: Final = 10.0
"""Seconds for which a conflict that was found is not looked into again."""


@attrs.define
class _Pending:
    claim: Alive
    names: tuple[str, ...]
    old: Address
    may_tell: bool
    pings: int
    sequences: list[int]
    exchange: int | None


class Takeover:
    """Verifies the old address of a name before a new one is believed."""

    accept: Callable[[Alive, Entry, Reason], None]

    def __init__(
        self, node: Node, admission: Admission, refutation: Refutation, streams: Streams
    ) -> None:
        self._node = node
        self._admission = admission
        self._refutation = refutation
        self._streams = streams
        self._pending: dict[str, _Pending] = {}
        self._verdicts: OrderedDict[tuple[str, Address], float] = OrderedDict()

    def must_verify(self, claim: Alive, entry: Entry, origin: Origin) -> bool:
        """True when the claim moves a live member, unless a member that has checked says so
        itself: at second hand anybody could name a voucher.
        """
        member = entry.member
        if claim.address == member.address or not member.is_active:
            return False
        voucher = self._node.table.get(claim.vouched_by) if claim.vouched_by else None
        return (
            voucher is None
            or not voucher.member.is_active
            or voucher is entry
            or voucher.member.address != origin.address
        )

    def verify(self, claim: Alive, entry: Entry, origin: Origin) -> None:
        """Begin to ask the old address, unless that is being done or was done just now."""
        node = self._node
        verdict = self._verdicts.get((claim.name, claim.address))
        if verdict is not None and node.now - verdict < VERDICT_QUIET:
            node.counters.bump("takeover_refused")
            return
        pending = self._pending.get(claim.name)
        if pending is not None and pending.old != entry.member.address:
            # Somebody else's check has moved it meanwhile: what we asked was the address before.
            self._drop(claim.name)
        elif pending is not None:
            if claim.incarnation > pending.claim.incarnation:
                pending.claim = claim
                pending.names = origin.vouches_for(claim.name)
                pending.may_tell = self._may_tell(claim, pending.old, origin)
            return
        if len(self._pending) >= PENDING_MAX:
            node.counters.bump("takeover_full")
            return
        may_tell = self._may_tell(claim, entry.member.address, origin)
        self._begin(claim, origin.vouches_for(claim.name), entry.member, may_tell=may_tell)

    def _begin(self, claim: Alive, names: tuple[str, ...], old: Member, *, may_tell: bool) -> None:
        pending = _Pending(claim, names, old.address, may_tell, 0, [], None)
        self._pending[claim.name] = pending
        if self._streams.may_ping(old):
            pending.exchange = self._streams.ping(
                old, self._node.config.probe_timeout, lambda: self._answered(claim.name)
            )
        self.step(claim.name)

    def _may_tell(self, claim: Alive, old: Address, origin: Origin) -> bool:
        """True when a verdict may be sent to the claimant, who is a stranger: it has a stream
        with us from that host, or it sent us at least as many bytes itself.
        """
        if origin.host == claim.address.host:
            return True
        message = Conflict(claim.name, old, claim.address)
        return origin.address == claim.address and self._node.spend_allowance(message)

    def step(self, name: str) -> None:
        """Timer: ping once more, or conclude."""
        node = self._node
        pending = self._pending[name]
        if pending.pings == PINGS:
            self._silent(name)
            return
        pending.pings += 1
        node.timers.set(("takeover", name), node.now + node.config.probe_timeout / PINGS)
        sequence = node.questions.ask(partial(self._acked, name))
        if sequence is not None:
            pending.sequences.append(sequence)
            ping = Ping(sequence, name, node.name)
            node.outbox.packet(pending.old, name, ping, piggyback=False)

    def _acked(self, name: str, sequence: int, source: Address) -> None:
        del sequence, source
        self._answered(name)

    def forget(self, name: str) -> None:
        """The row of ``name`` is gone."""
        if name in self._pending:
            self._drop(name)

    def clear(self) -> None:
        """Forget everything that is being verified."""
        for name in list(self._pending):
            self._drop(name)

    def _drop(self, name: str) -> _Pending:
        pending = self._pending.pop(name)
        self._node.timers.cancel(("takeover", name))
        for sequence in pending.sequences:
            self._node.questions.forget(sequence)
        self._streams.cancel(pending.exchange)
        return pending

    def _silent(self, name: str) -> None:
        node = self._node
        pending = self._drop(name)
        claim = pending.claim
        entry = node.table.get(name)
        assert entry is not None, "a name was verified after its row had gone"
        if claim.incarnation <= entry.evidence:
            return  # the member has spoken up meanwhile
        if self._is_elsewhere(pending, entry):
            self._begin(claim, pending.names, entry.member, may_tell=pending.may_tell)
            return
        if not self._admission.admits(claim, entry, pending.names):
            return
        node.counters.bump("takeover_accepted")
        claim.vouched_by = node.name
        self.accept(claim, entry, Reason.TAKEOVER)

    @staticmethod
    def _is_elsewhere(pending: _Pending, entry: Entry) -> bool:
        """True when the row is by now at a third address, which nobody has asked yet."""
        member = entry.member
        return member.is_active and member.address not in (pending.old, pending.claim.address)

    def _answered(self, name: str) -> None:
        node = self._node
        pending = self._drop(name)
        entry = node.table.get(name)
        assert entry is not None, "a name was verified after its row had gone"
        claim = pending.claim
        if entry.member.address != pending.old:
            if claim.incarnation > entry.evidence and self._is_elsewhere(pending, entry):
                self._begin(claim, pending.names, entry.member, may_tell=pending.may_tell)
            return
        self._verdicts[(name, claim.address)] = node.now
        self._verdicts.move_to_end((name, claim.address))
        if len(self._verdicts) > PENDING_MAX:
            self._verdicts.popitem(last=False)
        node.counters.bump("takeover_refused")
        self._refutation.report(entry.member, claim.address)
        message = Conflict(name, entry.member.address, claim.address)
        node.outbox.packet(entry.member.address, name, message)
        if pending.may_tell:
            node.outbox.packet(claim.address, name, message, piggyback=False)
