"""The native wire, version 1: CBOR arrays in datagrams and in length-prefixed frames.

A packet is ``[version, message, ...]``, a message ``[code, field, ...]``. A frame is four bytes
of length, big-endian, and ``[version, code, field, ...]``. ``docs/wire`` shows every byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from cbor2 import dumps

from trio_gossip.codec import fields
from trio_gossip.codec.base import DecodeError
from trio_gossip.codec.cbor import load_arrays_untrusted
from trio_gossip.codec.fields import pack_address
from trio_gossip.codec.frames import FRAME_CODERS, FrameDecoder, frame_header
from trio_gossip.codec.messages import (
    ACCUSERS_MAX,
    AGE_MS_MAX,
    BUDGET_MS_MAX,
    EVIDENCE_MAX,
    PARCEL_BYTES_MAX,
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
    Nack,
    Ping,
    ServiceNews,
    Suspect,
    Unknown,
    UserMessage,
)
from trio_gossip.codec.sealed import is_sealed_packet
from trio_gossip.codec.summary import (
    BUCKETS,
    ID_BYTES,
    ROW_BYTES,
    SUM_BYTES,
    ack_summary,
    ping_summary,
)
from trio_gossip.codec.version import WIRE_VERSION

PARTS_MAX: Final = 127
"""Messages in a packet; with the version, the array has a head of at most two bytes."""

PACKET_BYTES_MAX: Final = 65507
"""Largest payload of a UDP datagram over IPv4."""

CHUNK_BYTES: Final = 64 * 1024
"""Bytes of a reliable message in one frame; small beside the longest frame, so that a slow
link shows progress often."""

_URGENT_CODES: Final = 4
"""Codes below this one are of pings, indirect pings, acks and nacks."""

_SHORT_HEAD_PARTS: Final = 22
"""With more messages than this the array head takes two bytes instead of one."""


class PacketRoom:
    """Byte-exact account of one packet."""

    __slots__ = ("count", "free")

    def __init__(self, packet_limit: int) -> None:
        self.free = packet_limit - 2
        self.count = 0

    def take(self, size: int) -> bool:
        """Reserve ``size`` bytes; False when they do not fit."""
        cost = size + 1 if self.count == _SHORT_HEAD_PARTS else size
        if cost > self.free or self.count == PARTS_MAX:
            return False
        self.free -= cost
        self.count += 1
        return True


class NativeCodec:
    """The :class:`~trio_gossip.codec.base.Codec` of the native wire."""

    def encode(self, message: Message) -> bytes:
        """Encode one message."""
        return _ENCODERS[type(message)](message)

    def room(self, packet_limit: int) -> PacketRoom:
        """The space of an empty packet."""
        return PacketRoom(packet_limit)

    def pack(self, parts: Sequence[bytes]) -> bytes:
        """Join encoded messages."""
        return _PACKET_HEADS[len(parts)] + b"".join(parts)

    def unpack_untrusted(self, data: bytes) -> list[Message]:
        """Split and check a packet."""
        if len(data) > PACKET_BYTES_MAX:
            raise DecodeError("oversized")
        count, start = _packet_count(data)
        arrays = load_arrays_untrusted(data, start, count)
        return [_decode_message(item) for item in arrays]

    def is_urgent(self, data: bytes) -> bool:
        """Whether the first message is a ping or an answer: after the head of the packet, the
        version and the head of the message comes its code.
        """
        at = 4 if data[:1] == b"\x98" else 3
        return len(data) > at and data[at] < _URGENT_CODES and data[at - 2] == WIRE_VERSION

    def encode_frame(self, frame: Frame) -> bytes:
        """Encode one frame with its length."""
        body = dumps([WIRE_VERSION, frame.code, *FRAME_CODERS[frame.code][1](frame)])
        return frame_header(len(body)) + body

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a reliable message in one frame."""
        return CHUNK_BYTES

    def stream_decoder(self, *, accepted: bool) -> FrameDecoder:
        """A fresh decoder; this wire is the same in both directions."""
        return FrameDecoder()


def _packet_count(data: bytes) -> tuple[int, int]:
    """How many messages a packet says it has, and where the first one starts.

    Raises:
        DecodeError: its head is not that of a packet of this version.
    """
    if len(data) < 3:
        raise DecodeError("cbor")
    items, start = data[0] - 0x80, 1
    if data[0] == 0x98:
        items, start = data[1], 2
    elif items > 23:
        items = 0
    if not 2 <= items <= PARTS_MAX + 1:
        raise DecodeError("sealed" if is_sealed_packet(data) else "shape")
    if data[start] != WIRE_VERSION:
        raise DecodeError("version" if data[start] < 0x1C else "shape")
    return items - 1, start + 1


def _decode_message(item: list[Any]) -> Message:
    code: object = item[0]
    if type(code) is not int or not 0 <= code <= 255:
        raise DecodeError("shape")
    if code >= len(_DECODERS):
        return Unknown(code)  # a later version's message; the rest of the packet is good
    lengths, decode = _DECODERS[code]
    if len(item) not in lengths:
        raise DecodeError("shape")
    return decode(item)


def _ping(f: list[Any]) -> Ping:
    return Ping(
        fields.uint32(f[1]),
        fields.name(f[2]),
        fields.name(f[3]),
        fields.optional_address(f[4]),
        ping_summary(f[5]) if len(f) == 6 else b"",
    )


def _ack(f: list[Any]) -> Ack:
    return Ack(
        fields.uint32(f[1]),
        fields.data(f[2], PACKET_BYTES_MAX),
        ack_summary(f[3]) if len(f) == 4 else b"",
    )


def _indirect_ping(f: list[Any]) -> IndirectPing:
    budget = fields.uint32(f[5])
    if budget > BUDGET_MS_MAX:
        raise DecodeError("field")
    return IndirectPing(
        fields.uint32(f[1]),
        fields.name(f[2]),
        fields.address(f[3]),
        fields.name(f[4]),
        budget,
        fields.flag(f[6]),
        fields.optional_address(f[7]),
    )


def _alive(f: list[Any]) -> Alive:
    return Alive(
        fields.incarnation(f[1]),
        fields.name(f[2]),
        fields.address(f[3]),
        fields.meta(f[4]),
        fields.versions(f[5]),
        fields.optional_name(f[6]),
    )


def _evidence(value: object, least: int = 0) -> int:
    number = fields.uint8(value)
    if not least <= number <= EVIDENCE_MAX:
        raise DecodeError("field")
    return number


def _suspect(f: list[Any]) -> Suspect:
    suspect = Suspect(fields.incarnation(f[1]), fields.name(f[2]), fields.name(f[3]))
    if len(f) > 4:
        suspect.evidence = _evidence(f[4])
        suspect.age = fields.uint32(f[5])
        suspect.others = tuple(
            (fields.name(f[at]), _evidence(f[at + 1])) for at in range(6, len(f), 2)
        )
        says_nothing = not (suspect.evidence or suspect.age or suspect.others)
        if suspect.age > AGE_MS_MAX or says_nothing:
            raise DecodeError("field")
    return suspect


def _broadcast(f: list[Any]) -> Broadcast:
    return Broadcast(
        fields.name(f[1]),
        fields.incarnation(f[2]),
        fields.incarnation(f[3]),
        fields.data(f[4], PACKET_BYTES_MAX),
    )


def _announce(f: list[Any]) -> Announce:
    size = fields.uint32(f[4])
    if not 0 < size <= PARCEL_BYTES_MAX:
        raise DecodeError("field")
    return Announce(fields.name(f[1]), fields.incarnation(f[2]), fields.incarnation(f[3]), size)


def _bucket_sums(f: list[Any]) -> BucketSums:
    sums = fields.data(f[3], BUCKETS * SUM_BYTES)
    if len(sums) != BUCKETS * SUM_BYTES:
        raise DecodeError("field")
    return BucketSums(fields.uint32(f[1]), fields.name(f[2]), sums)


def _bucket_rows(f: list[Any]) -> BucketRows:
    return BucketRows(
        fields.uint32(f[1]), fields.name(f[2]), fields.uint64(f[3]), _items(f[4], ROW_BYTES)
    )


def _bucket_wants(f: list[Any]) -> BucketWants:
    return BucketWants(
        fields.uint32(f[1]), fields.name(f[2]), _items(f[3], ID_BYTES), _items(f[4], ID_BYTES)
    )


def _items(value: object, size: int) -> bytes:
    """Items of ``size`` bytes, one after another."""
    items = fields.data(value, PACKET_BYTES_MAX)
    if len(items) % size:
        raise DecodeError("field")
    return items


_DECODERS: Final[tuple[tuple[tuple[int, ...], Callable[[list[Any]], Message]], ...]] = (
    ((5, 6), _ping),
    ((8,), _indirect_ping),
    ((3, 4), _ack),
    ((2, 3), lambda f: Nack(fields.uint32(f[1]), _evidence(f[2], 1) if len(f) == 3 else 0)),
    ((7,), _alive),
    ((4, *range(6, 5 + 2 * ACCUSERS_MAX, 2)), _suspect),
    ((4,), lambda f: Dead(fields.incarnation(f[1]), fields.name(f[2]), fields.name(f[3]))),
    ((5,), _broadcast),
    ((3,), lambda f: UserMessage(fields.name(f[1]), fields.data(f[2], PACKET_BYTES_MAX))),
    ((4,), lambda f: Leave(fields.uint32(f[1]), fields.incarnation(f[2]), fields.name(f[3]))),
    ((4,), lambda f: Conflict(fields.name(f[1]), fields.address(f[2]), fields.address(f[3]))),
    ((4,), _bucket_sums),
    ((5,), _bucket_rows),
    ((5,), _bucket_wants),
    ((3,), lambda f: ServiceNews(fields.uint8(f[1]), fields.data(f[2], PACKET_BYTES_MAX))),
    ((5,), _announce),
)
"""By wire code: how many items the array may have and who reads it. A table and not ``match``,
which costs four times as much for the last of ten."""


def _optional(address: Any) -> bytes | str | None:
    return None if address is None else pack_address(address)


def _pack_suspect(m: Suspect) -> bytes:
    short = (5, m.incarnation, m.name, m.accuser)
    if not (m.evidence or m.age or m.others):
        return dumps(short)
    others = [item for other in m.others for item in other]
    return dumps([*short, m.evidence, m.age, *others])


def _present(summary: bytes) -> tuple[bytes, ...]:
    """A last field that is left out when it is empty."""
    return (summary,) if summary else ()


_ENCODERS: Final[dict[type, Callable[[Any], bytes]]] = {
    Ping: lambda m: dumps(
        [0, m.sequence, m.target, m.source, _optional(m.reply_to), *_present(m.summary)]
    ),
    IndirectPing: lambda m: dumps(
        [
            1,
            m.sequence,
            m.target,
            pack_address(m.address),
            m.source,
            m.budget,
            m.want_nack,
            _optional(m.reply_to),
        ]
    ),
    Ack: lambda m: dumps([2, m.sequence, m.payload, *_present(m.summary)]),
    Nack: lambda m: dumps([3, m.sequence, *((m.evidence,) if m.evidence else ())]),
    Alive: lambda m: dumps(
        [
            4,
            m.incarnation,
            m.name,
            pack_address(m.address),
            m.meta,
            m.versions,
            m.vouched_by,
        ]
    ),
    Suspect: _pack_suspect,
    Dead: lambda m: dumps([6, m.incarnation, m.name, m.accuser]),
    Broadcast: lambda m: dumps([7, m.origin, m.epoch, m.counter, m.payload]),
    UserMessage: lambda m: dumps([8, m.sender, m.payload]),
    Leave: lambda m: dumps([9, m.sequence, m.incarnation, m.name]),
    Announce: lambda m: dumps([15, m.origin, m.epoch, m.counter, m.size]),
    Conflict: lambda m: dumps([10, m.name, pack_address(m.holder), pack_address(m.other)]),
    BucketSums: lambda m: dumps([11, m.sequence, m.source, m.sums]),
    BucketRows: lambda m: dumps([12, m.sequence, m.source, m.buckets, m.rows]),
    BucketWants: lambda m: dumps([13, m.sequence, m.source, m.wanted, m.told]),
    ServiceNews: lambda m: dumps([14, m.service, m.payload]),
}


def _packet_head(count: int) -> bytes:
    items = count + 1
    head = bytes((0x80 | items,)) if items < 24 else bytes((0x98, items))
    return head + dumps(WIRE_VERSION)


_PACKET_HEADS: Final = tuple(_packet_head(count) for count in range(PARTS_MAX + 1))
