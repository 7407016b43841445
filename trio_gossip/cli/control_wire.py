"""The words of the control socket: flat CBOR arrays, each with its length before it.

A request is one array: version, command, arguments. An answer is any number of rows and then an
end, an array each: version, ``"row"`` and its values; version, ``"done"``; or version, ``"error"``
and a text. Only the first item has its place in all versions, so that each side can say clearly
that the other one is of another version.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import attrs
import cbor2

from trio_gossip.codec.base import DecodeError
from trio_gossip.codec.cbor import load_arrays_untrusted

VERSION: Final = 1
"""Of this protocol. Another one is refused in words, on both sides."""

FRAME_BYTES_MAX: Final = 65_536
"""Longest array, encoded. A longer one is refused by its length, before it is kept."""

TEXT_CHARACTERS_MAX: Final = 500
"""Longest text or bytes in an answer; what is longer is cut. Names, addresses and metadata fit,
and 23 such texts fit a frame."""

ROWS_MAX: Final = 200_000
"""Rows of one answer that the command takes: a table of members as large as any."""

ROW: Final = "row"
DONE: Final = "done"
ERROR: Final = "error"

_LENGTH_BYTES: Final = 4
_ITEMS: Final = 23
"""Most items of an array, as the decoder for strangers has it."""
_INTEGER_END: Final = 2**64
_META_BYTES: Final = 512

Row: TypeAlias = Sequence[Any]
Tree: TypeAlias = dict[str, Any]


class ControlWireError(ValueError):
    """Bytes that are no request or no answer. The connection is of no use any more."""


class Frames:
    """Takes bytes as they come and gives whole arrays. Holds one frame at most, and one read."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed_untrusted(self, data: bytes) -> None:
        """Add what was read."""
        self._data += data

    def next_untrusted(self) -> list[Any] | None:
        """The next array, with its version first; None while it is not whole.

        Raises:
            ControlWireError: a length that is not allowed, or bytes that are no such array.
        """
        data = self._data
        if len(data) < _LENGTH_BYTES:
            return None
        size = int.from_bytes(data[:_LENGTH_BYTES], "big")
        if not 0 < size <= FRAME_BYTES_MAX:
            raise ControlWireError(f"a frame of {size} bytes; at most {FRAME_BYTES_MAX}")
        end = _LENGTH_BYTES + size
        if len(data) < end:
            return None
        body = bytes(data[_LENGTH_BYTES:end])
        del data[:end]
        try:
            (items,) = load_arrays_untrusted(body, 0, 1)
        except DecodeError as error:
            raise ControlWireError(f"no flat CBOR array ({error})") from error
        if type(items[0]) is not int:
            raise ControlWireError("no version in the first place")
        return items


def pack(*items: Any) -> bytes:
    """An array of this version as bytes, with its length.

    Args:
        items: at most 22 numbers, texts, bytes, truth values or None. Texts are cut where they
            are too long, so that whatever an answer tells fits.
    """
    assert len(items) < _ITEMS
    body = cbor2.dumps([VERSION, *map(_fitting, items)])
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def _fitting(item: Any) -> Any:
    if isinstance(item, str):  # an error's text may hold half a surrogate pair, from a path
        return item[:TEXT_CHARACTERS_MAX].encode(errors="backslashreplace").decode()
    if isinstance(item, bytes):
        return item[: max(TEXT_CHARACTERS_MAX, _META_BYTES)]
    if isinstance(item, int) and not -_INTEGER_END <= item < _INTEGER_END:
        return str(item)
    return item


# -- trees ------------------------------------------------------------------------------


def tree_of(value: Any) -> Any:
    """Statistics of any class as dicts, lists and plain values."""
    kind: type[Any] = value.__class__
    if attrs.has(kind):
        fields = attrs.fields(kind)
        return {field.name: tree_of(getattr(value, field.name)) for field in fields}
    if issubclass(kind, Mapping):
        return {str(tree_of(key)): tree_of(each) for key, each in value.items()}
    if issubclass(kind, list | tuple):
        return [tree_of(each) for each in value]
    if issubclass(kind, enum.Enum):
        return value.value
    if value is None or issubclass(kind, str | bytes | bool | int | float):
        return value
    return str(value)


def rows_of(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[Row]:
    """A tree as rows: ``"value"``, ``"list"`` or ``"tree"`` (an empty one), how long the path is,
    the path, the values.

    Lists have plain values in them, so many that they fit beside the path; further ones are cut.
    """
    for name, value in tree.items():
        here, kind = (*path, name), value.__class__
        if kind is dict and value:
            yield from rows_of(value, here)
        elif kind is dict:
            yield ("tree", len(here), *here)
        elif kind is list:
            yield ("list", len(here), *here, *value[: _ITEMS - len(here) - 4])
        else:
            yield ("value", len(here), *here, value)


def tree_from(rows: Iterable[Row]) -> Tree:
    """The tree again.

    Raises:
        ControlWireError: the rows are none of a tree.
    """
    tree: Tree = {}
    for row in rows:
        match row:
            case ["value" | "list" | "tree" as kind, int(depth), *items] if 0 < depth <= len(items):
                *path, name = items[:depth]
                values = items[depth:]
            case _:
                raise ControlWireError("a row that is none of a tree")
        if not all(isinstance(each, str) for each in (*path, name)):
            raise ControlWireError("a path that is no text")
        if kind != "list" and len(values) != (kind == "value"):
            raise ControlWireError("not one value")
        place = tree
        for each in path:
            below = place.setdefault(each, {})
            if not isinstance(below, dict):
                raise ControlWireError("a path through a value")
            place = cast("Tree", below)
        place[name] = values[0] if kind == "value" else list(values) if kind == "list" else {}
    return tree
