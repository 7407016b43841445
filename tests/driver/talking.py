"""For tests that stand in for a peer and speak the wire of streams themselves."""

from __future__ import annotations

from collections.abc import Iterable

import trio

from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Frame, Record, SyncEnd, SyncMembers, SyncOpen
from trio_gossip.members import VERSIONS_DEFAULT

CODEC = NativeCodec()
FAR = Address("10.0.9.9", 7946)
"""Where the stand-in lives."""


def record(name: str, address: Address = FAR, *, meta: bytes = b"", state: int = 0) -> Record:
    """One member as a table tells of it."""
    return Record(name, address, meta, VERSIONS_DEFAULT, 1000, state)


def table(*records: Record, joining: bool = True) -> list[Frame]:
    """The frames of a push/pull; the first record is the speaker's own."""
    chunks = [list(records[start : start + 128]) for start in range(0, len(records), 128)]
    mine = records[0]
    return [
        SyncOpen(mine.name, mine.address, joining),
        *(SyncMembers(chunk) for chunk in chunks),
        SyncEnd(len(records)),
    ]


def encoded(frames: Iterable[Frame]) -> bytes:
    """Frames as they stand on a stream."""
    return b"".join(CODEC.encode_frame(frame) for frame in frames)


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    """Everything up to the end of the stream, or up to its being broken."""
    data = bytearray()
    try:
        while piece := await stream.receive_some(65536):
            data += piece
    except trio.BrokenResourceError:
        data += b""
    return bytes(data)


def frames_in(data: bytes) -> list[Frame]:
    """The whole frames in bytes that a member sent."""
    return list(CODEC.stream_decoder(accepted=False).feed_untrusted(data))
