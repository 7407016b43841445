"""The decoder of one direction of a stream: cut anywhere, bounded, and dead after an error."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codec import strategies, vectors
from tests.codec.hostile import stream_outcome
from trio_gossip.codec import DecodeError, NativeCodec
from trio_gossip.codec.frames import FRAME_BYTES_MAX, FrameDecoder, frame_header
from trio_gossip.codec.messages import Frame, MessageChunk

codec = NativeCodec()

FRAMES = [frame for frame, _ in vectors.FRAMES]
STREAM = bytes.fromhex("".join(code for _, code in vectors.FRAMES))


def test_all_frames_come_out_of_one_read() -> None:
    assert FrameDecoder().feed_untrusted(STREAM) == FRAMES


def test_all_frames_come_out_byte_by_byte() -> None:
    decoder = FrameDecoder()
    found: list[Frame] = []
    for at in range(len(STREAM)):
        found += decoder.feed_untrusted(STREAM[at : at + 1])
    assert found == FRAMES
    assert decoder.buffered == 0


def test_all_frames_come_out_of_every_split_in_two() -> None:
    for at in range(len(STREAM) + 1):
        decoder = FrameDecoder()
        found = decoder.feed_untrusted(STREAM[:at]) + decoder.feed_untrusted(STREAM[at:])
        assert found == FRAMES


@given(st.lists(strategies.frames, max_size=5), st.lists(st.integers(0, 5000), max_size=8))
def test_all_frames_come_out_of_every_split(frames: list[Frame], cuts: list[int]) -> None:
    data = b"".join(codec.encode_frame(frame) for frame in frames)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    decoder = FrameDecoder()
    found: list[Frame] = []
    for start, end in itertools.pairwise(edges):
        found += decoder.feed_untrusted(data[start:end])
    assert found == frames
    assert decoder.buffered == 0


def test_nothing_comes_out_of_nothing() -> None:
    decoder = FrameDecoder()
    assert decoder.feed_untrusted(b"") == []
    assert decoder.buffered == 0


def test_a_cut_off_frame_waits_and_says_how_much_it_holds() -> None:
    first = codec.encode_frame(FRAMES[0])
    for length in range(len(first)):
        decoder = FrameDecoder()
        assert decoder.feed_untrusted(first[:length]) == []
        assert decoder.buffered == length
        assert decoder.feed_untrusted(first[length:]) == [FRAMES[0]]
        assert decoder.buffered == 0


@pytest.mark.parametrize("length", [0, FRAME_BYTES_MAX + 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_frame_of_an_impossible_length_is_refused_at_its_header(length: int) -> None:
    header = length.to_bytes(4, "big")
    for rest in (b"", b"\x83", b"\x80" * 1000):
        decoder = FrameDecoder()
        with pytest.raises(DecodeError, match="frame_length"):
            decoder.feed_untrusted(header + rest)
        assert decoder.buffered == 0


@pytest.mark.parametrize("length", [0, FRAME_BYTES_MAX + 1])
def test_an_impossible_length_is_refused_with_its_last_byte(length: int) -> None:
    decoder = FrameDecoder()
    header = length.to_bytes(4, "big")
    for at in range(3):
        assert decoder.feed_untrusted(header[at : at + 1]) == []
    with pytest.raises(DecodeError, match="frame_length"):
        decoder.feed_untrusted(header[3:])


def test_the_longest_frame_is_taken() -> None:
    frame = MessageChunk(b"c" * (FRAME_BYTES_MAX - 8))
    encoded = codec.encode_frame(frame)
    assert encoded[:4] == FRAME_BYTES_MAX.to_bytes(4, "big")
    decoder = FrameDecoder()
    assert decoder.feed_untrusted(encoded[:-1]) == []
    assert decoder.buffered == len(encoded) - 1
    assert decoder.feed_untrusted(encoded[-1:]) == [frame]


def test_the_decoder_never_holds_more_than_one_frame() -> None:
    piece = codec.encode_frame(MessageChunk(b"c" * 60_000)) * 3
    decoder = FrameDecoder()
    count = 0
    for start in range(0, len(piece), 4096):
        count += len(decoder.feed_untrusted(piece[start : start + 4096]))
        assert decoder.buffered < 60_000 + 20
    assert count == 3


@given(st.lists(st.binary(min_size=1, max_size=100), max_size=30))
def test_random_bytes_never_make_it_hold_more_than_a_frame(chunks: list[bytes]) -> None:
    decoder = FrameDecoder()
    for chunk in chunks:
        try:
            decoder.feed_untrusted(chunk)
        except DecodeError:
            break
        assert decoder.buffered < 4 + FRAME_BYTES_MAX


@pytest.mark.parametrize(
    "bad",
    [
        frame_header(0),
        frame_header(1) + b"\xff",
        frame_header(2) + b"\x80\x80",
        frame_header(1) + b"\x80",
    ],
    ids=bytes.hex,
)
def test_after_an_error_nothing_is_taken_any_more(bad: bytes) -> None:
    decoder = FrameDecoder()
    decoder.feed_untrusted(STREAM)
    with pytest.raises(DecodeError):
        decoder.feed_untrusted(bad)
    for data in (b"", STREAM, bad):
        with pytest.raises(DecodeError, match="dead"):
            decoder.feed_untrusted(data)
        assert decoder.buffered == 0


def test_a_length_that_lies_about_its_body_is_refused() -> None:
    body = codec.encode_frame(FRAMES[0])[4:]
    longer = frame_header(len(body) + 1) + body
    assert stream_outcome(longer) == "partial"
    assert stream_outcome(longer + b"\x00") == "trailing"
    assert stream_outcome(frame_header(len(body) - 1) + body) == "cbor"


@given(strategies.frames)
@settings(max_examples=30)
def test_a_length_is_four_bytes_with_the_highest_first(frame: Frame) -> None:
    encoded = codec.encode_frame(frame)
    assert int.from_bytes(encoded[:4], "big") == len(encoded) - 4


def test_a_chunk_of_a_reliable_message_fits_a_frame() -> None:
    frame = MessageChunk(b"c" * codec.chunk_bytes)
    assert FrameDecoder().feed_untrusted(codec.encode_frame(frame)) == [frame]


def test_decoders_of_two_streams_know_nothing_of_each_other() -> None:
    left, right = codec.stream_decoder(accepted=True), codec.stream_decoder(accepted=False)
    left.feed_untrusted(STREAM[:5])
    assert right.buffered == 0
    assert right.feed_untrusted(STREAM) == FRAMES
    assert left.feed_untrusted(STREAM[5:]) == FRAMES
