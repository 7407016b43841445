"""The bytes that the documentation of the native format names, made and read by hand.

Nothing of the implementation is used here but the two ends: what this file cannot open, another
implementation after the same page could not open either.
"""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.transports.sealing.helpers import sealer
from trio_gossip import Address
from trio_gossip_transports.keyring import Keyring
from trio_gossip_transports.sealing.streams import StreamSealer

PEER = Address("peer", 1)
LABEL = b"label"


def expand(key: bytes, info: bytes, size: int) -> bytes:
    prk = hmac.new(b"trio-gossip sealing 1", key, hashlib.sha256).digest()
    return hmac.new(prk, info + b"\1", hashlib.sha256).digest()[:size]


@pytest.fixture(params=[16, 24, 32])
def key(request: pytest.FixtureRequest) -> bytes:
    return bytes(range(request.param))


def handshake(key: bytes, kind: int, boot: bytes, counter: int, body: bytes) -> bytes:
    header = bytes((kind,)) + expand(key, b"id", 4) + boot + counter.to_bytes(6, "big")
    cipher = AESGCM(expand(key, b"handshake" + boot, len(key)))
    return header + cipher.encrypt(counter.to_bytes(12, "big"), body, header + LABEL)


def opened(key: bytes, data: bytes) -> bytes:
    cipher = AESGCM(expand(key, b"handshake" + data[5:13], len(key)))
    return cipher.decrypt(bytes(6) + data[13:19], data[19:], data[:19] + LABEL)


def test_a_sender_made_by_hand_is_understood(key: bytes):
    receiver = sealer(key, label=LABEL)
    boot = b"my boot."
    hello = handshake(key, 0xE1, boot, 7, b"my nonce" + bytes(8))
    [(welcome, _)] = receiver.open(hello, PEER, 0.0).outgoing
    assert (welcome[0], welcome[1:5], len(welcome)) == (0xE2, expand(key, b"id", 4), 51)
    body = opened(key, welcome)
    assert body[:8] == b"my nonce"
    header = b"\xe3" + expand(key, b"id", 4) + body[8:] + (8).to_bytes(6, "big")
    cipher = AESGCM(expand(key, b"packet" + boot, len(key)))
    data = header + cipher.encrypt((8).to_bytes(12, "big"), b"content", header + boot + LABEL)
    assert receiver.open(data, PEER, 0.0).packets == [b"content"]


def test_a_receiver_made_by_hand_understands(key: bytes):
    sender = sealer(key, label=LABEL)
    [(hello, _)] = sender.seal(b"content", PEER, 0.0)
    boot, body = hello[5:13], opened(key, hello)
    assert (hello[0], len(hello), body[8:]) == (0xE1, 51, bytes(8))
    welcome = handshake(key, 0xE2, b"my boot.", 0, body[:8] + b"my token")
    [(data, _)] = sender.open(welcome, PEER, 0.0).outgoing
    assert data[:13] == b"\xe3" + expand(key, b"id", 4) + b"my token"
    cipher = AESGCM(expand(key, b"packet" + boot, len(key)))
    assert cipher.decrypt(bytes(6) + data[13:19], data[19:], data[:19] + boot + LABEL) == b"content"
    reset = handshake(key, 0xE4, b"my boot.", 1, b"my token" + bytes(8))
    [(again, _)] = sender.open(reset, PEER, 9.0).outgoing
    assert again[0] == 0xE1


class Side:
    """Records of one direction, by hand."""

    def __init__(self, key: bytes, letter: bytes, randoms: bytes) -> None:
        info = b"stream" + letter + randoms + hashlib.sha256(LABEL).digest()[:16]
        self.cipher = AESGCM(expand(key, info, len(key)))
        self.letter = letter
        self.number = 0

    def seal(self, content: bytes) -> bytes:
        length = (len(content) + 16).to_bytes(4, "big")
        nonce = self.number.to_bytes(12, "big")
        self.number += 1
        return length + self.cipher.encrypt(nonce, content, self.letter + nonce + length)

    def open(self, record: bytes) -> bytes:
        nonce = self.number.to_bytes(12, "big")
        self.number += 1
        assert int.from_bytes(record[:4], "big") == len(record) - 4
        return self.cipher.decrypt(nonce, record[4:], self.letter + nonce + record[:4])


def test_an_opener_made_by_hand_is_understood(key: bytes):
    acceptor = StreamSealer(Keyring([key]), LABEL, accepted=True)
    acceptor.feed_untrusted(b"\xe8" + expand(key, b"id", 4) + b"random of opener")
    answer = acceptor.outgoing
    assert answer[:5] == b"\xe9" + expand(key, b"id", 4)
    randoms = b"random of opener" + answer[5:21]
    ours, theirs = Side(key, b"O", randoms), Side(key, b"A", randoms)
    assert theirs.open(answer[21:]) == b"\0"
    assert acceptor.feed_untrusted(ours.seal(b"\0content") + ours.seal(b"\1")) == b"content"
    assert acceptor.ended
    assert theirs.open(acceptor.seal(b"answer")) == b"\0answer"
    assert theirs.open(acceptor.end()) == b"\1"


def test_a_keyring_is_handed_over_as_the_page_says(key: bytes):
    new = bytes(32)
    ring = Keyring([new, key])
    ring.remove(key)
    acceptor = StreamSealer(ring, LABEL, accepted=True)
    acceptor.feed_untrusted(b"\xe8" + expand(key, b"id", 4) + b"random of opener")
    randoms = b"random of opener" + acceptor.outgoing[5:21]
    ours, theirs = Side(key, b"O", randoms), Side(key, b"A", randoms)
    assert theirs.open(acceptor.outgoing[21:]) == b"\3"
    acceptor.outgoing = b""
    with pytest.raises(Exception, match="given the new ones"):
        acceptor.feed_untrusted(ours.seal(b"\0"))
    size = 4 + int.from_bytes(acceptor.outgoing[:4], "big")
    assert theirs.open(acceptor.outgoing[:size]) == b"\2" + b"\x20" + new
    assert theirs.open(acceptor.outgoing[size:]) == b"\1"
