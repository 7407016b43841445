"""A member table that tells observers of every change, also of those that are no event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_gossip.engine.membership import Membership

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from trio_gossip.engine.membership import Entry
    from trio_gossip.members import Member
    from trio_gossip.testing.simulation.process import Process


class WatchedTable(Membership):
    """Calls the hooks after every change of a row, once it knows whose table it is."""

    __slots__ = ("_hooks", "_process")

    def __init__(self) -> None:
        super().__init__()
        self._process: Process | None = None
        self._hooks: list[Callable[..., None]] = []

    def watch(self, process: Process, hooks: list[Callable[..., None]]) -> None:
        """Begin to tell ``hooks`` of the changes of ``process``."""
        self._process = process
        self._hooks = hooks
        for entry in self:
            self._tell(entry.member.name, None, entry.member)

    def insert(self, member: Member, *, now: float, rng: random.Random) -> Entry:
        """See :class:`Membership`."""
        entry = super().insert(member, now=now, rng=rng)
        self._tell(member.name, None, member)
        return entry

    def replace(self, entry: Entry, member: Member, *, now: float) -> Entry:
        """See :class:`Membership`."""
        before = entry.member
        entry = super().replace(entry, member, now=now)
        self._tell(member.name, before, member)
        return entry

    def bury(self, entry: Entry, *, now: float, keep: float) -> None:
        """See :class:`Membership`."""
        before = entry.member
        super().bury(entry, now=now, keep=keep)
        self._tell(before.name, before, None)

    def _tell(self, name: str, before: Member | None, after: Member | None) -> None:
        for hook in self._hooks:
            hook(self._process, name, before, after)
