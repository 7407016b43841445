"""One class of queued messages: how often each was told, and when it may be told again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trio_gossip.codec import Room
    from trio_gossip.engine.pacing import Pace

_SMALLEST_MESSAGE: Final = 4
"""No encoded message is shorter; with less room than this a packet is full."""

_MISSES_MAX: Final = 32
"""Messages too long for what is left of a packet, or not for its receiver, that are looked at
before it goes as it is."""


@attrs.define(slots=True, weakref_slot=False)
class _Entry:
    key: object
    data: bytes
    subject: str | None
    source: str | None
    last: float = -math.inf
    """When it was told last."""

    def is_known_to(self, peer: str, pace: Pace) -> bool:
        """True for a member that said it of itself, or told us. Of three members these may be all
        others: then it goes to who told us, or it would never be told to anybody.
        """
        if self.source == peer and (pace.spares_source or self.subject is None):
            return True
        return self.subject == peer


class Lane:
    """Messages with at most one for each key, in the order in which they are told: those that were
    told least often first, and of these the oldest.

    A message with the key of a queued one replaces it and starts again at zero transmissions:
    the newest news of a member is the only one worth sending.
    """

    __slots__ = ("_bytes", "_dropped", "_level_of", "_levels", "limit", "size")

    def __init__(self, limit: int, dropped: Callable[[], None]) -> None:
        self.limit = limit
        self._dropped = dropped
        # One for each number of transmissions. Each in the order of the last transmission, so that
        # behind one for which it is too early, it is too early for all.
        self._levels: list[dict[object, _Entry]] = [{}]
        self._bytes: list[int] = [0]
        self._level_of: dict[object, int] = {}
        self.size = 0
        """Bytes of all queued messages."""

    def __len__(self) -> int:
        return len(self._level_of)

    def put(
        self, key: object, data: bytes, subject: str | None = None, source: str | None = None
    ) -> None:
        """Queue a message. When the lane is full the most transmitted, then the oldest message is
        dropped and counted.

        Args:
            key: a queued message of this key is replaced.
            data: the encoded message.
            subject: the member that knows it already, because it said so itself.
            source: the member that told us.
        """
        self.discard(key)
        if len(self._level_of) >= self.limit:
            self._drop()
        self._insert(0, _Entry(key, data, subject, source))

    def discard(self, key: object) -> None:
        """Forget the queued message of ``key``, if there is one."""
        level = self._level_of.get(key)
        if level is not None:
            self._remove(level, key)

    def clear(self) -> None:
        """Forget everything."""
        self._levels = [{}]
        self._bytes = [0]
        self._level_of.clear()
        self.size = 0

    def hot_size(self, eager: int) -> int:
        """Bytes of the messages that were told less than ``eager`` times."""
        return sum(self._bytes[:eager])

    def next_due(self, pace: Pace, after: float = -math.inf) -> float:
        """When the next message may be told, of those for which that is not ``after`` or before;
        inf when there is none.
        """
        earliest = math.inf
        for sent, level in enumerate(self._levels):
            for entry in level.values():
                due = entry.last + pace.gap(sent)
                if due >= after:
                    earliest = min(earliest, due)
                break
        return earliest

    def head_size(self, pace: Pace, now: float) -> int:
        """Bytes of the message that is next in order; 0 when none is due."""
        for _, entry in self._due(pace, now):
            return len(entry.data)
        return 0

    def size_within(self, budget: int, pace: Pace, now: float) -> int:
        """Bytes of the messages that :meth:`fill` would take into so much room."""
        free = budget
        misses = 0
        for _, entry in self._due(pace, now):
            size = len(entry.data)
            if size <= free:
                free -= size
                continue
            misses += 1
            if free < _SMALLEST_MESSAGE or misses == _MISSES_MAX:
                break
        return budget - free

    def fill(self, room: Room, pace: Pace, now: float, peer: str | None = None) -> list[bytes]:
        """Take what is due in order as long as it fits; each counts as sent once more.

        A message that has been sent ``pace.copies`` times is finished and forgotten. None is spent
        on the ``peer`` that it is about, or that told us: with two transmissions in a cluster of
        three, that would leave it to luck whether the third member hears of it.
        """
        taken: list[tuple[int, _Entry]] = []
        misses = 0
        for sent, entry in self._due(pace, now):
            if peer is None or not entry.is_known_to(peer, pace):
                if room.take(len(entry.data)):
                    taken.append((sent, entry))
                    continue
                if room.free < _SMALLEST_MESSAGE:
                    break
            misses += 1
            if misses == _MISSES_MAX:
                break
        for sent, entry in taken:
            self._remove(sent, entry.key)
            entry.last = now
            if sent + 1 < pace.copies:
                self._insert(sent + 1, entry)
        return [entry.data for _, entry in taken]

    def _due(self, pace: Pace, now: float) -> Iterator[tuple[int, _Entry]]:
        """How often it was told, and the message: all that may be told now, in order."""
        for sent, level in enumerate(self._levels):
            if not level:
                continue
            told_before = now - pace.gap(sent)
            for entry in level.values():
                if entry.last > told_before:
                    break
                yield sent, entry

    def _drop(self) -> None:
        sent = len(self._levels) - 1
        while not self._levels[sent]:
            sent -= 1
        self._remove(sent, next(iter(self._levels[sent])))
        self._dropped()

    def _insert(self, sent: int, entry: _Entry) -> None:
        while sent >= len(self._levels):
            self._levels.append({})
            self._bytes.append(0)
        self._levels[sent][entry.key] = entry
        self._bytes[sent] += len(entry.data)
        self._level_of[entry.key] = sent
        self.size += len(entry.data)

    def _remove(self, sent: int, key: object) -> None:
        entry = self._levels[sent].pop(key)
        self._bytes[sent] -= len(entry.data)
        del self._level_of[key]
        self.size -= len(entry.data)
