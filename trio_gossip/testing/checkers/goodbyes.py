"""Rules about goodbyes: who says them, who hears them, who believes them."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from trio_gossip.codec.messages import Dead, Leave
from trio_gossip.members import INCARNATION_JUMP_MAX, MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

MISSED_SHARE: Final = 0.1
"""Share of the members that may miss a goodbye: those that were cut off or paused just then."""

MISSED_FEW: Final = 3
"""So many may miss it however few there were."""


class GoodbyeBelieved(Checker):
    """Who hears a goodbye of a member that it knows, at its incarnation or above, holds it as left,
    or at a higher incarnation, when the turn is over: the member's own word counts more than
    what others say (memberlist). Not demanded for an incarnation that cannot be.
    """

    name: ClassVar[str] = "goodbye-believed"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._heard: list[tuple[str, int]] = []

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        for message in messages:
            if isinstance(message, Leave) or (isinstance(message, Dead) and message.is_goodbye):
                row = process.engine.member(message.name)
                if (
                    row is not None
                    and message.name != process.name
                    and 0 <= message.incarnation - row.incarnation <= INCARNATION_JUMP_MAX
                ):
                    self._heard.append((message.name, message.incarnation))

    def taken(self, process: Process) -> None:
        for name, incarnation in self._heard:
            row = process.engine.member(name)
            if row is None or row.state is MemberState.LEFT or row.incarnation > incarnation:
                self.ok()
            else:
                self.wrong(f"{process.name} heard {name} leave at {incarnation}, and holds {row}")
        self._heard.clear()


class OwnGoodbye(Checker):
    """A member is held to have left only at an incarnation at which it said so itself: what others
    say makes it failed at most. Not judged once strangers' packets were let in.
    """

    name: ClassVar[str] = "own-goodbye"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._ledger = Ledger()

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        self._ledger.note(process, name, after)
        if after is None or after.state is not MemberState.LEFT or name == process.name:
            return
        if self.strangers_spoke:
            return
        if self._ledger.has_left(name, after.incarnation):
            self.ok()
        else:
            self.wrong(f"{process.name} saw {name} leave at {after.incarnation}, unsaid")


class LeaveIsLeft(Checker):
    """When a member has ended a graceful leave, those who knew it when it began, and whom it held
    alive then, hold it as left, not as active or failed: it told them directly, again and again
    until it ended. One in ten may have missed it for all that, three at least: gossip, then
    push/pull, tells them later. But not all of three or more. Members that are excused, or
    cannot run, are not counted, nor is the leave of a member that is.
    """

    name: ClassVar[str] = "leave-is-left"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._told = 0
        self._missed: list[str] = []
        self._knew: dict[Process, dict[str, None]] = {}

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if name == process.name and after is not None and after.state is MemberState.LEFT:
            self._knew[process] = {
                member.name: None
                for member in process.engine.members()
                if member.state is MemberState.ALIVE and self._knows(member.name, after)
            }

    def _knows(self, observer: str, leaver: Member) -> bool:
        process = self.simulation.processes.get(observer)
        row = None if process is None else process.engine.member(leaver.name)
        return row is not None and row.is_active and row.incarnation == leaver.incarnation

    def ended(self, process: Process, how: str) -> None:
        excuses = self.simulation.excuses
        if how != "left" or excuses.covers(process.name):
            return
        told, missed = self._told, len(self._missed)
        knew = self._knew.pop(process, {})
        for name, other in self.simulation.processes.items():
            row = other.engine.member(process.name)
            if row is None or not other.can_run or excuses.covers(name):
                continue
            if name not in knew:
                continue  # it could not be told, or did not know of this life
            self._told += 1
            if row.state is not MemberState.LEFT:
                self._missed.append(f"{name} holds {row.name} {row.state}")
            else:
                self.ok()
        told, missed = self._told - told, len(self._missed) - missed
        if told == missed >= MISSED_FEW:
            self.wrong(f"none of {told} members heard that {process.name} left")

    def finish(self) -> None:
        if len(self._missed) > max(MISSED_FEW, MISSED_SHARE * self._told):
            first = ", ".join(self._missed[:3])
            self.wrong(f"{len(self._missed)} of {self._told} goodbyes were missed: {first}")
