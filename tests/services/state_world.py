"""Replicas of one plane, and exchanges between them, step by step."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import attrs
import pytest

from trio_gossip.services.state_clock import HybridClock
from trio_gossip.services.state_intake import Intake
from trio_gossip.services.state_records import Plane, Record, StateLimits
from trio_gossip.services.state_replica import Replica
from trio_gossip.services.state_sending import make_chunk

NOW = 1_000_000
STAMP = NOW << 16
PLANES = pytest.mark.parametrize("plane", Plane, ids=lambda plane: plane.name)


@attrs.define
class World:
    """Replicas of one plane, what each was told, and what it counted."""

    plane: Plane
    told: list[tuple[Any, Any, Any]] = attrs.field(factory=list)
    counts: Counter[str] = attrs.field(factory=Counter)
    strangers: set[str] = attrs.field(factory=set)

    def make(self, name: str, gen: int = 10, **limits: int) -> Replica:
        def changed(slot: Any, before: Record | None, after: Record | None) -> None:
            values = [each and each.value for each in (before, after)]
            self.told.append((slot, *values))

        return Replica(
            self.plane,
            name,
            gen,
            rng=random.Random(1),
            clock=HybridClock(60_000),
            limits=StateLimits(**{"tombstone_ms": 1000, **limits}),
            is_member=lambda name: name not in self.strangers,
            changed=changed,
            bump=lambda name: self.counts.update([name]),
        )


def pull(asker: Replica, giver: Replica, now_ms: int = NOW, chunk_bytes: int = 10**6) -> Intake:
    intake, vector = Intake(asker), asker.vector()
    while not intake.is_done:
        intake.take(make_chunk(giver, vector, intake.cursor, chunk_bytes), now_ms=now_ms)
    return intake


def values(replica: Replica, **how: Any) -> dict[str, bytes | None]:
    return {record.key: record.value for record in replica.items(**how)}
