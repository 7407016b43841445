"""The parts of CBOR that are weapons: every one is refused, wherever it stands."""

from __future__ import annotations

import math
import sys
import tracemalloc

import pytest
from cbor2 import dumps, loads
from hypothesis import given
from hypothesis import strategies as st

from tests.codec import vectors
from tests.codec.hostile import frame_outcome, head, packet_outcome
from trio_gossip.codec import DecodeError
from trio_gossip.codec.cbor import load_arrays_untrusted
from trio_gossip.codec.frames import FRAME_BYTES_MAX
from trio_gossip.codec.wire import PACKET_BYTES_MAX

PING = bytes.fromhex(vectors.MESSAGES[0][1])
SEQUENCE = b"\x01"  # the second field of that ping
FIELD_AT = 4  # where it stands in the packet
UNKNOWN = b"\x82\x01\x82\x18\xc8"  # a message of code 200: the checks of fields never see it


def _everywhere(item: bytes) -> list[bytes]:
    """``item`` as the packet, as the version, as a message, as a field of a message."""
    assert PING[FIELD_AT : FIELD_AT + 1] == SEQUENCE
    return [
        item,
        b"\x82" + item + PING[2:],
        b"\x82\x01" + item,
        PING[:FIELD_AT] + item + PING[FIELD_AT + 1 :],
        PING[:-1] + item,
    ]


def _refused_everywhere(item: bytes) -> bool:
    return all(packet_outcome(data) != "ok" for data in _everywhere(item)) and all(
        frame_outcome(data) != "ok"
        for data in (item, b"\x83" + item + b"\x15\x01", b"\x83\x01\x15" + item)
    )


def test_the_places_are_good_ones_when_a_number_stands_there() -> None:
    assert [packet_outcome(data) for data in _everywhere(b"\x01")][-2] == "ok"
    assert packet_outcome(_everywhere(b"\xf6")[-1]) == "ok"
    assert frame_outcome(b"\x83\x01\x15\x01") == "ok"


def test_every_tag_from_0_to_70000_is_refused_wherever_it_stands() -> None:
    for tag in range(70_001):
        item = head(6, tag)
        field = item + SEQUENCE
        assert packet_outcome(field) != "ok"
        assert packet_outcome(item + PING) != "ok"
        assert packet_outcome(b"\x82\x01" + item + PING[2:]) != "ok"
        assert packet_outcome(PING[:FIELD_AT] + field + PING[FIELD_AT + 1 :]) == "cbor"
        assert frame_outcome(b"\x83\x01\x15" + field) == "cbor"


@pytest.mark.parametrize(
    "content", [b"\x41a", b"\x61a", b"\x80", b"\x81\x00", b"\x82\x00\x00", b"\xa0"]
)
def test_tags_are_refused_whatever_they_hold(content: bytes) -> None:
    # cbor2 reads what is in a tag before it asks about some tags, and after for others.
    known = (*range(6), 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261)
    for tag in (*known, 1004, 43000, 55799, 55800, 2**32, 2**64 - 1):
        assert _refused_everywhere(head(6, tag) + content)


TAGS_WITH_MEANING: list[tuple[int, object]] = [
    (0, "2013-03-21T20:04:00Z"),
    (1, 1),
    (2, b"\xff"),
    (3, b"\xff"),
    (4, [1, 2]),
    (5, [1, 2]),
    (28, 1),
    (30, [1, 2]),
    (35, "a"),
    (36, "Content-Type: text/plain\n\nhi"),
    (37, b"u" * 16),
    (52, b"\x0a\x00\x00\x01"),
    (54, b"\x0a" * 16),
    (100, 1),
    (256, ["a"]),
    (258, [1]),
    (260, b"\x0a\x00\x00\x01"),
    (261, {b"\x0a\x00\x00\x00": 8}),
    (1004, "2013-10-09"),
    (43000, [1.0, 2.0]),
    (55799, 1),
    (60000, 1),
]


@pytest.mark.parametrize(("tag", "content"), TAGS_WITH_MEANING)
def test_a_tag_is_refused_in_a_message_that_nobody_looks_into(tag: int, content: object) -> None:
    item = head(6, tag) + dumps(content)
    loads(item)  # well-formed: cbor2 itself would take it
    assert packet_outcome(UNKNOWN + dumps(content)) in ("ok", "cbor")
    assert packet_outcome(UNKNOWN + item) == "cbor"


@pytest.mark.parametrize(
    "item",
    [
        b"\x9f\xff",
        b"\x5f\x41a\xff",
        b"\x7f\x61a\xff",
        b"\xbf\xff",
        b"\xa2\x00\x00\x00\x01",
        b"\x61\xff",
    ],
    ids=bytes.hex,
)
def test_no_part_of_a_packet_is_beyond_the_rules(item: bytes) -> None:
    assert packet_outcome(UNKNOWN + b"\x00") == "ok"
    assert packet_outcome(UNKNOWN + item) == "cbor"


@pytest.mark.parametrize("depth", [3, 4, 5, 10, 100, 399, 1500])
def test_deep_arrays_are_refused_where_nobody_looks(depth: int) -> None:
    assert packet_outcome(UNKNOWN + b"\x81" * depth + b"\x00") == "cbor"


def test_tags_written_longer_than_need_be_are_refused() -> None:
    for tag in (0, 1, 2, 28, 29, 35, 258):
        for width in (2, 4, 8):
            assert packet_outcome(PING[:FIELD_AT] + head(6, tag, width=width) + b"\x01") == "cbor"


@pytest.mark.parametrize("major", [2, 3, 4, 5], ids=["bytes", "text", "array", "map"])
@pytest.mark.parametrize(
    "length", [65_508, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1]
)
def test_a_length_beyond_the_packet_is_refused_and_costs_no_memory(major: int, length: int) -> None:
    item = head(major, length, width=8)
    tracemalloc.start()
    try:
        assert _refused_everywhere(item)
        assert _refused_everywhere(item + b"\x00" * 100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 6, 7, 50, 1000, PACKET_BYTES_MAX - 1])
@pytest.mark.parametrize("opening", [b"\x81", b"\xa1\x00", b"\x81\xa1\x00", b"\xd8\x1c\x81"])
def test_nesting_is_refused_however_deep_it_goes(depth: int, opening: bytes) -> None:
    bomb = (opening * depth)[: PACKET_BYTES_MAX - 1]
    for item in (bomb + b"\x00", bomb):
        assert packet_outcome(item) != "ok"
        assert frame_outcome(item) != "ok"
        assert packet_outcome((b"\x82\x01" + item)[:PACKET_BYTES_MAX]) != "ok"


def test_a_depth_bomb_as_long_as_a_frame_does_not_reach_the_recursion_limit() -> None:
    assert sys.getrecursionlimit() < FRAME_BYTES_MAX
    assert frame_outcome(b"\x81" * FRAME_BYTES_MAX) == "cbor"


@pytest.mark.parametrize(
    "item",
    [
        b"\x9f\xff",
        b"\x9f\x01\xff",
        b"\x5f\xff",
        b"\x5f\x41a\xff",
        b"\x7f\xff",
        b"\x7f\x61a\xff",
        b"\xbf\xff",
        b"\xbf\x00\x00\xff",
        b"\xff",
        b"\x1f",
        b"\x3f",
        b"\xdf\x00",
    ],
    ids=bytes.hex,
)
def test_indefinite_lengths_and_stray_breaks_are_refused(item: bytes) -> None:
    assert _refused_everywhere(item)


@pytest.mark.parametrize(
    "item", [bytes((m << 5 | i,)) for m in range(8) for i in (28, 29, 30)], ids=bytes.hex
)
def test_reserved_heads_are_refused(item: bytes) -> None:
    assert _refused_everywhere(item + b"\x00" * 16)


@pytest.mark.parametrize(
    "item",
    [
        b"\xa0",
        b"\xa1\x00\x00",
        b"\xa1\x61a\x00",
        b"\xa2\x00\x00\x00\x01",
        b"\xa1\x80\x00",
        b"\xa1\xa0\x00",
        b"\xa1\xf9\x7e\x00\x00",
    ],
    ids=bytes.hex,
)
def test_maps_are_refused_with_any_keys(item: bytes) -> None:
    assert _refused_everywhere(item)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.0, 1.5, math.nan, math.inf, -math.inf, 1e300])
def test_floats_are_refused_even_when_they_are_whole(value: float) -> None:
    assert _refused_everywhere(dumps(value))
    assert _refused_everywhere(dumps(value, canonical=True))


@pytest.mark.parametrize("number", [n for n in range(256) if n not in (20, 21, 22)])
def test_undefined_and_all_simple_values_are_refused(number: int) -> None:
    assert _refused_everywhere(head(7, number) if number < 24 else bytes((0xF8, number)))


def test_true_and_false_are_no_numbers() -> None:
    # In Python True == 1, so that a careless check takes true for version 1 or sequence 1.
    for item in (b"\xf4", b"\xf5"):
        assert _refused_everywhere(item)


def test_numbers_are_no_flags() -> None:
    indirect = bytes.fromhex(vectors.MESSAGES[2][1])
    assert packet_outcome(indirect) == "ok"
    assert indirect[-2:] == b"\xf5\xf6"
    for flag in (b"\x00", b"\x01", b"\xf6"):
        assert packet_outcome(indirect[:-2] + flag + b"\xf6") == "field"


@pytest.mark.parametrize("tag", [b"\xc2", b"\xc3"])
@pytest.mark.parametrize("size", [0, 1, 8, 9, 1000, 60_000])
def test_big_numbers_are_refused(tag: bytes, size: int) -> None:
    assert _refused_everywhere(tag + head(2, size) + b"\xff" * size)


def test_negative_numbers_and_numbers_over_32_bits_are_no_sequence() -> None:
    for item in (b"\x20", b"\x3b" + b"\xff" * 8, head(0, 2**32), head(0, 2**64 - 1)):
        assert packet_outcome(PING[:FIELD_AT] + item + PING[FIELD_AT + 1 :]) == "field"
    assert packet_outcome(PING[:FIELD_AT] + head(0, 2**32 - 1) + PING[FIELD_AT + 1 :]) == "ok"


@pytest.mark.parametrize(
    "text",
    [b"\xff", b"\xc0\x80", b"\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3"],
    ids=bytes.hex,
)
def test_text_that_is_not_utf8_is_refused(text: bytes) -> None:
    assert _refused_everywhere(head(3, len(text)) + text)


@given(st.integers(0, 65_000))
def test_the_decoder_takes_exactly_what_was_asked_for(extra: int) -> None:
    with pytest.raises(DecodeError, match="trailing"):
        load_arrays_untrusted(b"\x81\x00" + b"\x81\x00" * (1 + extra), 0, 1)


@pytest.mark.parametrize(
    "unit",
    [b"\x80", b"\xa0", b"\xe0", b"\x81\x80", b"\x81\xa0", b"\xa1\x00\x80", b"\xa1\xe0\xa0"],
    ids=bytes.hex,
)
def test_no_frame_makes_us_hold_more_than_120_times_its_bytes(unit: bytes) -> None:
    count = (FRAME_BYTES_MAX - 8) // len(unit)
    body = b"\x83\x01\x11" + head(4, count, width=4) + unit * count
    assert len(body) <= FRAME_BYTES_MAX
    tracemalloc.start()
    try:
        assert frame_outcome(body) != "ok"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # With the three copies of the frame itself: as sent, buffered, and cut out.
    assert peak < 120 * FRAME_BYTES_MAX
