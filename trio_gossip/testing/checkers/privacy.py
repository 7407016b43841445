"""The rule of what stays private: nobody hears of a suspicion before others confirm it."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.codec.messages import Ping, Suspect
from trio_gossip.events import MemberSuspected, Reason
from trio_gossip.failures import Evidence
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.expected import age_max, attempt_seconds, class_of
from trio_gossip.testing.checkers.inside import (
    active_of,
    engine_time,
    graded_of,
    is_isolated,
    is_private,
    trusted_at,
    weighs,
)
from trio_gossip.testing.checkers.testimony import ROUNDING, Helpers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.engine.outputs import Output
    from trio_gossip.events import Event
    from trio_gossip.members import Member
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

CONFIRMATIONS: Final = 2
"""Accusers beside the first that count, at most."""

RECHECKS: Final = 3
"""Times that helpers are asked about a private suspect."""

FEW: Final = 3
"""Alive rows, the process itself among them, with which there is a helper to be asked."""


@attrs.define
class _Private:
    began: float
    incarnation: int
    heard: bool = False
    """Somebody else accused it."""
    nacks: list[float] = attrs.Factory(list[float])


class QuietKept(Checker):
    """A suspicion stays with the process that came to it for ``quiet`` seconds, and longer until a
    helper that is asked then was not answered either (``docs/detector``): the accusation goes to
    nobody before, nor to the suspect in a ping. Unless somebody else accuses it, or two findings
    say that its process is gone (one where no third member is). And it ends soon: it is told, or
    let go.

    No helper is needed where there is none, and none by a process that has been cut off for long.
    What is told is not older than the quiet time and four longest timeouts. In engine time.
    """

    name: ClassVar[str] = "quiet-kept"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._helpers = Helpers()
        self._private: dict[Process, dict[str, _Private]] = {}
        self._raised: dict[tuple[Process, str], bool] = {}

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        if not weighs(process):
            return
        private = self._private.setdefault(process, {})
        if after is not None and after.state is MemberState.SUSPECT and is_private(process, name):
            private[name] = _Private(engine_time(process), after.incarnation)
        else:
            private.pop(name, None)
            raised = before is None or after is None or before.incarnation < after.incarnation
            self._raised[process, name] = raised

    def event(self, process: Process, event: Event) -> None:
        if type(event) is not MemberSuspected or event.reason is not Reason.PROBE_FAILED:
            return
        name = event.member.name
        if not event.tried or not weighs(process) or name in self._private.get(process, {}):
            return
        # Public at once: that is for members that are gone, or doubted at a higher incarnation.
        wanted = max(0, min(CONFIRMATIONS, active_of(process) - 2))
        found = class_of([int(evidence) for _, evidence in event.testimony], wanted)
        if process.config.quiet and found < Evidence.REFUSED and not self._raised[process, name]:
            self.wrong(f"{process.name} lets others know at once that it suspects {name}")
        else:
            self.ok()

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        private = self._private.get(process, {})
        for message in messages:
            if isinstance(message, Suspect) and message.name in private:
                private[message.name].heard = True

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        private = self._private.get(process)
        for name, _, _ in self._helpers.said(process, data, source) if private else ():
            if private and name in private:
                private[name].nacks.append(engine_time(process))

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if weighs(process):
            self._helpers.sent(process, data, address)

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        private = self._private.get(process)
        if not private:
            return
        for message in messages:
            if not isinstance(message, Suspect) or message.name not in private:
                continue
            row = process.engine.member(message.name)
            if row is None:
                continue
            if row.address == address:
                self._judge_ping(process, messages, private[message.name], message)
                continue
            held = private.pop(message.name)
            oldest = age_max(process.config) + ROUNDING
            case = graded_of(process).get(message.name)
            if message.incarnation != held.incarnation:
                continue
            if (
                case is not None
                and message.age / 1000 > oldest + engine_time(process) - case.received
            ):
                age = message.age / 1000
                self.wrong(f"{process.name} suspects {message.name} for {age:.3f} s, too long")
            else:
                self._judge(process, message.name, held)

    def _judge_ping(
        self, process: Process, messages: Sequence[Message], held: _Private, claim: Suspect
    ) -> None:
        """An accusation goes to the suspect itself, which is for answers and not for pings."""
        case = graded_of(process).get(claim.name)
        pinged = isinstance(messages[0], Ping) and case is not None and case.private
        if pinged and claim.incarnation == held.incarnation and not held.heard:
            self.wrong(f"{process.name} tells {claim.name} of a suspicion that is private")

    def _judge(self, process: Process, name: str, held: _Private) -> None:
        fault = self._fault(process, name, held)
        if fault:
            self.wrong(f"{process.name} lets others know that it suspects {name}, {fault}")
        else:
            self.ok()

    def _fault(self, process: Process, name: str, held: _Private) -> str:
        config = process.config
        case = graded_of(process).get(name)
        if held.heard:
            return ""
        if case is None or case.private:
            return "which is private"
        if class_of([int(found) for found in case.found.values()], case.wanted) == 2:
            return ""
        quiet_until = held.began + config.quiet
        if case.received < quiet_until - ROUNDING:
            return f"after {case.received - held.began:.3f} s"
        states = [member.state for member in process.engine.members()]
        alone = not config.helpers or states.count(MemberState.ALIVE) < FEW - 1
        if alone or (is_isolated(process) and engine_time(process) >= trusted_at(process)):
            return ""
        if not any(time >= quiet_until - ROUNDING for time in held.nacks):
            return "and nobody has confirmed it"
        return ""

    def turned(self, process: Process, outputs: list[Output]) -> None:
        private = self._private.get(process)
        for name in [each for each in private or () if not is_private(process, each)]:
            assert private is not None, "nothing to look through"
            held = private.pop(name)
            if name in graded_of(process):
                self._judge(process, name, held)

    def tick(self) -> None:
        for process, private in self._private.items():
            if not private or process.turn_seconds:
                continue
            config, now = process.config, engine_time(process)
            rounds = RECHECKS * (4 * attempt_seconds(config) + 2 * config.reprobe)
            longest = config.quiet + rounds + config.stall_threshold + 1.0
            for name in [each for each in private if now - private[each].began > longest]:
                lasted = now - private.pop(name).began
                if is_private(process, name):
                    self.wrong(f"{process.name} suspects {name} in private, for {lasted:.1f} s")

    def ended(self, process: Process, how: str) -> None:
        self._helpers.ended(process)
        self._private.pop(process, None)
        for key in [key for key in self._raised if key[0] is process]:
            del self._raised[key]
