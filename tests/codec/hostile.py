"""What every test of hostile bytes asks of the codec."""

from __future__ import annotations

from typing import Final

from trio_gossip.codec import DecodeError, NativeCodec
from trio_gossip.codec.frames import FrameDecoder, frame_header

PACKET_REASONS: Final = frozenset(
    {"oversized", "cbor", "trailing", "sealed", "shape", "version", "field"}
)
FRAME_REASONS: Final = frozenset(
    {
        "frame_length",
        "cbor",
        "trailing",
        "sealed",
        "shape",
        "version",
        "unknown_frame",
        "field",
        "dead",
    }
)

codec: Final = NativeCodec()


def packet_outcome(data: bytes) -> str:
    """``"ok"`` or the reason; every other exception passes through and fails the test."""
    try:
        messages = codec.unpack_untrusted(data)
    except DecodeError as error:
        return _known(error, PACKET_REASONS)
    assert messages
    return "ok"


def frame_outcome(body: bytes) -> str:
    """The same for the body of one frame."""
    return stream_outcome(frame_header(len(body)) + body)


def stream_outcome(data: bytes) -> str:
    """The same for the bytes of a stream; ``"partial"`` when more are wanted."""
    decoder = FrameDecoder()
    try:
        frames = decoder.feed_untrusted(data)
    except DecodeError as error:
        assert_forgotten(decoder)
        return _known(error, FRAME_REASONS)
    return "ok" if frames and not decoder.buffered else "partial"


def assert_forgotten(decoder: FrameDecoder) -> None:
    """After an error nothing of the stream is kept."""
    assert decoder.buffered == 0


def _known(error: DecodeError, reasons: frozenset[str]) -> str:
    assert error.reason in reasons
    assert str(error) == error.reason
    return error.reason


def head(major: int, argument: int, *, width: int | None = None) -> bytes:
    """A CBOR head: major type 0 to 7 and its argument, in ``width`` bytes if that is given."""
    if width is None and argument < 24:
        return bytes((major << 5 | argument,))
    if width is None:
        width = next(size for size in (1, 2, 4, 8) if argument < 256**size)
    info = {1: 24, 2: 25, 4: 26, 8: 27}[width]
    return bytes((major << 5 | info,)) + argument.to_bytes(width, "big")
