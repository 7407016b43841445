"""Rules about what a member hears of itself: it never believes its own death, and refutes it."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from trio_gossip.codec.messages import Dead, Suspect
from trio_gossip.members import INCARNATION_MAX, OWN_JUMP_MAX, MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import is_leaving, node_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation


class NoOwnDeath(Checker):
    """No process holds itself suspect or failed, nor forgets itself; and it has left only if it
    was told to (SWIM section 4.2: who is accused refutes). No tolerance.
    """

    name: ClassVar[str] = "no-own-death"

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if name != process.name:
            return
        if after is None:
            self.wrong(f"{name} removed itself from its table")
        elif after.state is MemberState.ALIVE or (
            after.state is MemberState.LEFT and is_leaving(process)
        ):
            self.ok()
        else:
            self.wrong(f"{name} holds itself {after.state}")


class Refutation(Checker):
    """Who hears an accusation of itself at its own incarnation or above has a higher one when the
    turn ends (SWIM section 4.2). Not demanded of a member that leaves, for an incarnation
    that cannot be, or when the turn had made all the answers that it may make.
    """

    name: ClassVar[str] = "refutation"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._accused: tuple[Process, int, int] | None = None

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        mine = process.engine.local
        highest = 0
        for message in messages:
            if (
                isinstance(message, Suspect | Dead)
                and message.name == mine.name
                and 0 <= message.incarnation - mine.incarnation <= OWN_JUMP_MAX
                and message.incarnation < INCARNATION_MAX
            ):
                highest = max(highest, message.incarnation)
        if highest and not is_leaving(process):
            self._accused = (process, highest, _withheld(process))

    def taken(self, process: Process) -> None:
        if self._accused is None:
            return
        accused, incarnation, withheld = self._accused
        self._accused = None
        if accused is not process or _withheld(process) > withheld:
            return
        mine = process.engine.local
        if mine.incarnation <= incarnation:
            self.wrong(f"{mine.name} is at {mine.incarnation}, accused at {incarnation}")
        else:
            self.ok()


def _withheld(process: Process) -> int:
    return node_of(process).counters.get("answer_withheld", 0)
