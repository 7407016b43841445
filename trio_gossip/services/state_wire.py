"""The bytes of versioned state: a record that is news, what is asked, what is answered."""

from __future__ import annotations

from itertools import chain
from typing import Any, Final

from cbor2 import dumps

from trio_gossip.codec import DecodeError
from trio_gossip.codec.cbor import load_arrays_untrusted
from trio_gossip.codec.fields import data, flag, name, uint64
from trio_gossip.services.state_delta import Announced, Ask, Chunk, Closing, Legs
from trio_gossip.services.state_records import (
    COVERS_MAX,
    GENERATION_MAX,
    KEY_BYTES_MAX,
    STAMP_MAX,
    VALUE_BYTES_MAX,
    VERSION_MAX,
    Plane,
    Record,
)
from trio_gossip.services.state_vector import VECTOR_ENTRIES_MAX, Fold, Life, Vector

STATE_VERSION: Final = 1
"""First item of each message; another one is refused."""

LISTED_MAX: Final = 2**17
"""Versions that one answer lists: twice the records that a plane holds by default."""

_COUNT_BYTES: Final = 4
"""Vectors and chunks are flat arrays in a row, and their number goes before them."""

_RECORD_ITEMS: Final = 6
_ASK_ITEMS: Final = 7
_ANNOUNCED_ITEMS: Final = 6
_HEAD_ITEMS: Final = 13


def encode_news(plane: Plane, record: Record) -> bytes:
    """One record, for a broadcast."""
    return dumps([STATE_VERSION, int(plane), *_record_items(record)])


def encode_announced(news: Announced) -> bytes:
    """That there is a record: for a broadcast, and to ask for it."""
    return dumps([STATE_VERSION, int(news.plane), *news.dot, news.key])


def parse_news_untrusted(payload: bytes) -> tuple[Plane, Record] | Announced:
    """Read one record, or that there is one.

    Raises:
        DecodeError: it is neither.
    """
    (items,) = load_arrays_untrusted(payload, 0, 1)
    if len(items) < 2:
        raise DecodeError("shape")
    plane = _plane(items)
    if len(items) != _ANNOUNCED_ITEMS:
        return plane, _record(items[2:])
    writer, gen = _life(items[2:5])
    return Announced(plane, writer, gen, _within(items[4], 1, VERSION_MAX), _key(items[5]))


def parse_announced_untrusted(payload: bytes) -> Announced:
    """Read for which record a member asks.

    Raises:
        DecodeError: for none.
    """
    news = parse_news_untrusted(payload)
    if not isinstance(news, Announced):
        raise DecodeError("shape")
    return news


def is_fetch(payload: bytes) -> bool:
    """True for a question for one record, which is an announcement; the others begin with how many
    arrays they have, and that is never so many.
    """
    return payload[:1] > b"\0"


def encode_ask(ask: Ask) -> bytes:
    """What a member has seen, from where it wants the next chunk, and who may ask."""
    vector = ask.seen
    head = [STATE_VERSION, int(vector.plane), vector.mark, ask.cursor, int(ask.legs)]
    head += [len(vector.tops), len(vector.folds)]
    return _rows([head, *_numbered(vector.tops), *_folds(vector.folds)])


def parse_ask_untrusted(payload: bytes) -> Ask:
    """Read a question.

    Raises:
        DecodeError: it is none.
    """
    head, rows = _split(payload, _ASK_ITEMS)
    plane = _plane(head)
    tops, folds = _take(rows, head[5:])
    vector = Vector(plane, uint64(head[2]), _numbers(tops, 0), _read_folds(plane, folds))
    return Ask(vector, uint64(head[3]), Legs(_within(head[4], 0, max(Legs))))


def encode_chunk(chunk: Chunk) -> bytes:
    """A part of an answer."""
    closing = chunk.closing
    ends = closing if closing is not None else Closing({}, {}, {}, 0, False, {})
    head = [STATE_VERSION, int(chunk.plane), chunk.mark, chunk.source, chunk.cursor]
    head += [closing is not None, ends.resets, ends.horizon]
    parts = [
        [_record_items(record) for record in chunk.records],
        _numbered(ends.tops),
        _folds(ends.folds),
        _numbered(ends.floors),
        [[*life, _pack(versions)] for life, versions in ends.listed.items()],
    ]
    return _rows([[*head, *map(len, parts)], *chain.from_iterable(parts)])


def parse_chunk_untrusted(payload: bytes) -> Chunk:
    """Read a part of an answer.

    Raises:
        DecodeError: it is none.
    """
    head, rows = _split(payload, _HEAD_ITEMS)
    plane = _plane(head)
    records, tops, folds, floors, listed = _take(rows, head[8:])
    read = tuple(map(_record, records))
    if len({record.dot for record in read}) < len(read):
        raise DecodeError("field")
    horizon = _within(head[7], 0, STAMP_MAX)
    closing = Closing(
        _numbers(tops, 0),
        _read_folds(plane, folds),
        _numbers(floors, 1),
        horizon,
        flag(head[6]),
        _lists(listed),
    )
    ends = flag(head[5])
    if not ends and (rows[len(records) :] or closing.resets or horizon):
        raise DecodeError("field")
    if closing.resets != bool(floors or folds) or (not closing.resets and (listed or horizon)):
        raise DecodeError("field")
    if plane is Plane.STATE and horizon:
        raise DecodeError("field")
    if any(floor > closing.tops.get(life, 0) for life, floor in closing.floors.items()):
        raise DecodeError("field")
    mark, source, cursor = map(uint64, head[2:5])
    return Chunk(plane, mark, source, cursor, read, closing if ends else None)


def _rows(rows: list[list[Any]]) -> bytes:
    return len(rows).to_bytes(_COUNT_BYTES, "big") + b"".join(map(dumps, rows))


def _split(payload: bytes, head_items: int) -> tuple[list[Any], list[list[Any]]]:
    count = int.from_bytes(payload[:_COUNT_BYTES], "big")
    # Each array has two bytes at least, so a lie about their number costs nothing.
    if not 0 < count <= len(payload) // 2:
        raise DecodeError("shape")
    head, *rows = load_arrays_untrusted(payload, _COUNT_BYTES, count)
    if len(head) != head_items:
        raise DecodeError("shape")
    return head, rows


def _take(rows: list[list[Any]], counts: list[Any]) -> list[list[list[Any]]]:
    """Divide the rows; each belongs to one part."""
    parts: list[list[list[Any]]] = []
    at = 0
    for count in counts:
        end = at + _within(count, 0, len(rows))
        parts.append(rows[at:end])
        at = end
    if at != len(rows):
        raise DecodeError("shape")
    return parts


def _plane(items: list[Any]) -> Plane:
    if type(items[0]) is not int or items[0] != STATE_VERSION:
        raise DecodeError("version")
    return Plane(_within(items[1], 0, 1))


def _within(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise DecodeError("field")
    return value


def _record_items(record: Record) -> list[Any]:
    items = [record.writer, record.gen, record.version, record.key, record.stamp, record.value]
    return [*items, *record.covers]


def _record(items: list[Any]) -> Record:
    if not _RECORD_ITEMS <= len(items) <= _RECORD_ITEMS + COVERS_MAX:
        raise DecodeError("shape")
    version = _within(items[2], 1, VERSION_MAX)
    covers: list[int] = []
    for item in items[6:]:
        covers.append(_within(item, covers[-1] + 1 if covers else 1, version - 1))
    return Record(
        name(items[0]),
        _within(items[1], 1, GENERATION_MAX),
        version,
        _key(items[3]),
        _within(items[4], 1, STAMP_MAX),
        None if items[5] is None else data(items[5], VALUE_BYTES_MAX),
        tuple(covers),
    )


def _key(item: object) -> str:
    if type(item) is not str or not 0 < len(item.encode()) <= KEY_BYTES_MAX:
        raise DecodeError("field")
    return item


def _life(row: list[Any]) -> Life:
    if len(row) != 3:
        raise DecodeError("shape")
    return name(row[0]), _within(row[1], 1, GENERATION_MAX)


def _check_number(rows: list[list[Any]], found: dict[Any, Any]) -> None:
    if len(found) != len(rows) or len(rows) > VECTOR_ENTRIES_MAX:
        raise DecodeError("field")


def _numbered(versions: dict[Life, int]) -> list[list[Any]]:
    return [[*life, version] for life, version in versions.items()]


def _numbers(rows: list[list[Any]], low: int) -> dict[Life, int]:
    found = {_life(row): _within(row[2], low, VERSION_MAX) for row in rows}
    _check_number(rows, found)
    return found


def _folds(folds: dict[str, Fold]) -> list[list[Any]]:
    return [[writer, *fold] for writer, fold in folds.items()]


def _read_folds(plane: Plane, rows: list[list[Any]]) -> dict[str, Fold]:
    if rows and plane is Plane.STATE:
        raise DecodeError("field")
    found: dict[str, Fold] = {}
    for row in rows:
        writer, by = _life(row)
        found[writer] = Fold(by, _within(row[2], 1, GENERATION_MAX))
    _check_number(rows, found)
    return found


def _lists(rows: list[list[Any]]) -> dict[Life, tuple[int, ...]]:
    found: dict[Life, tuple[int, ...]] = {}
    total = 0
    for row in rows:
        found[_life(row)] = versions = _unpack(row[2])
        total += len(versions)
        if total > LISTED_MAX:
            raise DecodeError("field")
    _check_number(rows, found)
    return found


def _pack(versions: tuple[int, ...]) -> bytes:
    """Ascending numbers as their differences, seven bits in a byte, low ones first."""
    packed = bytearray()
    before = 0
    for version in versions:
        step, before = version - before, version
        while step > 127:
            packed.append(step & 127 | 128)
            step >>= 7
        packed.append(step)
    return bytes(packed)


def _unpack(packed: object) -> tuple[int, ...]:
    versions: list[int] = []
    before = step = shift = 0
    for byte in data(packed, LISTED_MAX * 7):
        step |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            # One spelling only: no step of 0, and no high byte that says nothing.
            if not byte or before + step > VERSION_MAX:
                raise DecodeError("field")
            before += step
            versions.append(before)
            step = shift = 0
        elif shift > 49:
            raise DecodeError("field")
    if shift:
        raise DecodeError("field")
    return tuple(versions)
