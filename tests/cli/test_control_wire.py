"""The words of the control socket: whole, in pieces, too long, and thrown at it at random."""

from __future__ import annotations

import enum
from contextlib import suppress
from types import MappingProxyType

import attrs
import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gossip.cli.control_wire import (
    FRAME_BYTES_MAX,
    TEXT_CHARACTERS_MAX,
    VERSION,
    ControlWireError,
    Frames,
    pack,
    rows_of,
    tree_from,
    tree_of,
)

PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False),
    st.text(max_size=50),
    st.binary(max_size=50),
)


def all_of(data: bytes) -> list[list[object]]:
    frames = Frames()
    frames.feed_untrusted(data)
    return list(iter(frames.next_untrusted, None))


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


@given(st.lists(st.lists(PLAIN, max_size=22), max_size=5))
def test_what_is_packed_is_read_again(arrays):
    data = b"".join(pack(*items) for items in arrays)
    assert all_of(data) == [[VERSION, *items] for items in arrays]


@given(st.lists(PLAIN, max_size=22), st.integers(1, 7))
def test_pieces_of_any_size_make_the_same_array(items, size):
    frames, data, found = Frames(), pack(*items), []
    for start in range(0, len(data), size):
        assert found == []
        frames.feed_untrusted(data[start : start + size])
        one = frames.next_untrusted()
        if one is not None:
            found.append(one)
    assert found == [[VERSION, *items]]


@given(st.binary(max_size=200))
def test_random_bytes_are_arrays_or_one_kind_of_error(data):
    try:
        found = all_of(data)
    except ControlWireError:
        return
    assert all(type(items[0]) is int for items in found)


@given(st.binary(max_size=100))
def test_random_bytes_behind_a_right_length_are_too(body):
    try:
        found = all_of(framed(body))
    except ControlWireError:
        return
    assert len(found) <= 1
    for items in found:
        assert not any(isinstance(each, list | dict | set) for each in items)


@given(st.data())
def test_an_altered_byte_does_no_harm(data):
    whole = bytearray(pack("keys", "install", b"x" * 32))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with suppress(ControlWireError):
        all_of(bytes(whole))


REFUSED = [
    (b"\0\0\0\0", "a frame of 0 bytes"),
    ((FRAME_BYTES_MAX + 1).to_bytes(4, "big"), "a frame of 65537 bytes; at most 65536"),
    (b"\xff\xff\xff\xff", "a frame of 4294967295 bytes"),
    (framed(b"\x80"), "no flat CBOR array (shape)"),
    (framed(b"\x01"), "(shape)"),
    (framed(cbor2.dumps([1, [2]])), "(cbor)"),
    (framed(cbor2.dumps([1, {}])), "(cbor)"),
    (framed(cbor2.dumps([1, 2**70])), "(cbor)"),
    (framed(cbor2.dumps([1]) + b"\0"), "(trailing)"),
    (framed(cbor2.dumps(["1", "members"])), "no version"),
    (framed(cbor2.dumps([True, "members"])), "no version"),
]


@pytest.mark.parametrize(("data", "part"), REFUSED)
def test_what_is_no_flat_array_with_a_version_is_refused(data, part):
    with pytest.raises(ControlWireError) as caught:
        all_of(data)
    assert part in str(caught.value)


def test_a_length_that_is_too_long_is_refused_before_its_body_comes():
    frames = Frames()
    frames.feed_untrusted((FRAME_BYTES_MAX + 1).to_bytes(4, "big"))
    with pytest.raises(ControlWireError):
        frames.next_untrusted()


def test_the_longest_answer_fits_a_frame():
    ((_, *items),) = all_of(pack(*["\U0001f600" * 5000] * 22))
    assert items == ["\U0001f600" * TEXT_CHARACTERS_MAX] * 22


def test_odd_values_are_told_all_the_same():
    ((_, *items),) = all_of(pack("path \udcff", 2**64, -(2**64), 2**64 - 1, b"m" * 512))
    assert items == ["path \\udcff", str(2**64), -(2**64), 2**64 - 1, b"m" * 512]


# -- trees ------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"


@attrs.frozen
class Inner:
    counts: object
    size: int = 3


@attrs.frozen
class Outer:
    inner: object
    flags: tuple[object, ...]
    other: object = None


def test_statistics_of_any_class_become_a_tree():
    inner = Inner(MappingProxyType({Colour.RED: 2, "plain": 0.5}))
    assert tree_of(Outer(inner, (1, Colour.RED), complex(1))) == {
        "inner": {"counts": {"red": 2, "plain": 0.5}, "size": 3},
        "flags": [1, "red"],
        "other": "(1+0j)",
    }


TREES = st.recursive(
    st.one_of(PLAIN, st.lists(PLAIN, max_size=3)),
    lambda below: st.dictionaries(st.text(max_size=8), below, max_size=4),
    max_leaves=12,
).filter(lambda tree: isinstance(tree, dict))


@given(TREES)
def test_a_tree_survives_its_rows(tree):
    data = b"".join(pack(*row) for row in rows_of(tree))
    assert tree_from(items[1:] for items in all_of(data)) == tree


def test_a_long_list_is_cut_and_not_an_error():
    (row,) = rows_of({"many": list(range(100))})
    ((_, *items),) = all_of(pack(*row))
    assert tree_from([items]) == {"many": list(range(len(items) - 3))}


@given(st.lists(st.lists(st.one_of(PLAIN, st.sampled_from(["value", "list", "tree", "a", 1, 2])))))
def test_rows_of_another_program_are_a_tree_or_one_kind_of_error(rows):
    with suppress(ControlWireError):
        tree_from(rows)


@pytest.mark.parametrize(
    "rows",
    [
        [["value", 0, 1]],
        [["value", 1, "a"]],
        [["value", 1, "a", 1, 2]],
        [["value", 3, "a", 1]],
        [["value", 1, 7, 1]],
        [["value", 2, 7, "a", 1]],
        [["value", 1, "a", 1], ["value", 2, "a", "b", 1]],
        [["tree", 1, "a", 1]],
        [["other", 1, "a", 1]],
        [[]],
    ],
)
def test_rows_that_are_no_tree_are_refused(rows):
    with pytest.raises(ControlWireError):
        tree_from(rows)
