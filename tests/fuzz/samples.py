"""Messages and frames of each kind, and values that no field may have: what seeds are made of."""

from __future__ import annotations

from cbor2 import CBORTag

from tests.fuzz.plain import STRANGER, A, B
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import (
    Ack,
    Alive,
    Announce,
    Broadcast,
    BucketRows,
    BucketSums,
    BucketWants,
    Conflict,
    Dead,
    Frame,
    IndirectPing,
    Leave,
    Message,
    MessageAck,
    MessageChunk,
    MessageOpen,
    Nack,
    Ping,
    Record,
    Refusal,
    ServiceAnswer,
    ServiceNews,
    ServiceRequest,
    StreamAck,
    StreamPing,
    Suspect,
    SyncEnd,
    SyncMembers,
    SyncOpen,
    UserMessage,
)
from trio_gossip.members import VERSIONS_DEFAULT

CODEC = NativeCodec()

MESSAGES: list[Message] = [
    Ping(7, "me", "a", A, b"\x01" * 8),
    IndirectPing(8, "b", B, "a", 400, True, None),
    Ack(7, b"payload", b"\x0c\x00" + b"\x01" * 8),
    Nack(8),
    Alive(5, "c", Address("::1", 7946), b"meta", VERSIONS_DEFAULT, "a"),
    Suspect(10, "me", "a"),
    Dead(1, "b", "b"),
    Broadcast("a", 1, 2, b"news"),
    UserMessage("a", b"hello"),
    Leave(9, 1, "a"),
    Conflict("a", A, Address("host.example", 1)),
    BucketSums(7, "a", bytes(range(256))),
    BucketRows(7, "a", 5, b"\x01" * 14),
    BucketWants(7, "a", b"\x01" * 3, b"\x02" * 6),
    Announce("a", 1, 3, 5000),
    ServiceNews(2, b"\x88\x01\x00aa\x05\x01ak\x05Av"),
]

_ROW = Record("c", Address("10.0.0.7", 7946), b"meta", VERSIONS_DEFAULT, 3, 1)

TALKS: dict[str, list[Frame]] = {
    "sync": [SyncOpen("d", STRANGER, True), SyncMembers([_ROW]), SyncEnd(1, b"")],
    "ping": [StreamPing(4, "me", "a")],
    "message": [MessageOpen("a", "me", 5), MessageChunk(b"hello")],
    "answers": [StreamAck(4), MessageAck()],
    "refusal": [Refusal(3, "no")],
    "service": [ServiceRequest("a", "me", 1, b"payload"), ServiceAnswer(b"answer")],
}

ODD_VALUES: dict[str, object] = {
    "tag": CBORTag(35, "(a+)+$"),
    "map": {1: 2},
    "nested": [[[]]],
    "float": 1.5,
    "big": 2**64 - 1,
    "text": "\u4e2d\u202e\x00",
}
"""Values that a field must not have."""
