"""Golden bytes of the native wire, version 1. They change only together with the version.

``docs/wire.rst`` explains each of them byte by byte; a test holds the two together.
"""

from __future__ import annotations

from typing import Any, Final

from trio_gossip.addresses import Address
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
from trio_gossip.codec.summary import EQUAL, EXPLAINED

IPV4: Final = Address("10.0.0.2", 7946)
IPV6: Final = Address("2001:db8::2", 7946)
NAMED: Final = Address("node-2", 7946)
VERSIONS: Final = bytes((1, 1, 1, 0, 0, 0))
INCARNATION: Final = 1_700_000_000
SUMMARY: Final = bytes(range(1, 9))

MESSAGES: Final[list[tuple[Message, str]]] = [
    (
        Ping(1, "b", "a"),
        "820185000161626161f6",
    ),
    (
        Ping(1, "b", "a", IPV4),
        "820185000161626161460a0000021f0a",
    ),
    (
        IndirectPing(1, "b", IPV4, "a", 400),
        "82018801016162460a0000021f0a6161190190f5f6",
    ),
    (
        IndirectPing(1, "b", IPV6, "a", 400, want_nack=False, reply_to=IPV4),
        "820188010161625220010db80000000000000000000000021f0a6161190190f4460a0000021f0a",
    ),
    (
        Ack(1),
        "820183020140",
    ),
    (
        Ack(2**32 - 1, b"rtt"),
        "820183021affffffff43727474",
    ),
    (
        Nack(1),
        "8201820301",
    ),
    (
        Nack(1, 2),
        "820183030102",
    ),
    (
        Alive(INCARNATION, "b", IPV4, b"role=db", VERSIONS),
        "820187041a6553f1006162460a0000021f0a47726f6c653d64624601010100000060",
    ),
    (
        Alive(INCARNATION + 1, "b", IPV6, b"", VERSIONS, vouched_by="a"),
        "820187041a6553f10161625220010db80000000000000000000000021f0a40460101010000006161",
    ),
    (
        Suspect(INCARNATION, "b", "a"),
        "820184051a6553f10061626161",
    ),
    (
        Suspect(INCARNATION, "b", "a", 1, 2000),
        "820186051a6553f10061626161011907d0",
    ),
    (
        Suspect(INCARNATION, "b", "a", 0, 600_000, (("c", 2), ("d", 0))),
        "82018a051a6553f10061626161001a000927c0616302616400",
    ),
    (
        Dead(INCARNATION, "b", "a"),
        "820184061a6553f10061626161",
    ),
    (
        Dead(INCARNATION, "b", "b"),
        "820184061a6553f10061626162",
    ),
    (
        Broadcast("a", INCARNATION, 1, b"hi"),
        "8201850761611a6553f10001426869",
    ),
    (
        UserMessage("a", b"hi"),
        "820183086161426869",
    ),
    (
        Leave(1, INCARNATION, "b"),
        "82018409011a6553f1006162",
    ),
    (
        Conflict("b", IPV4, IPV6),
        "8201840a6162460a0000021f0a5220010db80000000000000000000000021f0a",
    ),
    (
        Ping(1, "b", "a", None, SUMMARY),
        "820186000161626161f6480102030405060708",
    ),
    (
        Ack(1, b"", EQUAL),
        "8201840201404100",
    ),
    (
        Ack(1, b"", EXPLAINED),
        "8201840201404101",
    ),
    (
        Ack(1, b"", b"\x0c\x00" + SUMMARY),
        "8201840201404a0c000102030405060708",
    ),
    (
        BucketSums(1, "a", bytes(range(256))),
        "8201840b01616159" + "0100" + bytes(range(256)).hex(),
    ),
    (
        BucketRows(1, "b", 5, SUMMARY[:7] * 2),
        "8201850c016162054e0102030405060701020304050607",
    ),
    (
        BucketWants(1, "a", SUMMARY[:3], SUMMARY[3:6]),
        "8201850d0161614301020343040506",
    ),
    (
        ServiceNews(2, b"news"),
        "8201830e02446e657773",
    ),
    (
        Announce("a", INCARNATION, 1, 5000),
        "8201850f61611a6553f10001191388",
    ),
]
"""One message, and the packet that holds only it."""

FRAMES: Final[list[tuple[Frame, str]]] = [
    (
        SyncOpen("a", IPV4, joining=True),
        "0000000d8501106161460a0000021f0af5",
    ),
    (
        SyncMembers([Record("b", IPV4, b"", VERSIONS, INCARNATION, 0)]),
        "0000001c83011181866162460a0000021f0a40460101010000001a6553f10000",
    ),
    (
        SyncEnd(1),
        "000000058401120140",
    ),
    (
        Refusal(1, "busy"),
        "00000009840113016462757379",
    ),
    (
        StreamPing(1, "b", "a"),
        "000000088501140161626161",
    ),
    (
        StreamAck(1),
        "0000000483011501",
    ),
    (
        MessageOpen("a", "b", 2),
        "000000088501166161616202",
    ),
    (
        MessageChunk(b"hi"),
        "00000006830117426869",
    ),
    (
        MessageAck(),
        "0000000482011818",
    ),
    (
        ServiceRequest("a", "b", 1, b"hi"),
        "0000000c860118196161616201426869",
    ),
    (
        ServiceAnswer(b"hi"),
        "000000078301181a426869",
    ),
]
"""One frame with its length."""

ADDRESSES: Final[list[tuple[Address, str]]] = [
    (
        IPV4,
        "460a0000021f0a",
    ),
    (
        IPV6,
        "5220010db80000000000000000000000021f0a",
    ),
    (
        NAMED,
        "6b6e6f64652d323a37393436",
    ),
]
"""One address as a field."""

COMPOUND: Final[tuple[list[Message], str]] = (
    [Ack(1), Suspect(INCARNATION, "b", "a")],
    "83018302014084051a6553f10061626161",
)
"""A packet of two messages."""

UNKNOWN_CODE: Final = "83018203018218c8f5"
"""A packet of a nack and of a message that only a later version knows."""


def all_hex() -> list[str]:
    """Every golden byte string."""
    tables: tuple[list[tuple[Any, str]], ...] = (MESSAGES, FRAMES, ADDRESSES)
    return [COMPOUND[1], UNKNOWN_CODE] + [code for table in tables for _, code in table]
