"""A story as compact JSON: columns of whole numbers, times as differences in ticks."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from trio_gossip.testing.page.milestones import breaches, milestones
from trio_gossip.testing.page.story import Heard, Life

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.page.packets import Journey
    from trio_gossip.testing.page.spread import Rumour
    from trio_gossip.testing.page.story import Story

TICK: Final = 0.0001
"""Seconds: the finest difference that the page knows. A packet on a LAN takes 2 to 10 of them."""

PACKETS_MAX: Final = 150_000
"""Packets that a page shows, some 2 MB. Of more, every second, third... is shown, and the page says
so. Counts and the curve of the load are of all packets."""

CHANGES_MAX: Final = 400_000
"""Changes of beliefs that a page holds, some 5 MB. What comes later is not shown, and the page says
so: a belief that is left out would make everything after it wrong."""

NODES_MAX: Final = 300
"""Members that a page shows. The picture has no room for more, and beliefs grow with the square."""

BINS_MAX: Final = 600
"""Points of the curves that span the whole run: more than a screen can show."""

_CURVE_MAX: Final = 240
"""Points of the curve of one rumour. Of more, those that are nearest to equal steps are kept."""

_BEGINS: Final = 5
_ENDS: Final = 6
"""Operations beyond the five states of a belief."""


def page_data(
    story: Story,
    facts: Iterable[tuple[str, str]],
    notes: Iterable[str],
    *,
    about: str = "",
    findings: Findings | None = None,
) -> Any:
    """What the page's scripts read, as plain values for JSON.

    Args:
        story: what happened.
        facts: name and value of each parameter of the run, for the heading.
        notes: what else a reader must know, for instance what is missing.
        about: what is played, in words.
        findings: what checkers saw.

    Raises:
        ValueError: there are more than :data:`NODES_MAX` members, or none.
    """
    if not 0 < len(story.names) <= NODES_MAX:
        raise ValueError(f"a page shows 1 to {NODES_MAX} members, not {len(story.names)}")
    index = {name: at for at, name in enumerate(story.names)}
    journeys = story.journeys
    every = -(-len(journeys) // PACKETS_MAX) or 1
    told = [*notes]
    broken = breaches(findings, story.end)
    if every > 1:
        told.append(f"Only one in {every} of {len(journeys)} packets is drawn.")
    if len(story.changes) > CHANGES_MAX:
        at = story.changes[CHANGES_MAX].time
        told.append(f"Beliefs after {at:.2f} s are not shown: there were too many changes.")
    return {
        "tick": TICK,
        "end": _ticks(story.end),
        "names": story.names,
        "facts": [list(fact) for fact in facts],
        "about": about,
        "notes": told,
        "broken": sum(findings.counts.values()) if findings else 0,
        "breaches": [[_ticks(each.time), each.text] for each in broken],
        "packets": _packets(journeys[::every], index) | {"every": every, "total": len(journeys)},
        "changes": _changes(story.changes[:CHANGES_MAX], index),
        "rumours": [_rumour(rumour, index) for rumour in story.rumours],
        "milestones": [
            [_ticks(each.time), each.tone, index.get(each.name, -1), each.text]
            for each in sorted([*milestones(story), *broken], key=lambda each: each.time)
        ],
        "load": _load(journeys, story.end),
        "shares": _shares(story.shares, story.end),
        "wrong": [story.spread.suspicions, story.spread.declarations],
    }


def _ticks(seconds: float) -> int:
    return round(seconds / TICK)


def _optional(seconds: float | None) -> int | None:
    return None if seconds is None else _ticks(seconds)


def _steps(times: Iterable[float]) -> list[int]:
    """Differences from one to the next, the first from zero."""
    last = 0
    steps: list[int] = []
    for time in times:
        now = _ticks(time)
        steps.append(now - last)
        last = now
    return steps


def _packets(journeys: Sequence[Journey], index: dict[str, int]) -> dict[str, Any]:
    return {
        "times": _steps(journey.sent for journey in journeys),
        "sources": [index[journey.source] for journey in journeys],
        "targets": [index[journey.target] for journey in journeys],
        "kinds": [int(journey.kind) for journey in journeys],
        "took": [-1 if journey.took < 0 else _ticks(journey.took) for journey in journeys],
    }


def _changes(changes: Sequence[Life | Heard], index: dict[str, int]) -> dict[str, Any]:
    reasons = _Numbers()
    accusers = _Numbers()
    rows: list[tuple[int, int, int, int, int]] = []
    for change in changes:
        if isinstance(change, Life):
            at = index[change.name]
            operation = _BEGINS if change.begins else _ENDS
            rows.append((operation, at, at, reasons.of(change.how), accusers.of("")))
        else:
            belief = change.belief
            rows.append(
                (
                    int(belief.state),
                    index[change.observer],
                    index[belief.subject],
                    reasons.of(belief.reason),
                    accusers.of(belief.accusers),
                )
            )
    names = ("operations", "observers", "subjects", "reasons", "accusers")
    columns: dict[str, Any] = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    texts = {"reasonTexts": list(reasons.texts), "accuserTexts": list(accusers.texts)}
    return columns | texts | {"times": _steps(change.time for change in changes)}


class _Numbers:
    """Gives each different text a number, in the order in which they come."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}

    def of(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))


def _rumour(rumour: Rumour, index: dict[str, int]) -> dict[str, Any]:
    curve = list(_thinned(rumour.curve, _CURVE_MAX))
    return {
        "subject": index[rumour.subject],
        "began": _ticks(rumour.began),
        "ended": _optional(rumour.ended_at),
        "suspected": _optional(rumour.suspected_at),
        "failed": _optional(rumour.failed_at),
        "left": _optional(rumour.left_at),
        "known": _optional(rumour.known_at),
        "refuted": _optional(rumour.refuted_at),
        "restarted": _optional(rumour.restarted_at),
        "peak": rumour.suspecting,
        "curve": [[_ticks(time), *counts] for time, *counts in curve],
    }


def _thinned(points: Sequence[Any], most: int) -> Iterator[Any]:
    """At most so many of the points, the first and the last among them."""
    count = len(points)
    if count <= most:
        yield from points
        return
    for at in range(most):
        yield points[at * (count - 1) // (most - 1)]


def _bin(time: float, end: float) -> int:
    """In which of the equal parts of the run a time is."""
    return min(BINS_MAX - 1, int(time / end * BINS_MAX)) if end else 0


def _load(journeys: Iterable[Journey], end: float) -> list[int]:
    """Packets that set out in each part of the run."""
    counts = [0] * BINS_MAX
    for journey in journeys:
        counts[_bin(journey.sent, end)] += 1
    return counts


def _shares(shares: Iterable[tuple[float, float]], end: float) -> list[int]:
    """The lowest share of right beliefs in each part of the run, in thousandths."""
    low = [1000] * BINS_MAX
    for (time, share), (until, _) in pairwise([*shares, (end, 0.0)]):
        for at in range(_bin(time, end), _bin(until, end) + 1):
            low[at] = min(low[at], round(share * 1000))
    return low
