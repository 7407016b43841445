"""Which records changed lately: what a member tells its peers where exchanges only push."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from trio_gossip.errors import LocalProtocolError
from trio_gossip.services.state_records import slot_of
from trio_gossip.services.state_wire import encode_news

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.services.base import Host
    from trio_gossip.services.state_records import Record, Slot
    from trio_gossip.services.state_replica import Replica

PUSH_OFFER: Final = 4
"""Each so many-th push is an offer of all that is known, by stream: so that who missed all rounds
of a change still hears of it."""

PUSHED_MAX: Final = 16
"""Records that one push brings as datagrams; with more it is an offer."""

CHANGED_MAX: Final = 1024
"""Keys that wait to be pushed; the one that changed longest ago waits for the next offer."""


class Pushing:
    """Records on their way from peer to peer, for as many rounds as a rumour needs to reach all.

    Args:
        replica: of the plane.
        host: the engine.
        offer: lets a peer ask for whatever it lacks.
    """

    def __init__(self, replica: Replica, host: Host, offer: Callable[[str], None]) -> None:
        self._replica = replica
        self._host = host
        self._offer = offer
        self._left: OrderedDict[Slot, int] = OrderedDict()
        self._pushed = 0

    def __len__(self) -> int:
        return len(self._left)

    def note(self, record: Record) -> None:
        """That record is new here: push it in the next rounds."""
        members = max(len(self._host.members()), 1)
        slot = slot_of(self._replica.plane, record)
        # As of members: Frieze and Grimmett 1985; Pittel 1987; and one more.
        self._left[slot] = math.ceil(math.log2(members) + math.log(members)) + 1
        self._left.move_to_end(slot)
        if len(self._left) > CHANGED_MAX:
            self._left.popitem(last=False)
            self._host.bump("state_push_dropped")

    def push(self, peer: str) -> None:
        """One round: tell ``peer`` what changed lately, as datagrams where these take it."""
        whole = self._pushed % PUSH_OFFER == 0
        self._pushed += 1
        payloads = self._take()
        is_long = any(len(payload) > self._host.room for payload in payloads)
        if whole or is_long or len(payloads) > PUSHED_MAX:
            self._offer(peer)
            return
        for payload in payloads:
            try:
                self._host.send(peer, payload)
            except LocalProtocolError:  # it went a moment ago
                return
            self._host.bump("state_pushed")

    def _take(self) -> list[bytes]:
        replica = self._replica
        slots = list(self._left)
        for slot in slots:
            self._left[slot] -= 1
            if self._left[slot] <= 0:
                del self._left[slot]
        found = [replica.slots.get(slot) for slot in slots]
        return [encode_news(replica.plane, record) for record in found if record is not None]
