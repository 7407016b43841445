"""Packets as checkers see them: what they are at a glance, and decoded once for all of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from trio_gossip.codec import DecodeError, NativeCodec
from trio_gossip.codec.messages import (
    Ack,
    Alive,
    Announce,
    Broadcast,
    Dead,
    IndirectPing,
    Leave,
    Nack,
    Ping,
    ServiceNews,
    Suspect,
)

if TYPE_CHECKING:
    from trio_gossip.codec.messages import Message

PACKETS_REMEMBERED: Final = 1024
"""Decoded packets that are kept for the next checker; the least used goes."""

PING: Final = Ping.code
INDIRECT_PING: Final = IndirectPing.code
ANSWERS: Final = (Ack.code, Nack.code)
NEWS: Final = frozenset(
    (
        Alive.code,
        Suspect.code,
        Dead.code,
        Broadcast.code,
        Announce.code,
        Leave.code,
        ServiceNews.code,
    )
)
"""Messages that can change a table or have to be told on."""

_LONG_HEAD: Final = b"\x98"
"""First byte of an array with more than 23 items: its length is in the next byte."""

_TWO_ITEMS: Final = 0x82
"""First byte of an array of two: the version and one message."""

_CODEC: Final = NativeCodec()


def first_code(data: bytes) -> int:
    """The code of the first message of a well-formed packet, without decoding it; -1 when there is
    none.
    """
    at = 4 if data[:1] == _LONG_HEAD else 3
    return data[at] if len(data) > at else -1


def carries_news(data: bytes) -> bool:
    """False for a packet with one message that is no news: most of what an idle cluster sends."""
    return len(data) < 4 or data[0] != _TWO_ITEMS or data[3] in NEWS


@lru_cache(maxsize=PACKETS_REMEMBERED)
def _decoded(data: bytes) -> tuple[Message, ...] | None:
    try:
        return tuple(_CODEC.unpack_untrusted(data))
    except DecodeError:
        return None


def messages_of(data: bytes) -> tuple[Message, ...]:
    """The messages of a packet, not to be changed; none when it is malformed."""
    return _decoded(data) or ()


def is_well_formed(data: bytes) -> bool:
    """True for a packet that a member can read."""
    return _decoded(data) is not None
