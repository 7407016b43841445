"""What a step of a scenario is, and what a kind of step is."""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from trio_gossip.testing.scenarios.stage import Stage

Undo: TypeAlias = "Callable[[], None]"
"""Ends what a step began."""


class SkipStep(Exception):  # noqa: N818 - an answer, not an error
    """A step makes no sense at the moment: its member is down, or too much is wrong already.

    Raised before anything has changed. A scenario stays playable when steps are taken out of it.
    """


class Excused(Enum):
    """Whom a detector may declare failed wrongly because of a step."""

    NOBODY = "nobody"
    """A mild step: the detector has to be right."""
    MEMBERS = "members"
    """The members that the step names."""
    EVERYBODY = "everybody"


@attrs.frozen(kw_only=True)
class Step:
    """One thing that is done to a cluster.

    Attributes:
        at: seconds after the cluster has formed.
        kind: which, a key of :data:`~trio_gossip.testing.scenarios.catalogue.KINDS`.
        names: the members that it is done to.
        amount: how much of it; each kind says what that is.
        seconds: how long; 0.0 for what is done at once and stays.
    """

    at: float
    kind: str
    names: tuple[str, ...] = ()
    amount: float = 0.0
    seconds: float = 0.0

    def __str__(self) -> str:
        words = [f"{self.at:8.3f}", self.kind, ",".join(self.names)]
        words += [f"amount={self.amount:g}"] if self.amount else []
        words += [f"for {self.seconds:.3f} s"] if self.seconds else []
        return " ".join(word for word in words if word)


@attrs.frozen
class Span:
    """Numbers from ``low`` to ``high``, both included."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def draw(self, rng: random.Random) -> float:
        """Any of them; small ones more often where the span covers several magnitudes."""
        if self.low > 0.0 and self.high > 20.0 * self.low:
            return round(self.low * math.exp(math.log(self.high / self.low) * rng.random()), 3)
        return round(self.low + (self.high - self.low) * rng.random(), 3)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


NOTHING = Span(0.0, 0.0)
"""For what a kind has no use for."""


@attrs.frozen(kw_only=True)
class Kind:
    """One row of the table of kinds.

    Attributes:
        name: as in :attr:`Step.kind`.
        about: one line for people; says what ``amount`` means.
        begin: does it, and returns what ends it, or None if nothing has to be undone.
        names: how many members a step must name, and may name.
        amount: the amounts that are allowed.
        seconds: the durations that are allowed.
        excused: whom the detector may declare failed wrongly until a while after the end.
        amounts: what random steps draw from; by default all that is allowed.
        durations: the same for seconds.
        gentle_most: steps of this kind in a random scenario without grave faults.
        counts: the amount is a number of things: whole, and fewer are simpler.
        weight: how often it is drawn, beside the others.
    """

    name: str
    about: str
    begin: Callable[[Stage, Step], Undo | None]
    names: tuple[int, int] = (0, 0)
    amount: Span = NOTHING
    seconds: Span = NOTHING
    excused: Excused = Excused.NOBODY
    amounts: Span | None = None
    durations: Span | None = None
    gentle_most: int = 3
    counts: bool = False
    weight: float = 1.0

    @property
    def is_mild(self) -> bool:
        """True when the detector has to be right in spite of it."""
        return self.excused is Excused.NOBODY

    def fault_of(self, step: Step) -> str | None:
        """Why ``step`` cannot be of this kind, as a clause; None when it can."""
        least, most = self.names
        if not least <= len(step.names) <= most:
            wanted = str(least) if least == most else f"{least} to {most}"
            return f"needs {wanted} members, not {len(step.names)}"
        if len(set(step.names)) < len(step.names):
            return "names a member twice"
        if step.amount not in self.amount:
            return f"amount must be {self.amount}, not {step.amount:g}"
        if self.counts and step.amount != int(step.amount):
            return f"amount must be a whole number, not {step.amount:g}"
        if step.seconds not in self.seconds:
            return f"seconds must be {self.seconds}, not {step.seconds:g}"
        return None

    def draw(self, rng: random.Random, names: tuple[str, ...], at: float) -> Step:
        """A random step of this kind for a cluster of ``names``."""
        least, most = self.names
        count = rng.randint(least, max(least, min(most, len(names) - 1)))
        chosen = tuple(rng.sample(names, count))
        amounts = self.amounts or self.amount
        amount = amounts.draw(rng)
        return Step(
            at=at,
            kind=self.name,
            names=chosen,
            amount=round(amount) if amounts.low >= 1.0 else amount,
            seconds=(self.durations or self.seconds).draw(rng),
        )
