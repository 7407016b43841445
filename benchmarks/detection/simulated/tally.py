"""What a case found: times of deaths, verdicts on the healthy, traffic. Tallies add up."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Self

import attrs


@attrs.define
class Tally:
    """What runs of one case with one profile found.

    Attributes:
        suspicion: seconds from each death to the first suspicion anywhere, a private one counts.
        dead: to the first member that declares it failed.
        known: to the last one; infinite when somebody never did.
        false_deaths: declarations of healthy members, each observer counted.
        false_both: those of them whose observer was healthy as well.
        false_subjects: healthy members that somebody declared failed, summed over runs.
        sick_episodes: spells in which a member was stopped, slow or cut off, and lived.
        sick_deaths: those of them in which a healthy member declared it failed.
        suspicions: events of suspicion, each observer counted; of the dead as well.
        packets, bytes: datagrams that all members sent.
        node_seconds: what to divide them by.
        runs: how many seeds are in it.
        counts: whatever else a case counts, by name.
        seconds: whatever else a case times, by name.
    """

    suspicion: list[float] = attrs.Factory(list)
    dead: list[float] = attrs.Factory(list)
    known: list[float] = attrs.Factory(list)
    false_deaths: int = 0
    false_both: int = 0
    false_subjects: int = 0
    sick_episodes: int = 0
    sick_deaths: int = 0
    suspicions: int = 0
    packets: int = 0
    bytes: int = 0
    node_seconds: float = 0.0
    runs: int = 0
    counts: Counter[str] = attrs.Factory(Counter)
    seconds: dict[str, list[float]] = attrs.Factory(dict)

    def __iadd__(self, other: Self) -> Self:
        for field in attrs.fields(Tally):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if isinstance(mine, dict) and not isinstance(mine, Counter):
                for key, values in theirs.items():
                    mine[key] = [*mine.get(key, []), *values]
            else:
                setattr(self, field.name, mine + theirs)
        return self

    @property
    def packet_rate(self) -> float:
        """Datagrams a second that each member sends."""
        return self.packets / self.node_seconds if self.node_seconds else math.nan

    @property
    def byte_rate(self) -> float:
        """Their bytes."""
        return self.bytes / self.node_seconds if self.node_seconds else math.nan

    @property
    def suspicion_rate(self) -> float:
        """Suspicions of a member in a minute."""
        return 60.0 * self.suspicions / self.node_seconds if self.node_seconds else math.nan

    def as_json(self) -> dict[str, Any]:
        """All of it; what never happened is null, since JSON knows no infinity."""
        found = attrs.asdict(self)
        for key in ("suspicion", "dead", "known"):
            found[key] = [finite(value) for value in found[key]]
        found["seconds"] = {
            key: [finite(value) for value in values] for key, values in self.seconds.items()
        }
        return found


def finite(value: float) -> float | None:
    """Rounded to microseconds; None for what never happened."""
    return round(value, 6) if math.isfinite(value) else None
