"""Bytes from strangers: random ones, and good ones with something broken."""

from __future__ import annotations

import pytest
from cbor2 import dumps
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codec import strategies, vectors
from tests.codec.hostile import frame_outcome, packet_outcome, stream_outcome
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Frame, Message
from trio_gossip.codec.wire import PACKET_BYTES_MAX

codec = NativeCodec()

PACKETS = [bytes.fromhex(code) for _, code in vectors.MESSAGES]
STREAMS = [bytes.fromhex(code) for _, code in vectors.FRAMES]


@given(st.binary(max_size=200))
@settings(max_examples=500)
def test_random_bytes_are_no_packet_and_no_accident(data: bytes) -> None:
    packet_outcome(data)
    packet_outcome(b"\x82\x01" + data)
    stream_outcome(data)
    frame_outcome(data)
    frame_outcome(b"\x83\x01" + data)


@given(strategies.cbor_values)
@settings(max_examples=200)
def test_random_cbor_is_no_packet_and_no_accident(value: object) -> None:
    packet_outcome(dumps(value))
    packet_outcome(dumps([1, value]))
    frame_outcome(dumps(value))
    frame_outcome(dumps([1, value]))


@given(st.integers(0, 12), st.lists(strategies.cbor_values, max_size=9))
@settings(max_examples=200)
def test_random_fields_of_every_message_are_no_accident(code: int, values: list[object]) -> None:
    packet_outcome(dumps([1, [code, *values]]))


@given(st.integers(15, 26), st.lists(strategies.cbor_values, max_size=7))
@settings(max_examples=200)
def test_random_fields_of_every_frame_are_no_accident(code: int, values: list[object]) -> None:
    frame_outcome(dumps([1, code, *values]))


def _mutate(data: bytes, changes: list[tuple[int, int, int]]) -> bytes:
    buffer = bytearray(data)
    for kind, where, byte in changes:
        at = where % (len(buffer) + 1)
        if kind == 0 and at < len(buffer):
            buffer[at] = byte
        elif kind == 1:
            buffer.insert(at, byte)
        elif kind == 2:
            del buffer[at : at + 1 + byte % 4]
        else:
            buffer[at:at] = buffer[at : at + byte]
    return bytes(buffer)


changes = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4
)


@given(st.lists(strategies.messages, min_size=1, max_size=3), changes)
@settings(max_examples=500)
def test_a_mutated_packet_is_no_accident(
    messages: list[Message], changes: list[tuple[int, int, int]]
) -> None:
    packet_outcome(_mutate(codec.pack([codec.encode(each) for each in messages]), changes))


@given(strategies.frames, changes)
@settings(max_examples=500)
def test_a_mutated_frame_is_no_accident(frame: Frame, changes: list[tuple[int, int, int]]) -> None:
    data = codec.encode_frame(frame)
    stream_outcome(_mutate(data, changes))
    frame_outcome(_mutate(data[4:], changes))


@pytest.mark.parametrize("packet", PACKETS, ids=bytes.hex)
def test_every_single_byte_of_a_packet_may_be_anything(packet: bytes) -> None:
    for at in range(len(packet)):
        for byte in range(256):
            packet_outcome(packet[:at] + bytes((byte,)) + packet[at + 1 :])


@pytest.mark.parametrize("stream", STREAMS, ids=bytes.hex)
def test_every_single_byte_of_a_frame_may_be_anything(stream: bytes) -> None:
    for at in range(len(stream)):
        for byte in range(256):
            stream_outcome(stream[:at] + bytes((byte,)) + stream[at + 1 :])


@pytest.mark.parametrize("packet", PACKETS, ids=bytes.hex)
def test_a_packet_cut_off_anywhere_is_refused(packet: bytes) -> None:
    assert packet_outcome(packet) == "ok"
    for length in range(len(packet)):
        assert packet_outcome(packet[:length]) == "cbor"


@given(st.lists(strategies.messages, min_size=1, max_size=3), st.data())
def test_no_packet_is_the_beginning_of_another(
    messages: list[Message], data: st.DataObject
) -> None:
    packet = codec.pack([codec.encode(each) for each in messages])
    length = data.draw(st.integers(0, len(packet) - 1))
    assert packet_outcome(packet[:length]) == "cbor"


@pytest.mark.parametrize("packet", PACKETS, ids=bytes.hex)
def test_bytes_after_the_packet_are_refused(packet: bytes) -> None:
    for extra in (b"\x00", b"\xf6", b"\xff", packet):
        assert packet_outcome(packet + extra) == "trailing"


@pytest.mark.parametrize("stream", STREAMS, ids=bytes.hex)
def test_bytes_after_the_item_of_a_frame_are_refused(stream: bytes) -> None:
    assert frame_outcome(stream[4:]) == "ok"
    assert frame_outcome(stream[4:] + b"\x00") == "trailing"
    assert frame_outcome(stream[4:-1]) == "cbor"


def test_a_packet_longer_than_any_datagram_is_refused_unread() -> None:
    payload = b"x" * (PACKET_BYTES_MAX - 9)
    packet = codec.pack([codec.encode(strategies.UserMessage("a", payload))])
    assert len(packet) == PACKET_BYTES_MAX
    assert packet_outcome(packet) == "ok"
    assert packet_outcome(packet + b"\x00") == "oversized"


def test_a_decoding_error_says_its_reason_and_leaves_the_codec_as_it_was() -> None:
    packet = PACKETS[0]
    for bad in (b"", b"\x00", packet[:-1]):
        assert packet_outcome(bad) != "ok"
        assert packet_outcome(packet) == "ok"
