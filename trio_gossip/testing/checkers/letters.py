"""Rules of long broadcasts: who announces one has it, and all get it."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Final

from trio_gossip.codec.messages import Announce, Broadcast
from trio_gossip.engine.parcels import PARCELS_SERVICE
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.delivery import BroadcastToAll
from trio_gossip.testing.checkers.inside import engine_time, holds_letter, node_of, wants_letters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.engine.outputs import Output
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

FETCH_SECONDS: Final = 30.0
"""For a long broadcast to reach everybody: one that was announced is asked for during twenty."""

LETTERS_FEW: Final = 6
"""So many deliveries may be missing however few were expected."""

PAUSE_SECONDS: Final = 1.0
"""Between two questions for one, of different members."""

_SLACK: Final = 1e-3


class AnnouncedToAll(BroadcastToAll):
    """Long broadcasts reach all members, best effort: the same as for ``broadcast-to-all`` of what
    is announced by gossip and fetched by stream, within half a minute. A member whose first teller
    does not answer asks the next one, so streams that fail excuse nobody.
    """

    name: ClassVar[str] = "announced-to-all"
    kind: ClassVar[type[Broadcast | Announce]] = Announce
    seconds: ClassVar[float] = FETCH_SECONDS
    few: ClassVar[int] = LETTERS_FEW


class AnnouncedIsHeld(Checker):
    """Who announces a long broadcast has it, to give to those who ask: an announcement goes out
    only while the sender holds what it announces. Not judged of a process that had to give one up
    for want of room; nor later than half a minute after its first announcement, when it may forget
    it: one that was alone for long has announcements left that nobody has heard.
    """

    name: ClassVar[str] = "announced-is-held"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._first: dict[tuple[Process, str, int, int], float] = {}

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        for message in messages:
            if not isinstance(message, Announce) or node_of(process).counters.get("parcel_dropped"):
                continue
            now = engine_time(process)
            key = (process, message.origin, message.epoch, message.counter)
            if message.origin == process.name and key not in self._first:
                # One of its own may have waited for half a minute, with nobody there to be told.
                self._first[key] = now if holds_letter(process, message) else -math.inf
            if now - self._first.setdefault(key, now) > FETCH_SECONDS - 1.0:
                continue
            if holds_letter(process, message):
                self.ok()
            else:
                self.wrong(f"{process.name} announces {message}, and has it not")


class LettersAreFetched(Checker):
    """A process that fetches a long broadcast asks again within a second, another member if there
    is one: whoever was asked may be gone, or never answer. Judged by the timer that it has at the
    end of each turn. No tolerance.
    """

    name: ClassVar[str] = "letters-are-fetched"

    def turned(self, process: Process, outputs: list[Output]) -> None:
        if not wants_letters(process):
            return
        deadline = node_of(process).timers.deadline(("service", PARCELS_SERVICE))
        if deadline - engine_time(process) <= PAUSE_SECONDS + _SLACK:
            self.ok()
        else:
            self.wrong(f"{process.name} wants a long broadcast, and does not ask again")
