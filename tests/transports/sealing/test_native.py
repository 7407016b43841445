"""The native packets: their bytes, what they are bound to, and that no nonce comes twice."""

from __future__ import annotations

import os
import pickle

import pytest

from tests.transports.sealing.helpers import K1, K2, K3, Wire, sealed, sealer, session
from trio_gossip import Address
from trio_gossip_transports.keyring import Keyring
from trio_gossip_transports.sealing import native
from trio_gossip_transports.sealing.native import (
    BODY_BYTES,
    DATA,
    HELLO,
    OVERHEAD,
    RESET,
    WELCOME,
    NativeSealer,
)

SOURCE = Address("x", 1)


def test_a_packet_arrives_after_one_round_trip_and_later_ones_at_once():
    wire, _a, _ = session()
    assert [data[0] for data, _, _ in wire.recorded] == [HELLO, WELCOME, DATA]
    wire.send("a", "b", b"second")
    assert wire.delivered == [(Address("b", 1), b"second")]
    assert len(wire.recorded) == 4


@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("content", [b"", b"x", bytes(1400)])
def test_keys_of_all_sizes_and_contents_of_any_length(size: int, content: bytes):
    a, b = sealer(bytes(size)), sealer(bytes(size))
    wire = Wire(a=a, b=b)
    wire.send("a", "b", content)
    assert wire.delivered == [(Address("b", 1), content)]
    assert len(wire.recorded[-1][0]) == len(content) + OVERHEAD
    assert OVERHEAD <= 40


def test_the_bytes_are_those_of_the_documentation():
    _, a, b = session()
    data = sealed(a, "b", b"content")
    [token] = b._senders.proven
    assert data[0] == 0xE3
    assert data[1:5] == a._ring.primary.id
    assert data[5:13] == token
    assert int.from_bytes(data[13:19], "big") == a._counter - 1
    assert b"content" not in data


def test_an_altered_byte_anywhere_is_noticed():
    _, a, b = session()
    data = sealed(a, "b", b"content")
    for place in range(len(data)):
        for bit in (1, 0x80):
            broken = data[:place] + bytes((data[place] ^ bit,)) + data[place + 1 :]
            assert b.open(broken, SOURCE, 0.0).packets == [], place
    for size in range(len(data)):
        assert b.open(data[:size], SOURCE, 0.0).packets == []
    assert b.open(data + b"\0", SOURCE, 0.0).packets == []
    assert b.open(data, SOURCE, 0.0).packets == [b"content"]


def test_each_message_of_a_handshake_is_bound_to_every_byte_of_it():
    wire, _, b = session()
    hello = wire.recorded[0][0]
    b.after_fork()  # it knows nobody
    for place in range(len(hello)):
        broken = hello[:place] + bytes((hello[place] ^ 1,)) + hello[place + 1 :]
        outgoing = b.open(broken, SOURCE, float(place)).outgoing
        assert all(data[0] == native.NOTICE for data, _ in outgoing), place
    assert len(b._senders) == 0
    assert b.open(hello, SOURCE, 999.0).outgoing[0][0][0] == WELCOME


def test_no_pair_of_key_and_nonce_comes_twice(monkeypatch: pytest.MonkeyPatch):
    used: set[tuple[bytes, bytes]] = set()

    class Recorder:
        def __init__(self, key: bytes) -> None:
            self.key = key
            self.real = real(key)

        def encrypt(self, nonce: bytes, data: bytes, bound: bytes) -> bytes:
            assert (self.key, nonce) not in used
            assert len(nonce) == 12
            used.add((self.key, nonce))
            return self.real.encrypt(nonce, data, bound)

        def decrypt(self, nonce: bytes, data: bytes, bound: bytes) -> bytes:
            return self.real.decrypt(nonce, data, bound)

    real = native.AESGCM
    monkeypatch.setattr(native, "AESGCM", Recorder)
    rings = [Keyring([K1, K2]) for _ in range(3)]
    wire = Wire(**{name: NativeSealer(ring) for name, ring in zip("abc", rings, strict=True)})
    for turn in range(60):
        for source in "abc":
            for target in "abc":
                wire.send(source, target, b"x")
        if turn == 20:
            rings[0].use(K2)
        if turn == 30:
            wire.at[Address("b", 1)].after_fork()
        if turn == 40:
            rings[0].use(K1)  # the first key again, the same boot: its numbers go on
            wire.at[Address("c", 1)]._counter = native.COUNTER_MAX
        wire.now += 1.0
    assert len(used) > 500


def test_a_new_boot_id_is_taken_before_the_numbers_end_and_packets_still_arrive():
    wire, a, _ = session()
    before = a._boot
    a._counter = native.COUNTER_MAX - 1
    wire.send("a", "b", b"the last")
    assert a._boot == before
    wire.send("a", "b", b"the first")
    assert a._boot != before
    assert a._counter < 10
    assert [data for _, data in wire.delivered] == [b"the last", b"the first"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_has_another_boot_and_none_of_the_sessions():
    _, a, b = session()
    data = sealed(a, "b", b"for the parent")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            fresh = not b._senders and not a._tokens and b.open(data, SOURCE, 0.0).packets == []
            os.write(writing, a._boot + b._boot + bytes((fresh,)))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    told = os.read(reading, 99)
    os.close(reading)
    os.close(writing)
    assert len(told) == 17
    assert told[:8] not in (a._boot, b._boot)
    assert told[8:16] not in (a._boot, b._boot)
    assert told[16] == 1
    assert b.open(data, SOURCE, 0.0).packets == [b"for the parent"]


# -- labels and keys --------------------------------------------------------------------


def test_another_label_opens_nothing_and_both_sides_hear_of_it():
    wire = Wire(a=sealer(label=b"one"), b=sealer(label=b"other"))
    wire.send("a", "b", b"x")
    assert wire.delivered == []
    assert wire.troubles == [
        (Address("b", 1), "has another label, or does not really hold the key"),
        (Address("a", 1), "says that it has another label"),
    ]
    assert wire.at[Address("b", 1)].counts["handshake_forged"] == 1
    assert wire.at[Address("a", 1)].counts["notice"] == 1


def test_a_packet_of_another_label_under_a_known_token_is_forged():
    _, a, b = session(label=b"one")
    a._label = b"other"
    a._read_keyring()
    assert b.open(sealed(a, "b", b"x"), SOURCE, 0.0).packets == []
    assert b.counts["forged"] == 1


def test_an_unknown_key_opens_nothing_and_both_sides_hear_of_it():
    wire = Wire(a=sealer(K1), b=sealer(K2))
    wire.send("a", "b", b"x")
    assert wire.delivered == []
    assert wire.troubles == [
        (Address("b", 1), "seals with a key that is not on our keyring"),
        (Address("a", 1), "says that it does not know our key"),
    ]
    assert wire.at[Address("b", 1)].counts["unknown_key"] == 1


def test_a_receiver_that_restarted_with_other_keys_says_so():
    wire, _, _ = session()
    wire.at[Address("b", 1)] = sealer(K2)
    wire.send("a", "b", b"x")
    assert [trouble for _, trouble in wire.troubles] == [
        "seals with a key that is not on our keyring",
        "says that it does not know our key",
    ]


def test_any_key_of_the_ring_opens_and_a_handshake_is_answered_under_the_key_it_came_with():
    wire = Wire(a=sealer(K1), b=sealer(K2, K1))  # a has not heard of the new primary yet
    wire.send("a", "b", b"x")
    assert wire.delivered == [(Address("b", 1), b"x")]
    wire.at[Address("b", 1)].after_fork()
    wire.send("a", "b", b"a packet that is lost with the session")
    wire.now = 1.0
    wire.send("a", "b", b"y")
    assert wire.delivered[-1] == (Address("b", 1), b"y")


def test_a_change_of_keys_needs_no_new_session_and_a_removed_key_opens_nothing():
    rings = Keyring([K1]), Keyring([K1])
    a, b = (NativeSealer(ring) for ring in rings)
    wire = Wire(a=a, b=b)
    wire.send("a", "b", b"1")
    late = sealed(a, "b", b"sealed before the removal")
    for ring in rings:
        ring.install(K2)
    for ring in rings:
        ring.use(K2)
    wire.send("a", "b", b"2")
    rings[1].remove(K1)
    wire.send("a", "b", b"3")
    assert [data for _, data in wire.delivered] == [b"1", b"2", b"3"]
    assert [data[0] for data, _, _ in wire.recorded].count(HELLO) == 1
    assert b.open(late, Address("a", 1), 0.0).packets == []
    assert b.counts["unknown_key"] == 1


def test_notices_about_keys_that_are_not_ours_trouble_nobody():
    a = sealer()
    for reason in range(256):
        opened = a.open(bytes((native.NOTICE, reason)) + b"else", SOURCE, 0.0)
        assert opened.packets == []
        assert opened.outgoing == []
        assert (opened.trouble is None) == (reason != 3)


# -- secrets ----------------------------------------------------------------------------


def test_no_secret_is_in_any_repr_and_nothing_is_pickled():
    secret = bytes(range(100, 132))
    ring = Keyring([secret, K3])
    ring.install(K2)
    ring.remove(K2)
    a = NativeSealer(ring)
    shown = [ring, ring.snapshot, ring.list(), ring.snapshot.retired, a, ring.snapshot.primary]
    [key] = [key for key in ring.list() if key.secret == secret]
    wire = Wire(a=a, b=NativeSealer(ring))
    wire.send("a", "b", b"x")
    shown += [a._senders, a._receivers, *wire.at[Address("b", 1)]._senders.proven.values()]
    text = " ".join(f"{each!r} {each!s}" for each in shown)
    for hidden in (key.text, key.text[:10], secret.hex(), repr(secret)[2:20], key._prk.hex()):
        assert hidden not in text
    for each in (key, ring, ring.snapshot):
        with pytest.raises(TypeError, match="not pickled") as caught:
            pickle.dumps(each)
        assert key.text not in str(caught.value)


def test_the_messages_of_a_handshake_are_all_of_one_length():
    wire, _a, b = session()
    b.after_fork()
    wire.now = 1.0
    wire.send("a", "b", bytes(BODY_BYTES))
    lengths = {data[0]: len(data) for data, _, _ in wire.recorded if data[0] != DATA}
    assert lengths == dict.fromkeys((HELLO, WELCOME, RESET), OVERHEAD + BODY_BYTES)
