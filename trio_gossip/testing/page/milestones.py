"""The few lines among thousands of events that tell what happened in a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from trio_gossip.testing.page.story import Life

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.page.spread import Rumour
    from trio_gossip.testing.page.story import Story

_STEP: Final = re.compile(r"(\S+) amount (\S+) for (\S+) s")
"""What a played scenario notes of each of its steps, zeros and all."""


class Milestone(NamedTuple):
    """One line of the list beside the picture.

    Attributes:
        time: virtual seconds.
        tone: what it is, for its colour: ``start``, ``end``, ``suspect``, ``failed``, ``left``,
            ``alive``, ``agreed``, ``fault`` or ``broken``.
        name: the member it is about; "" when it is about all.
        text: the line itself.
    """

    time: float
    tone: str
    name: str
    text: str


def milestones(story: Story) -> list[Milestone]:
    """All of them, in the order of their times."""
    found = [*_lives(story), *_faults(story)]
    for rumour in story.rumours:
        found += _steps(rumour)
    found += [
        Milestone(time, "agreed", "", "all running members agree") for time in story.agreements
    ]
    return sorted(found, key=lambda milestone: milestone.time)


def _lives(story: Story) -> Iterator[Milestone]:
    seen: set[str] = set()
    for change in story.changes:
        if not isinstance(change, Life):
            continue
        time, name, begins, how = change
        if begins:
            again = "starts again" if name in seen else "starts"
            yield Milestone(time, "start", name, f"{name} {again}")
        else:
            what = {"crash": "crashes", "left": "ends after its goodbye", "": "ends"}
            yield Milestone(time, "end", name, f"{name} {what.get(how, f'ends: {how}')}")
        seen.add(name)


def _faults(story: Story) -> Iterator[Milestone]:
    for time, names, text in story.faults:
        yield Milestone(time, "fault", "", _fault_text(names, text))


def _fault_text(names: str, text: str) -> str:
    """A step of a scenario in the words of the scenario; anything else after who it befell."""
    step = _STEP.fullmatch(text)
    if step is None:
        return f"{names}: {text}" if names else text
    kind, amount, seconds = step.groups()
    words = [kind, names]
    words += [f"amount={amount}"] if amount != "0" else []
    words += [f"for {seconds} s"] if seconds.strip("0.") else []
    return " ".join(word for word in words if word)


def breaches(findings: Findings | None, end: float) -> list[Milestone]:
    """Where rules were broken; what was found after the last record is shown at the ``end``."""
    return [
        Milestone(min(each.time, end), "broken", "", f"rule broken: {each.checker}: {each.text}")
        for each in (findings.violations if findings else ())
    ]


def _steps(rumour: Rumour) -> Iterator[Milestone]:
    name = rumour.subject
    since = rumour.began if rumour.ended_at is None else rumour.ended_at
    wrongly = " wrongly" if rumour.ended_at is None and rumour.left_at is None else ""
    if rumour.suspected_at is not None:
        text = f"{rumour.suspected_by} is the first to suspect {name}{wrongly}"
        yield Milestone(rumour.suspected_at, "suspect", name, text)
    if rumour.failed_at is not None:
        text = f"{rumour.failed_by} is the first to declare {name} failed{wrongly}"
        yield Milestone(rumour.failed_at, "failed", name, text)
    if rumour.left_at is not None:
        yield Milestone(rumour.left_at, "left", name, f"{name} is first seen as left")
    if rumour.known_at is not None:
        what = "left" if rumour.left_at is not None else "failed"
        after = (
            f", {rumour.known_at - since:.2f} s after its end" if since < rumour.known_at else ""
        )
        text = f"all others know that {name} has {what}{after}"
        yield Milestone(rumour.known_at, what, name, text)
    if rumour.refuted_at is not None:
        text = f"{name} is cleared: all hold it for alive"
        yield Milestone(rumour.refuted_at, "alive", name, text)
