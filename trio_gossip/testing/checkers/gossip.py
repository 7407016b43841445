"""The rule of gossip: how often each process sends one piece of news."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

import attrs

from trio_gossip.codec.messages import Alive, Announce, Broadcast, Dead, Ping, Suspect
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.expected import lossy_limit, transmit_limit
from trio_gossip.testing.checkers.inside import (
    active_of,
    engine_time,
    is_leaving,
    node_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

DONE_SECONDS: Final = 10.0
"""After which a broadcast that was not sent again is taken to be forgotten."""

DONE_FEW: Final = 5
"""Broadcasts from which on it is judged whether they were sent often enough."""

BUSY_MEMBERS: Final = 3
"""Members that a process must count: with fewer there is hardly anybody to tell."""

Rumour: TypeAlias = "tuple[object, ...]"


class SendsPerRumour(Checker):
    """A process sends one piece of news at most ``retransmit_mult * ceil(log10(N + 1))`` times
    (SWIM section 5), N being the most members that it has counted; and never more often than the
    floors that its configuration sets, of which the higher one counts once it was found to lose
    packets.

    What goes directly to one member is not gossip and not counted: an accusation in a ping of
    its target (Lifeguard's buddy system), and a claim at the head of a packet if that may be
    an answer (something arrived in that turn), an introduction (the sender's own claim) or is
    about the very member at that address. What a process has forgotten with the tombstone of a
    member is news again, as is an accusation with other accusers or other evidence. And each
    record that repair has told a peer, which the process counts, excuses one more.
    """

    name: ClassVar[str] = "sends-per-rumour"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._sent: dict[Process, dict[Rumour, int]] = {}
        self._removed: dict[Process, dict[str, float]] = {}
        self._peak: dict[Process, int] = {}
        self._over: dict[Process, int] = {}
        self._lossy: dict[Process, bool] = {}

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        # In the middle of a turn: the engine sets its limit when the change is complete.
        self._peak[process] = max(self._peak.get(process, 1), active_of(process))
        removed = self._removed.setdefault(process, {})
        if after is None:
            removed[name] = engine_time(process)
            return
        gone = engine_time(process) - removed.pop(name, engine_time(process))
        if gone >= process.config.tombstone_time:
            sent = self._sent.get(process, {})
            for rumour in [each for each in sent if each[1] == name]:
                del sent[rumour]

    def ended(self, process: Process, how: str) -> None:
        self._sent.pop(process, None)
        self._removed.pop(process, None)
        self._peak.pop(process, None)
        self._over.pop(process, None)
        self._lossy.pop(process, None)

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        head = messages[0] if messages else None
        for position, message in enumerate(messages):
            rumour = _rumour(message)
            if rumour is None:
                continue
            if isinstance(message, Alive | Suspect | Dead) and (
                answering or self._is_direct(process, message, address)
                if position == 0
                else isinstance(head, Ping) and message.name == head.target
            ):
                continue
            self._count(process, rumour)

    def _is_direct(self, process: Process, claim: Alive | Suspect | Dead, address: Address) -> bool:
        if type(claim) is Alive and claim.name == process.name:
            return True
        row = process.engine.member(claim.name)
        if row is None or address == row.address:
            return True  # also a claim with another address, which contradicts what is held
        return isinstance(claim, Alive) and claim.address == address

    def _count(self, process: Process, rumour: Rumour) -> None:
        counts = self._sent.setdefault(process, {})
        count = counts[rumour] = counts.get(rumour, 0) + 1
        lossy = self._lossy.get(process, False) or node_of(process).losses.is_lossy
        self._lossy[process] = lossy
        limit = (lossy_limit if lossy else transmit_limit)(
            process.config, self._peak.get(process, 1)
        )
        over = self._over[process] = self._over.get(process, 0) + (count > limit)
        if count > limit and over > node_of(process).counters.get("repair_told", 0):
            self.wrong(f"{process.name} sent {rumour} {count} times, at most {limit} are allowed")
        else:
            self.ok()


@attrs.define
class _Told:
    last: float
    limit: int
    count: int = 0


class SendsEnough(Checker):
    """A broadcast is not forgotten before it was sent as often as the transmit limit has it (SWIM
    section 5). Of a process that has sent five, and has had ten seconds for the last send of each,
    one at least was sent as often as the lowest N in that time demands: newer ones of the same
    key may replace some. Not judged when a full queue dropped any.
    """

    name: ClassVar[str] = "sends-enough"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._told: dict[Process, dict[Rumour, _Told]] = {}

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        for message in messages:
            if isinstance(message, Broadcast | Announce):
                rumour = (message.origin, message.epoch, message.counter)
                now = self.simulation.now
                limit = transmit_limit(process.config, active_of(process))
                told = self._told.setdefault(process, {}).setdefault(rumour, _Told(now, limit))
                told.count += 1
                told.last = now
                told.limit = min(told.limit, limit)

    def ended(self, process: Process, how: str) -> None:
        self._told.pop(process, None)

    def finish(self) -> None:
        for process, rumours in self._told.items():
            if not process.running or is_leaving(process) or active_of(process) < BUSY_MEMBERS:
                continue
            limit = transmit_limit(process.config, active_of(process))
            done = [
                told for told in rumours.values() if self.simulation.now - told.last > DONE_SECONDS
            ]
            if len(done) < DONE_FEW or node_of(process).counters.get("broadcast_dropped"):
                continue
            if any(told.count >= min(told.limit, limit) for told in done):
                self.ok()
            else:
                most = max(told.count for told in done)
                self.wrong(f"{process.name} sent no broadcast more than {most} times")


def _rumour(message: Message) -> Rumour | None:
    """What makes a message the same piece of news; None for what is not gossiped."""
    if isinstance(message, Broadcast | Announce):
        return ("broadcast", message.origin, message.epoch, message.counter)
    if isinstance(message, Alive):
        return ("alive", message.name, message.incarnation, message.vouched_by)
    if isinstance(message, Suspect):
        found = (message.accuser, message.evidence, *message.others)
        return ("suspect", message.name, message.incarnation, *found)
    if isinstance(message, Dead):
        return ("dead", message.name, message.incarnation, message.accuser)
    return None
