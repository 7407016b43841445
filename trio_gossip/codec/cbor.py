"""CBOR from strangers: one item, no tags, no maps of surprises, no byte left over.

``cbor2`` decodes everything that RFC 8949 allows, and a good part of that is a weapon: a
regular-expression tag costs 300 ms for one packet, shared references build cycles, big
numbers collide in hashes on purpose. This door lets numbers, text, bytes and arrays pass.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final, NoReturn

from cbor2 import CBORDecoder, CBORError

from trio_gossip.codec.base import DecodeError

DEPTH_MAX: Final = 4
"""Deepest nesting in use: frame, list of records, record, field."""

_TAGS_WITH_DECODERS: Final = (
    *(0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100),
    *(256, 258, 260, 261, 1004, 43000, 55799),
)
"""Tags that cbor2 6.3 decodes by itself. ``tag_hook`` sees only the others, so each of these
is overridden; a test runs through all tags, should a later cbor2 learn a new one."""


class _TagError(ValueError):
    """A tag of any kind was met."""


def _refuse(*_: object) -> NoReturn:
    raise _TagError


_REFUSALS: Final[dict[int, Any]] = dict.fromkeys(_TAGS_WITH_DECODERS, _refuse)


def load_untrusted(data: bytes) -> object:
    """Decode exactly one CBOR item that fills ``data``. The caller checks types and ranges.

    Raises:
        DecodeError: with reason ``"cbor"`` or ``"trailing"``; nothing else.
    """
    stream = BytesIO(data)
    try:
        # A fresh decoder for each item: a reused one has leaked values between items before
        # (CVE-2025-68131). tell() then gives the exact end of the item.
        item: object = CBORDecoder(
            stream,
            max_depth=DEPTH_MAX,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            tag_hook=_refuse,
            semantic_decoders=_REFUSALS,
        ).decode()
    except (CBORError, ValueError, EOFError, RecursionError, MemoryError) as error:
        raise DecodeError("cbor") from error
    if stream.tell() != len(data):
        raise DecodeError("trailing")
    return item
