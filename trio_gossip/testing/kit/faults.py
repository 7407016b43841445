"""What is wrong with each link while several faults are in force, which end one by one.

Three layers, from below: what :meth:`Links.set_everywhere` says, what :meth:`Links.set_link` says
of one link, and the faults in force in the order in which they began. Of faults that speak of the
same setting of the same link the one begun last counts; when it ends, the one before it counts
again, in whatever order they end. Cuts add up: a link carries when nothing cuts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeAlias

import attrs

from trio_gossip_transports.links import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from trio_gossip_transports import MemoryNetwork

Direction: TypeAlias = tuple[str | None, str | None]
"""From a host to a host; None stands for every host, also those that come later."""

EVERYWHERE: tuple[Direction, ...] = ((None, None),)
"""All directions there are."""


class Fault:
    """A fault in force: it began with the call that returned this.

    As a context manager it ends with the block. It can also be ended by :meth:`end`, or stay.
    """

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end

    def end(self) -> None:
        """End it. Once is enough; later calls do nothing."""
        end, self._end = self._end, _nothing
        end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()


def _nothing() -> None:
    """What remains to be done when a fault has ended."""


@attrs.define(eq=False)
class Disturbance:
    """One fault in force.

    Attributes:
        directions: what it concerns.
        changes: settings of :class:`~trio_gossip_transports.links.Faults`; None: it is a cut.
    """

    directions: frozenset[Direction]
    changes: dict[str, Any] | None = None

    def concerns(self, source: str, target: str) -> bool:
        """Whether it is about this direction."""
        directions = self.directions
        return (
            (source, target) in directions
            or (source, None) in directions
            or (None, target) in directions
            or (None, None) in directions
        )


class Links:
    """Every direction between hosts of one network, and the faults in force.

    Args:
        memory: is told what follows. Nobody else may tell it of faults.
        faults: those everywhere at first; ``memory`` was made with the same.
    """

    def __init__(self, memory: MemoryNetwork, faults: Faults) -> None:
        self._memory = memory
        self._below = faults
        self._own: dict[tuple[str, str], Faults] = {}
        self._in_force: list[Disturbance] = []
        self._hosts: dict[str, None] = {}
        self._told: dict[tuple[str, str], Faults] = {}
        self._cut: dict[tuple[str, str], None] = {}

    @property
    def hosts(self) -> list[str]:
        """All hosts so far, in the order of their appearance."""
        return list(self._hosts)

    def add_host(self, host: str) -> None:
        """A host appears; what is in force for every host concerns it, too."""
        if host in self._hosts:
            return
        self._hosts[host] = None
        self._apply([pair for other in self._hosts for pair in ((host, other), (other, host))])

    def set_everywhere(self, **changes: Any) -> None:
        """Change what lies below the faults, but for links that have their own."""
        self._below = attrs.evolve(self._below, **changes)
        self._apply_all()

    def set_link(self, directions: Iterable[tuple[str, str]], **changes: Any) -> None:
        """Give directions their own settings below the faults; what is not named stays as it is."""
        for pair in directions:
            self._own[pair] = attrs.evolve(self._own.get(pair, self._below), **changes)
        self._apply_all()

    def begin(
        self, directions: Iterable[Direction], changes: dict[str, Any] | None = None
    ) -> Disturbance:
        """Put a fault into force: settings, or a cut when there are none.

        Raises:
            ValueError: a setting is out of range; nothing has changed.
        """
        attrs.evolve(self._below, **(changes or {}))
        disturbance = Disturbance(frozenset(directions), changes)
        self._in_force.append(disturbance)
        self._apply_all()
        return disturbance

    def end(self, disturbance: Disturbance) -> None:
        """End one; nothing when it has ended."""
        if disturbance in self._in_force:
            self._in_force.remove(disturbance)
            self._apply_all()

    def heal(self) -> None:
        """End every cut, however it began."""
        self._in_force = [each for each in self._in_force if each.changes is not None]
        self._apply_all()

    def _apply_all(self) -> None:
        everywhere = self._with_changes(self._below, None)
        self._memory.set_faults(**attrs.asdict(everywhere))
        pairs = [(source, target) for source in self._hosts for target in self._hosts]
        # A link may be set before its hosts appear.
        self._apply(dict.fromkeys([*pairs, *self._own]))

    def _apply(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Tell the network what has changed for some directions."""
        everywhere = self._with_changes(self._below, None)
        for pair in pairs:
            if pair[0] == pair[1]:
                continue
            faults = self._with_changes(self._own.get(pair, self._below), pair)
            if faults != self._told.get(pair, everywhere):
                self._memory.set_link(*pair, one_way=True, **attrs.asdict(faults))
                # From now on it is one with settings of its own, and has to be told of all.
                self._told[pair] = faults
            is_cut = any(each.changes is None and each.concerns(*pair) for each in self._in_force)
            if is_cut and pair not in self._cut:
                self._cut[pair] = None
                self._memory.cut(*pair)
            elif not is_cut and pair in self._cut:
                del self._cut[pair]
                self._memory.mend(*pair)

    def _with_changes(self, faults: Faults, pair: tuple[str, str] | None) -> Faults:
        """Lay the faults in force over ``faults``; without a pair only those of all directions."""
        changes: dict[str, Any] = {}
        for each in self._in_force:
            if each.changes is None:
                continue
            if (None, None) in each.directions if pair is None else each.concerns(*pair):
                changes |= each.changes
        return attrs.evolve(faults, **changes) if changes else faults
