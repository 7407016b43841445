"""What a record of versioned state is, and how much of it a member keeps."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final, Self, TypeAlias

import attrs

if TYPE_CHECKING:
    from trio_gossip.config import Config

KEY_BYTES_MAX: Final = 256
"""Longest key, in bytes of UTF-8. The empty key is refused."""

VALUE_BYTES_MAX: Final = 64 * 1024
"""Longest value of a record. State is for small things; a record crosses each link whole."""

COVERS_MAX: Final = 8
"""Older versions that a record names as replaced by it. They close gaps without an exchange; what
does not fit is closed by the next exchange."""

VERSION_MAX: Final = 2**48
"""No version above this is believed: a thousand writes a second reach it in 8,900 years."""

GENERATION_MAX: Final = 2**62
"""No generation above this is believed. Milliseconds since 1970 have 41 bits."""

STAMP_MAX: Final = 2**63
"""No stamp above this is believed: 48 bits of milliseconds, 16 bits of counter."""

Slot: TypeAlias = tuple[str, str]
"""Where a record lies: the owner's name (empty for shared state) and the key."""


class Plane(IntEnum):
    """The two views of one mechanism; the number is the wire value."""

    STATE = 0
    """Each member writes keys of its own."""
    SHARED = 1
    """Every member writes the same keys; the last writer wins."""


@attrs.frozen
class Record:
    """One write. Its *dot* ``(writer, gen, version)`` names it and nothing else.

    Attributes:
        writer: who wrote it.
        gen: which life of the writer; larger is newer.
        version: counts the writes of that life in this plane, from 1, without a hole.
        key: 1 to 256 bytes of UTF-8.
        stamp: hybrid logical time, see :class:`~trio_gossip.services.state_clock.HybridClock`.
        value: at most 64 KiB; None for a tombstone.
        covers: versions of the same writer, life and key that this one replaces, ascending.
    """

    writer: str
    gen: int
    version: int
    key: str
    stamp: int
    value: bytes | None = attrs.field(repr=False)
    covers: tuple[int, ...] = ()

    @property
    def is_live(self) -> bool:
        """It holds a value."""
        return self.value is not None

    @property
    def dot(self) -> tuple[str, int, int]:
        """Its name: writer, generation, version."""
        return self.writer, self.gen, self.version

    @property
    def size(self) -> int:
        """Bytes that it counts for: key and value."""
        return len(self.key.encode()) + (len(self.value) if self.value is not None else 0)


@attrs.frozen
class StateLimits:
    """How much one plane of one member holds.

    Attributes:
        owner_records: records of one writer, tombstones included.
        records: records of all writers.
        owner_bytes: bytes of keys and values of one writer.
        bytes: the same of all writers.
        tombstone_ms: age, by the local clock, at which a tombstone may be collected, in
            milliseconds. Safe at any age; but see ``docs/state_rules`` for shared state.
        clock_skew_ms: how far a stamp may be ahead of the local wall clock.
    """

    owner_records: int = 1024
    records: int = 65_536
    owner_bytes: int = 1024 * 1024
    bytes: int = 64 * 1024 * 1024
    tombstone_ms: int = 3_600_000
    clock_skew_ms: int = 60_000

    @classmethod
    def of(cls, config: Config) -> Self:
        """Those that the settings ``state_...`` say."""
        return cls(
            owner_records=config.state_owner_records_max,
            records=config.state_records_max,
            owner_bytes=config.state_owner_bytes_max,
            bytes=config.state_bytes_max,
            tombstone_ms=int(1000 * config.state_tombstone_time),
            clock_skew_ms=int(1000 * config.state_clock_skew),
        )


def slot_of(plane: Plane, record: Record) -> Slot:
    """Where a record lies in a plane."""
    return (record.writer if plane is Plane.STATE else "", record.key)


def order_of(plane: Plane, record: Record) -> tuple[int, str, int, int]:
    """The larger of two records of one slot wins. Never equal for different dots."""
    if plane is Plane.STATE:
        return 0, "", record.gen, record.version
    return record.stamp, record.writer, record.gen, record.version
