"""CBOR from strangers: flat arrays, no tags, no maps, no byte left over.

``cbor2`` decodes everything that RFC 8949 allows, and a good part of that is a weapon: a
regular-expression tag costs 300 ms for one packet, shared references build cycles, big
numbers collide in hashes on purpose. This door lets numbers, text, bytes and arrays pass.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final, NoReturn

from cbor2 import CBORDecoder, CBORError

from trio_gossip.codec.base import DecodeError

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


def load_arrays_untrusted(data: bytes, start: int, count: int) -> list[list[Any]]:
    """Decode ``count`` short, flat arrays that fill ``data`` from ``start`` to its end.

    Each head is looked at before cbor2 sees the array: 1 to 23 items, none of them an array or a
    map. So a packet makes no more objects than its number of messages allows: cbor2 alone is
    busy for 8 ms with 65,000 empty arrays or simple values.

    Raises:
        DecodeError: with reason ``"cbor"``, ``"shape"`` or ``"trailing"``; nothing else.
    """
    stream = BytesIO(data)
    stream.seek(start)
    arrays: list[list[Any]] = []
    try:
        # A fresh decoder for each packet: a reused one has leaked values between inputs before
        # (CVE-2025-68131). What it could carry from one array of a packet to the next are
        # shared references, and their tags are refused.
        decode = CBORDecoder(
            stream,
            max_depth=1,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            tag_hook=_refuse,
            object_hook=_refuse,
            semantic_decoders=_REFUSALS,
        ).decode
        for _ in range(count):
            if not b"\x81" <= data[start : start + 1] <= b"\x97":
                break
            arrays.append(decode())
            start = stream.tell()
    except (CBORError, ValueError, EOFError, RecursionError, MemoryError) as error:
        raise DecodeError("cbor") from error
    if len(arrays) < count:
        raise DecodeError("shape" if start < len(data) else "cbor")
    if start != len(data):
        raise DecodeError("trailing")
    return arrays
