"""Sealed datagrams of both formats, by somebody who has the key: authentic, and mad.

Fuzzing what is not authentic ends at the tag of AES-GCM. So most steps seal the fuzzer's bytes as a
member would, with a known key and boot id, and only some bring raw bytes.
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.fuzz.plain import packet
from tests.fuzz.steps import Entropy, read_steps, timed
from trio_gossip.addresses import Address
from trio_gossip_transports.keyring import Keyring, KeyringError
from trio_gossip_transports.keys import Key
from trio_gossip_transports.sealing.base import Opened, PacketSealer
from trio_gossip_transports.sealing.memberlist import MemberlistSealer
from trio_gossip_transports.sealing.memberlist_cipher import label_header
from trio_gossip_transports.sealing.native import (
    BODY_BYTES,
    DATA,
    HELLO,
    RESET,
    WELCOME,
    NativeSealer,
)

KEYS = [Key(bytes([number]) * size) for number, size in ((1, 32), (2, 16), (3, 24))]
US, PEER = Address("10.0.0.1", 1), Address("10.0.0.2", 1)
LABEL = b"fuzz"
_KINDS = (HELLO, WELCOME, RESET, DATA)


class NativeWorld:
    """A receiver under test, and a peer that has a session with it and whose boot is known."""

    def __init__(self) -> None:
        self.now = 10.0
        self.ring = Keyring(KEYS[:2], grace=0.0)
        self.us = NativeSealer(self.ring, LABEL, entropy=Entropy(1))
        self.peer = NativeSealer(Keyring(KEYS[:2]), LABEL, entropy=Entropy(2))
        self.opened: set[bytes] = set()
        self.datagrams: list[bytes] = []
        self.deliver(self.peer, self.us, self.peer.seal(b"first", US, self.now), PEER, 0)
        assert self.opened, "the session did not open"

    def arrive(self, data: bytes) -> list[bytes]:
        """A datagram from the peer's address; returns what was in it."""
        self.datagrams.append(data)
        found = timed(self.us.open, data, PEER, self.now)
        self._check(data, found)
        self.deliver(self.us, self.peer, found.outgoing, US, 0)
        return found.packets

    def deliver(
        self,
        source: NativeSealer,
        target: NativeSealer,
        outgoing: list[tuple[bytes, Address]],
        address: Address,
        depth: int,
    ) -> None:
        """Carry datagrams and their answers; a conversation of two sane ends comes to an end."""
        assert depth < 8, "two ends answer one another for ever"
        for data, _ in outgoing:
            found = timed(target.open, data, address, self.now)
            if target is self.us:
                self.datagrams.append(data)
                self._check(data, found)
            back = PEER if address is US else US
            self.deliver(target, source, found.outgoing, back, depth + 1)

    def _check(self, data: bytes, found: Opened) -> None:
        if found.packets:
            assert data not in self.opened, "a datagram was opened twice"
            self.opened.add(data)
            for each in found.packets:
                packet(each)

    def authentic(self, kind: int, token: bytes, number: bytes, body: bytes) -> bytes:
        """Any message of the format with a true tag."""
        purpose = b"packet" if kind == DATA else b"handshake"
        boot = self.peer._boot if kind == DATA else token
        header = bytes((kind,)) + KEYS[0].id + token + number
        bound = header + (boot if kind == DATA else b"") + LABEL
        cipher = AESGCM(KEYS[0].derive(purpose + boot))
        return header + cipher.encrypt(bytes(6) + number, body, bound)

    def change_keys(self, how: int, which: int) -> None:
        """Install, use or remove a key at our end."""
        change = (self.ring.install, self.ring.use, self.ring.remove)[how % 3]
        try:
            change(KEYS[which % 3])
        except KeyringError:
            """Not allowed at this moment."""


def native_packets(data: bytes) -> None:
    """Datagrams of the native format; the lowest three bits of an op say what a step does."""
    world = NativeWorld()
    for op, chunk in read_steps(data):
        what, which = op & 7, op >> 3
        if what == 0:  # raw bytes, of which no answer may be longer
            found = timed(world.us.open, chunk, PEER, world.now)
            assert not found.packets
            assert sum(len(each) for each, _ in found.outgoing) <= len(chunk)
        elif what == 1:  # a packet as a sane member sends it
            world.deliver(world.peer, world.us, world.peer.seal(chunk, US, world.now), PEER, 0)
        elif what == 2:  # a handshake's message of any content, which is not always that long
            body = chunk[14:] if which & 4 else chunk[14:30].ljust(BODY_BYTES, b"\0")
            boot = chunk[:8].ljust(8, b"\0") if which & 8 else world.peer._boot
            number = chunk[8:14].ljust(6, b"\0")
            assert not world.arrive(world.authentic(_KINDS[which % 3], boot, number, body))
        elif what == 3:  # a packet under any token and number
            tokens = [*world.us._senders.proven, chunk[:8].ljust(8, b"\0")]
            number = chunk[8:14].ljust(6, b"\0")
            token = tokens[which % len(tokens)]
            world.arrive(world.authentic(DATA, token, number, chunk[14:]))
        elif what == 4:  # a recording
            old = world.datagrams[which % len(world.datagrams)]
            was = old in world.opened
            assert not (world.arrive(old) and was)
        elif what == 5:  # one byte of a good packet altered
            for sealed, _ in world.peer.seal(b"altered", US, world.now):
                at = int.from_bytes(chunk[:1], "big") % len(sealed)
                bits = (chunk[1] if len(chunk) > 1 else 0) or 1
                altered = sealed[:at] + bytes((sealed[at] ^ bits,)) + sealed[at + 1 :]
                assert not world.arrive(altered)
        elif what == 6:  # we write: to the peer, or to one that never answers
            to = PEER if which & 1 else Address("10.0.0.9", 1 + which)
            outgoing = world.us.seal(chunk, to, world.now)
            if to is PEER:
                world.deliver(world.us, world.peer, outgoing, US, 0)
        else:
            world.now += which / 4
            if chunk:
                world.change_keys(chunk[0], chunk[0] >> 4)
    assert len(world.us._senders) <= len(world.datagrams)


def memberlist_packets(data: bytes) -> None:
    """Datagrams of memberlist's format: versions, labels, padding, keys, raw bytes."""
    sealer: PacketSealer = MemberlistSealer(Keyring(KEYS[:2]), LABEL, entropy=Entropy(1))
    own = label_header(LABEL)
    for op, chunk in read_steps(data):
        what, which = op & 3, op >> 2
        if what == 0:
            datagram, expected = chunk, None
        else:
            version = which & 3
            header = own if what != 3 else label_header(chunk[13:20])
            nonce, body = chunk[:12].ljust(12, b"\0"), chunk[12:]
            key = KEYS[which >> 2 & 3] if which >> 2 & 3 < 3 else KEYS[0]
            bound = LABEL if what == 1 else header[2:]
            sealed = AESGCM(key.secret).encrypt(nonce, body, bound)
            datagram = header + bytes((version,)) + nonce + sealed
            is_good = version == 1 and header == own and bound == LABEL and key in KEYS[:2]
            expected = [body] if is_good else None
        found = timed(sealer.open, datagram, PEER, 0.0)
        assert not found.outgoing, "this format answers nobody"
        assert found.packets == expected if expected is not None else len(found.packets) <= 1
        if what == 0:
            assert not found.packets
        for each in found.packets:
            packet(each)
    [(again, _)] = sealer.seal(data, US, 0.0)
    assert sealer.open(again, PEER, 0.0).packets == [data]


SEALED: dict[str, Callable[[bytes], None]] = {
    "native_packets": native_packets,
    "memberlist_packets": memberlist_packets,
}
"""By name."""
