"""What one member holds of one plane of versioned state: reading it, and writing of one's own."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeAlias

from trio_gossip.errors import LocalProtocolError
from trio_gossip.services.state_clock import HybridClock
from trio_gossip.services.state_records import (
    COVERS_MAX,
    KEY_BYTES_MAX,
    VALUE_BYTES_MAX,
    Plane,
    Record,
    Slot,
    StateLimits,
    slot_of,
)
from trio_gossip.services.state_slots import Slots
from trio_gossip.services.state_vector import Life, SeenTable, Vector

if TYPE_CHECKING:
    import random

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


def _everybody(_: str) -> bool:
    return True


def _is_text(key: str) -> bool:
    """No half of a surrogate pair, which UTF-8 cannot say."""
    return not any("\ud800" <= letter <= "\udfff" for letter in key)


def _ignore_change(*_: object) -> None: ...


def _ignore_count(_: str) -> None: ...


class LocalState:
    """The records of one plane at one member, and what was seen of every writer.

    Pure: no clock, no network. ``now_ms`` is the wall clock in milliseconds. What is done with
    the records of others is in :class:`~trio_gossip.services.state_replica.Replica`.

    Args:
        plane: :attr:`Plane.STATE` or :attr:`Plane.SHARED`.
        name: of this member.
        gen: of this life: :func:`first_generation`.
        rng: the engine's source of chance.
        limits: how much is held.
        clock: makes stamps; both planes of a member share it.
        digest_key: of the digest; the same at all members, at most 64 bytes.
        is_member: tells if a writer is known to membership.
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
        is_member: Callable[[str], bool] = _everybody,
        changed: Changed = _ignore_change,
        bump: Callable[[str], None] = _ignore_count,
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
        if not 0 < len(key.encode(errors="replace")) <= KEY_BYTES_MAX or not _is_text(key):
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

    def has_room(self, writer: str, gen: int) -> bool:
        """That life of a writer is known, or may become known. In shared state, made-up names leave
        room for members, and made-up lives of one for others; what is ours always has its place.
        """
        if self.plane is Plane.STATE or writer == self.name:
            return self.seen.has_room(writer, gen)
        return self.seen.has_room(writer, gen, is_ours=False, is_member=self.is_member(writer))

    def _check_room(self, record: Record) -> None:
        lacks = self.slots.lacks_room(record)
        if not lacks and not self.has_room(self.name, self.gen):
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
        if self.slots.lacks_room(record) or not self.has_room(self.name, self.gen):
            return False
        self.bump("state_late")
        self._write(record, now_ms)
        return True

    def _tell(self, slot: Slot, before: Record | None, after: Record | None) -> None:
        if before is not None or after is not None:
            self._changed(slot, before, after)

    def _appear(self) -> None:
        # In STATE the present life is told of before it has written anything, so that the
        # keys of the former one go.
        if self.plane is Plane.STATE:
            self.seen.add(self.name, self.gen)
