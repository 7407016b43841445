"""``cluster.state`` and ``cluster.shared``: small values that every member holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trio_gossip.errors import LocalProtocolError
from trio_gossip.members import Member
from trio_gossip.services.state import STATE_SERVICE, StateWrite
from trio_gossip.services.state_records import Plane

if TYPE_CHECKING:
    from trio_gossip.driver import Driver
    from trio_gossip.services.state_records import Record
    from trio_gossip.state_changes import StateChanges


@attrs.frozen
class StateItem:
    """A key and its value.

    Attributes:
        owner: the member whose key it is; of a shared key who wrote it.
        key: its name.
        value: the present value.
    """

    owner: str
    key: str
    value: bytes = attrs.field(repr=False)


class _View:
    """What both views have in common. Reading and writing never block: a value is here at once, and
    at the others a few milliseconds later.
    """

    _plane: Plane

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def set(self, key: str, value: bytes) -> None:
        """Write a value.

        Args:
            key: 1 to 256 bytes of UTF-8.
            value: at most 64 KiB; up to about a kilobyte it travels as gossip. Longer ones are
                announced, and each member fetches them by stream from one that has them.

        Raises:
            LocalProtocolError: the key or the value is too long, a limit on records or bytes is
                reached, or this member has left. Nothing has changed.
        """
        _check_bytes(value)
        self._write(key, value)

    def delete(self, key: str) -> bool:
        """Delete a key; False when there was none. A deleted key does not come back.

        Raises:
            LocalProtocolError: there is no room to remember it, or this member has left.
        """
        known = self._record(key, self._writes_of) is not None
        self._write(key, None)
        return known

    def changes(self, prefix: str = "") -> StateChanges:
        """Iterate over what there is and then over what changes; see :class:`StateChanges`.

        Raises:
            LocalProtocolError: too many such iterations are open.
        """
        _check_text("prefix", prefix)
        driver = self._driver
        records = driver.state.replica(self._plane).items(prefix)
        return driver.state_changes.add(self._plane, prefix, records)

    @property
    def _writes_of(self) -> str:
        """Whose keys this member writes here; empty for those of the cluster."""
        return ""

    def _record(self, key: str, owner: str) -> Record | None:
        _check_text("key", key)
        return self._driver.state.replica(self._plane).get((owner, key))

    def _write(self, key: str, value: bytes | None) -> None:
        _check_text("key", key)
        driver = self._driver
        if driver.stopped:
            raise LocalProtocolError("the cluster has stopped")
        write = StateWrite(self._plane, key, value)
        driver.tell(driver.engine.call_service, STATE_SERVICE, write)


class ClusterState(_View):
    """Keys of members: each writes its own, all read all. See :attr:`Cluster.state`.

    A member's keys are there as long as it is in the table: they go when it is reaped, and when it
    restarts it begins without any.
    """

    _plane = Plane.STATE

    def get(self, key: str, member: Member | str | None = None) -> bytes | None:
        """The value of a key of a member, by default of this one; None if there is none."""
        record = self._record(key, self._owner(member))
        return None if record is None else record.value

    def items(self, prefix: str = "", member: Member | str | None = None) -> list[StateItem]:
        """All keys that begin with ``prefix``, of one member or of all, sorted by key and owner."""
        _check_text("prefix", prefix)
        owner = None if member is None else self._owner(member)
        return _items(self._driver.state.replica(self._plane).items(prefix, owner))

    @property
    def _writes_of(self) -> str:
        return self._driver.config.name

    def _owner(self, member: Member | str | None) -> str:
        if member is None:
            return self._writes_of
        if isinstance(member, Member):
            return member.name
        _check_text("member", member)
        return member


class ClusterShared(_View):
    """Keys of the cluster: every member writes them, and the last writer wins, by a hybrid logical
    clock and then by name. See :attr:`Cluster.shared`.

    They stay when who wrote them is gone. Two members that write one key at the same time do not
    notice each other: one of the values wins everywhere.
    """

    _plane = Plane.SHARED

    def get(self, key: str) -> bytes | None:
        """The value of a key; None if there is none."""
        record = self._record(key, self._writes_of)
        return None if record is None else record.value

    def items(self, prefix: str = "") -> list[StateItem]:
        """All keys that begin with ``prefix``, sorted; ``owner`` is who wrote the value."""
        _check_text("prefix", prefix)
        return _items(self._driver.state.replica(self._plane).items(prefix))


def _items(records: list[Record]) -> list[StateItem]:
    return [
        StateItem(record.writer, record.key, record.value)
        for record in records
        if record.value is not None
    ]


def _check_bytes(value: object) -> None:
    if not isinstance(value, bytes):
        raise TypeError(f"value must be bytes, not {type(value).__name__}")


def _check_text(what: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{what} must be text, not {type(value).__name__}")
