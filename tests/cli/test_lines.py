"""Bytes in any pieces become the same lines, and a long one costs no memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trio_gossip.cli.lines import LineSplitter


@given(st.lists(st.binary(max_size=8).map(lambda piece: piece.replace(b"\r", b"")), max_size=20))
def test_the_pieces_make_no_difference(pieces):
    whole = b"".join(pieces)
    splitter = LineSplitter()
    found = [line for piece in pieces for line in splitter.feed(piece)] + splitter.flush()
    expected = whole.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert found == expected


def test_the_line_end_of_other_systems_is_taken_off():
    assert LineSplitter().feed(b"one\r\ntwo\r\n") == [b"one", b"two"]


def test_a_line_as_long_as_the_limit_is_kept():
    assert LineSplitter(limit=4).feed(b"1234\n") == [b"1234"]


def test_a_line_that_is_too_long_is_dropped_up_to_its_end():
    splitter = LineSplitter(limit=4)
    assert splitter.feed(b"12345") == []
    assert splitter.feed(b"6789\nnext\n") == [None, b"next"]


def test_a_line_that_is_too_long_in_one_piece_is_dropped():
    assert LineSplitter(limit=4).feed(b"12345\nnext\n") == [None, b"next"]


def test_a_line_without_an_end_does_not_pile_up():
    splitter = LineSplitter(limit=4)
    for _ in range(100):
        splitter.feed(b"123")
        assert len(splitter._rest) <= 4
    assert splitter.flush() == [None]
    assert splitter.flush() == []


def test_the_last_line_needs_no_line_end():
    splitter = LineSplitter()
    assert splitter.feed(b"one\ntwo") == [b"one"]
    assert splitter.flush() == [b"two"]
