"""Packets and streams that somebody sealed are told from mere garbage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codec.vectors import COMPOUND, MESSAGES
from trio_gossip.codec import DecodeError, NativeCodec
from trio_gossip.codec.frames import FrameDecoder
from trio_gossip.codec.messages import StreamAck
from trio_gossip.codec.sealed import is_sealed_packet, is_sealed_stream
from trio_gossip_transports.keyring import Keyring
from trio_gossip_transports.keys import Key
from trio_gossip_transports.sealing.memberlist import MemberlistSealer
from trio_gossip_transports.sealing.memberlist_cipher import label_header
from trio_gossip_transports.sealing.memberlist_streams import MemberlistStreamSealer
from trio_gossip_transports.sealing.native import NativeSealer
from trio_gossip_transports.sealing.streams import StreamSealer

codec = NativeCodec()
RING = Keyring([Key.generate()])
PLACE = ("10.0.0.1", 7946)


def fault(data: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        codec.unpack_untrusted(data)
    return caught.value.reason


def stream_fault(data: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        FrameDecoder().feed_untrusted(data)
    return caught.value.reason


def one_that_shows(label: bytes) -> list[tuple[bytes, object]]:
    """What memberlist's format seals. One nonce of fourteen begins as a plain message does, and
    such a packet cannot be told from one.
    """
    at = 2 + len(label) + 1 if label else 1
    while True:
        sealed = MemberlistSealer(RING, label).seal(b"x", PLACE, 0.0)
        first = sealed[0][0][at]
        if not 0x80 <= first <= 0x8F and first not in (0xDE, 0xDF):
            return list(sealed)


@pytest.mark.parametrize("label", [b"", b"town"])
def test_what_the_sealers_send_is_recognised(label: bytes) -> None:
    hello = NativeSealer(RING, label).seal(b"x", PLACE, 0.0)
    for data, _ in (*hello, *one_that_shows(label)):
        assert fault(data) == "sealed"
    stranger = NativeSealer(Keyring([Key.generate()]), label)
    notices = [out for data, _ in hello for out, _ in stranger.open(data, PLACE, 0.0)[1]]
    assert notices
    assert [fault(data) for data in notices] == ["sealed"] * len(notices)


def test_every_kind_of_packet_of_the_native_format_is_recognised() -> None:
    for first in range(256):
        assert is_sealed_packet(bytes((first,)) + bytes(50)) is (first in {*range(0xE1, 0xE6), 1})
    assert not is_sealed_packet(b"\xe5" + bytes(4))
    assert not is_sealed_packet(b"")


def test_plain_messages_of_memberlist_are_not_called_sealed() -> None:
    for begin in (0x80, 0x8F, 0xDE, 0xDF):
        assert not is_sealed_packet(bytes((1, begin)) + bytes(50))
    assert not is_sealed_packet(b"\x01" + bytes(27))
    assert is_sealed_packet(b"\x01" + bytes(28))
    assert not is_sealed_packet(b"\xf4\x04town\x01\x86" + bytes(50))
    assert not is_sealed_packet(b"\xf4\x04town")
    assert not is_sealed_packet(b"\xf4")


def test_what_stream_sealers_begin_with_is_recognised() -> None:
    assert stream_fault(StreamSealer(RING, b"", accepted=False).outgoing) == "sealed"
    assert stream_fault(MemberlistStreamSealer(RING, b"", accepted=False).seal(b"x")) == "sealed"
    for first in (0xE8, 0xE9, 0xEA, 0x0A):
        assert stream_fault(bytes((first, 0, 1, 2, 3))) == "sealed"
        assert stream_fault(label_header(b"town") + bytes((first, 0, 1, 2, 3))) == "sealed"
    for first in (0xE7, 0xEB, 0x09, 0xF4, 0xF5):
        assert stream_fault(bytes((first, 0, 1, 2, 3))) == "frame_length"
    assert not is_sealed_stream(b"\xf4\x04town")


def test_only_the_beginning_of_a_stream_is_looked_at() -> None:
    decoder = FrameDecoder()
    assert decoder.feed_untrusted(codec.encode_frame(StreamAck(1))) == [StreamAck(1)]
    with pytest.raises(DecodeError, match="frame_length"):
        decoder.feed_untrusted(b"\xe8\x00\x01\x02")
    decoder = FrameDecoder()
    with pytest.raises(DecodeError, match="frame_length"):
        decoder.feed_untrusted(codec.encode_frame(StreamAck(1)) + b"\xe8\x00\x01\x02")


def test_no_good_packet_looks_sealed() -> None:
    for message, _ in MESSAGES:
        assert not is_sealed_packet(codec.pack([codec.encode(message)]))
    assert not is_sealed_packet(bytes.fromhex(COMPOUND[1].replace(" ", "")))


@given(st.binary(max_size=80))
def test_garbage_has_a_reason_and_nothing_else_happens(data: bytes) -> None:
    is_sealed_packet(data)
    is_sealed_stream(data)
