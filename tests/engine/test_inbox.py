"""Packets that wait: urgent ones first, within bounds, and none for ever."""

from __future__ import annotations

import pytest

from trio_gossip.engine.inbox import (
    INBOX_BYTES_MAX,
    INBOX_PACKETS_MAX,
    URGENT_IN_TURN,
    Inbox,
)


def filled(*packets: bytes) -> Inbox[bytes]:
    inbox: Inbox[bytes] = Inbox(lambda data: data.startswith(b"!"))
    for packet in packets:
        inbox.put(packet, packet)
    return inbox


def test_urgent_packets_come_first_and_each_kind_keeps_its_order() -> None:
    inbox = filled(b"1", b"!1", b"2", b"!2")
    assert [inbox.take() for _ in range(len(inbox))] == [b"!1", b"!2", b"1", b"2"]
    assert not inbox
    with pytest.raises(IndexError):
        inbox.take()


def test_a_flood_of_urgent_packets_does_not_silence_the_others() -> None:
    inbox = filled(b"1", b"2", *[b"!"] * (3 * URGENT_IN_TURN))
    order = [inbox.take() for _ in range(len(inbox))]
    assert order.index(b"1") == URGENT_IN_TURN
    assert order.index(b"2") == 2 * URGENT_IN_TURN + 1
    assert order[-1] == b"!"


def test_an_inbox_is_full_of_packets_or_of_bytes() -> None:
    inbox = filled(*[b""] * (INBOX_PACKETS_MAX - 1))
    assert not inbox.is_full
    inbox.put(b"!", b"!")
    assert inbox.is_full
    inbox.take()
    assert not inbox.is_full

    half = bytes(INBOX_BYTES_MAX // 2)
    inbox = filled(half)
    assert not inbox.is_full
    inbox.put(half, half)
    assert inbox.is_full
    inbox.take()
    inbox.take()
    assert inbox.bytes == 0
