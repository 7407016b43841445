"""What packets and streams of the memberlist format share: version, nonce, AES-GCM, trial of keys.

The bytes are ``version | nonce 12 | ciphertext and tag 16``. Version 1, the only one that is made
here, seals the content as it is; version 0 pads it to blocks of 16 bytes. Nothing names the key, so
that a receiver tries all keys of its ring in their order, eight at most.

What the format does not do, whoever implements it:

* No replay protection. Whatever was recorded opens again, at every member, while its key is on the
  ring.
* Nonces are random, and the key is the same at all members. So 2**32 messages of the *whole*
  cluster is the limit for a key (NIST SP 800-38D): 25 days at 2,000 packets a second.
* The version is not authenticated. Somebody without a key can turn a recorded version 1 into a
  version 0, or the reverse. Padding is checked strictly here, so that this passes only where the
  content happens to end like padding, and then it cuts off at most 16 bytes, or adds as many.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip_transports.keyring import Keyring, KeyringSnapshot

LABEL: Final = 0xF4
"""First byte of the label header: ``F4 | length 1 | label``, in the clear, before all else."""

SEALED_BYTES: Final = 29
"""Version, nonce and tag: what sealing adds in version 1."""

BLOCK_BYTES: Final = 16
"""Version 0 pads to these, with 1 to 16 bytes."""

_NONCE_BYTES: Final = 12
_PADDED: Final = 0
_PLAIN: Final = 1
_VERSION: Final = bytes((_PLAIN,))


class Flaw(StrEnum):
    """Why sealed bytes were not opened."""

    SHORT = "short"
    VERSION = "version"
    UNKNOWN_KEY = "unknown_key"
    PADDING = "padding"


class MemberlistCipher:
    """Seals with the primary key, opens with the first key that fits.

    Args:
        keyring: the keys; read anew whenever it changes.
        entropy: random bytes; the operating system's, but for tests.
    """

    def __init__(self, keyring: Keyring, *, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._keyring = keyring
        self._entropy = entropy
        self._read_keyring()

    def _read_keyring(self) -> KeyringSnapshot:
        ring = self._ring = self._keyring.snapshot
        self._ciphers = [AESGCM(key.secret) for key in ring.keys]
        return ring

    def seal(self, data: bytes, bound: bytes) -> bytes:
        """Seal under a fresh random nonce.

        Args:
            data: the content.
            bound: what the receiver must present too, the associated data.
        """
        return self._seal(self._entropy(_NONCE_BYTES), data, bound)

    def seal_always_alike(self, data: bytes, bound: bytes) -> bytes:
        """Seal something that is the same each time, to the same bytes.

        For answers to strangers: they could use up random nonces otherwise. The nonce is
        derived from the key and all that is sealed, so that another content has another one.
        """
        key = self._keyring.snapshot.primary
        purpose = b"memberlist always alike" + len(data).to_bytes(8, "big") + data + bound
        return self._seal(key.derive(purpose, _NONCE_BYTES), data, bound)

    def _seal(self, nonce: bytes, data: bytes, bound: bytes) -> bytes:
        if self._keyring.snapshot is not self._ring:
            self._read_keyring()
        return _VERSION + nonce + self._ciphers[0].encrypt(nonce, data, bound)

    def open_untrusted(self, sealed: bytes, bound: bytes) -> bytes | Flaw:
        """The content, or why there is none. Never raises for what is in ``sealed``."""
        if self._keyring.snapshot is not self._ring:
            self._read_keyring()
        if len(sealed) < SEALED_BYTES:
            return Flaw.SHORT
        version = sealed[0]
        if version > _PLAIN:
            return Flaw.VERSION
        if version == _PADDED and len(sealed) < SEALED_BYTES + BLOCK_BYTES:
            return Flaw.SHORT
        nonce, secret = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        for cipher in self._ciphers:
            try:
                data = cipher.decrypt(nonce, secret, bound)
            except InvalidTag:
                continue
            return data if version == _PLAIN else _unpadded(data)
        return Flaw.UNKNOWN_KEY


def label_header(label: bytes) -> bytes:
    """What stands before every packet and at the beginning of a dialled stream; nothing for
    no label.
    """
    return bytes((LABEL, len(label))) + label if label else b""


def _unpadded(data: bytes) -> bytes | Flaw:
    """Without the padding of version 0 (PKCS #7)."""
    size = data[-1]
    if not 1 <= size <= BLOCK_BYTES or len(data) % BLOCK_BYTES:
        return Flaw.PADDING
    if data[-size:] != bytes((size,)) * size:
        return Flaw.PADDING
    return data[:-size]
