"""The asking side of an exchange: records are stored as they come, the vector only at the end."""

from __future__ import annotations

from trio_gossip.services.state_delta import Chunk, Closing
from trio_gossip.services.state_records import VERSION_MAX, Plane, Record, slot_of
from trio_gossip.services.state_replica import Outcome, Replica
from trio_gossip.services.state_vector import NO_FOLD, Fold, Life


class Intake:
    """Takes the chunks of one exchange, in order.

    If the exchange is cut, what came stays stored and no gap is hidden: that all of it came is
    believed only after the closing part.

    Args:
        replica: that of who asked.

    Attributes:
        cursor: to ask for the next chunk with.
        is_done: no further chunk is taken.
        is_adopted: the closing part came, and the sender's vector was adopted.
        stored: how many records were news. If an exchange ends with none and the digests still
            differ, the next one should wait, each time twice as long.
        refused: how many were refused; see the counters of the replica.
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._refused_lives: dict[Life, None] = {}
        self._source: int | None = None
        self.cursor = 0
        self.is_done = False
        self.is_adopted = False
        self.stored = 0
        self.refused = 0

    def take(self, chunk: Chunk, *, now_ms: int) -> list[Record]:
        """Store what is new of a chunk.

        Returns:
            The records that were news, for whoever passes them on.
        """
        replica = self._replica
        if self._source is None:
            self._source = chunk.source
        is_next = chunk.source == self._source and chunk.cursor >= self.cursor
        if self.is_done or chunk.plane is not replica.plane or not is_next:
            # Also of a sender that began a new life since the chunk before.
            self.is_done = True
            replica.bump("state_chunk_unexpected")
            return []
        stored: list[Record] = []
        for record in chunk.records:
            outcome = replica.receive(record, now_ms=now_ms, in_exchange=True)
            if outcome is Outcome.STORED:
                stored.append(record)
            elif outcome is Outcome.REFUSED:
                self.refused += 1
                self._refused_lives[record.writer, record.gen] = None
        self.stored += len(stored)
        self.cursor = chunk.cursor
        if chunk.closing is not None:
            self.is_done = True
            if chunk.mark != replica.mark:
                # This member forgot something since it asked: the answer says nothing of that.
                replica.bump("state_mark_old")
            elif replica.clock.is_ahead(chunk.closing.horizon, now_ms):
                replica.bump("state_clock_ahead")
            else:
                # Or a write of ours could be older than the tombstones that we hear of here.
                replica.clock.observe(chunk.closing.horizon)
                self.is_adopted = True
                self._adopt(chunk.closing, now_ms)
        return stored

    def _adopt(self, closing: Closing, now_ms: int) -> None:
        replica = self._replica
        if closing.resets:
            replica.bump("state_reset")
            self._reset(closing, now_ms)
        for (writer, gen), top in closing.tops.items():
            if self._may_adopt(writer, gen, top, now_ms):
                replica.seen.raise_to(writer, gen, top)
        for (writer, gen), floor in closing.floors.items():
            if replica.seen.top(writer, gen) >= floor:
                replica.floors[writer, gen] = max(replica.floors.get((writer, gen), 0), floor)
        for writer, fold in closing.folds.items():
            if fold <= replica.seen.folds.get(writer, NO_FOLD):
                continue
            if not self._may_fold(writer, fold, now_ms):
                continue
            if replica.seen.has_room_for_fold(writer):
                replica.fold(writer, fold)
            else:
                replica.bump("state_writers_full")
        if replica.plane is Plane.SHARED:
            replica.horizon = max(replica.horizon, closing.horizon)
            replica.fold_own()

    def _may_fold(self, writer: str, fold: Fold, now_ms: int) -> bool:
        replica = self._replica
        if replica.is_unborn(fold.gen, now_ms):
            replica.bump("state_clock_ahead")
            return False
        if any(
            # Later lives that were refused for want of room come when the fold has made some.
            each == writer and (gen <= fold.gen or replica.has_room(each, gen))
            for each, gen in self._refused_lives
        ):
            return False
        # A fold of ours that ends the present life was made up, or is of a former one whose clock
        # was ahead: what we write in this life would count as seen before it is written.
        return replica.meet_former_life(writer, fold.gen, VERSION_MAX, now_ms)

    def _may_adopt(self, writer: str, gen: int, top: int, now_ms: int) -> bool:
        replica = self._replica
        if replica.is_unborn(gen, now_ms):
            replica.bump("state_clock_ahead")
            return False
        if not replica.meet_former_life(writer, gen, top, now_ms):
            return False
        if (writer, gen) in self._refused_lives:
            return False
        if replica.plane is Plane.STATE:
            if writer == replica.name or not replica.is_member(writer):
                return False
            if gen < replica.seen.newest(writer):
                return False
        if not replica.has_room(writer, gen):
            replica.bump("state_writers_full")
            return False
        if replica.plane is Plane.STATE:
            replica.begin_life(writer, gen)
        return True

    def _reset(self, closing: Closing, now_ms: int) -> None:
        """Drop what the sender has seen and holds no more: something newer deleted it there."""
        replica = self._replica
        listed = {life: frozenset(versions) for life, versions in closing.listed.items()}
        for held in list(replica.slots.after(0)):
            record = held.record
            life = record.writer, record.gen
            # Tombstones stay until they are collected here, so that this leaves a floor.
            if not record.is_live or record.version in listed.get(life, ()):
                continue
            slot = slot_of(replica.plane, record)
            if replica.plane is Plane.STATE:
                is_theirs = life in closing.floors and record.writer != replica.name
                if is_theirs and record.version <= closing.tops.get(life, 0):
                    replica.drop(slot)
                continue
            fold = closing.folds.get(record.writer)
            is_folded = fold is not None and record.gen <= fold.gen
            if is_folded or record.version <= closing.tops.get(life, 0):
                replica.drop(slot)
            elif record.stamp <= closing.horizon:
                replica.bury(record, now_ms)
