"""Who comes after this member when all stand in the order of their hashed names."""

from __future__ import annotations

from heapq import nsmallest
from typing import TYPE_CHECKING, Final
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.engine.membership import Entry
    from trio_gossip.engine.node import Node

SUCCESSORS: Final = 16
"""Members that are kept in order; behind so many unwanted ones in a row nobody is looked for."""


class Ring:
    """Each member is watched by the one before it, so that every one is asked in each interval.

    A walk in random order alone leaves a member unasked for long now and then: the time to the
    first suspicion of it has no bound but the length of two walks.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._digest: int | None = None
        self._order: list[str] = []

    def next(self, wanted: Callable[[Entry], bool]) -> Entry | None:
        """The nearest wanted member after this one."""
        table = self._node.table
        if self._digest != table.tally.digest:
            self._digest = table.tally.digest
            self._order = self._successors()
        for name in self._order:
            entry = table.get(name)
            if entry is not None and wanted(entry):
                return entry
        return None

    def _successors(self) -> list[str]:
        me = self._node.name
        mine = crc32(me.encode())
        others = (
            ((crc32(entry.member.name.encode()) - mine) % 2**32, entry.member.name)
            for entry in self._node.table
            if entry.member.is_active and entry.member.name != me
        )
        return [name for _, name in nsmallest(SUCCESSORS, others)]
