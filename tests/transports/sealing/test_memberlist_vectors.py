"""What memberlist itself has sealed opens here, and sealing it again gives the same bytes."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

from trio_gossip.addresses import Address
from trio_gossip_transports.keyring import Keyring
from trio_gossip_transports.sealing.memberlist import MemberlistSealer
from trio_gossip_transports.sealing.memberlist_streams import MemberlistStreamSealer

VECTORS = json.loads((Path(__file__).parent / "serf_vectors.json").read_text())
CAPTURED = VECTORS["captured"]["datagrams"]
GOLDEN = {(each["kind"], each["label"]): each["sealed"] for each in VECTORS["golden"]["messages"]}
KEY = bytes.fromhex(VECTORS["captured"]["key"])
GOLDEN_KEY = bytes.fromhex(VECTORS["golden"]["key"])
NACK = bytes.fromhex(VECTORS["golden"]["content"])
PEER = Address("192.0.2.1", 7946)


def sealer_with(nonce: bytes, *keys: bytes, label: bytes = b"") -> MemberlistSealer:
    return MemberlistSealer(Keyring(keys or [KEY]), label, entropy=lambda size: nonce[:size])


def wrapped(messages: list[bytes], layers: list[str]) -> bytes:
    """The plain packet around captured messages, but for compression: from the layers alone."""
    data = messages[0]
    if "compound" in layers:
        lengths = b"".join(len(each).to_bytes(2, "big") for each in messages)
        data = bytes((7, len(messages))) + lengths + b"".join(messages)
    return b"\x0c" + zlib.crc32(data).to_bytes(4, "big") + data if "crc" in layers else data


def decompressed(plain: bytes) -> bytes:
    """The packet with what is compressed in it unpacked; a checksum is checked and made anew."""
    if plain[0] == 12:
        assert zlib.crc32(plain[5:]).to_bytes(4, "big") == plain[1:5]
        inner = decompressed(plain[5:])
        return b"\x0c" + zlib.crc32(inner).to_bytes(4, "big") + inner
    head = b"\x09\x82\xa4Algo\x00\xa3Buf\xda"
    return lzw(plain[len(head) + 2 :]) if plain.startswith(head) else plain


def lzw(data: bytes) -> bytes:
    """LZW as in GIF, for what is so short that no code is longer than 9 bits."""
    bits, out, last = int.from_bytes(data, "little"), b"", b""
    table = {number: bytes((number,)) for number in range(256)}
    for at in range(0, 8 * len(data) - 8, 9):
        code = bits >> at & 511
        if code == 256:
            continue
        if code == 257:
            return out
        piece = table[code] if code in table else last + last[:1]
        if last:
            table[len(table) + 2] = last + piece[:1]
        out, last = out + piece, piece
    raise AssertionError("no end")


def test_all_captured_datagrams_are_here():
    assert len(CAPTURED) == 21
    layers = {layer for each in CAPTURED for layer in each["layers"]}
    assert layers == {"compound", "compress", "crc"}


@pytest.mark.parametrize("vector", CAPTURED)
def test_a_captured_datagram_opens_to_what_the_agent_had_sent(vector):
    sealed = bytes.fromhex(vector["sealed"])
    sealer = sealer_with(b"")
    packets, outgoing, trouble = sealer.open(sealed, PEER, 0.0)
    assert (outgoing, trouble, dict(sealer.counts)) == ([], None, {})
    (plain,) = packets
    messages = [bytes.fromhex(each) for each in vector["messages"]]
    assert decompressed(plain) == wrapped(messages, vector["layers"])


@pytest.mark.parametrize("vector", CAPTURED)
def test_sealing_with_the_captured_nonce_gives_the_captured_bytes(vector):
    sealed = bytes.fromhex(vector["sealed"])
    sealer = sealer_with(sealed[1:13])
    ((plain,), _, _) = sealer.open(sealed, PEER, 0.0)
    assert sealer.seal(plain, PEER, 0.0) == [(sealed, PEER)]
    assert sealer.overhead == len(sealed) - len(plain) == 29


@pytest.mark.parametrize("label", [b"", b"lab"])
def test_golden_packets(label):
    sealer = sealer_with(bytes(12), GOLDEN_KEY, label=label)
    header = bytes((0xF4, len(label))) + label if label else b""
    sealed = header + bytes.fromhex(GOLDEN["packet", label.decode()])
    assert sealer.seal(NACK, PEER, 0.0) == [(sealed, PEER)]
    assert sealer.open(sealed, PEER, 0.0).packets == [NACK]
    assert len(sealed) == len(NACK) + sealer.overhead


def test_the_golden_packet_of_version_0_opens_too():
    sealer = sealer_with(b"", GOLDEN_KEY)
    sealed = bytes.fromhex(GOLDEN["packet of version 0", ""])
    assert sealer.open(sealed, PEER, 0.0).packets == [NACK]


def test_the_golden_stream_frame():
    ring = Keyring([GOLDEN_KEY])
    frame = bytes.fromhex(GOLDEN["stream frame", ""])
    opener = MemberlistStreamSealer(ring, accepted=False, entropy=bytes)
    assert opener.outgoing + opener.seal(NACK) == frame
    assert MemberlistStreamSealer(ring, accepted=True).feed_untrusted(frame) == NACK


def test_the_agents_key_works_at_any_place_of_the_ring():
    others = [bytes((number,)) * 16 for number in range(1, 8)]
    sealed = bytes.fromhex(CAPTURED[0]["sealed"])
    for place in range(8):
        keys = [*others[:place], KEY, *others[place:]]
        assert sealer_with(b"", *keys).open(sealed, PEER, 0.0).packets
    assert not sealer_with(b"", *others).open(sealed, PEER, 0.0).packets
