"""What each member has truly said of itself, in all its lives: what others hold is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from trio_gossip.members import MemberState

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.members import Member
    from trio_gossip.testing.simulation.process import Process

Content: TypeAlias = "tuple[Address, bytes, bytes]"
"""Address, metadata and versions: what an incarnation of a member stands for."""


@attrs.define
class _Said:
    processes: list[Process] = attrs.field(factory=list["Process"])
    contents: list[Content] = attrs.field(factory=list["Content"])
    left: bool = False


class Ledger:
    """Kept up to date by whoever sees the changes of rows; only those of a process's own row
    count.
    """

    def __init__(self) -> None:
        self._said: dict[str, dict[int, _Said]] = {}
        self._top: dict[str, int] = {}

    def note(self, process: Process, name: str, after: Member | None) -> None:
        """A row of ``process`` has changed."""
        if after is None or name != process.name:
            return
        said = self._said.setdefault(name, {}).setdefault(after.incarnation, _Said())
        if process not in said.processes:
            said.processes.append(process)
        content = content_of(after)
        if content not in said.contents:
            said.contents.append(content)
        said.left |= after.state is MemberState.LEFT
        self._top[name] = max(self._top.get(name, 0), after.incarnation)

    def top(self, name: str) -> int:
        """The highest incarnation at which ``name`` ever was; 0 for one that never lived."""
        return self._top.get(name, 0)

    def contents(self, name: str, incarnation: int) -> list[Content]:
        """What ``name`` was at an incarnation: more than one only if two of its lives came to
        the same number, which a restart with a lost incarnation can do.
        """
        said = self._said.get(name, {}).get(incarnation)
        return [] if said is None else said.contents

    def lives_at(self, name: str, incarnation: int) -> list[Process]:
        """The lives of ``name`` that were at this incarnation."""
        said = self._said.get(name, {}).get(incarnation)
        return [] if said is None else said.processes

    def has_left(self, name: str, incarnation: int) -> bool:
        """True when ``name`` itself said at this incarnation that it leaves."""
        said = self._said.get(name, {}).get(incarnation)
        return said is not None and said.left


def content_of(member: Member) -> Content:
    """What a row says of its member beside its state."""
    return member.address, member.meta, member.versions
