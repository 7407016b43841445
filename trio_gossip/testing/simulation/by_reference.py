"""A codec that hands messages over as they are, for simulations where size counts and not bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_gossip.codec import NativeCodec
from trio_gossip.codec.frames import FrameDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.codec.messages import Frame, Message


class _EncodedMessage(bytes):
    """A message with its real encoding, so that packets are filled as they would be."""

    message: Message


class _Packet(bytes):
    """A packet with its real bytes."""

    messages: list[Message]


class _Frame(bytes):
    """A frame of a stream, of one byte: nothing is filled up to a limit there."""

    frame: Frame


class ByReferenceCodec(NativeCodec):
    """The native wire, but nothing is parsed: who receives gets the sender's objects.

    For runs of thousands of nodes. What was damaged on its way is parsed as ever. Two things
    are not as in a real run: streams carry one byte for each frame, and can break only between
    frames. Whatever tests the wire must not use this.
    """

    def encode(self, message: Message) -> bytes:
        """Encode one message, and remember it."""
        encoded = _EncodedMessage(super().encode(message))
        encoded.message = message
        return encoded

    def pack(self, parts: Sequence[bytes]) -> bytes:
        """Join encoded messages, and remember them."""
        packet = _Packet(super().pack(parts))
        packet.messages = [part.message for part in parts if isinstance(part, _EncodedMessage)]
        return packet

    def unpack_untrusted(self, data: bytes) -> list[Message]:
        """The messages that were packed; foreign bytes are parsed."""
        if isinstance(data, _Packet):
            return list(data.messages)
        return super().unpack_untrusted(data)

    def encode_frame(self, frame: Frame) -> bytes:
        """Remember a frame."""
        encoded = _Frame(b"\0")
        encoded.frame = frame
        return encoded

    def stream_decoder(self, *, accepted: bool) -> FrameDecoder:
        """A decoder of frames by reference."""
        return _ReferenceDecoder()


class _ReferenceDecoder(FrameDecoder):
    def feed_untrusted(self, data: bytes) -> list[Frame]:
        """The frame that was encoded; foreign bytes are parsed."""
        if isinstance(data, _Frame):
            return [data.frame]
        return super().feed_untrusted(data)
