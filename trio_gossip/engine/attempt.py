"""One try to reach a member on all paths: what was asked and found. No timers, no packets."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING

import attrs

from trio_gossip.addresses import Address
from trio_gossip.failures import Evidence

if TYPE_CHECKING:
    from trio_gossip.members import Member


class Step(Enum):
    """What an attempt does when its timer fires."""

    REPEAT = auto()
    """Ping again: one packet may be lost."""
    WIDEN = auto()
    """No answer: ask helpers, and try a stream."""
    REPEAT_WIDE = auto()
    """Ping again while the helpers try."""
    JUDGE = auto()
    """The time of all of them is over."""


class Outcome(Enum):
    """How an attempt ended."""

    ANSWERED = auto()
    """The member lives."""
    FOUND = auto()
    """It did not answer; ``findings`` has who says so."""
    NOTHING = auto()
    """Nobody at all answered, and by now that says more of us than of the member."""


@attrs.define(eq=False)
class Attempt:
    """A member is asked directly, then through helpers and by stream.

    Attributes:
        target: the member as it was at the beginning.
        accused: the incarnation that is in doubt.
        sequence: answers carry it.
        began: engine time of the first question.
        rto: seconds to wait for an answer.
        ended: told when it is over, unless it was cancelled.
        tells: whether each ping brings what is held against the target, so that it refutes.
        step: what is next.
        stages: how often helpers were asked.
        own: what this node itself found by stream.
        stream: the exchange of the stream ping that is under way.
        streamed: whether one was tried.
        used: names of the helpers of all stages.
        outcome, findings: what came of it: each accuser, this node first, and what it found.
    """

    target: Member
    accused: int
    sequence: int
    began: float
    rto: float
    ended: Callable[[Attempt], None]
    tells: bool = False
    step: Step = Step.REPEAT
    stages: int = 0
    own: Evidence = Evidence.SILENT
    stream: int | None = None
    streamed: bool = False
    used: set[str] = attrs.field(factory=set[str])
    outcome: Outcome = Outcome.NOTHING
    findings: dict[str, Evidence] = attrs.field(factory=dict[str, Evidence])
    _asked: dict[Address, str] = attrs.field(factory=dict[Address, str], init=False)
    _stage: list[str] = attrs.field(factory=list[str], init=False)
    _said: dict[str, Evidence] = attrs.field(factory=dict[str, Evidence], init=False)

    def begin_stage(self) -> None:
        """Other helpers are asked from now on; the former ones may still say something."""
        self.stages += 1
        self._stage.clear()

    def asked(self, helper: Address, name: str) -> None:
        """A helper was asked."""
        self._asked[helper] = name
        self._stage.append(name)
        self.used.add(name)

    def nacked(self, helper: Address, evidence: Evidence) -> bool:
        """Note a nack; False when it is from nobody who was asked, or comes twice."""
        name = self._asked.get(helper)
        if name is None or name in self._said:
            return False
        self._said[name] = evidence
        return True

    @property
    def is_confirmed(self) -> bool:
        """True when some helper failed as well."""
        return bool(self._said)

    @property
    def has_helpers(self) -> bool:
        """True when somebody else was asked, in whatever stage: that nobody is left to be asked
        after others were silent does not make this node the only witness.
        """
        return bool(self._asked)

    @property
    def all_nacked(self) -> bool:
        """True when every helper of this stage failed: all that can come has come."""
        return bool(self._stage) and all(name in self._said for name in self._stage)

    @property
    def is_clear(self) -> bool:
        """True when more answers would change nothing: two paths say that the process is gone."""
        refused = Evidence.REFUSED
        return self.own is refused and refused in self._said.values()

    def findings_of(self, me: str) -> dict[str, Evidence]:
        """Who accuses, this node first."""
        return {me: self.own, **self._said}

    def tried(self) -> tuple[str, ...]:
        """The ways in which the target was tried."""
        relayed = ("relayed",) if self.used else ()
        stream = ("stream",) if self.streamed else ()
        return ("direct", *relayed, *stream)
