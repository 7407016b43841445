"""What changes in versioned state, for the application: a snapshot, then every change."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.errors import LocalProtocolError
from trio_gossip.reading import Reading
from trio_gossip.services.state_records import Plane

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trio_gossip.services.state_records import Record, Slot

CHANGES_SUBSCRIPTIONS_MAX: Final = 1024
"""Open iterations over changes, of both views of one cluster."""


@attrs.frozen
class StateChange:
    """A key has another value than when it was told last.

    Attributes:
        owner: the member whose key it is; of a shared key who wrote the value, or had written the
            one that is gone: who deleted it is not always known.
        key: its name.
        value: the present value; None if there is none any more.
    """

    owner: str
    key: str
    value: bytes | None = attrs.field(repr=False)


class StateChanges(Reading[StateChange]):
    """An iteration over changes: first all keys as they are, then each that changes. A sync context
    manager and an async iterator; it ends when the cluster stops or it is closed.

    Nothing is missed, and nothing piles up: a key that changes again before the last change was
    read is told once, with its newest value, and one that comes and goes meanwhile not at all. So a
    reader that sleeps costs at most one entry for each key that it has seen or that there is.
    """

    def __init__(self, registry: StateChangesRegistry, plane: Plane, prefix: str) -> None:
        self.plane = plane
        self.prefix = prefix
        self._pending: OrderedDict[Slot, StateChange] = OrderedDict()
        self._told: dict[Slot, None] = {}
        super().__init__(self._pending, partial(registry.remove, self))

    def publish(self, slot: Slot, change: StateChange) -> None:
        """Note a change."""
        if change.value is None and slot not in self._told:
            self._pending.pop(slot, None)  # who reads never knew of it
            return
        self._pending[slot] = change
        self._wake()

    def _take(self) -> StateChange:
        slot, change = self._pending.popitem(last=False)
        if change.value is None:
            self._told.pop(slot, None)
        else:
            self._told[slot] = None
        return change


class StateChangesRegistry:
    """All iterations of one cluster."""

    def __init__(self) -> None:
        self._open: dict[StateChanges, None] = {}
        self._ended = False

    def __len__(self) -> int:
        return len(self._open)

    def add(self, plane: Plane, prefix: str, records: Iterable[Record]) -> StateChanges:
        """Begin an iteration, with what there is.

        Raises:
            LocalProtocolError: there are too many.
        """
        if len(self._open) >= CHANGES_SUBSCRIPTIONS_MAX:
            raise LocalProtocolError(
                f"more than {CHANGES_SUBSCRIPTIONS_MAX} iterations over changes are open"
            )
        changes = StateChanges(self, plane, prefix)
        for record in records:
            owner = record.writer if plane is Plane.STATE else ""
            changes.publish(
                (owner, record.key), StateChange(record.writer, record.key, record.value)
            )
        if self._ended:
            changes.end()
        else:
            self._open[changes] = None
        return changes

    def remove(self, changes: StateChanges) -> None:
        """Forget an iteration."""
        self._open.pop(changes, None)

    def publish(
        self, plane: Plane, slot: Slot, before: Record | None, after: Record | None
    ) -> None:
        """Tell every iteration that wants it; never blocks."""
        if not self._open:
            return
        shown = after or before
        assert shown is not None, "nothing was shown before and nothing is now"
        change = StateChange(shown.writer, slot[1], None if after is None else after.value)
        for changes in self._open:
            if changes.plane is plane and slot[1].startswith(changes.prefix):
                changes.publish(slot, change)

    def end(self) -> None:
        """The cluster has stopped: iterations end after what still waits."""
        self._ended = True
        for changes in self._open:
            changes.end()
        self._open.clear()
