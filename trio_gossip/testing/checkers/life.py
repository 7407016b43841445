"""Rules about what a member hears of itself: it never believes its own death, and refutes it."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from trio_gossip.codec.messages import Alive, Dead, Suspect
from trio_gossip.members import INCARNATION_MAX, OWN_JUMP_MAX, MemberState
from trio_gossip.testing.checkers.answers import first_claims
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import engine_time, is_leaving, node_of
from trio_gossip.testing.checkers.ledger import content_of

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


class FirstIncarnation(Checker):
    """A life begins at the incarnation that it was given, which a process takes from its clock or
    from what it has kept, so that it is above its former lives (memberlist begins at 1); and it
    outbids at once whoever claims its name at as high an incarnation with other content.

    The second at most once in a gossip interval, and not while it leaves, nor for what cannot be.
    """

    name: ClassVar[str] = "first-incarnation"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._bid: dict[Process, float] = {}
        self._claimed: tuple[Process, int, int] | None = None

    def started(self, process: Process) -> None:
        begun = process.engine.local.incarnation
        if begun == process.first_incarnation:
            self.ok()
        else:
            self.wrong(f"{process} began at {begun}, not at {process.first_incarnation}")

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if name == process.name:
            self._bid[process] = engine_time(process)

    def ended(self, process: Process, how: str) -> None:
        self._bid.pop(process, None)

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        self._claimed = None
        mine = process.engine.local
        for claim in first_claims(messages):
            if claim.name != process.name or not isinstance(claim, Alive) or is_leaving(process):
                continue
            above = claim.incarnation - mine.incarnation
            if above > OWN_JUMP_MAX or claim.incarnation >= INCARNATION_MAX or above < 0:
                continue
            if above or content_of(mine) != (claim.address, claim.meta, claim.versions):
                withheld = _withheld(process)
                self._claimed = (process, claim.incarnation, withheld)

    def taken(self, process: Process) -> None:
        claimed, self._claimed = self._claimed, None
        if claimed is None or claimed[0] is not process:
            return
        now, quiet = engine_time(process), process.config.gossip_interval
        mine = process.engine.local.incarnation
        withheld = _withheld(process) > claimed[2]
        if mine > claimed[1]:
            self.ok()
        elif now - self._bid.get(process, now) > quiet and not withheld:
            self.wrong(f"{process.name} is at {mine}, and let a claim at {claimed[1]} stand")


def _withheld(process: Process) -> int:
    return node_of(process).counters.get("answer_withheld", 0)
