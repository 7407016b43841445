"""The native sealed format of streams, without input or output.

Each end sends a preface with 16 random bytes; the keys of the two directions come from the cluster
key and both prefaces, so that nothing recorded fits another stream. Then records follow, numbered
and bound to their direction; the last one says that it is the last.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trio_gossip_transports.keys import Key

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip_transports.keyring import Keyring

OPENER: Final = 0xE8
ACCEPTOR: Final = 0xE9
REFUSAL: Final = 0xEA

PREFACE_BYTES: Final = 21
"""Type, key id 4, random 16."""

REFUSAL_BYTES: Final = 6
"""Type, reason, key id 4."""

RECORD_BYTES_MAX: Final = 65_536
"""Most content in a record; what is announced longer is refused before it is read."""

_TAG_BYTES: Final = 16
_HEAD_BYTES: Final = 4

_DATA: Final = b"\0"
_END: Final = b"\1"
_KEYRING: Final = b"\2"
_PROVE: Final = b"\3"
_NEWER: Final = b"\4"
_ASK: Final = b"\5"

REFUSALS: Final = {
    1: "does not know our key",
    2: "has another label, or does not really hold the key",
    3: "takes sealed streams only",
}
"""By their number on the wire."""


class SealedStreamError(Exception):
    """The peer's bytes make no sense from here on; the text is one line about the peer."""


class NewKeyringError(SealedStreamError):
    """The peer has newer keys, and gave them to us since our old one was still good for it."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        super().__init__("gave us newer keys")
        self.keys = keys


class _Direction:
    """Seals or opens the records of one direction."""

    __slots__ = ("_cipher", "_mark", "_number")

    def __init__(self, key: Key, mark: bytes, context: bytes) -> None:
        self._cipher = AESGCM(key.derive(b"stream" + mark + context))
        self._mark = mark
        self._number = 0

    def seal(self, kind: bytes, data: bytes) -> bytes:
        head = (len(data) + 1 + _TAG_BYTES).to_bytes(_HEAD_BYTES, "big")
        nonce, bound = self._next(head)
        return head + self._cipher.encrypt(nonce, kind + data, bound)

    def open(self, head: bytes, sealed: bytes) -> bytes:
        nonce, bound = self._next(head)
        try:
            return self._cipher.decrypt(nonce, sealed, bound)
        except InvalidTag:
            raise SealedStreamError("sent a record that is forged, repeated or damaged") from None

    def _next(self, head: bytes) -> tuple[bytes, bytes]:
        number = self._number.to_bytes(12, "big")
        self._number += 1
        return number, self._mark + number + head


class StreamSealer:
    """One end of a sealed stream: bytes from the network in, content out, and the reverse.

    Send :attr:`outgoing` first and whenever it is not empty. Wait for :attr:`ready` before
    anything else is sealed.

    Args:
        keyring: the keys at this moment.
        label: both ends must have the same.
        accepted: True at the end that did not open the stream.
        entropy: random bytes; the operating system's, but for tests.
    """

    def __init__(
        self,
        keyring: Keyring,
        label: bytes = b"",
        *,
        accepted: bool,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._keyring = keyring
        self._label = hashlib.sha256(label).digest()[:16]
        self._accepted = accepted
        self._random = entropy(16)
        self._key: Key = keyring.snapshot.primary
        self._buffer = bytearray()
        self._theirs: _Direction | None = None
        self._ours: _Direction | None = None
        self._is_retired = False
        self._is_outdated = False
        self._fault: SealedStreamError | None = None
        self.outgoing = b""
        """To be sent at once; the caller empties it."""
        self.ready = False
        """True when the peer has proved that it has the key and the label."""
        self.ended = False
        """True when the peer has said that nothing more comes."""
        if not accepted:
            self.outgoing = bytes((OPENER,)) + self._key.id + self._random

    piece_bytes: Final = RECORD_BYTES_MAX
    """What is best sealed at once: a long message is not in memory twice."""

    may_end_here: Final = False
    """Whether the end of the connection is one of the stream: never, there is an end mark."""

    @property
    def is_fresh(self) -> bool:
        """True until the first byte of the peer."""
        return self._theirs is None and not self._buffer

    @property
    def can_seal(self) -> bool:
        """True when there is something to seal with: at the opener once the peer has proved
        itself, at the other end as soon as the opener's preface is there.
        """
        if self._fault is not None or self._is_retired:
            return False
        return self._ours is not None if self._accepted else self.ready

    def seal(self, data: bytes) -> bytes:
        """Content as records, of at most ``RECORD_BYTES_MAX`` each."""
        ours = self._ours
        assert ours is not None, "sealed before the prefaces were exchanged"
        return b"".join(
            ours.seal(_DATA, bytes(data[at : at + RECORD_BYTES_MAX]))
            for at in range(0, len(data), RECORD_BYTES_MAX)
        )

    def end(self) -> bytes:
        """The last record: without it the peer knows that something was cut off."""
        assert self._ours is not None, "ended before the prefaces were exchanged"
        return self._ours.seal(_END, b"")

    def feed_untrusted(self, data: bytes) -> bytes:
        """Take bytes of the peer; return the content that is complete.

        After an error every further call raises the same one.

        Raises:
            SealedStreamError: the peer has other keys or another label, or somebody has
                interfered. Send :attr:`outgoing`, it may tell the peer why, and close.
            NewKeyringError: install its keys and dial again.
        """
        if self._fault is not None:
            raise self._fault
        self._buffer += data
        try:
            if self._theirs is None and not self._read_preface():
                return b""
            content = bytearray()
            while (record := self._next_record()) is not None:
                content += self._take(record)
        except SealedStreamError as error:
            self._fault = error
            self._buffer.clear()
            raise
        return bytes(content)

    # -- prefaces -----------------------------------------------------------------------

    def _read_preface(self) -> bool:
        """True when the peer's preface is complete."""
        buffer = self._buffer
        if not buffer:
            return False
        if buffer[0] == REFUSAL and not self._accepted:
            if len(buffer) < REFUSAL_BYTES:
                return False
            raise SealedStreamError(REFUSALS.get(buffer[1], "refuses the stream"))
        if buffer[0] != (OPENER if self._accepted else ACCEPTOR):
            self.outgoing = refusal(3, b"\0\0\0\0") if self._accepted else b""
            raise SealedStreamError("does not seal its streams")
        if len(buffer) < PREFACE_BYTES:
            return False
        key_id, random = bytes(buffer[1:5]), bytes(buffer[5:PREFACE_BYTES])
        del buffer[:PREFACE_BYTES]
        if self._accepted:
            self._accept(key_id, random)
        elif key_id != self._key.id:
            raise SealedStreamError("answered under another key than ours")
        else:
            self._derive(self._random + random)
        return True

    def _accept(self, key_id: bytes, random: bytes) -> None:
        key = self._keyring.snapshot.find(key_id)
        retired = None if key is not None else self._keyring.find_retired(key_id)
        if key is None and retired is None:
            self.outgoing = refusal(1, key_id)
            raise SealedStreamError("seals with a key that is not on our keyring")
        primary = self._keyring.snapshot.primary
        self._key = key or retired or self._key
        self._is_retired = key is None
        self._is_outdated = key not in (None, primary) and self._keyring.grace > 0.0
        self._derive(random + self._random)
        assert self._ours is not None
        # The id of a key is no secret: who comes with a removed one has to prove first that it
        # has it, or a stranger could fetch our keys now and read them when that one leaks.
        kind, told = (_PROVE, b"") if self._is_retired else (_DATA, b"")
        if self._is_outdated:
            # Who was away when ours was installed cannot open what we seal, and may not know.
            kind, told = _NEWER, primary.id
        self.outgoing = bytes((ACCEPTOR,)) + key_id + self._random + self._ours.seal(kind, told)

    def _derive(self, randoms: bytes) -> None:
        context = randoms + self._label
        ours, theirs = (b"A", b"O") if self._accepted else (b"O", b"A")
        self._ours = _Direction(self._key, ours, context)
        self._theirs = _Direction(self._key, theirs, context)

    # -- records ------------------------------------------------------------------------

    def _next_record(self) -> bytes | None:
        """The next record's content with its kind; None while it is not complete."""
        buffer, theirs = self._buffer, self._theirs
        assert theirs is not None
        if len(buffer) < _HEAD_BYTES:
            return None
        head = bytes(buffer[:_HEAD_BYTES])
        size = int.from_bytes(head, "big")
        if not _TAG_BYTES < size <= RECORD_BYTES_MAX + 1 + _TAG_BYTES:
            raise SealedStreamError("announced a record of an impossible length")
        if len(buffer) < _HEAD_BYTES + size:
            return None
        sealed = bytes(buffer[_HEAD_BYTES : _HEAD_BYTES + size])
        del buffer[: _HEAD_BYTES + size]
        try:
            return theirs.open(head, sealed)
        except SealedStreamError:
            if not self.ready:  # the very first one: it has our key's id, but not what we have
                self.outgoing += refusal(2, self._key.id) if self._accepted else b""
                raise SealedStreamError(REFUSALS[2]) from None
            raise

    def _take(self, record: bytes) -> bytes:
        if self.ended:
            raise SealedStreamError("went on after its end")
        if self._is_retired:
            self._hand_over("has a removed key, and was given the new ones")
        kind = record[:1]
        if not (self._accepted or self.ready):
            answer = self._answer_to(kind, record[1:])
            if answer:
                assert self._ours is not None
                self.outgoing += self._ours.seal(answer, b"")
                return b""
        self.ready = True
        if kind == _ASK and self._is_outdated:
            self._hand_over("has not got the key that we use, and was given it")
        if kind == _DATA:
            return record[1:]
        if kind == _NEWER and not self._accepted:
            return b""
        if kind == _END and len(record) == 1:
            self.ended = True
            return b""
        if kind == _KEYRING and not self._accepted:
            raise NewKeyringError(_keys_of(record[1:]))
        raise SealedStreamError("sent a record of an unknown kind")

    def _answer_to(self, kind: bytes, data: bytes) -> bytes:
        """The kind of record that the acceptor waits for after its first one; "" for none."""
        if kind == _PROVE:
            return _DATA
        if kind == _NEWER:
            ring = self._keyring.snapshot
            # A key that was in use here before is no newer one: the acceptor itself was away, and
            # would take us back to it, and by us the others. It may have been removed as leaked.
            if ring.find(data) is None and data not in ring.former:
                return _ASK
        return b""

    def _hand_over(self, why: str) -> None:
        """Nothing but our keys for who has been away, sealed with the one that it has."""
        assert self._ours is not None
        keys = b"".join(bytes((len(key.secret),)) + key.secret for key in self._keyring.list())
        self.outgoing += self._ours.seal(_KEYRING, keys) + self.end()
        raise SealedStreamError(why)


def refusal(reason: int, key_id: bytes) -> bytes:
    """Why a stream is not accepted, in the clear. Believed for nothing but a log line."""
    return bytes((REFUSAL, reason)) + key_id


def _keys_of(data: bytes) -> tuple[Key, ...]:
    keys: list[Key] = []
    while data:
        size = data[0]
        try:
            keys.append(Key(data[1 : 1 + size]))
        except ValueError as error:
            raise SealedStreamError(f"sent a keyring that is none: {error}") from None
        data = data[1 + size :]
    if not keys:
        raise SealedStreamError("sent an empty keyring")
    return tuple(keys)
