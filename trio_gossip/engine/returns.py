"""Members that others hold alive and this node has buried: asked themselves before all else.

Two ways lead here. A peer's table says alive what we hold dead at that incarnation: a partition has
healed, or the peer is behind. And hearsay says alive, above its tombstone, a member that we have
reaped: perhaps it is back, perhaps the teller was away and does not know of its end. In both cases
the member itself is asked, at a low rate, until it speaks. It answers the accusation with its own
claim, at first hand; or it acknowledges the ping, and then the hearsay is believed. So nothing is
gossiped about the dead half of a cluster, and nobody is admitted on the word of a sleeper.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.codec.messages import Dead, Ping
from trio_gossip.events import Reason
from trio_gossip.members import MemberState

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Alive
    from trio_gossip.engine.admission import Admission
    from trio_gossip.engine.membership import Tombstone
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.origin import Origin

ASKED_MAX: Final = 4096
"""Members asked at once; further ones are counted and come again with the next exchange."""

TRIES: Final = 4
"""Packets to each of them; at 25 % loss one of 250 members gets none."""

AGAIN: Final = 0.5
"""Seconds between two of them."""

PACE: Final = 0.05
"""Seconds between two batches."""

BATCH: Final = 10
"""Packets of a batch: 200 a second, whatever the size of the lost half."""

BACK_MAX: Final = 4096
"""Returned members that are remembered; beyond it the oldest return is forgotten."""

AWAY_SECONDS: Final = 30.0
"""For which a member that is back may tell old tales: its rumours and its table are from before."""

HEAL_SHARE: Final = 8
"""A heal is when one of so many active members, and two at least, came back together."""

HEAL_WINDOW: Final = 10.0
"""Seconds of quiet after which returns are counted anew."""

SETTLE: Final = (2.0, 4.0)
"""Seconds, at random between these, from a heal to the exchange that finds what gossip missed.
When each half has doubled at a stroke, copies of the news were counted for half of the readers."""


@attrs.define
class _Asked:
    address: Address
    held: Dead | None
    claim: Alive | None = None
    names: tuple[str, ...] = ()
    reason: Reason = Reason.SYNCED
    tries: int = 0
    due: float = 0.0
    sequences: list[int] = attrs.field(factory=list[int])


class Returns:
    """Asks members that may be back, and notes those that are."""

    accept: Callable[[Alive, Reason], None]

    def __init__(self, node: Node, admission: Admission) -> None:
        self._node = node
        self._admission = admission
        self._asked: OrderedDict[str, _Asked] = OrderedDict()
        self._back: OrderedDict[str, float] = OrderedDict()
        self._count = 0
        self._next = -math.inf
        self.last = -math.inf
        """Engine time at which a member came back the last time."""

    def __contains__(self, name: str) -> bool:
        """True while ``name`` is asked whether it is there."""
        return name in self._asked

    def __len__(self) -> int:
        return len(self._asked)

    # -- what is said of the buried -----------------------------------------------------

    def held_against(self, claim: Alive, stone: Tombstone, origin: Origin) -> None:
        """Old news of a member that is gone. If it is the member itself, restarted with a low
        incarnation, it must hear what is held against it, or it stays out for ever.
        """
        accuser = claim.name if stone.state is MemberState.LEFT else self._node.name
        held = Dead(stone.incarnation, claim.name, accuser)
        if origin.address == claim.address:
            origin.answer(self._node, claim.name, held)
        elif origin.reason is Reason.SYNCED and stone.address == claim.address:
            self.ask(held, stone.address)

    def must_verify(self, claim: Alive, stone: Tombstone | None, origin: Origin) -> bool:
        """True for hearsay of a newcomer that may be long gone: an exchange brought it, and we
        have reaped the name; or who tells of it was away itself.
        """
        if origin.address == claim.address or origin.peer == claim.name:
            return False
        if stone is not None and origin.reason is Reason.SYNCED:
            return True
        teller = origin.peer
        if origin.address is not None:
            teller = self._node.table.name_at(origin.address)
        back = self._back.get(teller) if teller is not None else None
        return back is not None and self._node.now - back < AWAY_SECONDS

    def verify(self, claim: Alive, stone: Tombstone | None, origin: Origin) -> None:
        """Ask the member before the claim is believed."""
        held = None
        if stone is not None and stone.state is MemberState.FAILED:
            held = Dead(stone.incarnation, claim.name, self._node.name)
        asked = self._asked.get(claim.name)
        if asked is None:
            asked = self._begin(claim.name, _Asked(claim.address, held))
        if asked is not None and (
            asked.claim is None or asked.claim.incarnation < claim.incarnation
        ):
            asked.claim = claim
            asked.address = claim.address
            asked.names = origin.vouches_for(claim.name)
            asked.reason = origin.reason

    def ask(self, held: Dead, address: Address) -> None:
        """Tell a member what is held against it, until it speaks up or was told often enough."""
        if held.name not in self._asked:
            self._begin(held.name, _Asked(address, held))

    def _begin(self, name: str, asked: _Asked) -> _Asked | None:
        node = self._node
        if len(self._asked) >= ASKED_MAX:
            node.counters.bump("returns_full")
            return None
        asked.due = node.now
        self._asked[name] = asked
        self._asked.move_to_end(name, last=False)
        soon = max(node.now, self._next)
        if node.timers.deadline(("returns", 0)) > soon:
            node.timers.set(("returns", 0), soon)
        return asked

    # -- asking -------------------------------------------------------------------------

    def tick(self) -> None:
        """Timer: ask the next few, and first those that were not asked yet."""
        node = self._node
        self._next = node.now + PACE
        for _ in range(min(BATCH, len(self._asked))):
            name, asked = next(iter(self._asked.items()))
            if asked.due > node.now:
                break
            entry = node.table.get(name)
            if entry is not None and entry.member.is_active:
                self._drop(name)
            elif asked.tries == TRIES:
                self._drop(name)
                node.counters.bump("return_unanswered")
            else:
                self._send(name, asked)
        if self._asked:
            first = next(iter(self._asked.values()))
            node.timers.set(("returns", 0), max(first.due, self._next))

    def _send(self, name: str, asked: _Asked) -> None:
        node = self._node
        asked.tries += 1
        asked.due = node.now + AGAIN
        self._asked.move_to_end(name)
        sequence = node.questions.ask(partial(self._acked, name))
        if sequence is None:
            return
        asked.sequences.append(sequence)
        ping = Ping(sequence, name, node.name)
        # The accusation goes first: where there is no room for two answers, its one matters more.
        # The ping makes room for it, as a stranger gets no more bytes back than it sent.
        messages = (ping,) if asked.held is None else (asked.held, ping)
        node.outbox.packet(asked.address, name, *messages, piggyback=False)

    def _acked(self, name: str, sequence: int, source: Address) -> None:
        """It is there. Whether its own claim found room beside the ack, the table tells."""
        del sequence
        node = self._node
        asked = self._asked[name]
        claim = asked.claim
        if source != asked.address or claim is None:
            return  # without hearsay only its own claim says at which incarnation it is
        self._drop(name)
        if node.table.get(name) is not None:
            return
        stone = node.table.tombstone(name, now=node.now)
        if stone is not None and claim.incarnation <= stone.incarnation:
            return
        if self._admission.admits(claim, None, asked.names):
            node.counters.bump("return_verified")
            self.accept(claim, asked.reason)

    def _drop(self, name: str) -> None:
        for sequence in self._asked.pop(name).sequences:
            self._node.questions.forget(sequence)

    def clear(self) -> None:
        """Ask nobody any more; those that came back stay remembered."""
        for name in list(self._asked):
            self._drop(name)
        self._node.timers.cancel(("returns", 0))
        self._node.timers.cancel(("settle", 0))

    # -- those that are back ------------------------------------------------------------

    def came_back(self, name: str) -> None:
        """A member that this node held failed is active again."""
        node = self._node
        if node.now - self.last > HEAL_WINDOW:
            self._count = 0
        self._count += 1
        self.last = node.now
        self._back[name] = node.now
        self._back.move_to_end(name)
        if len(self._back) > BACK_MAX:
            self._back.popitem(last=False)
        if name in self._asked:
            self._drop(name)
        healed = self._count >= max(2, node.table.active // HEAL_SHARE)
        if healed and ("settle", 0) not in node.timers:
            self._count = 0
            low, high = SETTLE
            node.timers.set(("settle", 0), node.now + low + (high - low) * node.rng.random())
