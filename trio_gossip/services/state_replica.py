"""The rules of versioned state: what is believed of the records of others, and when it ends."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from trio_gossip.services.state_local import CHANCE_BITS, LocalState
from trio_gossip.services.state_records import (
    GENERATION_MAX,
    Plane,
    Record,
    order_of,
    slot_of,
)
from trio_gossip.services.state_vector import NO_FOLD, SPARSE_MAX, WINDOW, Fold

OLD_GENERATIONS_MAX: Final = 4
"""Former lives of its own that a writer remembers in shared state; it folds the older ones."""


REBIRTHS_BURST: Final = 4
"""So many generations may follow each other at once, because others know of writes of ours that we
know nothing of. With each, all our keys are written anew."""

REBIRTH_MS: Final = 10_000
"""Milliseconds to one more of these. What comes earlier is refused, and comes again."""


class Outcome(Enum):
    """What became of a record of another member."""

    STORED = auto()
    """It is news: to be passed on."""
    KNOWN = auto()
    """It was seen before, or is older than what is held; or there is no room for it."""
    REFUSED = auto()
    """It was not believed, and may come again."""


class Replica(LocalState):
    """One member's copy of one plane. The rules and why they are safe are in
    ``docs/state_rules``; the arguments are those of :class:`LocalState`.
    """

    _rebirths = float(REBIRTHS_BURST)
    _rebirths_at = 0

    # -- receiving ------------------------------------------------------------------------

    def lacks(self, writer: str, gen: int, version: int) -> bool:
        """True if :meth:`receive` could find that record of another member to be news."""
        if writer == self.name:
            return False
        if self.plane is Plane.STATE and (
            not self.is_member(writer) or gen < self.seen.newest(writer)
        ):
            return False
        if self.seen.has(writer, gen, version) or self._is_far(writer, gen, version):
            return False
        return self.has_room(writer, gen)

    def _is_far(self, writer: str, gen: int, version: int) -> bool:
        ahead = version - self.seen.top(writer, gen)
        return ahead > WINDOW or (ahead > 1 and self.seen.sparse >= SPARSE_MAX)

    def receive(self, record: Record, *, now_ms: int, in_exchange: bool = False) -> Outcome:
        """Judge a record of another member and store it if it is news.

        Args:
            record: as parsed, so its fields are within their ranges.
            now_ms: the wall clock.
            in_exchange: it is part of an answer; so it may be any number of versions ahead.
        """
        writer, gen, version = record.dot
        if self.is_unborn(gen, now_ms):
            self.bump("state_clock_ahead")
            return Outcome.REFUSED
        if not self.meet_former_life(writer, gen, version, now_ms):
            return Outcome.REFUSED
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
        if not in_exchange and self._is_far(writer, gen, version):
            self.bump("state_far")
            return Outcome.REFUSED
        if not self.has_room(writer, gen):
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

    def is_unborn(self, gen: int, now_ms: int) -> bool:
        """That life begins in a future that cannot be. Whoever made it up would have the last word
        on its writer for ever.
        """
        return gen >> CHANCE_BITS > now_ms + self.limits.clock_skew_ms

    def meet_former_life(self, writer: str, gen: int, version: int, now_ms: int) -> bool:
        """If that is a write of ours that we know nothing of, begin a generation above it.

        Returns:
            False when that has to wait, because it happened too often. Nothing of that life may
            count as seen then, or two writes could have one dot.
        """
        if writer != self.name or (gen, version) <= (self.gen, self.seen.top(writer, self.gen)):
            return True
        if gen > GENERATION_MAX - 2**CHANCE_BITS:
            self.bump("state_generation_exhausted")
            return True
        if not self._may_be_reborn(now_ms):
            self.bump("state_rebirth_held")
            return False
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
        return True

    def _may_be_reborn(self, now_ms: int) -> bool:
        # The wall clock may go back; that must not hold up anything.
        passed = max(0, now_ms - self._rebirths_at) / REBIRTH_MS
        self._rebirths = min(float(REBIRTHS_BURST), self._rebirths + passed)
        self._rebirths_at = now_ms
        if self._rebirths < 1.0:
            return False
        self._rebirths -= 1.0
        return True

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
        for gen in self.seen.lives.get(writer, ()):  # a floor is of a life that was seen
            self.floors.pop((writer, gen), None)
        self.seen.forget(writer)

    def fold(self, writer: str, fold: Fold) -> None:
        """Count every generation of a writer up to ``fold.gen`` as seen."""
        self.bump("state_folded")
        for gen in self.seen.lives.get(writer, ()):
            if gen <= fold.gen:
                self.floors.pop((writer, gen), None)
        self.seen.fold(writer, fold)

    def fold_own(self) -> None:
        """Fold the oldest of our former lives, if there are too many. Shared state only."""
        former = sorted(gen for gen in self.seen.lives.get(self.name, ()) if gen < self.gen)
        if len(former) > OLD_GENERATIONS_MAX:
            self.fold(self.name, Fold(self.gen, former[-OLD_GENERATIONS_MAX - 1]))
