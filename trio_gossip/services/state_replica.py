"""One member's copy of one plane of versioned state: the rules of what is believed of it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeAlias

from trio_gossip.errors import LocalProtocolError
from trio_gossip.services.state_clock import HybridClock
from trio_gossip.services.state_records import (
    COVERS_MAX,
    GENERATION_MAX,
    KEY_BYTES_MAX,
    VALUE_BYTES_MAX,
    Plane,
    Record,
    Slot,
    StateLimits,
    order_of,
    slot_of,
)
from trio_gossip.services.state_slots import Slots
from trio_gossip.services.state_vector import NO_FOLD, WINDOW, Fold, Life, SeenTable, Vector

if TYPE_CHECKING:
    import random

OLD_GENERATIONS_MAX: Final = 4
"""Former lives of its own that a writer remembers in shared state; it folds the older ones."""

CHANCE_BITS: Final = 20
"""Low bits of a generation that are chance."""

_LIMITS: Final = StateLimits()

Changed: TypeAlias = Callable[[Slot, Record | None, Record | None], None]
"""Told of each visible change: the slot, what it showed before and what it shows now."""


def first_generation(now_ms: int, rng: random.Random) -> int:
    """The generation of a life that begins now: milliseconds since 1970 and 20 bits of chance.

    No two lives of one member may have the same one, also not after the clock was set back.
    """
    return (now_ms << CHANCE_BITS) | rng.getrandbits(CHANCE_BITS)


class Outcome(Enum):
    """What became of a record of another member."""

    STORED = auto()
    """It is news: to be passed on."""
    KNOWN = auto()
    """It was seen before, or is older than what is held; or there is no room for it."""
    REFUSED = auto()
    """It was not believed, and may come again."""


class Replica:
    """The records of one plane at one member, and what was seen of every writer.

    Pure: no clock, no chance, no network. ``now_ms`` is the wall clock in milliseconds. The rules
    and why they are safe stand in ``docs/state_rules``.

    Args:
        plane: :attr:`Plane.STATE` or :attr:`Plane.SHARED`.
        name: of this member.
        gen: of this life: :func:`first_generation`.
        rng: the engine's source of chance.
        limits: how much is held.
        clock: makes stamps; both planes of a member share it.
        digest_key: of the digest; the same at all members, at most 64 bytes.
        is_member: tells if a writer is known to membership. Asked in ``STATE`` only.
        changed: is told of each visible change, within the call that causes it.
        bump: counts something under a name.

    Attributes:
        gen: the present generation: larger than the one given if a former life was met.
        seen: the version vector, with its digest.
        slots: the records.
        floors: for each life, the largest version of a tombstone that was collected.
        horizon: the largest stamp of a tombstone that was collected. Shared state only.
    """

    def __init__(
        self,
        plane: Plane,
        name: str,
        gen: int,
        *,
        rng: random.Random,
        clock: HybridClock,
        limits: StateLimits = _LIMITS,
        digest_key: bytes = b"",
        is_member: Callable[[str], bool] = lambda _: True,
        changed: Changed = lambda *_: None,
        bump: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.plane = plane
        self.name = name
        self.gen = gen
        self.clock = clock
        self._rng = rng
        self.limits = limits
        self.is_member = is_member
        self.bump = bump
        self.seen = SeenTable(plane, digest_key)
        self.slots = Slots(plane, limits)
        self.floors: dict[Life, int] = {}
        self.horizon = 0
        self._changed = changed
        self._news: list[Record] = []
        self._forgotten = 0
        self._appear()

    # -- reading --------------------------------------------------------------------------

    @property
    def digest(self) -> int:
        """64 bits of what was seen. Equal at two members: they show the same, but for 2**-64."""
        return self.seen.digest

    @property
    def mark(self) -> int:
        """Names what this replica remembers having seen; changes when it forgets some of it."""
        text = f"{self.gen} {self._forgotten}".encode()
        return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")

    def get(self, slot: Slot) -> Record | None:
        """The live record of a slot."""
        record = self.slots.get(slot)
        return record if record is not None and record.is_live else None

    def items(self, prefix: str = "", owner: str | None = None) -> list[Record]:
        """Live records whose key begins with ``prefix``, sorted by key and writer.

        Args:
            prefix: of the keys.
            owner: only slots of this owner (empty in shared state); None for all.
        """
        found = [
            held.record
            for (slot_owner, key), held in self.slots.held.items()
            if key.startswith(prefix) and owner in (None, slot_owner) and held.record.is_live
        ]
        return sorted(found, key=lambda record: (record.key, record.writer))

    def vector(self) -> Vector:
        """What was seen, to ask another member with."""
        return Vector(self.plane, self.mark, dict(self.seen.tops()), dict(self.seen.folds))

    def take_news(self) -> list[Record]:
        """What this member wrote since the last call, also by itself: to be gossiped."""
        news, self._news = self._news, []
        return news

    # -- writing --------------------------------------------------------------------------

    def set(self, key: str, value: bytes, *, now_ms: int) -> Record:
        """Write a value under one of our keys, or under a shared key.

        Raises:
            LocalProtocolError: the key or the value is too long, or a limit of
                :class:`StateLimits` is reached. Nothing has changed.
        """
        if not 0 < len(key.encode()) <= KEY_BYTES_MAX:
            raise LocalProtocolError(f"a key has 1 to {KEY_BYTES_MAX} bytes of UTF-8")
        if len(value) > VALUE_BYTES_MAX:
            raise LocalProtocolError(
                f"a value of {len(value)} bytes is over the limit of {VALUE_BYTES_MAX} bytes"
            )
        record = self._next(key, value, self.clock.tick(now_ms))
        self._check_room(record)
        self._write(record, now_ms)
        return record

    def delete(self, key: str, *, now_ms: int) -> Record | None:
        """Delete one of our keys, or a shared key. None, and nothing is written, if there is
        no such key.

        Raises:
            LocalProtocolError: shared state has too many tombstones of ours.
        """
        slot = (self.name if self.plane is Plane.STATE else "", key)
        if self.get(slot) is None:
            return None
        record = self._next(key, None, self.clock.tick(now_ms))
        self._check_room(record)
        self._write(record, now_ms)
        return record

    def _next(self, key: str, value: bytes | None, stamp: int) -> Record:
        old = self.slots.get((self.name if self.plane is Plane.STATE else "", key))
        is_ours = old is not None and (old.writer, old.gen) == (self.name, self.gen)
        covers = (*old.covers, old.version)[-COVERS_MAX:] if old is not None and is_ours else ()
        version = self.seen.top(self.name, self.gen) + 1
        return Record(self.name, self.gen, version, key, stamp, value, covers)

    def _check_room(self, record: Record) -> None:
        lacks = self.slots.lacks_room(record)
        if not lacks and not self.seen.has_room(self.name, self.gen):
            lacks = "writers"
        if lacks:
            raise LocalProtocolError(f"no room for key {record.key!r}: the limit is {lacks}")

    def _write(self, record: Record, now_ms: int) -> None:
        self._store(record, now_ms)
        self.seen.add(self.name, self.gen, record.version)
        self._news.append(record)

    def _store(self, record: Record, now_ms: int) -> None:
        slot = slot_of(self.plane, record)
        before = self.get(slot)
        self.slots.put(record, now_ms)
        self._tell(slot, before, record if record.is_live else None)

    def drop(self, slot: Slot) -> None:
        """Empty a slot, without a trace."""
        before = self.get(slot)
        self.slots.remove(slot)
        self._tell(slot, before, None)

    def bury(self, late: Record, now_ms: int) -> bool:
        """Write a tombstone over a shared record that may have been deleted elsewhere.

        It is newer than that record by one and no more: what is newer still stays.

        Returns:
            False, and nothing is written, when there is no room for it.
        """
        record = self._next(late.key, None, late.stamp + 1)
        if self.slots.lacks_room(record) or not self.seen.has_room(self.name, self.gen):
            return False
        self.bump("state_late")
        self._write(record, now_ms)
        return True

    def _tell(self, slot: Slot, before: Record | None, after: Record | None) -> None:
        if before is not None or after is not None:
            self._changed(slot, before, after)

    # -- receiving ------------------------------------------------------------------------

    def receive(self, record: Record, *, now_ms: int, in_exchange: bool = False) -> Outcome:
        """Judge a record of another member and store it if it is news.

        Args:
            record: as parsed, so its fields are within their ranges.
            now_ms: the wall clock.
            in_exchange: it is part of an answer; so it may be any number of versions ahead.
        """
        writer, gen, version = record.dot
        self.meet_former_life(writer, gen, version, now_ms)
        if self.plane is Plane.STATE:
            if writer == self.name:
                return Outcome.KNOWN
            if not self.is_member(writer):
                self.bump("state_stranger")
                return Outcome.REFUSED
            if gen < self.seen.newest(writer):
                self.bump("state_old")
                return Outcome.KNOWN
        if self.seen.has(writer, gen, version):
            self.bump("state_old")
            return Outcome.KNOWN
        if not in_exchange and version > self.seen.top(writer, gen) + WINDOW:
            self.bump("state_far")
            return Outcome.REFUSED
        if not self.seen.has_room(writer, gen):
            self.bump("state_writers_full")
            return Outcome.REFUSED
        if self.clock.is_ahead(record.stamp, now_ms):
            self.bump("state_clock_ahead")
            return Outcome.REFUSED
        self.clock.observe(record.stamp)
        if self.plane is Plane.STATE:
            self.begin_life(writer, gen)
        outcome = self._place(record, now_ms)
        if outcome is not Outcome.REFUSED:
            self.seen.add(writer, gen, *record.covers, version)
        return outcome

    def _place(self, record: Record, now_ms: int) -> Outcome:
        slot = slot_of(self.plane, record)
        old = self.slots.get(slot)
        if old is not None and order_of(self.plane, record) <= order_of(self.plane, old):
            return Outcome.KNOWN
        if record.is_live and record.stamp <= self.horizon:
            # A tombstone that is collected may have deleted this key after it was written.
            return Outcome.KNOWN if self.bury(record, now_ms) else Outcome.REFUSED
        if self.slots.lacks_room(record):
            self.bump("state_full")
            # A value that finds no room counts as seen, or the exchange would repeat for ever. A
            # tombstone must not: what it deletes could come later and stay.
            return Outcome.KNOWN if record.is_live else Outcome.REFUSED
        self._store(record, now_ms)
        return Outcome.STORED

    def begin_life(self, writer: str, gen: int) -> None:
        """A generation of a writer was met: what it wrote in smaller ones goes. ``STATE`` only."""
        if gen > self.seen.newest(writer):
            self._clear(writer)
            self.seen.add(writer, gen)

    def meet_former_life(self, writer: str, gen: int, version: int, now_ms: int) -> None:
        """If that is a write of ours that we know nothing of, begin a generation above it."""
        if writer != self.name or (gen, version) <= (self.gen, self.seen.top(writer, self.gen)):
            return
        if gen > GENERATION_MAX - 2**CHANCE_BITS:
            self.bump("state_generation_exhausted")
            return
        self.bump("state_reborn")
        before, self.gen = self.gen, gen + 1 + self._rng.getrandbits(CHANCE_BITS)
        self._forgotten += 1
        ours = [record for record in self.slots.of(self.name) if record.gen == before]
        if self.plane is Plane.STATE:
            # Who meets the new generation drops the old one, so all of it is written anew.
            self.seen.forget(self.name)
            self.floors.pop((self.name, before), None)
        elif gen == before:
            # Each dot may be in use twice. Ours are written anew, and theirs may come.
            self.seen.forget_life(self.name, before)
        else:
            ours = []
        self._appear()
        for record in ours:
            if record.is_live or self.plane is Plane.SHARED:
                stamp = self.clock.tick(now_ms)
                self._write(self._next(record.key, record.value, stamp), now_ms)
            else:
                self.drop(slot_of(self.plane, record))

    def _appear(self) -> None:
        # In STATE the present life is told of before it has written anything, so that the
        # keys of the former one go.
        if self.plane is Plane.STATE:
            self.seen.add(self.name, self.gen)

    # -- forgetting -----------------------------------------------------------------------

    def collect(self, *, now_ms: int) -> int:
        """Drop tombstones that are old enough, and of which all earlier writes were seen.

        Returns:
            How many.
        """
        count = 0
        for slot in list(self.slots.tombstones):
            held = self.slots.held[slot]
            writer, gen, version = held.record.dot
            is_old = now_ms - held.since_ms >= self.limits.tombstone_ms
            is_folded = self.seen.folds.get(writer, NO_FOLD).gen >= gen
            if not is_old or not (is_folded or version <= self.seen.top(writer, gen)):
                continue
            self.slots.remove(slot)
            if not is_folded:
                self.floors[writer, gen] = max(self.floors.get((writer, gen), 0), version)
            if self.plane is Plane.SHARED:
                self.horizon = max(self.horizon, held.record.stamp)
            count += 1
            self.bump("state_collected")
        return count

    def forget(self, writer: str) -> None:
        """A member was reaped: its records, and that they were seen, are forgotten. ``STATE``
        only; shared keys outlive who wrote them.
        """
        if self.plane is Plane.STATE and writer != self.name and self.seen.newest(writer):
            self._clear(writer)
            self._forgotten += 1

    def _clear(self, writer: str) -> None:
        for record in self.slots.of(writer):
            self.drop(slot_of(self.plane, record))
        for life in [life for life in self.floors if life[0] == writer]:
            del self.floors[life]
        self.seen.forget(writer)

    def fold(self, writer: str, fold: Fold) -> None:
        """Count every generation of a writer up to ``fold.gen`` as seen."""
        self.bump("state_folded")
        self.seen.fold(writer, fold)
        for life in [life for life in self.floors if life[0] == writer and life[1] <= fold.gen]:
            del self.floors[life]

    def fold_own(self) -> None:
        """Fold the oldest of our former lives, if there are too many. Shared state only."""
        former = sorted(gen for gen in self.seen.lives.get(self.name, ()) if gen < self.gen)
        if len(former) > OLD_GENERATIONS_MAX:
            self.fold(self.name, Fold(self.gen, former[-OLD_GENERATIONS_MAX - 1]))
