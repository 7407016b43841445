"""Rules of pings: where they go, and that an accusation follows from one that was not answered."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.codec.messages import Ack, Alive, Ping
from trio_gossip.events import MemberSuspected, Reason
from trio_gossip.failures import Evidence
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import engine_time, is_verified, node_of, weighs
from trio_gossip.testing.checkers.wire import PING, first_code, messages_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.events import Event
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

EVIDENT_ROUND: Final = 1.6
"""Timeouts until helpers send their nacks: four fifths of the two that they are given."""

PINGS_KEPT: Final = 64
"""Pings of one target that are remembered; the oldest are forgotten."""

QUESTIONS: Final = 3
"""Pings of the old address before a name moves."""

ROUNDING: Final = 1e-6
"""Seconds that sums of floating point numbers may be off."""


class PingsGoHome(Checker):
    """A ping goes to an address at which its sender has held the target: neither a claim that is
    not believed yet nor a request for help says where to ping (memberlist pings any address
    for anybody). No tolerance, but for a newcomer that would be admitted were its only witness not
    one who was away: it is asked first.
    """

    name: ClassVar[str] = "pings-go-home"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._homes: dict[Process, dict[str, list[Address]]] = {}

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if after is not None:
            homes = self._homes.setdefault(process, {}).setdefault(name, [])
            if after.address not in homes:
                homes.append(after.address)

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if first_code(data) != PING:
            return
        ping = messages_of(data)[0]
        if isinstance(ping, Ping):
            if address in self._homes.get(process, {}).get(ping.target, ()):
                self.ok()
            elif is_verified(process, ping.target):
                return
            else:
                self.wrong(f"{process.name} pinged {ping.target} at {address}, where it never was")

    def ended(self, process: Process, how: str) -> None:
        self._homes.pop(process, None)


@attrs.frozen
class _Sent:
    time: float
    seconds: float
    """How long the round of a probe lasts that begins with this ping."""
    incarnation: int


class AccusedWasAsked(Checker):
    """Who accuses a member after a failed probe has pinged it at the incarnation that it accuses,
    and waited for a whole round: ``probe_interval`` times the health score at its beginning
    plus one (Lifeguard section IV-A). A member that spoke up meanwhile is not accused anew.

    Any ping of the member may have begun the round. Engine time; no tolerance beyond rounding.

    With the detector that weighs evidence a whole round is ``EVIDENT_ROUND`` shortest timeouts:
    until helpers say that they were not answered either. It ends at once where somebody
    finds the process gone, as its host says. And a doubt of others may be about a higher
    incarnation than the one that was asked.
    """

    name: ClassVar[str] = "accused-was-asked"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._pings: dict[Process, dict[str, deque[_Sent]]] = {}
        self._before: dict[tuple[Process, str], int] = {}

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if before is not None and weighs(process):
            self._before[process, name] = before.incarnation

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if first_code(data) != PING:
            return
        ping = messages_of(data)[0]
        row = process.engine.member(ping.target) if isinstance(ping, Ping) else None
        if row is not None:
            score = node_of(process).awareness.score
            seconds = process.config.probe_interval * (1 + score)
            if weighs(process):
                seconds = EVIDENT_ROUND * process.config.rto_floor
            sent = _Sent(engine_time(process), seconds, row.incarnation)
            pings = self._pings.setdefault(process, {})
            pings.setdefault(row.name, deque(maxlen=PINGS_KEPT)).append(sent)

    def event(self, process: Process, event: Event) -> None:
        if type(event) is not MemberSuspected or event.reason is not Reason.PROBE_FAILED:
            return
        if not event.tried:
            return  # an accusation of an own former life, or an own old one, that came back
        member = event.member
        now = engine_time(process) + ROUNDING
        asked = self._before.get((process, member.name), member.incarnation)
        pings = self._pings.get(process, {}).get(member.name, ())
        is_gone = any(found is Evidence.REFUSED for _, found in event.testimony)
        if any(
            ping.incarnation == asked and (is_gone or now >= ping.time + ping.seconds)
            for ping in pings
        ):
            self.ok()
        else:
            self.wrong(
                f"{process.name} accused {member} without a whole round of asking it,"
                f" by {event.testimony}"
            )

    def ended(self, process: Process, how: str) -> None:
        self._pings.pop(process, None)
        for key in [key for key in self._before if key[0] is process]:
            del self._before[key]


class MovedWasAsked(Checker):
    """The address of an active member changes only after the old one was silent: it was pinged
    three times within ``probe_timeout``, and answered none of these (memberlist does not let it
    move at all). Or a member that counts and has asked says so itself, in a packet of its own.

    Each of the pings may be late by what is no stall yet; a slow process is not judged.
    """

    name: ClassVar[str] = "moved-was-asked"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._asked: dict[Process, deque[tuple[float, str, Address, int]]] = {}
        self._acks: dict[Process, deque[int]] = {}
        self._vouched: tuple[Process, list[str]] | None = None

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if first_code(data) == PING:
            ping = messages_of(data)[0]
            if isinstance(ping, Ping):
                asked = self._asked.setdefault(process, deque(maxlen=PINGS_KEPT))
                asked.append((engine_time(process), ping.target, address, ping.sequence))

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        if first_code(data) == Ack.code:
            acks = self._acks.setdefault(process, deque(maxlen=PINGS_KEPT))
            acks += [each.sequence for each in messages_of(data) if isinstance(each, Ack)]

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        vouched: list[str] = []
        for message in messages:
            if isinstance(message, Alive) and message.vouched_by not in ("", message.name):
                voucher = process.engine.member(message.vouched_by)
                # Claims before this one may have changed the row of the voucher.
                if (
                    len(messages) > 1
                    or voucher is None
                    or (voucher.is_active and voucher.address == source)
                ):
                    vouched.append(message.name)
        self._vouched = (process, vouched)

    def taken(self, process: Process) -> None:
        self._vouched = None

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if before is None or after is None or before.address == after.address:
            return
        if not before.is_active or name == process.name or process.turn_seconds:
            return
        if self._vouched is not None and self._vouched[0] is process and name in self._vouched[1]:
            self.ok()
            return
        config = process.config
        since = engine_time(process) - config.probe_timeout
        since -= (QUESTIONS + 1) * config.stall_threshold
        asked = self._asked.get(process, ())
        numbers = [
            sequence
            for time, to, address, sequence in asked
            if time >= since and (to, address) == (name, before.address)
        ]
        answered = set(numbers[-QUESTIONS:]) & set(self._acks.get(process, ()))
        if answered:
            self.wrong(f"{process.name} moved {before} to {after.address}, and it had answered")
        elif len(numbers) < QUESTIONS:
            count = len(numbers)
            self.wrong(f"{process.name} moved {before} to {after.address} after {count} pings")
        else:
            self.ok()

    def ended(self, process: Process, how: str) -> None:
        self._asked.pop(process, None)
        self._acks.pop(process, None)
