"""Payloads that say themselves if they are whole: scenarios send them, a checker looks at them."""

from __future__ import annotations

import zlib
from typing import Final

_HEAD: Final = b"sealed "
_DIGITS: Final = 8
HEAD_BYTES: Final = len(_HEAD) + 2 * _DIGITS + 1
"""What the seal takes of a payload; shorter ones go without."""


def sealed(mark: bytes, size: int) -> bytes:
    """A payload of ``size`` bytes that carries its length, its checksum and as much of ``mark`` as
    has room. One too short for the seal is the beginning of the mark.
    """
    if size < HEAD_BYTES:
        return mark.ljust(size, b".")[:size]
    body = mark.ljust(size, b".")[: size - HEAD_BYTES]
    return _HEAD + b"%08x%08x " % (size, zlib.crc32(body)) + body


def is_whole(payload: bytes) -> bool | None:
    """True for a payload as it was sealed, False for a damaged one, None for one without a seal."""
    if not payload.startswith(_HEAD):
        return None
    body = payload[HEAD_BYTES:]
    return payload[len(_HEAD) : HEAD_BYTES] == b"%08x%08x " % (len(payload), zlib.crc32(body))
