"""The members that come after this one on a circle: it probes the next one, and gossips to all.

Who picks members at random misses some. With 30 members that tell a message to eight random others
each, one message in a hundred does not reach everybody, though no packet is lost. When each
member tells it to the one after it on a circle on which all agree, nobody is left out: whoever
lacks it has a predecessor that knows it and will tell it.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Final

from trio_gossip.engine.tally import mark_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.engine.membership import Entry
    from trio_gossip.engine.node import Node

SUCCESSORS_MAX: Final = 32
"""Members after this one that are kept in mind: more than there are transmissions, since some may
have left or failed."""

REBUILD_SECONDS: Final = 1.0
"""Between two looks through the whole table while members come and go. Until the next one a
newcomer has to do with random gossip."""


class Successors:
    """The next members on the circle of all names, in the order of a hash of them.

    The hash mixes hosts and racks, whose members have names that are alike. Each member computes
    its own part of the circle from its own table. Where tables differ some are told twice and
    some by random gossip alone.
    """

    __slots__ = ("_built_at", "_names", "_node", "_version")

    def __init__(self, node: Node) -> None:
        self._node = node
        self._names: list[str] = []
        self._version = -1
        self._built_at = -math.inf

    def __call__(self, wanted: Callable[[Entry], bool]) -> list[Entry]:
        """The next members that are wanted, nearest first; at most :data:`SUCCESSORS_MAX`."""
        node = self._node
        table = node.table
        if table.version != self._version and node.now >= self._built_at + REBUILD_SECONDS:
            self._version = table.version
            self._built_at = node.now
            self._names = self._following()
        rows = map(table.get, self._names)
        return [entry for entry in rows if entry is not None and wanted(entry)]

    def _following(self) -> list[str]:
        """The names that follow this member's own, by one look at each row of the table."""
        me = self._node.name
        mine = (mark_of(me), me)
        after: list[tuple[int, str]] = []
        before: list[tuple[int, str]] = []
        for entry in self._node.table:
            name = entry.member.name
            place = (mark_of(name), name)
            if place > mine:
                after.append(place)
            elif place < mine:
                before.append(place)
        found = heapq.nsmallest(SUCCESSORS_MAX, after)
        found += heapq.nsmallest(SUCCESSORS_MAX - len(found), before)
        return [name for _, name in found]
