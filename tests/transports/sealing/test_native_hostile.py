"""Bytes from anybody: nothing raises, nothing is accepted, nothing grows."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transports.sealing.helpers import K1, A, B, sealed, sealer, session
from trio_gossip_transports.keyring import Keyring
from trio_gossip_transports.keys import Key
from trio_gossip_transports.sealing.native import AESGCM as Cipher
from trio_gossip_transports.sealing.native import (
    BODY_BYTES,
    DATA,
    HELLO,
    NOTICE,
    OVERHEAD,
    RESET,
    WELCOME,
)

KINDS = st.sampled_from([HELLO, WELCOME, DATA, RESET, NOTICE])
KEY = Key(K1)


@settings(max_examples=500)
@given(st.binary(max_size=200))
def test_any_bytes(data: bytes):
    _, _, b = session()
    assert b.open(data, A, 0.0).packets == []


@settings(max_examples=500)
@given(KINDS, st.booleans(), st.binary(max_size=100))
def test_any_bytes_behind_a_true_beginning(kind: int, knows: bool, rest: bytes):
    _, a, b = session()
    a.seal(b"waits", A, 0.0)
    token = next(iter(b._senders.proven)) if knows else b""
    for receiver in (a, b):
        assert receiver.open(bytes((kind,)) + KEY.id + token + rest, A, 0.0).packets == []


@settings(max_examples=300)
@given(
    st.sampled_from([HELLO, WELCOME, RESET]),
    st.binary(min_size=8, max_size=8),
    st.integers(0, 2**48 - 1),
    st.binary(max_size=40) | st.binary(min_size=BODY_BYTES, max_size=BODY_BYTES),
)
def test_any_handshake_of_who_has_the_key(kind: int, boot: bytes, counter: int, body: bytes):
    """A member gone mad: its messages are authentic, and make no sense."""
    _, a, b = session()
    header = bytes((kind,)) + KEY.id + boot + counter.to_bytes(6, "big")
    data = header + Cipher(KEY.derive(b"handshake" + boot)).encrypt(
        bytes(6) + counter.to_bytes(6, "big"), body, header
    )
    for receiver in (a, b):
        for now in (0.0, 1.0):
            opened = receiver.open(data, B, now)
            assert opened.packets == []
            assert sum(len(each) for each, _ in opened.outgoing) <= len(data)
    assert b.open(sealed(a, "b", b"all is well"), A, 2.0).packets == [b"all is well"]


@settings(max_examples=300)
@given(st.binary(max_size=64), st.integers(0, 2**48 - 1))
def test_any_counter_of_who_has_the_key(content: bytes, counter: int):
    _, a, b = session()
    a._counter = counter
    data = a._sealed(content, next(iter(b._senders.proven)))
    is_new = counter > 1  # the hello and the first packet had the lower ones
    assert b.open(data, A, 0.0).packets == ([content] if is_new else [])
    assert b.open(data, A, 0.0).packets == []


def test_a_hundred_thousand_random_datagrams_leave_no_trace():
    b = sealer()
    chance = random.Random(7)
    heads = [bytes((kind,)) + KEY.id for kind in (HELLO, WELCOME, DATA, RESET, NOTICE)]
    for number in range(100_000):
        data = chance.choice(heads) * (number % 2) + chance.randbytes(chance.randrange(80))
        assert b.open(data, A, number / 1000).packets == []
    assert len(b._senders) == len(b._tokens) == len(b._receivers._waiting) == 0
    assert len(b.counts) < 20


def test_a_keyring_with_eight_keys_is_not_tried_key_by_key():
    ring = Keyring([bytes([number]) * 32 for number in range(8)])
    b = sealer(*(key.secret for key in ring.list()))
    data = bytes((DATA,)) + b"none" + bytes(OVERHEAD)
    assert b.open(data, A, 0.0).packets == []
    assert b.counts["unknown_key"] == 1
