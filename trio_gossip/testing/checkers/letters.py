"""Rules of long broadcasts: who announces one has it, and all get it."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from trio_gossip.codec.messages import Announce, Broadcast
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.delivery import BroadcastToAll
from trio_gossip.testing.checkers.inside import holds_letter, node_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.testing.simulation.process import Process

FETCH_SECONDS: Final = 30.0
"""For a long broadcast to reach everybody: one that was announced is asked for during twenty."""


class AnnouncedToAll(BroadcastToAll):
    """Long broadcasts reach all members, best effort: the same as for ``broadcast-to-all`` of what
    is announced by gossip and fetched by stream, within half a minute. A member whose first teller
    does not answer asks the next one, so streams that fail excuse nobody.
    """

    name: ClassVar[str] = "announced-to-all"
    kind: ClassVar[type[Broadcast | Announce]] = Announce
    seconds: ClassVar[float] = FETCH_SECONDS


class AnnouncedIsHeld(Checker):
    """Who announces a long broadcast has it, to give to those who ask: an announcement goes out
    only while the sender holds what it announces. Not judged of a process that had to give one up
    for want of room.
    """

    name: ClassVar[str] = "announced-is-held"

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        for message in messages:
            if not isinstance(message, Announce) or node_of(process).counters.get("parcel_dropped"):
                continue
            if holds_letter(process, message):
                self.ok()
            else:
                self.wrong(f"{process.name} announces {message}, and has it not")
