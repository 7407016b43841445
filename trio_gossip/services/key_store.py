"""What the cluster-wide change of keys asks of the keys of one member."""

from __future__ import annotations

from typing import Final, Protocol

KEY_ID_BYTES: Final = 4
"""Length of a key's id, which names it where it may be read by everybody."""


class KeyStore(Protocol):
    """The keys of one member. A transport that seals gives one out as its ``keyring``.

    Calls come from within the run loop, so they never wait for the network. Texts of errors
    never hold a secret. ValueError means "not allowed", and the keys are as they were.
    """

    def ids(self) -> tuple[bytes, ...]:
        """The ids of all keys, the primary first; at least one."""
        ...

    def identify(self, secret: bytes) -> bytes:
        """The id of a key.

        Raises:
            ValueError: it is no key.
        """
        ...

    def fault(self) -> str:
        """Why keys may not be changed from afar at present, in one line; empty when they may."""
        ...

    def check_install(self, key_id: bytes) -> None:
        """Would a key of this id be taken?

        Raises:
            ValueError: no; the text says why.
        """
        ...

    def install(self, secret: bytes) -> None:
        """Add a key that opens from now on; nothing happens if it is there already.

        Raises:
            ValueError: it is no key, or there is no room.
        """
        ...

    def use(self, key_id: bytes) -> None:
        """Make a key the primary: it seals from now on.

        Raises:
            ValueError: it is not there.
        """
        ...

    def remove(self, key_id: bytes, *, leaked: bool) -> None:
        """Take a key away; nothing happens if it is not there. A ``leaked`` one is good for
        nothing any more from now on, also if it was removed before.

        Raises:
            ValueError: it is the primary.
        """
        ...
