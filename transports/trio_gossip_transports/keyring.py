"""The keys of a node: :class:`Keyring`, changed live, read as immutable snapshots."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, Self

import attrs

from trio_gossip_transports.key_file import read_key_file, write_keys
from trio_gossip_transports.keys import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from os import PathLike

    from trio_gossip_transports.key_file import KeyFile

KEYS_MAX: Final = 8
"""Keys on a ring. More are refused: rotate, and remove the old ones."""

RETIRED_MAX: Final = 8
"""Removed keys that are remembered for their grace; beyond it the oldest is forgotten."""

FORMER_MAX: Final = 64
"""Ids of former primary keys that are remembered; beyond it the oldest is forgotten."""

GRACE_SECONDS: Final = 86_400.0
"""How long a member that was away may show a removed key to be brought up: a day."""

FELLOWS_SECONDS: Final = 600.0
"""How long a member that was brought up still does so for others with its former key; not longer
than the grace."""

_log = logging.getLogger(__name__)


class KeyringError(ValueError):
    """A change of a keyring that is not allowed. The caller's fault; the ring is as it was."""


@attrs.frozen
class Retired:
    """A removed key until ``until``, in monotonic seconds."""

    key: Key
    until: float


@attrs.frozen
class KeyringSnapshot:
    """All keys at one moment. Never changed, so that every thread and task may read it.

    Attributes:
        keys: the primary key first; each opens, the first one seals.
        retired: removed keys within their grace: good for nothing but to be brought up.
        former: ids of keys that were the primary here and are not any more, or were removed
            without grace; the last one at the end. Whoever calls one of them the newer key is
            itself behind, and must not take us back to it.
    """

    keys: tuple[Key, ...]
    retired: tuple[Retired, ...] = ()
    former: tuple[bytes, ...] = ()
    _by_id: dict[bytes, Key] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {key.id: key for key in self.keys})

    @property
    def primary(self) -> Key:
        """The key that seals."""
        return self.keys[0]

    def find(self, key_id: bytes) -> Key | None:
        """The key with this id."""
        return self._by_id.get(key_id)

    def find_retired(self, key_id: bytes, now: float) -> Key | None:
        """A removed key with this id that is still within its grace."""
        for retired in self.retired:
            if retired.key.id == key_id and now < retired.until:
                return retired.key
        return None


class Keyring:
    """Up to eight keys. The first one is the primary: it seals; all open.

    Args:
        keys: bytes, base64 texts or :class:`Key`; the primary first. Repeated ones count once.
        grace: seconds for which a removed key still authenticates a member that was away
            during a rotation, so that it can be brought up; 0.0 for never. Whoever holds a
            removed key within its grace can get the new ones: after a leak remove with
            ``grace=0.0``.
        path: a key file to write after each change; see :meth:`load`.
        clock: monotonic seconds.

    Raises:
        KeyringError: no key, too many, or one that is none.
    """

    def __init__(
        self,
        keys: Iterable[Key | bytes | str],
        *,
        grace: float = GRACE_SECONDS,
        path: str | PathLike[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if isinstance(keys, Key | bytes | str):
            raise TypeError("a keyring takes a list of keys")
        found = tuple(dict.fromkeys(_key_of(key) for key in keys))
        if not found:
            raise KeyringError("a keyring needs at least one key")
        if len(found) > KEYS_MAX:
            raise KeyringError(f"{len(found)} keys, at most {KEYS_MAX} are allowed")
        if len({key.id for key in found}) < len(found):
            raise KeyringError("two of these keys have the same id; generate another one")
        if not grace >= 0.0:
            raise KeyringError(f"a grace of {grace} seconds")
        self.grace = grace
        self.path = path
        self.save_failures = 0
        """How often the file could not be written after a change."""
        self._clock = clock
        self._snapshot = KeyringSnapshot(found)

    @property
    def snapshot(self) -> KeyringSnapshot:
        """The keys as they are now; another object after each change."""
        return self._snapshot

    def list(self) -> tuple[Key, ...]:
        """All keys, the primary first."""
        return self._snapshot.keys

    def install(self, key: Key | bytes | str) -> None:
        """Add a key that opens from now on; nothing happens if it is there already.

        Raises:
            KeyringError: there are eight keys already, or it is none.
        """
        new = _key_of(key)
        ring = self._snapshot
        if new in ring.keys:
            return
        if len(ring.keys) == KEYS_MAX:
            raise KeyringError(f"the keyring is full: {KEYS_MAX} keys; remove one first")
        if ring.find(new.id) is not None:
            raise KeyringError("another key has the same id; generate another one")
        retired = tuple(old for old in ring.retired if old.key != new)
        former = tuple(old for old in ring.former if old != new.id)
        self._change(KeyringSnapshot((*ring.keys, new), retired, former))

    def use(self, key: Key | bytes | str) -> None:
        """Make an installed key the primary: it seals from now on.

        Raises:
            KeyringError: it is not installed.
        """
        primary = self._installed(key)
        ring = self._snapshot
        others = tuple(other for other in ring.keys if other != primary)
        former = _former(primary, (*ring.former, ring.primary.id))
        self._change(attrs.evolve(ring, keys=(primary, *others), former=former))

    def remove(self, key: Key | bytes | str, *, grace: float | None = None) -> None:
        """Take a key away: it opens nothing from now on.

        Args:
            key: the key.
            grace: seconds; by default that of the ring.

        Raises:
            KeyringError: it is the primary, or not installed.
        """
        old = self._installed(key)
        ring = self._snapshot
        if old == ring.primary:
            raise KeyringError("the primary key cannot be removed; use another one first")
        now = self._clock()
        retired = [each for each in ring.retired if now < each.until and each.key != old]
        seconds = self.grace if grace is None else grace
        former = ring.former
        if seconds > 0.0:
            retired.append(Retired(old, now + seconds))
        else:
            former = _former(ring.primary, (*former, old.id))
        keys = tuple(other for other in ring.keys if other != old)
        self._change(KeyringSnapshot(keys, tuple(retired[-RETIRED_MAX:]), former))

    def forget(self, key_id: bytes) -> None:
        """End the grace of a removed key. Also one that was never here is not taken then from who
        is behind; nothing happens to one that is installed.
        """
        ring = self._snapshot
        if ring.find(key_id) is None:
            retired = tuple(old for old in ring.retired if old.key.id != key_id)
            former = _former(ring.primary, (*ring.former, key_id))
            self._change(attrs.evolve(ring, retired=retired, former=former))

    def replace(self, keys: Iterable[Key]) -> None:
        """Take over the keys of a member that has been there while this one was away.

        Others may have been away together with it. For :data:`FELLOWS_SECONDS` they are brought up
        by this one in turn, if they come with the key that it had: or it would have left them.

        Raises:
            KeyringError: none, or too many.
        """
        ring, now = Keyring(keys)._snapshot, self._clock()
        before = self._snapshot.primary
        former = _former(ring.primary, (*self._snapshot.former, before.id))
        retired = [each for each in self._snapshot.retired if now < each.until]
        seconds = min(self.grace, FELLOWS_SECONDS)
        if seconds > 0.0:
            retired.append(Retired(before, now + seconds))
        kept = [each for each in retired if each.key not in ring.keys]
        self._change(KeyringSnapshot(ring.keys, tuple(kept[-RETIRED_MAX:]), former))

    def find_retired(self, key_id: bytes) -> Key | None:
        """A removed key with this id that is still within its grace."""
        return self._snapshot.find_retired(key_id, self._clock())

    def _change(self, ring: KeyringSnapshot) -> None:
        """Take new keys, and write them down before anybody is told that they are there.

        That holds up the run loop for the milliseconds of an fsync, a few times in a rotation:
        a member that says "installed" and has lost the key after a crash would be worse. A disk
        that is full must not keep a member from following the others, so a failure is only told.
        """
        is_new = ring != self._snapshot
        self._snapshot = ring
        if self.path is None or not is_new:
            return
        try:
            self.save(self.path)
        except OSError as error:
            self.save_failures += 1
            reason = error.strerror or type(error).__name__
            _log.warning("the keyring was changed but not written to %s: %s", self.path, reason)

    def _installed(self, key: Key | bytes | str) -> Key:
        found = _key_of(key)
        if found not in self._snapshot.keys:
            raise KeyringError(f"key {found.fingerprint} is not installed")
        return found

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        grace: float = GRACE_SECONDS,
        autosave: bool = False,
    ) -> Self:
        """Read a key file: one base64 key on each line, the primary first. Removed keys that are
        still in it keep what is left of their grace.

        Args:
            path: the file.
            grace: as for a new ring, and the most that is left to a removed key.
            autosave: write the file again after each change, also one that other members made.
                If that fails the change stands; it is logged and counted in ``save_failures``.

        Raises:
            KeyringError: others can read the file, or it holds no keys.
            OSError: it cannot be read.
        """
        try:
            file = read_key_file(path)
            ring = cls(file.keys, grace=grace, path=path if autosave else None)
        except ValueError as error:
            raise KeyringError(f"{path}: {error}") from None
        ring._remember(file)
        return ring

    def _remember(self, file: KeyFile) -> None:
        """Know after a restart what was removed or in use before it; the grace goes on."""
        now, unix = self._clock(), time.time()
        retired = [
            Retired(key, now + min(until - unix, self.grace))
            for key, until in file.retired
            if until > unix and key not in self._snapshot.keys and self.grace > 0.0
        ]
        kept = tuple(retired[-RETIRED_MAX:])
        former = _former(self._snapshot.primary, file.former)
        self._snapshot = attrs.evolve(self._snapshot, retired=kept, former=former)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a key file that only this user can read, all of it or nothing.

        Removed keys within their grace are in it, marked as such: or a member that was away would
        be locked out by a restart of those that know its key. So are the ids of former keys.

        Raises:
            OSError: it cannot be written; a former file is as it was.
        """
        ring, now, unix = self._snapshot, self._clock(), time.time()
        retired = [(old.key, unix + old.until - now) for old in ring.retired if now < old.until]
        write_keys(path, ring.keys, retired, ring.former)

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(key.fingerprint for key in self._snapshot.keys)}>"


def _former(primary: Key, ids: Iterable[bytes]) -> tuple[bytes, ...]:
    """Ids of former keys, each once, the last one at the end, without that of the primary."""
    latest = [each for each in dict.fromkeys(reversed(tuple(ids))) if each != primary.id]
    return tuple(reversed(latest[:FORMER_MAX]))


def _key_of(key: Key | bytes | str) -> Key:
    if isinstance(key, Key):
        return key
    try:
        return Key.parse(key) if isinstance(key, str) else Key(key)
    except ValueError as error:
        raise KeyringError(str(error)) from None
