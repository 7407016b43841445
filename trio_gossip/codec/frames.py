"""Frames of the native wire: a length, then one CBOR array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trio_gossip.codec import fields
from trio_gossip.codec.base import DecodeError
from trio_gossip.codec.cbor import load_arrays_untrusted
from trio_gossip.codec.fields import pack_address
from trio_gossip.codec.messages import (
    Frame,
    MessageAck,
    MessageChunk,
    MessageOpen,
    Record,
    Refusal,
    ServiceAnswer,
    ServiceRequest,
    StreamAck,
    StreamPing,
    SyncEnd,
    SyncMembers,
    SyncOpen,
)
from trio_gossip.codec.sealed import is_sealed_stream
from trio_gossip.codec.version import WIRE_VERSION
from trio_gossip.members import EXCHANGE_MODES

FRAME_BYTES_MAX: Final = 512 * 1024
"""Longest frame, which is what a stranger can make us hold. Decoded CBOR can take a hundred
times its bytes, so frames are read as flat arrays and their fields capped one by one."""

FRAMES_PER_FEED_MAX: Final = 64
"""Frames in one read of 16 KiB; a peer that sends smaller ones wastes our time."""

RECORDS_MAX: Final = 256
"""Members in one frame."""

REFUSAL_TEXT_MAX: Final = 200
"""Characters of explanation in a refusal."""

STATE_BYTES_MAX: Final = 256 * 1024
"""Bytes of services' state at the end of an exchange."""

SERVICE_BYTES_MAX: Final = 256 * 1024
"""Bytes of a request to a service, and of its answer."""

_HEADER_BYTES: Final = 4


def frame_header(length: int) -> bytes:
    """The four bytes before a frame's body."""
    return length.to_bytes(_HEADER_BYTES, "big")


class FrameDecoder:
    """Collects the bytes of one direction of a stream; holds at most one frame."""

    __slots__ = ("_begun", "_buffer", "_dead")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._dead = False
        self._begun = False

    @property
    def buffered(self) -> int:
        """Bytes of the frame that is not complete yet."""
        return len(self._buffer)

    def feed_untrusted(self, data: bytes) -> list[Frame]:
        """Take the next bytes; return the frames that are complete now.

        The length is checked as soon as it is there, before any of the body is kept.

        Raises:
            DecodeError: from then on, for every call.
        """
        if self._dead:
            raise DecodeError("dead")
        try:
            return self._feed(data)
        except DecodeError:
            self._dead = True
            self._buffer.clear()
            raise

    def _feed(self, data: bytes) -> list[Frame]:
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        start = 0
        while len(buffer) - start >= _HEADER_BYTES:
            body = start + _HEADER_BYTES
            length = int.from_bytes(buffer[start:body], "big")
            if not 0 < length <= FRAME_BYTES_MAX:
                sealed = not self._begun and is_sealed_stream(bytes(buffer[:260]))
                raise DecodeError("sealed" if sealed else "frame_length")
            if len(buffer) < body + length:
                break
            if len(frames) == FRAMES_PER_FEED_MAX:
                raise DecodeError("frames_too_small")
            frames.append(_decode_frame(bytes(buffer[body : body + length])))
            start = body + length
            self._begun = True
        del buffer[:start]
        return frames


def _decode_frame(data: bytes) -> Frame:
    if data[:3] == _MEMBERS_HEAD:
        return SyncMembers(_records(data))
    (items,) = load_arrays_untrusted(data, 0, 1)
    if len(items) < 2 or type(items[0]) is not int:
        raise DecodeError("shape")
    if items[0] != WIRE_VERSION:
        raise DecodeError("version")
    code = items[1]
    if type(code) is not int or code not in FRAME_CODERS:
        raise DecodeError("unknown_frame")
    length, _, decode = FRAME_CODERS[code]
    if len(items) != length + 2:
        raise DecodeError("shape")
    return decode(items[2:])


_MEMBERS_HEAD: Final = bytes((0x83, WIRE_VERSION, SyncMembers.code))
"""How a table chunk begins: the one frame that is not flat."""


def _records(data: bytes) -> list[Record]:
    """Read the records one by one, so that none but flat and short ones are ever built."""
    count, start = data[3:4], 4
    if b"\x80" <= count <= b"\x97":
        number = count[0] - 0x80
    elif count in (b"\x98", b"\x99"):
        start = 5 if count == b"\x98" else 6
        number = int.from_bytes(data[4:start], "big")
    else:
        raise DecodeError("field" if count else "cbor")
    if number > RECORDS_MAX:
        raise DecodeError("field")
    return [_record(item) for item in load_arrays_untrusted(data, start, number)]


def _record(item: list[Any]) -> Record:
    if len(item) != 6:
        raise DecodeError("field")
    state: object = item[5]
    if type(state) is not int or not 0 <= state <= 3:
        raise DecodeError("field")
    return Record(
        fields.name(item[0]),
        fields.address(item[1]),
        fields.meta(item[2]),
        fields.versions(item[3]),
        fields.incarnation(item[4]),
        state,
    )


def _record_items(record: Record) -> list[Any]:
    return [
        record.name,
        pack_address(record.address),
        record.meta,
        record.versions,
        record.incarnation,
        record.state,
    ]


def _purpose(item: object) -> tuple[bool, int]:
    """Whether its opener joins, and the mode: a flag for push/pull, else the mode's number."""
    if type(item) is bool:
        return item, 0
    if type(item) is not int or not 1 <= item < len(EXCHANGE_MODES):
        raise DecodeError("field")
    return False, item


def _never(_: list[Any]) -> Frame:
    """A table chunk whose head is written longer than need be."""
    raise DecodeError("field")


FRAME_CODERS: Final[
    dict[int, tuple[int, Callable[[Any], list[Any]], Callable[[list[Any]], Frame]]]
] = {
    SyncOpen.code: (
        3,
        lambda m: [m.source, pack_address(m.address), m.mode or m.joining],
        lambda f: SyncOpen(fields.name(f[0]), fields.address(f[1]), *_purpose(f[2])),
    ),
    SyncMembers.code: (
        1,
        lambda m: [[_record_items(record) for record in m.records]],
        _never,
    ),
    SyncEnd.code: (
        2,
        lambda m: [m.count, m.state],
        lambda f: SyncEnd(fields.uint32(f[0]), fields.data(f[1], STATE_BYTES_MAX)),
    ),
    Refusal.code: (
        2,
        lambda m: [m.reason, m.text],
        lambda f: Refusal(fields.uint32(f[0]), fields.text(f[1], REFUSAL_TEXT_MAX)),
    ),
    StreamPing.code: (
        3,
        lambda m: [m.sequence, m.target, m.source],
        lambda f: StreamPing(fields.uint32(f[0]), fields.name(f[1]), fields.name(f[2])),
    ),
    StreamAck.code: (1, lambda m: [m.sequence], lambda f: StreamAck(fields.uint32(f[0]))),
    MessageOpen.code: (
        3,
        lambda m: [m.sender, m.target, m.size],
        lambda f: MessageOpen(fields.name(f[0]), fields.name(f[1]), fields.uint32(f[2])),
    ),
    MessageChunk.code: (
        1,
        lambda m: [m.data],
        lambda f: MessageChunk(fields.data(f[0], FRAME_BYTES_MAX)),
    ),
    MessageAck.code: (0, lambda _: [], lambda _: MessageAck()),
    ServiceRequest.code: (
        4,
        lambda m: [m.source, m.target, m.service, m.payload],
        lambda f: ServiceRequest(
            fields.name(f[0]),
            fields.name(f[1]),
            fields.uint8(f[2]),
            fields.data(f[3], SERVICE_BYTES_MAX),
        ),
    ),
    ServiceAnswer.code: (
        1,
        lambda m: [m.payload],
        lambda f: ServiceAnswer(fields.data(f[0], SERVICE_BYTES_MAX)),
    ),
}
"""By wire code: number of fields, writer, reader."""
