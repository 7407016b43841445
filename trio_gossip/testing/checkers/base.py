"""What every checker is: an observer with a name, a verdict, and a count of what it looked at."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.testing.simulation.observers import Observer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import IndirectPing, Message
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

VIOLATIONS_MAX: Final = 100
"""Violations that are kept of one run; more are only counted."""


@attrs.frozen
class Violation:
    """Something that must not happen, and did.

    Attributes:
        time: virtual seconds.
        checker: the name of who saw it.
        text: what was seen.
    """

    time: float
    checker: str
    text: str

    def __str__(self) -> str:
        return f"t={self.time:.3f} {self.checker}: {self.text}"


@attrs.define
class Findings:
    """What the checkers of one run found.

    Attributes:
        violations: the first ones.
        counts: all, by checker.
        checked: how often each checker really had something to compare. One that stays at 0
            proves nothing about the run.
    """

    violations: list[Violation] = attrs.Factory(list[Violation])
    counts: Counter[str] = attrs.Factory(Counter[str])
    checked: Counter[str] = attrs.Factory(Counter[str])

    def add(self, violation: Violation) -> None:
        """Take one more; beyond the bound it is only counted."""
        self.counts[violation.checker] += 1
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(violation)

    def idle(self) -> list[str]:
        """The checkers that never had anything to check."""
        return sorted(name for name, count in self.checked.items() if not count)


class Checker(Observer):
    """Stands outside of the engines. Override hooks of :class:`Observer` and those below; like
    them, what is not overridden costs nothing.

    Packets are looked at once for all checkers. Most are a single ping or answer, of which the
    hooks here tell only what is of use; all others carry *news* and are decoded.

    Call :meth:`ok` (or :meth:`wrong`) for each comparison that was really made.
    """

    name: ClassVar[str]

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        self.simulation = simulation
        self.findings = findings
        findings.checked[self.name] += 0

    def ok(self) -> None:
        """Count a comparison."""
        self.findings.checked[self.name] += 1

    def wrong(self, text: str) -> None:
        """Count a comparison that failed, and say what was seen."""
        self.ok()
        self.findings.add(Violation(self.simulation.now, self.name, text))

    @property
    def strangers_spoke(self) -> bool:
        """True once forged packets were let in. In a plain cluster anybody can say anything of
        anybody, so rules about what members may hold do not bind from then on. In a sealed one
        nobody hears strangers: there it is never True.
        """
        return self.simulation.injected["hostile"] > 0 and self.simulation.sealing is None

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        """A packet that may carry news was sent.

        Args:
            process: its sender.
            messages: not to be changed; none when the packet is malformed.
            address: where it goes.
            answering: True when the packet may be an answer: another one came in this turn.
        """

    def news_arrived(
        self, process: Process, messages: Sequence[Message], data: bytes, source: Address
    ) -> None:
        """The same is about to be received by a process."""

    def ping_sent(self, process: Process, address: Address) -> None:
        """A packet was sent that begins with a ping."""

    def request_arrived(self, process: Process, request: IndirectPing, source: Address) -> None:
        """A process is about to be asked to ping somebody else."""

    def taken(self, process: Process) -> None:
        """The turn has ended in which news or a request arrived."""

    def tick(self) -> None:
        """About a second of virtual time has passed: for what is too much for every step."""

    def calm(self) -> None:
        """Faults have stopped; from here on the cluster has to settle."""

    def finish(self) -> None:
        """The run is over: a last look."""
