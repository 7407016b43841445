"""One key of a cluster: :class:`Key`. It never shows its secret unless it is asked for."""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import Final, Self

from trio_gossip_transports.sealing.derive import expand, extract

KEY_SIZES: Final = (16, 24, 32)
"""Bytes of AES-128, AES-192 and AES-256."""


class Key:
    """A secret of 16, 24 or 32 bytes that all members of a cluster share.

    Keys compare by their secret. ``repr`` and ``str`` show the id alone.

    Args:
        secret: the bytes.

    Raises:
        ValueError: another length.
        TypeError: no bytes.
    """

    __slots__ = ("_prk", "_secret", "id")

    _prk: bytes
    _secret: bytes
    id: bytes
    """Four bytes that name the key in the clear, computed from it one way."""

    def __init__(self, secret: bytes) -> None:
        _check(secret)
        prk = extract(secret)
        for name, value in (("_secret", secret), ("_prk", prk), ("id", expand(prk, b"id", 4))):
            object.__setattr__(self, name, value)

    @classmethod
    def generate(cls, size: int = 32) -> Self:
        """A new key from the operating system's generator.

        Raises:
            ValueError: ``size`` is not 16, 24 or 32.
        """
        if size not in KEY_SIZES:
            raise ValueError(f"a key has 16, 24 or 32 bytes, not {size}")
        return cls(secrets.token_bytes(size))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read base64, with or without padding at its end.

        Raises:
            ValueError: it is no base64 of 16, 24 or 32 bytes. The text is not in the message.
        """
        plain = text.strip().rstrip("=")
        try:
            secret = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("a key is base64 of 16, 24 or 32 bytes") from None
        return cls(secret)

    @property
    def secret(self) -> bytes:
        """The bytes. Do not print them."""
        return self._secret

    @property
    def text(self) -> str:
        """The secret as base64. Do not print it."""
        return base64.b64encode(self._secret).decode()

    @property
    def fingerprint(self) -> str:
        """The id as hexadecimal, for people: safe to print."""
        return self.id.hex()

    def derive(self, purpose: bytes, size: int | None = None) -> bytes:
        """A key for one purpose (HKDF-Expand, RFC 5869); as long as this one by default."""
        return expand(self._prk, purpose, len(self._secret) if size is None else size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key):
            return NotImplemented
        return secrets.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<Key {self.fingerprint}, {8 * len(self._secret)} bits>"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a key never changes")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a key never changes")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a key is not pickled: it would lie about in files and messages")


def _check(secret: object) -> None:
    if not isinstance(secret, bytes):
        raise TypeError(f"a key is bytes, not {type(secret).__name__}")
    if len(secret) not in KEY_SIZES:
        raise ValueError(f"a key has 16, 24 or 32 bytes, not {len(secret)}")
