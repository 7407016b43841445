"""The answering side of an exchange: what the asker lacks, chunk by chunk."""

from __future__ import annotations

from typing import Final

from trio_gossip.services.state_delta import Chunk, Closing
from trio_gossip.services.state_records import Plane, Record
from trio_gossip.services.state_replica import Replica
from trio_gossip.services.state_vector import NO_FOLD, Life, Vector

RECORD_OVERHEAD: Final = 64
"""Bytes that a record counts for in a chunk, besides names, key and value."""


def make_chunk(replica: Replica, asked: Vector, cursor: int, chunk_bytes: int) -> Chunk:
    """The next part of what the asker lacks.

    It is made of the records that came after ``cursor``, in the order in which they came. So what
    replaced a record since an earlier chunk is in a later one, and nothing has to be kept between
    two chunks.

    Args:
        replica: that of the sender.
        asked: what the asker has seen, the same for all chunks of one exchange.
        cursor: 0 for the first chunk, then that of the chunk before.
        chunk_bytes: soft limit. A chunk has at least one record, and the last one also the
            closing part.
    """
    newest: dict[str, int] = {}
    if replica.plane is Plane.STATE:
        # The asker refuses what is older than the life that it knows.
        for writer, gen in asked.tops:
            newest[writer] = max(gen, newest.get(writer, 0))
    room = chunk_bytes
    records: list[Record] = []
    closing = None
    for held in replica.slots.after(cursor):
        record = held.record
        writer, gen, version = record.dot
        if gen >= newest.get(writer, 0) and not asked.covers(writer, gen, version):
            cost = record.size + len(writer) + RECORD_OVERHEAD
            if records and cost > room:
                break
            room -= cost
            records.append(record)
        cursor = held.arrival
    else:
        closing = _close(replica, asked)
    return Chunk(replica.plane, asked.mark, replica.mark, cursor, tuple(records), closing)


def _close(replica: Replica, asked: Vector) -> Closing:
    floors = {
        life: floor for life, floor in replica.floors.items() if not asked.covers(*life, floor)
    }
    folds = {
        writer: fold
        for writer, fold in replica.seen.folds.items()
        if fold > asked.folds.get(writer, NO_FOLD)
    }
    resets = bool(floors or folds)
    is_shared_reset = resets and replica.plane is Plane.SHARED
    tops = {
        life: top
        for life, top in replica.seen.tops()
        if is_shared_reset or life not in asked.tops or top > asked.tops[life]
    }
    listed: dict[Life, list[int]] = {}
    if resets:
        for held in replica.slots.after(0):
            writer, gen, version = held.record.dot
            if held.record.is_live and (is_shared_reset or (writer, gen) in floors):
                listed.setdefault((writer, gen), []).append(version)
    sorted_lists = {life: tuple(sorted(versions)) for life, versions in listed.items()}
    return Closing(tops, folds, floors, replica.horizon if resets else 0, resets, sorted_lists)
