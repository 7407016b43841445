"""Sealed streams of both formats, by a peer that has the key and says what it likes."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.fuzz.sealed import KEYS, LABEL
from tests.fuzz.steps import Entropy, read_steps, timed
from trio_gossip.codec import DecodeError, NativeCodec
from trio_gossip_transports.keyring import Keyring
from trio_gossip_transports.sealing.memberlist_cipher import label_header
from trio_gossip_transports.sealing.memberlist_streams import (
    FRAME,
    FRAME_BYTES_MAX,
    MemberlistStreamSealer,
    PlainStreamError,
)
from trio_gossip_transports.sealing.streams import (
    RECORD_BYTES_MAX,
    NewKeyringError,
    SealedStreamError,
    StreamSealer,
)


class Reader:
    """One end under test, and the frame decoder that an engine has behind it."""

    def __init__(self, sealer: StreamSealer | MemberlistStreamSealer) -> None:
        self.sealer = sealer
        self.error: SealedStreamError | None = None
        self._decoder = NativeCodec().stream_decoder(accepted=True)

    def feed(self, data: bytes) -> bytes:
        """Bytes of the peer. Errors but the documented one escape; that one never goes away."""
        try:
            content = timed(self.sealer.feed_untrusted, data)
        except SealedStreamError as error:
            self._take(error)
            return b""
        assert self.error is None, "a broken stream was read on"
        try:
            self._decoder.feed_untrusted(content)
        except DecodeError:
            """What a member with a key says need not make sense."""
        return content

    def _take(self, error: SealedStreamError) -> None:
        assert "\n" not in str(error)
        assert self.error is None or str(self.error) == str(error), "the reason has changed"
        assert not isinstance(error, NewKeyringError) or error.keys
        self.error = error


def _retired_ring() -> Keyring:
    """A ring whose former key still authenticates who was away."""
    ring = Keyring([KEYS[1], KEYS[0]], clock=lambda: 0.0)
    ring.remove(KEYS[0])
    return ring


class NativePair:
    """A native stream whose peer is ours to seal with: the first byte of an input makes it.

    Bit 0: we accepted. Bit 1: the peer's key is a removed one. Bit 2: the peer has another label.
    """

    def __init__(self, how: int) -> None:
        accepted = bool(how & 1)
        ring, theirs = Keyring(KEYS[:2]), Keyring(KEYS[:2])
        if how & 2:
            ring, theirs = _retired_ring(), Keyring([KEYS[0]])
            if not accepted:
                ring, theirs = theirs, ring
        label = b"other" if how & 4 else LABEL
        self.us = Reader(StreamSealer(ring, LABEL, accepted=accepted, entropy=Entropy(1)))
        self.peer = StreamSealer(theirs, label, accepted=not accepted, entropy=Entropy(2))

    def shake_hands(self) -> None:
        """Carry what both ends want sent until neither wants anything."""
        for _ in range(6):
            ours, self.us.sealer.outgoing = self.us.sealer.outgoing, b""
            theirs, self.peer.outgoing = self.peer.outgoing, b""
            if not ours and not theirs:
                return
            if ours:
                try:
                    self.peer.feed_untrusted(ours)
                except SealedStreamError:
                    """The peer gives up; what it said before still arrives."""
            if theirs:
                self.us.feed(theirs)
        raise AssertionError("two ends shake hands for ever")


def native_streams(data: bytes) -> None:
    """Records of a native stream; the lowest three bits of an op say what a step does."""
    pair = NativePair(data[0] if data else 0)
    us = pair.us
    for op, chunk in read_steps(data[1:]):
        what = op & 7
        if what == 0:
            us.feed(chunk)
            continue
        if what != 7:
            pair.shake_hands()
        theirs = pair.peer._ours
        if theirs is None:
            us.feed(chunk)
        elif what == 1:  # a record of any kind, also of none
            if chunk:
                us.feed(theirs.seal(chunk[:1], chunk[1:]))
            else:
                head = (16).to_bytes(4, "big")
                nonce, bound = theirs._next(head)
                us.feed(head + theirs._cipher.encrypt(nonce, b"", bound))
        elif what == 2:  # content, in two pieces
            sealed = theirs.seal(b"\0", chunk)
            at = len(sealed) * (op >> 3) // 32
            fine = us.error is None and not us.sealer.ended and not us.sealer._is_retired
            content = us.feed(sealed[:at]) + us.feed(sealed[at:])
            if fine and us.error is None:
                assert content in (chunk, b""), "other content came out than went in"
        elif what == 3:  # the end
            is_between = not us.sealer._buffer  # not behind a record that is not complete
            us.feed(theirs.seal(b"\1", b""))
            assert us.error or us.sealer.ended or not is_between
        elif what == 4:  # a byte of a record altered
            sealed = bytearray(theirs.seal(b"\0", b"content"))
            sealed[(op >> 3) % len(sealed)] ^= chunk[0] if chunk and chunk[0] else 1
            us.feed(bytes(sealed))
        elif what == 5:  # a record twice
            sealed = theirs.seal(b"\0", chunk)
            us.feed(sealed)
            assert not us.feed(sealed)
        elif what == 6:  # we write
            if us.sealer.can_seal:
                us.sealer.seal(chunk)
        else:
            us.feed(chunk)
    assert len(us.sealer._buffer) <= RECORD_BYTES_MAX + 64


def memberlist_streams(data: bytes) -> None:
    """Frames of memberlist's streams. First byte: bit 0 accepted, bit 1 takes plain."""
    how = data[0] if data else 0
    accepted = bool(how & 1)
    sealer = MemberlistStreamSealer(
        Keyring(KEYS[:2]), LABEL, accepted=accepted, takes_plain=bool(how & 2), entropy=Entropy(1)
    )
    us = Reader(sealer)
    if accepted and how & 4:
        us.feed(label_header(LABEL))
    for op, chunk in read_steps(data[1:]):
        what, which = op & 3, op >> 2
        if what == 0:
            sealed = chunk
        else:
            nonce, body = chunk[:12].ljust(12, b"\0"), chunk[12:]
            length = 29 + len(body) + (which >> 4 if what == 2 else 0)
            head = bytes((FRAME,)) + length.to_bytes(4, "big")
            cipher = AESGCM(KEYS[which % 3].secret)
            version = bytes((which >> 2 & 3,))
            sealed = head + version + nonce + cipher.encrypt(nonce, body, head + LABEL)
        if what == 3:
            us.feed(sealed[: len(sealed) // 2])
            sealed = sealed[len(sealed) // 2 :]
        us.feed(sealed)
        if isinstance(us.error, PlainStreamError):
            return  # from here on the stream is read without this class
        if sealer.can_seal and which & 1:
            sealer.seal(chunk)
    assert len(sealer._buffer) <= FRAME_BYTES_MAX + 64


SEALED_STREAMS: dict[str, Callable[[bytes], None]] = {
    "native_streams": native_streams,
    "memberlist_streams": memberlist_streams,
}
"""By name."""
