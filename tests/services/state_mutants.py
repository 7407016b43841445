"""Each rule of versioned state, broken: what the model check must notice."""

from __future__ import annotations

from typing import Any

import attrs

from tests.services.state_model import Broken, Model
from trio_gossip.services import state_sending
from trio_gossip.services.state_delta import Chunk, Closing
from trio_gossip.services.state_intake import Intake
from trio_gossip.services.state_records import Plane, Record
from trio_gossip.services.state_replica import Replica
from trio_gossip.services.state_sending import make_chunk
from trio_gossip.services.state_vector import SeenTable, Vector

STEPS = 150


class WithoutReset(Intake):
    """What the giver has seen and holds no more is kept."""

    def _reset(self, closing: Closing, now_ms: int) -> None:
        pass


class ResetOfTombstones(Intake):
    """A reset drops tombstones too, and they leave no floor."""

    def _reset(self, closing: Closing, now_ms: int) -> None:
        super()._reset(closing, now_ms)
        for slot in list(self._replica.slots.tombstones):
            record = self._replica.slots.held[slot].record
            if record.version <= closing.tops.get((record.writer, record.gen), 0):
                self._replica.drop(slot)


class DeafToHorizons(Intake):
    """A horizon that is adopted does not move the clock."""

    def take(self, chunk: Chunk, *, now_ms: int) -> list[Record]:
        clock = self._replica.clock
        horizon = chunk.closing.horizon if chunk.closing is not None else 0
        clock.observe = lambda stamp: (
            None if stamp == horizon else type(clock).observe(clock, stamp)
        )
        try:
            return super().take(chunk, now_ms=now_ms)
        finally:
            del clock.observe


class WithoutFloor(Replica):
    """Nothing is kept of a tombstone that is collected."""

    def collect(self, *, now_ms: int) -> int:
        count = super().collect(now_ms=now_ms)
        self.floors.clear()
        return count


class WithoutHorizon(Replica):
    """What comes late is believed, although a collected tombstone may have deleted it."""

    def collect(self, *, now_ms: int) -> int:
        count = super().collect(now_ms=now_ms)
        self.horizon = 0
        return count


class WithoutGenerations(Replica):
    """A new life of a writer leaves the keys of the former one."""

    def begin_life(self, writer: str, gen: int) -> None:
        self.seen.add(writer, gen)


class WithoutFormerLife(Replica):
    """A member does not care for what it wrote before it lost its state."""

    def meet_former_life(self, writer: str, gen: int, version: int, now_ms: int) -> bool:
        return True


class ForgetfulTable(SeenTable):
    def has(self, writer: str, gen: int, version: int) -> bool:
        return False


class WithoutSeen(Replica):
    """A record that was superseded or collected is believed again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen.__class__ = ForgetfulTable


class WithoutSource(Intake):
    """The second half of an answer may come from another life of the giver."""

    def take(self, chunk: Chunk, *, now_ms: int) -> list[Record]:
        self._source = chunk.source
        self.cursor = min(self.cursor, chunk.cursor)
        return super().take(chunk, now_ms=now_ms)


def adopt_cut(replica: Replica, asked: Vector, cursor: int, chunk_bytes: int) -> Chunk:
    """Every chunk says that it is the last: the asker adopts what it has not got."""
    chunk = make_chunk(replica, asked, cursor, chunk_bytes)
    closing = chunk.closing or state_sending._close(replica, asked)
    return attrs.evolve(chunk, closing=closing)


def by_version(replica: Replica, asked: Vector, cursor: int, chunk_bytes: int) -> Chunk:
    """The cursor counts records as they lie, so what replaced one in between may be left out."""
    held = sorted(replica.slots.after(0), key=lambda each: each.record.dot)
    missing = [each.record for each in held if not asked.covers(*each.record.dot)]
    part = tuple(missing[cursor : cursor + 2])
    is_last = cursor + 2 >= len(missing)
    closing = state_sending._close(replica, asked) if is_last else None
    return Chunk(replica.plane, asked.mark, replica.mark, cursor + 2, part, closing)


MUTANTS: dict[str, dict[str, Any]] = {
    "no reset": {"intake": WithoutReset},
    "a reset drops tombstones": {"intake": ResetOfTombstones, "ttl_steps": 2},
    "a horizon does not move the clock": {"intake": DeafToHorizons, "ttl_steps": 1},
    "no floor": {"make": WithoutFloor},
    "no horizon": {"make": WithoutHorizon},
    "no generations": {"make": WithoutGenerations},
    "former life ignored": {"make": WithoutFormerLife},
    "generation reused": {"reuse": True},
    "seen versions believed again": {"make": WithoutSeen},
    "source not compared": {"intake": WithoutSource},
    "a cut answer adopted": {"chunk": adopt_cut},
    "records not in the order of arrival": {"chunk": by_version},
}


def broken(plane: Plane, seeds: range, **parts: Any) -> dict[int, str]:
    """What became of the schedules that broke a rule, by seed."""
    found: dict[int, str] = {}
    for seed in seeds:
        try:
            Model(seed, plane, **parts).run(STEPS)
        except Broken as error:
            found[seed] = str(error)
    return found
