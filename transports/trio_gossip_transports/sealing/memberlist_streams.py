"""The sealed format of memberlist for streams, without input or output.

The end that dialled sends its label header in the clear. Then each end sends frames:
``0A | length 4 | version | nonce 12 | ciphertext and tag 16``. The five bytes before the version
and the label are bound into the tag. memberlist itself reads one frame from each end.

A frame is whole or it is nothing, but nothing holds the frames of a stream together:

* There is no end mark. A stream that is closed between two frames has ended, also when it was not
  the peer who closed it. What is sent must itself tell where it ends, as the frames of this library
  and the messages of memberlist do.
* Frames have no numbers and no direction. Whoever sits between can leave some out, swap them,
  replay them, or send an end its own ones back.
* A frame cannot be judged before all of it is there. So a stranger can have this end keep
  ``FRAME_BYTES_MAX`` bytes for each stream: kept as they come, not when they are announced.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from trio_gossip_transports.sealing.memberlist_cipher import (
    BLOCK_BYTES,
    LABEL,
    SEALED_BYTES,
    Flaw,
    MemberlistCipher,
    label_header,
)
from trio_gossip_transports.sealing.streams import SealedStreamError

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip_transports.keyring import Keyring

FRAME: Final = 0x0A
"""First byte of every frame: memberlist's type for sealed messages."""

FRAME_BYTES_MAX: Final = 4 * 1024 * 1024
"""Most content in a frame; what is announced longer is refused before it is read. memberlist stops
at 20 MiB; this is enough for a table of about 30,000 of its members."""

_HEAD_BYTES: Final = 5

_REFUSAL: Final = b"\x0d\x81\xa5Error\xb7cannot open this stream"
"""memberlist's error message (type 13, a map in MessagePack)."""

_FLAWS: Final = {
    Flaw.SHORT: "sent a frame that is too short",
    Flaw.VERSION: "sealed a frame in an unknown version",
    Flaw.PADDING: "sealed a frame with wrong padding",
}


class PlainStreamError(SealedStreamError):
    """The peer does not seal, which is allowed; ``content`` is what it has sent so far."""

    def __init__(self, content: bytes) -> None:
        super().__init__("does not seal its streams")
        self.content = content


class MemberlistStreamSealer:
    """One end of a stream: bytes from the network in, content out, and the reverse.

    Send :attr:`outgoing` first and whenever it is not empty. There is no handshake: who has other
    keys or another label shows with the first frame.

    Args:
        keyring: the keys at each moment; one of them opens, the primary seals.
        label: both ends must have the same.
        accepted: True at the end that did not open the stream.
        takes_plain: at that end, raise :class:`PlainStreamError` for a peer that does not seal.
        entropy: random bytes; the operating system's, but for tests.
    """

    is_fresh: Final = False
    """Never true: this class itself tells plain peers from others, as a label may come first."""

    piece_bytes: Final = FRAME_BYTES_MAX
    """What is best sealed at once: memberlist reads no second frame."""

    def __init__(
        self,
        keyring: Keyring,
        label: bytes = b"",
        *,
        accepted: bool,
        takes_plain: bool = False,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._cipher = MemberlistCipher(keyring, entropy=entropy)
        self._label = label
        self._accepted = accepted
        self._takes_plain = takes_plain and accepted
        self._buffer = bytearray()
        self._awaits_label = accepted
        self._awaits_first_byte = True
        self._flaw = ""
        self.outgoing = b"" if accepted else label_header(label)
        """To be sent at once; the caller empties it."""
        self.ready = False
        """True when the peer has proved that it has a key and the label."""
        self.ended = False
        """Always False: there is no end mark. See :attr:`may_end_here`."""

    @property
    def can_seal(self) -> bool:
        """True at once; where plain peers are taken, when it is clear that it is none."""
        return not (self._takes_plain and self._awaits_first_byte)

    @property
    def may_end_here(self) -> bool:
        """Whether the end of the connection is the end of the stream: between two frames."""
        return not self._buffer and not self._flaw

    def seal(self, data: bytes) -> bytes:
        """Content as one frame, or as more where ``FRAME_BYTES_MAX`` is not enough.

        No content is no frame: memberlist cannot read an empty one.
        """
        return b"".join(
            self._frame(data[at : at + FRAME_BYTES_MAX], self._cipher.seal)
            for at in range(0, len(data), FRAME_BYTES_MAX)
        )

    def end(self) -> bytes:
        """Nothing: memberlist has no end mark."""
        return b""

    def _frame(self, data: bytes, seal: Callable[[bytes, bytes], bytes]) -> bytes:
        head = bytes((FRAME,)) + (SEALED_BYTES + len(data)).to_bytes(4, "big")
        return head + seal(data, head + self._label)

    def feed_untrusted(self, data: bytes) -> bytes:
        """Take bytes of the peer; return the content that is complete.

        Raises:
            SealedStreamError: the peer has other keys or another label, does not seal, or somebody
                has interfered. Send :attr:`outgoing`, it tells the peer, and close. Raised again
                whatever comes later.
            PlainStreamError: it does not seal, and plain peers are taken.
        """
        if self._flaw:
            raise SealedStreamError(self._flaw)
        self._buffer += data
        if self._awaits_label and not self._read_label():
            return b""
        content = bytearray()
        while (piece := self._next_frame()) is not None:
            content += piece
        return bytes(content)

    def _failed(self, flaw: str) -> SealedStreamError:
        """Give up for good; the end that accepted tells the other one, as memberlist does."""
        self._flaw = flaw
        self._buffer.clear()
        if self._accepted and not self.ready:
            self.outgoing = self._frame(_REFUSAL, self._cipher.seal_always_alike)
        return SealedStreamError(flaw)

    def _read_label(self) -> bool:
        """True when the label header of the other end is complete and ours."""
        header = label_header(self._label)
        begun = bytes(self._buffer[: len(header) or 1])
        if not begun:
            return False
        is_other = not header.startswith(begun) if header else begun[0] == LABEL
        if is_other:
            raise self._failed("has another label")
        if len(begun) < len(header):
            return False
        del self._buffer[: len(header)]
        self._awaits_label = False
        return True

    def _next_frame(self) -> bytes | None:
        """The content of the next frame; None while it is not complete."""
        buffer = self._buffer
        if not buffer:
            return None
        if buffer[0] != FRAME:
            if self._takes_plain and self._awaits_first_byte:
                raise PlainStreamError(bytes(buffer))
            raise self._failed("sent no frame" if self.ready else "does not seal its streams")
        self._awaits_first_byte = False
        if len(buffer) < _HEAD_BYTES:
            return None
        head = bytes(buffer[:_HEAD_BYTES])
        size = int.from_bytes(head[1:], "big")
        if not SEALED_BYTES < size <= SEALED_BYTES + FRAME_BYTES_MAX + BLOCK_BYTES:
            raise self._failed("announced a frame of an impossible length")
        if len(buffer) < _HEAD_BYTES + size:
            return None
        sealed = bytes(buffer[_HEAD_BYTES : _HEAD_BYTES + size])
        del buffer[: _HEAD_BYTES + size]
        return self._opened(sealed, head)

    def _opened(self, sealed: bytes, head: bytes) -> bytes:
        opened = self._cipher.open_untrusted(sealed, head + self._label)
        if opened is Flaw.UNKNOWN_KEY:
            unknown = "seals with a key that is not on our keyring, or under another label"
            forged = "sent a frame that is forged or damaged"
            raise self._failed(forged if self.ready else unknown)
        if isinstance(opened, Flaw):
            raise self._failed(_FLAWS[opened])
        if not opened:
            raise self._failed("sent an empty frame")
        self.ready = True
        return opened
