"""What the engine asks of a codec: every byte between a message and the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.codec.messages import Frame, Message


class DecodeError(ValueError):
    """Bytes from the network that are not what they should be. The peer's fault.

    State: nothing was kept of them.

    Attributes:
        reason: a short fixed word under which the engine counts it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Room(Protocol):
    """The space that is left in one packet."""

    @property
    def free(self) -> int:
        """Upper bound of the size of a message that may still fit, in bytes."""
        ...

    def take(self, size: int) -> bool:
        """Reserve space for one more encoded message; False when it does not fit."""
        ...


class StreamDecoder(Protocol):
    """Turns the bytes of one direction of one stream into frames."""

    def feed_untrusted(self, data: bytes) -> list[Frame]:
        """Take the next bytes; return the frames that are complete now.

        Raises:
            DecodeError: the stream makes no sense from here on.
        """
        ...

    @property
    def buffered(self) -> int:
        """Bytes of a frame that is not complete yet."""
        ...


class Codec(Protocol):
    """One wire format. Pure: no state that one message leaves for the next."""

    def encode(self, message: Message) -> bytes:
        """Encode one message, once; the bytes are joined into many packets."""
        ...

    def room(self, packet_limit: int) -> Room:
        """The space in an empty packet of at most ``packet_limit`` bytes."""
        ...

    def pack(self, parts: Sequence[bytes]) -> bytes:
        """Join encoded messages into one packet."""
        ...

    def unpack_untrusted(self, data: bytes) -> list[Message]:
        """Split and check a packet.

        Raises:
            DecodeError: for anything that is not a well-formed packet.
        """
        ...

    def is_urgent(self, data: bytes) -> bool:
        """Whether a packet begins with a ping or an answer, by a look at its first bytes.

        It may be wrong for what is no well-formed packet: only the order of handling depends on it.
        """
        ...

    def encode_frame(self, frame: Frame) -> bytes:
        """Encode one frame of a stream, with whatever marks its length."""
        ...

    def stream_decoder(self, *, accepted: bool) -> StreamDecoder:
        """A fresh decoder for what arrives on a stream that was ``accepted`` or opened."""
        ...

    @property
    def chunk_bytes(self) -> int:
        """How many bytes of a reliable message go into one frame."""
        ...
