"""Where records lie, in the order in which they came, and how much room they take."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import attrs

from trio_gossip.services.state_records import Plane, Record, Slot, StateLimits, slot_of


@attrs.frozen
class Held:
    """A record in its slot.

    Attributes:
        record: the newest of this slot.
        arrival: its number in the order of arrival at this member, from 1.
        since_ms: the local wall time of its arrival.
    """

    record: Record
    arrival: int
    since_ms: int


@attrs.define
class Use:
    """Room that is taken."""

    records: int = 0
    bytes: int = 0


class Slots:
    """One record for each slot.

    Args:
        plane: what a slot is.
        limits: how much fits.
    """

    def __init__(self, plane: Plane, limits: StateLimits) -> None:
        self._plane = plane
        self._limits = limits
        self.held: dict[Slot, Held] = {}
        self.tombstones: dict[Slot, None] = {}
        self.use = Use()
        self.use_of: dict[str, Use] = {}
        self._slots_of: dict[str, dict[Slot, None]] = {}
        # Arrivals in order, with gaps where a record was replaced. The two lists are parallel.
        self._arrivals: list[int] = []
        self._arrived: list[Slot] = []
        self._count = 0

    def get(self, slot: Slot) -> Record | None:
        """What the slot holds, tombstones too."""
        held = self.held.get(slot)
        return held.record if held is not None else None

    def lacks_room(self, record: Record) -> str:
        """Which limit the record would break; empty for none. A tombstone in place of a value
        always fits.
        """
        old = self.get(slot_of(self._plane, record))
        if record.value is None and old is not None:
            return ""
        use, own = self.use, self.use_of.get(record.writer, Use())
        more, larger = (0, record.size - old.size) if old is not None else (1, record.size)
        # What leaves the slot makes room for its writer only.
        is_same = old is not None and old.writer == record.writer
        own_more, own_larger = (more, larger) if is_same else (1, record.size)
        limits = self._limits
        if use.records + more > limits.records:
            return f"{limits.records} records of all members"
        if own.records + own_more > limits.owner_records:
            return f"{limits.owner_records} records of {record.writer}"
        if use.bytes + larger > limits.bytes:
            return f"{limits.bytes} bytes of all members"
        if own.bytes + own_larger > limits.owner_bytes:
            return f"{limits.owner_bytes} bytes of {record.writer}"
        return ""

    def put(self, record: Record, now_ms: int) -> None:
        """Store a record in place of what its slot held."""
        slot = slot_of(self._plane, record)
        self.remove(slot)
        self._count += 1
        self.held[slot] = Held(record, self._count, now_ms)
        self._arrivals.append(self._count)
        self._arrived.append(slot)
        if record.value is None:
            self.tombstones[slot] = None
        self._slots_of.setdefault(record.writer, {})[slot] = None
        for use in (self.use, self.use_of.setdefault(record.writer, Use())):
            use.records += 1
            use.bytes += record.size
        if len(self._arrivals) > 2 * len(self.held) + 64:
            self._compact()

    def remove(self, slot: Slot) -> None:
        """Empty a slot; nothing happens if it is empty."""
        held = self.held.pop(slot, None)
        if held is None:
            return
        record = held.record
        self.tombstones.pop(slot, None)
        del self._slots_of[record.writer][slot]
        own = self.use_of[record.writer]
        for use in (self.use, own):
            use.records -= 1
            use.bytes -= record.size
        if not own.records:
            del self.use_of[record.writer], self._slots_of[record.writer]

    def after(self, arrival: int) -> Iterator[Held]:
        """Everything that came after a number, in the order of arrival."""
        for at in range(bisect_right(self._arrivals, arrival), len(self._arrivals)):
            held = self.held.get(self._arrived[at])
            if held is not None and held.arrival == self._arrivals[at]:
                yield held

    def of(self, writer: str) -> list[Record]:
        """Every record of a writer, in the order of arrival."""
        return [self.held[slot].record for slot in self._slots_of.get(writer, ())]

    def count(self, low: int, high: int) -> int:
        """How many places :meth:`after` looks at from arrival ``low`` to ``high``."""
        return bisect_right(self._arrivals, high) - bisect_right(self._arrivals, low)

    def _compact(self) -> None:
        kept = [(held.arrival, slot_of(self._plane, held.record)) for held in self.after(0)]
        self._arrivals = [arrival for arrival, _ in kept]
        self._arrived = [slot for _, slot in kept]
