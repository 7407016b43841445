"""The sums over a member table by which two members notice that theirs differ."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from trio_gossip.codec.summary import BUCKETS, ID_BYTES
from trio_gossip.engine.changelog import ChangeLog
from trio_gossip.plane import SUM_MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from trio_gossip.members import Member

TERMS_MAX: Final = 32768
"""Hashes that a process remembers, shared by all its engines; beyond it the least used is
computed again."""

BUCKET_MASK: Final = 2**32 - 1
"""Sums of buckets are numbers modulo 2**32."""

_KEY: Final = b"trio-gossip members 1"
"""Part of the wire: all members must hash alike. No secret."""


@lru_cache(maxsize=TERMS_MAX)
def _term(name: str, incarnation: int) -> int:
    data = incarnation.to_bytes(8, "big") + name.encode()
    return int.from_bytes(blake2b(data, digest_size=8, key=_KEY).digest(), "big")


@lru_cache(maxsize=TERMS_MAX)
def mark_of(name: str) -> int:
    """What stands for a name when buckets are compared: its id above eight bits of its bucket."""
    value = int.from_bytes(blake2b(name.encode(), digest_size=8, key=_KEY).digest(), "big")
    return value >> 8 * (8 - ID_BYTES) << 8 | value % BUCKETS


def bucket_of(mark: int) -> int:
    """The bucket of a mark."""
    return mark & 0xFF


def id_of(mark: int) -> int:
    """The bits of a mark that tell the names of one bucket apart."""
    return mark >> 8


def term_of(member: Member) -> int:
    """What a member contributes to the digest: a hash of its name and incarnation while it is alive
    or suspect, which counts as alive since suspicion is a matter of each member's own clock.

    Nothing when it is failed or left: who missed its end has one term too many, and that
    tombstones are reaped at different times makes no difference. A change of metadata or address
    needs no term, as it raises the incarnation.
    """
    return _term(member.name, member.incarnation) if member.is_active else 0


def _ignore(name: str, is_counted: bool) -> None:
    """Nobody listens."""


class Tally:
    """Digest, sums of buckets and last changes of one table, kept with O(1) work for a change.

    Attributes:
        digest: the sum of the terms of all members.
        changed_at: engine time of the last change.
        log: the last changes.
        buckets: the sum of the terms for each bucket of names, modulo 2**32.
        counted: told of each member that begins to contribute, with True, and of each that ends.
    """

    __slots__ = ("buckets", "changed_at", "counted", "digest", "log")

    counted: Callable[[str, bool], None]

    def __init__(self, digest: int = 0, buckets: Sequence[int] = (0,) * BUCKETS) -> None:
        self.digest = digest
        self.buckets = list(buckets)
        self.changed_at = 0.0
        self.log = ChangeLog()
        self.counted = _ignore

    @classmethod
    def of(cls, members: Iterable[Member]) -> Tally:
        """The tally of a table with these members, which has no memory of their coming."""
        made = cls()
        for member in members:
            made._add(member.name, term_of(member))
        return made

    def change(self, name: str, old: int, new: int, *, now: float) -> None:
        """What a member contributes goes from ``old`` to ``new``."""
        if old != new:
            self._add(name, new - old)
            self.log.note(name, old, new)
            self.changed_at = now
            if not old or not new:
                self.counted(name, not old)

    def _add(self, name: str, difference: int) -> None:
        self.digest = (self.digest + difference) & SUM_MASK
        bucket = bucket_of(mark_of(name))
        self.buckets[bucket] = (self.buckets[bucket] + difference) & BUCKET_MASK
