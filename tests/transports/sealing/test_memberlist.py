"""Packets as memberlist seals them: labels, keys, versions, plain peers, and garbage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from trio_gossip.addresses import Address
from trio_gossip_transports.keyring import KEYS_MAX, Keyring
from trio_gossip_transports.sealing import memberlist_cipher
from trio_gossip_transports.sealing.base import Opened, Trouble
from trio_gossip_transports.sealing.memberlist import MemberlistSealer
from trio_gossip_transports.sealing.memberlist_cipher import MemberlistCipher, label_header

VECTORS = json.loads((Path(__file__).parent / "serf_vectors.json").read_text())
PEER = Address("192.0.2.1", 7946)
KEYS = [bytes((number,)) * size for number, size in enumerate((16, 24, 32), 1)]
LABELS = st.binary(max_size=255)


def sealer(*keys: bytes, label: bytes = b"") -> MemberlistSealer:
    return MemberlistSealer(Keyring(keys or KEYS[:1]), label)


def sealed_by(one: MemberlistSealer, data: bytes) -> bytes:
    ((sealed, address),) = one.seal(data, PEER, 0.0)
    assert address == PEER
    return sealed


def version_0(key: bytes, padded: bytes, label: bytes = b"") -> bytes:
    """A packet of version 0 around content that is padded already, rightly or not."""
    return bytes(13) + AESGCM(key).encrypt(bytes(12), padded, label)


def padded(data: bytes) -> bytes:
    size = 16 - len(data) % 16
    return data + bytes((size,)) * size


@given(st.sampled_from(KEYS), LABELS, st.binary(max_size=1400))
def test_what_was_sealed_opens(key, label, data):
    one, other = sealer(key, label=label), sealer(key, label=label)
    sealed = sealed_by(one, data)
    assert len(sealed) == len(data) + one.overhead
    assert sealed.startswith(label_header(label))
    assert other.open(sealed, PEER, 0.0) == Opened([data], [])
    assert not other.counts


def test_each_packet_has_its_own_nonce():
    one = sealer()
    assert len({sealed_by(one, b"same")[1:13] for _ in range(1000)}) == 1000


def test_nothing_keeps_a_recorded_packet_out():
    """The format has no replay protection: this is documented, not wished for."""
    one, other, restarted = sealer(), sealer(), sealer()
    sealed = sealed_by(one, b"old news")
    for receiver in (other, other, restarted):
        assert receiver.open(sealed, PEER, 0.0).packets == [b"old news"]


@pytest.mark.parametrize(
    ("ours", "theirs"), [(b"a", b"b"), (b"", b"b"), (b"a", b""), (b"a", b"aa")]
)
def test_another_label_is_told_and_nothing_opens(ours, theirs):
    one = sealer(label=ours)
    found = one.open(sealed_by(sealer(label=theirs), b"data"), PEER, 0.0)
    assert found == Opened([], [], Trouble.OTHER_LABEL)
    assert one.counts == {"other_label": 1}


def test_the_label_is_bound_and_not_only_compared():
    sealed = sealed_by(sealer(label=b"theirs"), b"data")
    forged = label_header(b"ours") + sealed.removeprefix(label_header(b"theirs"))
    one = sealer(label=b"ours")
    assert one.open(forged, PEER, 0.0) == Opened([], [], Trouble.UNKNOWN_KEY)
    bare = sealed.removeprefix(label_header(b"theirs"))
    assert sealer().open(bare, PEER, 0.0).packets == []


def test_an_unknown_key_is_told_and_counted_and_never_answered():
    one = sealer(KEYS[0])
    sealed = b"\x01" + bytes(12) + AESGCM(KEYS[1]).encrypt(bytes(12), b"data", b"")
    assert one.open(sealed, PEER, 0.0) == Opened([], [], Trouble.UNKNOWN_KEY)
    assert one.counts == {"unknown_key": 1}


def test_all_keys_open_and_the_primary_seals_through_a_rotation():
    old, new = KEYS[0], KEYS[2]
    ring = Keyring([old])
    one = MemberlistSealer(ring)
    peer_old, peer_new = sealer(old), sealer(new)
    sealed_old, sealed_new = sealed_by(peer_old, b"old"), sealed_by(peer_new, b"new")
    assert not one.open(sealed_new, PEER, 0.0).packets
    ring.install(new)
    assert one.open(sealed_new, PEER, 0.0).packets == [b"new"]
    assert one.open(sealed_old, PEER, 0.0).packets == [b"old"]
    assert peer_old.open(sealed_by(one, b"mine"), PEER, 0.0).packets == [b"mine"]
    ring.use(new)
    assert peer_new.open(sealed_by(one, b"mine"), PEER, 0.0).packets == [b"mine"]
    ring.remove(old)
    assert not one.open(sealed_old, PEER, 0.0).packets, "also within the grace of a removed key"


def test_keys_are_tried_in_order_and_no_more_often_than_there_are_keys(monkeypatch):
    tried: list[int] = []

    class Counting:
        def __init__(self, secret: bytes) -> None:
            self.inner, self.number = AESGCM(secret), secret[0]

        def decrypt(self, *data: bytes) -> bytes:
            tried.append(self.number)
            return self.inner.decrypt(*data)

    monkeypatch.setattr(memberlist_cipher, "AESGCM", Counting)
    keys = [bytes((number,)) * 16 for number in range(KEYS_MAX)]
    one = sealer(*keys)
    third = b"\x01" + bytes(12) + AESGCM(keys[2]).encrypt(bytes(12), b"data", b"")
    assert one.open(third, PEER, 0.0).packets == [b"data"]
    assert tried == [0, 1, 2]
    tried.clear()
    one.open(b"\x01" + bytes(100), PEER, 0.0)
    assert tried == list(range(KEYS_MAX))
    tried.clear()
    for junk in (b"\x02" + bytes(100), b"\x01" + bytes(27), bytes(44), b"\xf4\x01a" + bytes(99)):
        one.open(junk, PEER, 0.0)
    assert not tried, "what cannot be sealed costs no trial"


# -- version 0 ---------------------------------------------------------------------------


@given(st.sampled_from(KEYS), LABELS, st.binary(max_size=1400))
def test_version_0_opens(key, label, data):
    one = sealer(key, label=label)
    packet = label_header(label) + version_0(key, padded(data), label)
    assert one.open(packet, PEER, 0.0) == Opened([data], [])


@pytest.mark.parametrize(
    "content",
    [
        bytes(16),
        b"\x11" * 32,
        b"x" * 14 + b"\x01\x02",
        b"x" * 15 + b"\xff",
        b"x" * 16 + b"\x01",
    ],
    ids=["zero", "more than a block", "uneven", "out of range", "no whole blocks"],
)
def test_wrong_padding_is_dropped_and_counted(content):
    one = sealer()
    assert one.open(version_0(KEYS[0], content), PEER, 0.0) == Opened([], [])
    assert one.counts == {"padding": 1}


@given(st.binary(max_size=64) | st.binary(max_size=60).map(padded))
def test_whoever_changes_the_version_cuts_off_padding_at_most(data):
    """The version is not authenticated: the worst of it is known."""
    sealed = sealed_by(sealer(), data)
    for packet in sealer().open(b"\x00" + sealed[1:], PEER, 0.0).packets:
        assert padded(packet) == data


# -- plain peers -------------------------------------------------------------------------


@pytest.mark.parametrize("label", [b"", b"lab"])
@pytest.mark.parametrize(
    "plain",
    [
        *(bytes.fromhex(VECTORS["captured"]["datagrams"][n]["messages"][0]) for n in range(5)),
        bytes.fromhex("0082a44e6f6465a162a55365714e6f2a"),
        b"\x83\x01\x02",
        b"\x0c\x00\x00\x00\x00\x02\x82",
    ],
)
def test_a_peer_that_does_not_seal_is_told_from_garbage(label, plain):
    one = sealer(label=label)
    assert one.open(label_header(label) + plain, PEER, 0.0) == Opened([], [], Trouble.UNSEALED)
    assert one.counts == {"unsealed": 1}


def test_a_plain_peer_under_another_label_is_not_taken_for_one_of_ours():
    one = sealer(label=b"lab")
    for data in (b"\x83\x01\x02", label_header(b"bal") + b"\x83\x01\x02"):
        assert one.open(data, PEER, 0.0).trouble is Trouble.OTHER_LABEL


# -- garbage -----------------------------------------------------------------------------


@given(LABELS, st.binary(max_size=300), st.binary(max_size=3))
def test_garbage_never_raises_never_opens_and_is_counted_once(label, data, head):
    for junk in (data, head + data, label_header(label) + head + data):
        one = sealer(*KEYS, label=label)
        packets, outgoing, _ = one.open(junk, PEER, 0.0)
        assert (packets, outgoing) == ([], [])
        assert sum(one.counts.values()) == 1


@given(LABELS, st.binary(max_size=100), st.data())
def test_a_packet_with_any_part_missing_or_changed_does_not_open(label, data, draw):
    one = sealer(label=label)
    sealed = sealed_by(one, data)
    size = draw.draw(st.integers(0, len(sealed) - 1))
    assert one.open(sealed[:size], PEER, 0.0).packets == []
    assert one.open(sealed + b"\0", PEER, 0.0).packets == []
    version = len(label_header(label))
    place = draw.draw(st.integers(0, len(sealed) - 1).filter(lambda at: at != version))
    changed = bytearray(sealed)
    changed[place] ^= 1 << draw.draw(st.integers(0, 7))
    assert one.open(bytes(changed), PEER, 0.0).packets == []


@given(st.binary(max_size=100))
def test_an_attacker_with_a_key_cannot_make_it_raise_either(content):
    one = sealer()
    one.open(version_0(KEYS[0], content), PEER, 0.0)
    assert one.open(b"\x01" + version_0(KEYS[0], content)[1:], PEER, 0.0).packets == [content]


def test_answers_to_strangers_use_up_no_nonces():
    ring = Keyring(KEYS)
    asked: list[int] = []

    def entropy(size: int) -> bytes:
        asked.append(size)
        return bytes(size)

    cipher = MemberlistCipher(ring, entropy=entropy)
    first = cipher.seal_always_alike(b"no", b"label")
    assert first == cipher.seal_always_alike(b"no", b"label")
    nonces = {
        cipher.seal_always_alike(data, bound)[1:13]
        for data, bound in (
            (b"no", b"label"),
            (b"no", b"lab"),
            (b"yes", b"label"),
            (b"nol", b"abel"),
        )
    }
    assert len(nonces) == 4, "no nonce for two things: the tag's key would be out"
    assert not asked
    assert cipher.open_untrusted(first, b"label") == b"no"
