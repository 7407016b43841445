"""How long a suspect has, by what its accusers found. ``docs/detector`` has the rules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.codec.messages import ACCUSERS_MAX, AGE_MS_MAX, Suspect
from trio_gossip.engine.judging import Case, Grounds
from trio_gossip.failures import Evidence

if TYPE_CHECKING:
    from trio_gossip.config import Config

CONFIRMATIONS: Final = 2
"""Accusers beside the first after which nothing more is gained (K), as in memberlist."""

OTHERS_BYTES_MAX: Final = 320
"""Room for accusers beside the first in one accusation. With names of any length it then fits the
smallest packet: one that does not fit would never be told."""

NAME_HEAD_BYTES: Final = 3
"""What a name takes beside its own bytes, with what its bearer found."""

SPARE_ACCUSERS: Final = 2
"""Accusers that are kept beyond those that count, should their evidence tell more."""


def class_of(found: dict[str, Evidence], wanted: int) -> Evidence:
    """What a silence is taken for: *refused* needs two accusers on different paths, where there are
    two; one that saw the kernel accept makes it *stalled*, which has the longest time.
    """
    values = list(found.values())
    refused = values.count(Evidence.REFUSED)
    if refused >= 2 or (refused and not wanted):
        return Evidence.REFUSED
    if Evidence.STALLED in values:
        return Evidence.STALLED
    return Evidence.SILENT


@attrs.define(slots=True, weakref_slot=False, eq=False)
class GradedSuspicion(Case):
    """One suspicion of one incarnation.

    Attributes:
        incarnation: the incarnation that is suspected.
        started: engine time at which the first accuser began to suspect.
        received: when the cluster could first hear of it, as far as this node knows.
        wanted: confirmations after which nothing more is gained (K).
        found: what each accuser found, first accuser first.
        patience: seconds that are added for who is no accuser: accusers declare, others only
            step in where those have vanished.
        private: whether nobody else was told yet.
        probed: when this node first asked in vain; ``inf`` where it never did.
        final: when the final ping went out; None before.
        heard: when the suspect last answered this node.
        due: the deadline, as it was last computed.
        tried: the ways in which this node itself tried to reach the suspect.
    """

    incarnation: int
    started: float
    received: float
    wanted: int
    found: dict[str, Evidence]
    patience: float = 0.0
    private: bool = False
    probed: float = math.inf
    final: float | None = None
    heard: float = -math.inf
    due: float = math.inf
    tried: tuple[str, ...] = ()
    rechecks: int = 0
    reprobes: int = 0
    sequence: int | None = None
    stream: int | None = None

    @property
    def evidence(self) -> Evidence:
        """What the silence is taken for."""
        return class_of(self.found, self.wanted)

    @property
    def accusers(self) -> list[str]:
        """Who accused, first accuser first."""
        return list(self.found)

    @property
    def confirmations(self) -> int:
        """Independent accusers beside the first."""
        return len(self.found) - 1

    def testify(self, name: str, evidence: Evidence) -> bool:
        """Note what an accuser found; True when others should hear of it: it counts as a
        confirmation, or what the silence is taken for has changed.
        """
        before = self.evidence
        known = self.found.get(name)
        if known is None:
            counts = len(self.found) <= self.wanted
            most = min(self.wanted + 1 + SPARE_ACCUSERS, ACCUSERS_MAX)
            if len(self.found) >= most and evidence is not Evidence.REFUSED:
                return False
            if len(self.found) >= ACCUSERS_MAX:
                return False
            self.found[name] = evidence
            return counts or self.evidence is not before
        if evidence <= known:
            return False
        self.found[name] = evidence
        return self.evidence is not before

    def duration(self, config: Config, health: int) -> float:
        """Seconds from the start to the verdict.

        Args:
            config: the floors.
            health: our own health score; who is slow gives others more time.
        """
        evidence = self.evidence
        floor = (config.floor_silent, config.floor_stalled, config.floor_refused)[evidence]
        floor *= 1 + health
        if evidence is Evidence.REFUSED:
            return floor
        if not self.wanted:
            return floor * config.solo_factor
        longest = config.max_factor * max(config.floor_silent * (1 + health), floor)
        confirmed = min(self.confirmations, self.wanted)
        share = math.log(confirmed + 1) / math.log(self.wanted + 1)
        return max(floor, longest - (longest - floor) * share)

    def deadline(self, config: Config, health: int) -> float:
        """Engine time of the verdict."""
        start = self.started + self.duration(config, health)
        return max(start, self.received + config.min_public) + self.patience

    def told(self, name: str, now: float) -> Suspect:
        """The accusation as others are to hear it."""
        (accuser, evidence), *others = self.found.items()
        age = min(max(int(1000 * (now - self.started)), 0), AGE_MS_MAX)
        room = OTHERS_BYTES_MAX
        rest: list[tuple[str, int]] = []
        # Whatever found most first: a class that others cannot follow is of no use to them.
        for other, found in sorted(others, key=lambda each: -each[1]):
            room -= len(other.encode()) + NAME_HEAD_BYTES
            if room < 0:
                break
            rest.append((other, int(found)))
        return Suspect(self.incarnation, name, accuser, int(evidence), age, tuple(rest))

    def grounds(self, now: float) -> Grounds:
        """What an event says of it."""
        steps = [
            ("probed", self.probed),
            ("suspected", self.started),
            ("told", math.inf if self.private else self.received),
            ("final_ping", math.inf if self.final is None else self.final),
        ]
        return Grounds(
            tuple(self.found),
            self.tried,
            self.evidence,
            tuple(self.found.items()),
            tuple((step, max(0.0, now - at)) for step, at in steps if at < math.inf),
        )
