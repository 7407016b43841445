"""What one member writes, another reads, whatever is in it."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codec import strategies
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.fields import address as read_address
from trio_gossip.codec.fields import pack_address
from trio_gossip.codec.frames import FRAME_BYTES_MAX, FRAME_CODERS, FrameDecoder
from trio_gossip.codec.messages import Frame, Message, SyncMembers, Unknown
from trio_gossip.codec.wire import PARTS_MAX

codec = NativeCodec()


def test_there_is_a_strategy_for_every_message_and_every_frame() -> None:
    assert {*strategies.messages_by_type, Unknown} == {*get_args(Message)}
    assert {*strategies.frames_by_type} == {*get_args(Frame)}


def test_every_code_belongs_to_one_message_or_frame() -> None:
    codes = [kind.code for kind in (*strategies.messages_by_type, *strategies.frames_by_type)]
    assert len(codes) == len(set(codes))
    assert sorted(FRAME_CODERS) == sorted(kind.code for kind in strategies.frames_by_type)


@pytest.mark.parametrize("kind", strategies.messages_by_type, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=60)
def test_a_message_comes_back_as_it_was(kind: type, data: st.DataObject) -> None:
    message = data.draw(strategies.messages_by_type[kind])
    assert codec.unpack_untrusted(codec.pack([codec.encode(message)])) == [message]


@given(st.lists(strategies.messages, min_size=1, max_size=20))
def test_a_packet_of_many_messages_keeps_them_all_in_order(messages: list[Message]) -> None:
    parts = [codec.encode(message) for message in messages]
    if sum(map(len, parts)) < 65_000:
        assert codec.unpack_untrusted(codec.pack(parts)) == messages


@pytest.mark.parametrize("count", [1, 22, 23, 24, PARTS_MAX])
@given(message=strategies.messages_by_type[strategies.Suspect])
@settings(max_examples=10)
def test_a_packet_of_any_number_of_messages_comes_back(count: int, message: Message) -> None:
    part = codec.encode(message)
    if count * len(part) < 65_000:
        assert codec.unpack_untrusted(codec.pack([part] * count)) == [message] * count


@pytest.mark.parametrize("kind", strategies.frames_by_type, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=60)
def test_a_frame_comes_back_as_it_was(kind: type, data: st.DataObject) -> None:
    frame = data.draw(strategies.frames_by_type[kind])
    decoder = FrameDecoder()
    assert decoder.feed_untrusted(codec.encode_frame(frame)) == [frame]
    assert decoder.buffered == 0


@given(strategies.full_chunks)
@settings(max_examples=10)
def test_as_many_members_as_a_frame_may_hold_fit_its_length(frame: SyncMembers) -> None:
    encoded = codec.encode_frame(frame)
    assert len(encoded) <= FRAME_BYTES_MAX
    assert FrameDecoder().feed_untrusted(encoded) == [frame]


@given(strategies.addresses)
def test_an_address_comes_back_as_it_was(address: Address) -> None:
    assert strategies.canonical(address)
    assert read_address(pack_address(address)) == address


def test_the_two_spellings_of_an_ipv4_address_become_one() -> None:
    mapped = Address("::ffff:10.0.0.1", 80)
    assert read_address(pack_address(mapped)) == Address("10.0.0.1", 80)


def test_the_scope_of_a_link_local_address_stays_at_home() -> None:
    # An interface's name means nothing to another host.
    assert read_address(pack_address(Address("fe80::1%eth0", 80))) == Address("fe80::1", 80)


def test_encoding_twice_gives_the_same_bytes() -> None:
    message = strategies.Suspect(1, "b", "a")
    assert codec.encode(message) == codec.encode(message)
