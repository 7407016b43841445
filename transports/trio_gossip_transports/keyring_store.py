"""A keyring as ``cluster.keys`` sees it: keys by their ids, and when they may be changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from trio_gossip_transports.keyring import KEYS_MAX, Keyring, KeyringError
from trio_gossip_transports.keys import Key

if TYPE_CHECKING:
    from trio_gossip_transports.keyring import KeyringSnapshot


class KeyringStore:
    """A :class:`~trio_gossip.KeyStore` over a :class:`Keyring`.

    Args:
        keyring: the keys.
        fault: says why they may not be changed from afar at present; an empty text if they may.
    """

    def __init__(self, keyring: Keyring, fault: Callable[[], str]) -> None:
        self._keyring = keyring
        self._fault = fault

    def ids(self) -> tuple[bytes, ...]:
        """The ids of all keys, the primary first."""
        return tuple(key.id for key in self._ring.keys)

    def identify(self, secret: bytes) -> bytes:
        """The id of a key; ValueError if it is none."""
        return Key(secret).id

    def fault(self) -> str:
        """Why keys may not be changed from afar at present; empty when they may."""
        return self._fault()

    def check_install(self, key_id: bytes) -> None:
        """Raise KeyringError if there is no room for another key."""
        if len(self._ring.keys) >= KEYS_MAX and self._ring.find(key_id) is None:
            raise KeyringError(f"its keyring is full: {KEYS_MAX} keys")

    def install(self, secret: bytes) -> None:
        """Add a key."""
        self._keyring.install(secret)

    def use(self, key_id: bytes) -> None:
        """Make a key the primary; KeyringError if it is not there."""
        key = self._ring.find(key_id)
        if key is None:
            raise KeyringError(f"key {key_id.hex()} is not installed")
        self._keyring.use(key)

    def remove(self, key_id: bytes, *, leaked: bool) -> None:
        """Take a key away; KeyringError if it is the primary."""
        key = self._ring.find(key_id)
        if key is not None:
            self._keyring.remove(key, grace=0.0 if leaked else None)
        elif leaked:
            self._keyring.forget(key_id)

    @property
    def _ring(self) -> KeyringSnapshot:
        return self._keyring.snapshot

    def __repr__(self) -> str:
        return f"<KeyringStore of {self._keyring!r}>"
