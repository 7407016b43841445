"""The last changes of a digest, by what they changed it by."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from trio_gossip.plane import SUM_MASK

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANGES_MAX: Final = 4096
"""Records whose last changes are remembered; the one that changed longest ago is forgotten. What
it would explain is then found by comparing buckets."""

VERSIONS_MAX: Final = 4
"""Former versions of each: a peer may have missed more than the last one."""

RUN_MAX: Final = 32
"""Last changes that are tried in pairs, and together: a peer that was deaf for a moment has missed
all of them since then."""


class ChangeLog:
    """Says which records a peer lacks, from the difference of two digests.

    A record contributes one number to a digest, 0 while there is none. When it goes from one to
    another, all peers that have not heard of it differ by just that. So a difference is looked up
    among those of single records, of pairs of which one is recent, and of the latest together.
    """

    __slots__ = ("_names", "_terms")

    def __init__(self) -> None:
        self._terms: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        """By name what it contributed, the present number last; the latest change last."""
        self._names: dict[int, str] = {}
        """Differences to former versions."""

    def __len__(self) -> int:
        return len(self._terms)

    def note(self, name: str, old: int, new: int) -> None:
        """A record has changed, and what it contributes with it."""
        former = self._terms.pop(name, None)
        if former is None:
            former = (old,)
        else:
            self._forget(former)
        terms = (*former[-VERSIONS_MAX:], new)
        self._terms[name] = terms
        for difference in _differences(terms):
            self._names[difference] = name
        if len(self._terms) > CHANGES_MAX:
            _, oldest = self._terms.popitem(last=False)
            self._forget(oldest)

    def _forget(self, terms: tuple[int, ...]) -> None:
        for difference in _differences(terms):
            self._names.pop(difference, None)

    def explain(self, difference: int) -> list[str]:
        """The names of records that make up ``difference`` together, the earliest changed first;
        none when it is not known.
        """
        single = self._names.get(difference)
        if single is not None:
            return [single]
        run: list[str] = []
        total = 0
        for name, terms in reversed(self._terms.items()):
            run.append(name)
            total = (total + terms[-1] - terms[-2]) & SUM_MASK
            if total == difference:
                return run[::-1]
            for part in _differences(terms):
                other = self._names.get((difference - part) & SUM_MASK, name)
                if other != name:
                    return [other, name]
            if len(run) == RUN_MAX:
                break
        return []


def _differences(terms: tuple[int, ...]) -> Iterator[int]:
    """The last term less each former one that is not equal to it."""
    last = terms[-1]
    return ((last - term) & SUM_MASK for term in terms[:-1] if term != last)
