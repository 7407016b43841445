"""The rule of lanes: news of members and messages of the application share the packets."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from trio_gossip.codec.messages import Alive, Announce, Broadcast, Dead, Suspect
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import has_news_for, node_of, packet_limit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.engine.outputs import Output
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

OWED_PACKETS: Final = 3
"""Packets' worth of bytes by which a lane may be behind: one for the message whose room comes
together, one for a message that was replaced while it waited, one for what is rounded."""


class LanesShare(Checker):
    """While a process has both news of members and broadcasts to tell, broadcasts get at least
    ``broadcast_share`` of the bytes of its gossip, and news at least the rest (memberlist gives
    broadcasts what membership leaves, which under churn is nothing). Judged in bytes over
    consecutive packets: either may be behind by ``OWED_PACKETS`` packets.

    Only what a round of gossip sends is counted as room: an answer may have too little of it for a
    long message, or begin with a claim that was not queued. That news could use the room is taken
    from packets that have none at all. What a lane could have told is what was due in it before
    the turn and still is after it: a turn may pack many packets and then learn more.
    """

    name: ClassVar[str] = "lanes-share"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._owed: dict[Process, tuple[float, float]] = {}
        """Bytes that the broadcasts, and the news of members, of a process are behind."""
        self._due: dict[Process, tuple[bool, bool]] = {}
        """Whether broadcasts, and news of members, were due when its last turn ended."""

    def ended(self, process: Process, how: str) -> None:
        self._owed.pop(process, None)
        self._due.pop(process, None)

    def turned(self, process: Process, outputs: list[Output]) -> None:
        queue = node_of(process).queue
        if len(queue.user) and len(queue.membership):
            self._due[process] = self._due_now(process)
        elif process in self._due:
            del self._due[process]

    def _due_now(self, process: Process) -> tuple[bool, bool]:
        node = node_of(process)
        pace = node.queue.pace
        return (
            node.queue.user.head_size(pace, node.now) > 0,
            node.queue.membership.head_size(pace, node.now) > 0,
        )

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        node = node_of(process)
        queue = node.queue
        if not (len(queue.user) and len(queue.membership)):
            self._owed.pop(process, None)
            return
        share = process.config.broadcast_share
        theirs = self._bytes_of(process, messages, (Broadcast, Announce))
        news = self._bytes_of(process, messages, (Alive, Suspect, Dead))
        broadcasts_owed, news_owed = self._owed.get(process, (0.0, 0.0))
        broadcasts_owed -= theirs
        news_owed -= news
        if not answering and isinstance(messages[0], Alive | Suspect | Dead | Broadcast | Announce):
            before, after = self._due.get(process, (False, False)), self._due_now(process)
            if before[0] and after[0]:
                broadcasts_owed += share * (news + theirs)
            if before[1] and after[1] and not news and has_news_for(process, address):
                news_owed += (1.0 - share) * theirs
            self._judge(process, "broadcasts", broadcasts_owed)
            self._judge(process, "news of members", news_owed)
        self._owed[process] = max(0.0, broadcasts_owed), max(0.0, news_owed)

    def _bytes_of(
        self, process: Process, messages: Sequence[Message], kinds: tuple[type, ...]
    ) -> int:
        encode = node_of(process).codec.encode
        return sum(len(encode(message)) for message in messages if isinstance(message, kinds))

    def _judge(self, process: Process, what: str, owed: float) -> None:
        if owed > OWED_PACKETS * packet_limit_of(process):
            self.wrong(f"{process.name} owes the {what} {owed:.0f} bytes of its gossip")
        else:
            self.ok()
