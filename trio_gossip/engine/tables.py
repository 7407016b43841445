"""A member table on its way through a stream: cut into frames, and put together again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from trio_gossip.codec.messages import Record, SyncEnd, SyncMembers, SyncOpen
from trio_gossip.engine.claimed import record_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.codec.messages import Frame
    from trio_gossip.members import Member


class TableSender:
    """Frames of one snapshot, built one at a time: a big table never stalls the process."""

    def __init__(self, opening: SyncOpen, members: Sequence[Member], chunk: int) -> None:
        self._frames = self._cut(opening, members, chunk)

    @staticmethod
    def _cut(opening: SyncOpen, members: Sequence[Member], chunk: int) -> Iterator[Frame]:
        yield opening
        for start in range(0, len(members), chunk):
            yield SyncMembers([record_of(member) for member in members[start : start + chunk]])
        yield SyncEnd(len(members))

    def next_frame(self) -> Frame:
        """The next frame; the last one is a :class:`SyncEnd`."""
        return next(self._frames)


class TableReader:
    """Collects a peer's table. Nothing of it is believed before it is complete."""

    def __init__(self, records_max: int) -> None:
        self._records_max = records_max
        self._names: set[str] = set()
        self.records: list[Record] = []

    def add(self, frame: SyncMembers) -> bool:
        """Take a chunk; False when the table is larger than anybody's may be."""
        self.records += frame.records
        self._names.update(record.name for record in frame.records)
        return len(self.records) <= self._records_max

    def is_complete(self, frame: SyncEnd) -> bool:
        """True when nothing was lost on the way and no member is there twice."""
        return frame.count == len(self.records) == len(self._names)

    def find(self, name: str) -> Record | None:
        """The record of one member."""
        for record in self.records:
            if record.name == name:
                return record
        return None
