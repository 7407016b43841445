"""Which packets are handled before others: seen by their first bytes."""

from __future__ import annotations

import pytest

from tests.codec.vectors import MESSAGES
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Ack, IndirectPing, Nack, Ping, Suspect

CODEC = NativeCodec()
URGENT = (Ping, IndirectPing, Ack, Nack)
RUMOUR = CODEC.encode(Suspect(2, "b", "a"))


@pytest.mark.parametrize(("message", "packet"), MESSAGES)
def test_pings_and_answers_are_urgent_and_nothing_else(message: object, packet: str) -> None:
    assert CODEC.is_urgent(bytes.fromhex(packet)) == isinstance(message, URGENT)


@pytest.mark.parametrize("others", [1, 21, 22, 23, 126])
def test_a_ping_makes_a_packet_urgent_only_when_it_comes_first(others: int) -> None:
    ping = CODEC.encode(Ping(1, "b", "a"))
    assert CODEC.is_urgent(CODEC.pack([ping, *[RUMOUR] * others]))
    assert not CODEC.is_urgent(CODEC.pack([*[RUMOUR] * others, ping]))


def test_no_bytes_are_too_few_or_too_strange_to_be_looked_at() -> None:
    whole = CODEC.pack([CODEC.encode(Ack(1, b""))])
    assert [CODEC.is_urgent(whole[:size]) for size in range(6)] == [False] * 4 + [True] * 2
    assert not CODEC.is_urgent(bytes([whole[0], 9]) + whole[2:]), "of another version"
    assert not CODEC.is_urgent(b"\x98")
