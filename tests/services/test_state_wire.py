"""The bytes of versioned state: what comes back, and what is refused."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from cbor2 import dumps
from hypothesis import given
from hypothesis import strategies as st

from tests.codec.strategies import cbor_values, names
from trio_gossip.codec import DecodeError
from trio_gossip.services.state_delta import Announced, Ask, Chunk, Closing, Legs
from trio_gossip.services.state_records import (
    GENERATION_MAX,
    STAMP_MAX,
    VALUE_BYTES_MAX,
    VERSION_MAX,
    Plane,
    Record,
)
from trio_gossip.services.state_vector import Fold, Vector
from trio_gossip.services.state_wire import (
    LISTED_MAX,
    encode_announced,
    encode_ask,
    encode_chunk,
    encode_news,
    is_fetch,
    parse_announced_untrusted,
    parse_ask_untrusted,
    parse_chunk_untrusted,
    parse_news_untrusted,
)

GENS = st.integers(1, GENERATION_MAX)
VERSIONS = st.integers(1, VERSION_MAX)
NUMBERS = st.integers(0, 2**64 - 1)
LIVES = st.tuples(names, GENS)
KEYS = st.text(min_size=1, max_size=64).filter(lambda key: len(key.encode()) <= 256)


@st.composite
def records(draw: Any) -> Record:
    version = draw(VERSIONS)
    covers = draw(st.sets(st.integers(1, max(1, version - 1)), max_size=8))
    return Record(
        draw(names),
        draw(GENS),
        version,
        draw(KEYS),
        draw(st.integers(1, STAMP_MAX)),
        draw(st.none() | st.binary(max_size=300)),
        tuple(sorted(each for each in covers if each < version)),
    )


@st.composite
def closings(draw: Any, plane: Plane) -> Closing:
    tops = draw(st.dictionaries(LIVES, st.integers(0, VERSION_MAX), max_size=4))
    folds = draw(st.dictionaries(names, st.builds(Fold, GENS, GENS), max_size=2))
    floors = {life: draw(st.integers(1, top)) for life, top in tops.items() if top}
    is_shared = plane is Plane.SHARED
    folds = folds if is_shared else {}
    resets = bool(folds or floors)
    versions = st.sets(VERSIONS, max_size=20).map(lambda found: tuple(sorted(found)))
    listed = draw(st.dictionaries(LIVES, versions, max_size=3)) if resets else {}
    horizon = draw(st.integers(0, STAMP_MAX)) if resets and is_shared else 0
    return Closing(tops, folds, floors, horizon, resets, listed)


@st.composite
def chunks(draw: Any) -> Chunk:
    plane = draw(st.sampled_from(Plane))
    found = draw(st.lists(records(), max_size=4, unique_by=lambda record: record.dot))
    closing = draw(st.none() | closings(plane))
    return Chunk(plane, draw(NUMBERS), draw(NUMBERS), draw(NUMBERS), tuple(found), closing)


@given(st.sampled_from(Plane), records())
def test_a_record_comes_back_as_it_was(plane: Plane, record: Record) -> None:
    assert parse_news_untrusted(encode_news(plane, record)) == (plane, record)


@given(
    st.dictionaries(LIVES, st.integers(0, VERSION_MAX), max_size=5),
    st.dictionaries(names, st.builds(Fold, GENS, GENS), max_size=3),
    NUMBERS,
    NUMBERS,
    st.sampled_from(Legs),
)
def test_a_question_comes_back_as_it_was(
    tops: Any, folds: Any, mark: int, cursor: int, legs: Legs
) -> None:
    ask = Ask(Vector(Plane.SHARED, mark, tops, folds), cursor, legs)
    assert parse_ask_untrusted(encode_ask(ask)) == ask


@given(st.sampled_from(Plane), LIVES, st.integers(1, VERSION_MAX), KEYS)
def test_an_announcement_comes_back_as_it_was(
    plane: Plane, life: Any, version: int, key: str
) -> None:
    news = Announced(plane, *life, version, key)
    assert parse_news_untrusted(encode_announced(news)) == news
    assert parse_announced_untrusted(encode_announced(news)) == news
    assert is_fetch(encode_announced(news))


@given(chunks())
def test_a_chunk_comes_back_as_it_was(chunk: Chunk) -> None:
    assert parse_chunk_untrusted(encode_chunk(chunk)) == chunk


RECORD = Record("w", 5, 7, "k", 9, b"v", (3, 6))
CLOSING = Closing({("w", 5): 7}, {"u": Fold(4, 3)}, {("w", 5): 6}, 9, True, {("w", 5): (1, 300)})
CHUNK = Chunk(Plane.SHARED, 1, 2, 3, (RECORD,), CLOSING)
VECTOR = Vector(Plane.SHARED, 1, {("w", 5): 7}, {"u": Fold(4, 3)})


def test_these_are_the_bytes() -> None:
    assert encode_news(Plane.STATE, RECORD).hex() == "8a01006177" + "0507616b094176" + "0306"
    assert (
        encode_ask(Ask(VECTOR, 2, Legs.PULL)).hex()
        == "00000003" + "8701010102020101" + "8361770507" + "8361750403"
    )
    announced = encode_announced(Announced(Plane.SHARED, "w", 5, 7, "k"))
    assert announced.hex() == "860101617705" + "07616b"
    head = "8d0101010203" + "f5f509" + "0101010101"
    rows = "8861770507616b0941760306" + "8361770507" + "8361750403" + "8361770506"
    assert encode_chunk(CHUNK).hex() == "00000006" + head + rows + "836177054301ab02"


NEWS: list[Any] = [1, 1, "w", 5, 7, "k", 9, b"v", 3, 6]


@pytest.mark.parametrize(
    ("at", "bad"),
    [
        *((0, bad) for bad in (0, 2, True, "1", None)),
        *((1, bad) for bad in (-1, 2, False, "0")),
        *((2, bad) for bad in ("", b"w", "w" * 256, "\x00", None)),
        *((3, bad) for bad in (0, -1, GENERATION_MAX + 1, 1.0, True)),
        *((4, bad) for bad in (0, 6, VERSION_MAX + 1, None)),
        *((5, bad) for bad in ("", "k" * 257, "é" * 129, b"k", None)),
        *((6, bad) for bad in (0, STAMP_MAX + 1, "9")),
        *((7, bad) for bad in ("v", 0, bytes(VALUE_BYTES_MAX + 1))),
        *((8, bad) for bad in (0, 6, 7, b"", True)),
        *((9, bad) for bad in (3, 2, 7, None)),
    ],
)
def test_a_record_that_makes_no_sense_is_refused(at: int, bad: object) -> None:
    assert parse_news_untrusted(dumps(NEWS)) == (Plane.SHARED, RECORD)
    with pytest.raises(DecodeError):
        parse_news_untrusted(dumps([*NEWS[:at], bad, *NEWS[at + 1 :]]))


@pytest.mark.parametrize("items", [[1], NEWS[:7], [*NEWS[:8], *range(1, 7), 6, 6, 6]])
def test_a_record_of_another_length_is_refused(items: list[Any]) -> None:
    with pytest.raises(DecodeError):
        parse_news_untrusted(dumps(items))


@pytest.mark.parametrize(
    ("at", "bad"),
    [
        *((0, bad) for bad in (0, 2, True)),
        *((1, bad) for bad in (-1, 2, False)),
        *((2, bad) for bad in ("", b"w", "w" * 256, None)),
        *((3, bad) for bad in (0, GENERATION_MAX + 1, 1.0, True)),
        *((4, bad) for bad in (0, VERSION_MAX + 1, None, b"")),
        *((5, bad) for bad in ("", b"k", "k" * 257, None)),
    ],
)
def test_an_announcement_that_makes_no_sense_is_refused(at: int, bad: object) -> None:
    items: list[Any] = [1, 1, "w", 5, 7, "k"]
    items[at] = bad
    for parse in (parse_news_untrusted, parse_announced_untrusted):
        with pytest.raises(DecodeError):
            parse(dumps(items))


def test_who_asks_for_one_record_does_not_send_one() -> None:
    assert is_fetch(encode_news(Plane.STATE, RECORD))
    assert not is_fetch(encode_ask(Ask(VECTOR)))
    assert not is_fetch(b"")
    with pytest.raises(DecodeError):
        parse_announced_untrusted(encode_news(Plane.STATE, RECORD))


def rows(*arrays: list[Any], count: int | None = None) -> bytes:
    number = len(arrays) if count is None else count
    return number.to_bytes(4, "big") + b"".join(map(dumps, arrays))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0\0\0",
        rows(),
        rows([1, 1, 1, 2, 0, 0, 0], count=2),
        rows([1, 1, 1, 2, 0, 0, 0], count=2**32 - 1),
        rows([1, 1, 1, 2, 0, 0, 0], [1]),
        rows([1, 1, 1, 2, 0, 0]),
        rows([1, 1, 1, 2, 0, 1, 0]),
        rows([1, 1, 1, 2, 0, 1, 0], ["w", 5]),
        rows([1, 1, 1, 2, 0, 1, 0], ["w", 5, -1]),
        rows([1, 1, 1, 2, 0, 2, 0], ["w", 5, 1], ["w", 5, 2]),
        rows([1, 1, 1, 2, 0, 0, 2], ["w", 5, 1], ["w", 5, 2]),
        rows([1, 0, 1, 2, 0, 0, 1], ["w", 5, 1]),
        rows([1, 1, -1, 2, 0, 0, 0]),
        rows([1, 1, 1, 2**64, 0, 0, 0]),
        rows([1, 1, 1, 2, 0, -1, 1]),
        *(rows([1, 1, 1, 2, legs, 0, 0]) for legs in (-1, 3, True, "0", None)),
    ],
)
def test_a_vector_that_makes_no_sense_is_refused(payload: bytes) -> None:
    with pytest.raises(DecodeError):
        parse_ask_untrusted(payload)


def chunk_rows(head: dict[int, Any], *arrays: list[Any]) -> bytes:
    items = [1, 1, 1, 2, 3, True, True, 9, 1, 1, 1, 1, 1]
    for at, item in head.items():
        items[at] = item
    return rows(items, *arrays)


PARTS: list[list[Any]] = [
    ["w", 5, 7, "k", 9, b"v", 3, 6],
    ["w", 5, 7],
    ["u", 4, 3],
    ["w", 5, 6],
    ["w", 5, b"\x01\xab\x02"],
]


@pytest.mark.parametrize(
    "payload",
    [
        chunk_rows({5: False}, *PARTS),
        chunk_rows({5: False, 6: False, 7: 9, 9: 0, 10: 0, 11: 0, 12: 0}, PARTS[0]),
        chunk_rows({6: False}, *PARTS),
        chunk_rows({6: False, 7: 0, 10: 0, 11: 0}, PARTS[0], PARTS[1], PARTS[4]),
        chunk_rows({6: False, 10: 0, 11: 0, 12: 0}, PARTS[0], PARTS[1]),
        chunk_rows({10: 0, 11: 0}, PARTS[0], PARTS[1], PARTS[4]),
        chunk_rows({1: 0, 10: 0}, PARTS[0], PARTS[1], PARTS[3], PARTS[4]),
        chunk_rows({5: 1}, *PARTS),
        chunk_rows({6: None}, *PARTS),
        chunk_rows({7: -1}, *PARTS),
        chunk_rows({2: "1"}, *PARTS),
        chunk_rows({8: 2}, PARTS[0], *PARTS),
        chunk_rows({}, *PARTS[:3], ["w", 5, 8], PARTS[4]),
        chunk_rows({}, *PARTS[:3], ["w", 5, 0], PARTS[4]),
        chunk_rows({}, *PARTS[:3], ["v", 5, 1], PARTS[4]),
        chunk_rows({12: 2}, *PARTS, PARTS[4]),
        *(
            chunk_rows({}, *PARTS[:4], ["w", 5, bad])
            for bad in (
                b"\x00",
                b"\x80\x00",
                b"\x81",
                b"\xff" * 7 + b"\x01",
                b"\xff" * 9,
                "x",
                1,
                None,
            )
        ),
        chunk_rows({}, *PARTS[:4], ["w", 5, b"\xff\xff\xff\xff\xff\xff\x7f"]),
        chunk_rows({}, *PARTS[:4], ["w", 5, b"\x01" * (LISTED_MAX + 1)]),
    ],
)
def test_a_chunk_that_makes_no_sense_is_refused(payload: bytes) -> None:
    assert parse_chunk_untrusted(chunk_rows({}, *PARTS)) == CHUNK
    with pytest.raises(DecodeError):
        parse_chunk_untrusted(payload)


def _outcome(payload: bytes) -> None:
    for parse in (
        parse_news_untrusted,
        parse_announced_untrusted,
        parse_ask_untrusted,
        parse_chunk_untrusted,
    ):
        with suppress(DecodeError):
            parse(payload)


@given(st.binary(max_size=100) | cbor_values.map(dumps))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    _outcome(payload)
    _outcome(b"\0\0\0\x01" + payload)


@given(chunks(), st.integers(0, 2000), st.integers(0, 255))
def test_a_chunk_with_another_byte_is_read_or_refused(chunk: Chunk, at: int, byte: int) -> None:
    payload = bytearray(encode_chunk(chunk))
    payload[at % len(payload)] = byte
    _outcome(bytes(payload))
    _outcome(bytes(payload[:at]))
