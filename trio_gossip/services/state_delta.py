"""What one member hands to another so that it has seen the same."""

from __future__ import annotations

from enum import IntEnum

import attrs

from trio_gossip.services.state_records import Plane, Record, Slot
from trio_gossip.services.state_vector import Fold, Life, Vector


@attrs.frozen
class Announced:
    """A member has a record that is too long to be told: its dot and where it lies."""

    plane: Plane
    writer: str
    gen: int
    version: int
    key: str

    @property
    def dot(self) -> tuple[str, int, int]:
        """The name of the record."""
        return self.writer, self.gen, self.version

    @property
    def slot(self) -> Slot:
        """Where it lies."""
        return (self.writer if self.plane is Plane.STATE else "", self.key)


class Legs(IntEnum):
    """Which way records go in an exchange; the number is the wire value, the place in
    :data:`~trio_gossip.members.EXCHANGE_MODES`.
    """

    BOTH = 0
    """To who asks; and the asked one asks in turn, if it lacks something."""
    PUSH = 1
    """To the asked one only, which asks for what it lacks."""
    PULL = 2
    """To who asks only."""


@attrs.frozen
class Ask:
    """A question: what the asker has seen.

    Attributes:
        seen: its vector.
        cursor: from where it wants the next chunk; 0 in the first question of an exchange.
        legs: which way records are to go.
    """

    seen: Vector
    cursor: int = 0
    legs: Legs = Legs.BOTH


@attrs.frozen
class Closing:
    """The end of an exchange: what may be adopted after all records came.

    All of it was true at one moment at the sender.

    Attributes:
        tops: lives of which the sender has seen more than the asker; all of them if ``resets``.
        folds: folds that the asker lacks.
        floors: for each life, the largest version of a tombstone that was collected, where the
            asker may have missed it.
        horizon: the largest stamp of a tombstone that was collected. Shared state only.
        resets: the asker may hold what a collected tombstone deleted, so all is listed. In
            ``STATE``, of the lives in ``floors``; in ``SHARED``, everything.
        listed: versions of the live records that the sender holds, by life, ascending.
    """

    tops: dict[Life, int]
    folds: dict[str, Fold]
    floors: dict[Life, int]
    horizon: int
    resets: bool
    listed: dict[Life, tuple[int, ...]]


@attrs.frozen
class Chunk:
    """A part of the records that the asker lacks.

    Attributes:
        plane: of which plane.
        mark: of the vector that was asked with.
        source: mark of the sender. All chunks of one exchange have the same: a sender that was
            born anew counts arrivals from 1.
        cursor: where the next chunk begins.
        records: in the order in which they came to the sender.
        closing: in the last chunk, else None.
    """

    plane: Plane
    mark: int
    source: int
    cursor: int
    records: tuple[Record, ...]
    closing: Closing | None
