"""Which writes were seen: for each life of each writer, all up to a version, and some above."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Final, NamedTuple, TypeAlias

import attrs

from trio_gossip.services.state_records import GENERATION_MAX, Plane

WINDOW: Final = 4096
"""How far above the last version without a gap a single record may be. Beyond, it is refused: an
exchange brings it."""

SPARSE_MAX: Final = 65_536
"""Versions above a gap that one plane remembers, of all lives together. With as many, records above
a gap are refused, until exchanges have closed some."""

VECTOR_ENTRIES_MAX: Final = 16_384
"""Lives of writers that one plane remembers. Records of a further one are refused."""

STRANGERS_MAX: Final = VECTOR_ENTRIES_MAX // 2
"""Where shared state remembers so many lives, further ones must be of members: anybody can make up
names, and what writers left that are long gone must not keep out those that are here."""

LIVES_EACH_MAX: Final = 16
"""Lives of one writer that shared state remembers. A writer folds its former ones but a few, so
more of them were made up, or it restarts faster than exchanges tell."""

_MASK: Final = 2**64 - 1

Life: TypeAlias = tuple[str, int]
"""A writer and one generation of it."""


def _ignore(life: Life, before: int, after: int) -> None:
    """Nobody listens."""


class Fold(NamedTuple):
    """Every generation of a writer up to ``gen`` counts as seen.

    Only the writer itself folds, in its life ``by``; so two folds that are equal were made
    from the same knowledge. The larger one replaces the other.
    """

    by: int
    gen: int


NO_FOLD: Final = Fold(0, 0)
"""Of a writer that never folded."""


@attrs.frozen
class Vector:
    """A version vector that travels: what a member has seen of one plane.

    Attributes:
        plane: of which plane.
        mark: names the state of mind of who asks. It changes when that member forgets a writer
            or is born anew, and an answer to an older mark is not adopted.
        tops: for each life, the version up to which all was seen.
        folds: for each writer that folded, its fold.
    """

    plane: Plane
    mark: int
    tops: dict[Life, int]
    folds: dict[str, Fold]

    def has_folded(self, writer: str, gen: int) -> bool:
        """That generation counts as seen."""
        fold = self.folds.get(writer)
        return fold is not None and gen <= fold.gen

    def covers(self, writer: str, gen: int, version: int) -> bool:
        """That write was seen, and all before it."""
        return self.has_folded(writer, gen) or version <= self.tops.get((writer, gen), 0)


@attrs.define
class Seen:
    """The versions of one life that were seen.

    Attributes:
        top: all up to this one.
        sparse: some above, at most :data:`WINDOW`.
    """

    top: int = 0
    sparse: set[int] = attrs.field(factory=set[int])

    def add(self, version: int) -> None:
        """One more was seen. What is beyond the window is not remembered."""
        if self.top < version <= self.top + WINDOW:
            self.sparse.add(version)
            self._absorb()

    def raise_to(self, top: int) -> None:
        """All up to ``top`` were seen."""
        if top > self.top:
            self.top = top
            self.sparse = {version for version in self.sparse if version > top}
            self._absorb()

    def _absorb(self) -> None:
        while self.top + 1 in self.sparse:
            self.top += 1
            self.sparse.remove(self.top)


class SeenTable:
    """What this member has seen of one plane, with its digest.

    The digest is a sum of keyed hashes modulo 2**64, so that it does not depend on any order and
    each change costs two hashes. Lives without a version do not count: a member that never wrote
    makes no difference.

    Args:
        plane: of which plane.
        key: of the hashes, at most 64 bytes; the same at all members.
    """

    def __init__(self, plane: Plane, key: bytes) -> None:
        self._plane = plane
        self._key = key
        self.changed: Callable[[Life, int, int], None] = _ignore
        """Told of each life of which more was seen: the life, up to what before, and now."""
        self.lives: dict[str, dict[int, Seen]] = {}
        self.folds: dict[str, Fold] = {}
        self.digest = 0
        self.size = 0
        self.sparse = 0
        """Versions above gaps."""

    def has(self, writer: str, gen: int, version: int) -> bool:
        """That write was seen."""
        fold = self.folds.get(writer)
        if fold is not None and gen <= fold.gen:
            return True
        seen = self.lives.get(writer, {}).get(gen)
        return seen is not None and (version <= seen.top or version in seen.sparse)

    def top(self, writer: str, gen: int) -> int:
        """The version up to which all of a life was seen."""
        seen = self.lives.get(writer, {}).get(gen)
        return seen.top if seen is not None else 0

    def newest(self, writer: str) -> int:
        """The largest generation that is known of a writer; 0 for none."""
        return max(self.lives.get(writer, ()), default=0)

    def has_room(
        self,
        writer: str,
        gen: int,
        *,
        is_ours: bool = True,
        is_member: bool = True,
    ) -> bool:
        """That life is known, or may become known.

        Args:
            writer: whose life.
            gen: which.
            is_ours: it may have any number of lives.
            is_member: it may be among the last ones.
        """
        lives = self.lives.get(writer, ())
        if gen in lives:
            return True
        most = VECTOR_ENTRIES_MAX if is_member else STRANGERS_MAX
        return self.size < most and (is_ours or len(lives) < LIVES_EACH_MAX)

    def has_room_for_fold(self, writer: str) -> bool:
        """That writer has folded before, or may."""
        return writer in self.folds or len(self.folds) < VECTOR_ENTRIES_MAX

    def add(self, writer: str, gen: int, *versions: int) -> None:
        """These were seen. Nothing happens in a generation that was folded."""
        seen = self._life(writer, gen)
        if seen is not None:
            before, gaps = seen.top, len(seen.sparse)
            for version in versions:
                seen.add(version)
            self.sparse += len(seen.sparse) - gaps
            self._recount(writer, gen, before, seen.top)

    def raise_to(self, writer: str, gen: int, top: int) -> None:
        """All up to ``top`` were seen. Nothing happens in a generation that was folded."""
        seen = self._life(writer, gen)
        if seen is not None:
            before, gaps = seen.top, len(seen.sparse)
            seen.raise_to(top)
            self.sparse += len(seen.sparse) - gaps
            self._recount(writer, gen, before, seen.top)

    def forget(self, writer: str, below: int = GENERATION_MAX + 1) -> None:
        """Drop the lives of a writer before generation ``below``."""
        lives = self.lives.get(writer, {})
        for gen in [gen for gen in lives if gen < below]:
            self.forget_life(writer, gen)
        if not lives:
            self.lives.pop(writer, None)

    def forget_life(self, writer: str, gen: int) -> None:
        """Drop one life of a writer."""
        lives = self.lives.get(writer, {})
        if gen in lives:
            seen = lives.pop(gen)
            self.size -= 1
            self.sparse -= len(seen.sparse)
            self._recount(writer, gen, seen.top, 0)

    def fold(self, writer: str, fold: Fold) -> None:
        """Take a fold in place of the lives that it ends, and of a former fold."""
        before = self.folds.get(writer)
        if before is not None:
            self._sum(-1, "fold", writer, *before)
        self.folds[writer] = fold
        self._sum(1, "fold", writer, *fold)
        self.forget(writer, fold.gen + 1)

    def tops(self) -> Iterator[tuple[Life, int]]:
        """Every life with the version up to which all of it was seen."""
        for writer, lives in self.lives.items():
            for gen, seen in lives.items():
                yield (writer, gen), seen.top

    def _life(self, writer: str, gen: int) -> Seen | None:
        fold = self.folds.get(writer)
        if fold is not None and gen <= fold.gen:
            return None
        lives = self.lives.setdefault(writer, {})
        if gen not in lives:
            lives[gen] = Seen()
            self.size += 1
        return lives[gen]

    def _recount(self, writer: str, gen: int, before: int, after: int) -> None:
        if before != after:
            if before:
                self._sum(-1, "life", writer, gen, before)
            if after:
                self._sum(1, "life", writer, gen, after)
            self.changed((writer, gen), before, after)

    def term(self, life: Life, top: int) -> int:
        """What a life adds to the digest when all up to ``top`` was seen of it."""
        return self._hash("life", *life, top) if top else 0

    def _sum(self, sign: int, *parts: object) -> None:
        self.digest = (self.digest + sign * self._hash(*parts)) & _MASK

    def _hash(self, *parts: object) -> int:
        text = "\0".join(map(str, (int(self._plane), *parts))).encode()
        return int.from_bytes(blake2b(text, digest_size=8, key=self._key).digest(), "big")
