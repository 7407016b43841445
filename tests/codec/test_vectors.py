"""The wire is pinned: other programs, and other versions of this one, rely on each byte."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from cbor2 import dumps

from tests.codec import vectors
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.fields import address as read_address
from trio_gossip.codec.fields import pack_address
from trio_gossip.codec.messages import Frame, Message, Nack, Unknown

WIRE = Path(__file__).parents[2] / "docs" / "wire.rst"

codec = NativeCodec()


def _title(value: object) -> str:
    return type(value).__name__ if not isinstance(value, str) else ""


@pytest.mark.parametrize(("message", "expected"), vectors.MESSAGES, ids=_title)
def test_a_message_has_exactly_these_bytes(message: Message, expected: str) -> None:
    assert codec.pack([codec.encode(message)]).hex() == expected


@pytest.mark.parametrize(("message", "expected"), vectors.MESSAGES, ids=_title)
def test_these_bytes_are_exactly_this_message(message: Message, expected: str) -> None:
    assert codec.unpack_untrusted(bytes.fromhex(expected)) == [message]


@pytest.mark.parametrize(("frame", "expected"), vectors.FRAMES, ids=_title)
def test_a_frame_has_exactly_these_bytes(frame: Frame, expected: str) -> None:
    assert codec.encode_frame(frame).hex() == expected


@pytest.mark.parametrize(("frame", "expected"), vectors.FRAMES, ids=_title)
@pytest.mark.parametrize("accepted", [True, False])
def test_these_bytes_are_exactly_this_frame(frame: Frame, expected: str, accepted: bool) -> None:
    decoder = codec.stream_decoder(accepted=accepted)
    assert decoder.feed_untrusted(bytes.fromhex(expected)) == [frame]


@pytest.mark.parametrize(("address", "expected"), vectors.ADDRESSES, ids=str)
def test_an_address_has_exactly_these_bytes(address: Address, expected: str) -> None:
    packed = pack_address(address)
    assert dumps(packed).hex() == expected
    assert read_address(packed) == address


def test_two_messages_share_one_packet() -> None:
    messages, expected = vectors.COMPOUND
    assert codec.pack([codec.encode(message) for message in messages]).hex() == expected
    assert codec.unpack_untrusted(bytes.fromhex(expected)) == messages


def test_a_message_of_a_later_version_does_not_spoil_the_packet() -> None:
    packet = bytes.fromhex(vectors.UNKNOWN_CODE)
    assert codec.unpack_untrusted(packet) == [Nack(1), Unknown(200)]


def test_every_message_and_every_frame_has_a_vector() -> None:
    assert {type(message) for message, _ in vectors.MESSAGES} | {Unknown} == {*get_args(Message)}
    assert {type(frame) for frame, _ in vectors.FRAMES} == {*get_args(Frame)}


@pytest.mark.parametrize("code", vectors.all_hex())
def test_every_vector_stands_in_the_documentation(code: str) -> None:
    # The pages group the bytes in pairs, a line for each field; comments follow two blanks.
    page = WIRE.read_text(encoding="utf-8")
    fields = (line.strip().partition("  ")[0] for line in page.splitlines())
    assert code in "".join(field.replace(" ", "") if field else "|" for field in fields)
