"""What sealing costs: packets, junk, streams, and clusters of processes at rest and in a flood.

    python benchmarks/bench_crypto.py [--quick] [--only PART] [--json FILE]

Packets and junk are CPU time of one call of the sealer, as the transport makes it; AES-GCM alone is
measured beside it in the same rounds.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
from collections.abc import Callable
from pathlib import Path

import attrs
import harness
from crypto_network import idle, send, streams
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from harness import Measure, cpu_microseconds, print_measures

from trio_gossip import Address
from trio_gossip_transports import Key, Keyring
from trio_gossip_transports.sealing.base import PacketSealer
from trio_gossip_transports.sealing.memberlist import MemberlistSealer
from trio_gossip_transports.sealing.native import DATA, HELLO, NativeSealer

SIZES = (100, 1400)
ONE_PACKET_AIM = 4.0
JUNK_AIM = 3.0
FLOOD_INTERVAL = 1e-5
"""Seconds between two packets of junk: 100,000 a second. The budgets of answers depend on it."""

BURST = 5000
"""More than any budget has at the start: a flood is measured when it is under way."""

US, PEER = Address("10.0.0.1", 7946), Address("10.0.0.2", 7946)
LABEL = b"bench"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--only", choices=[name for name, _ in PARTS], help="one part only")
    parser.add_argument("--rounds", type=int, default=None, help="samples of each measure")
    parser.add_argument("--turns", type=int, default=None, help="packets in each sample")
    parser.add_argument("--seconds", type=float, default=None, help="of each round of a flood")
    parser.add_argument("--idle-seconds", type=float, default=None, help="of rest (default 40)")
    parser.add_argument("--json", type=Path, help="also write the samples to this file")
    options = parser.parse_args()
    quick = options.quick
    options.rounds = options.rounds or (3 if quick else 15)
    options.turns = options.turns or (300 if quick else 4000)
    options.seconds = options.seconds or (0.5 if quick else 2.0)
    options.idle_seconds = options.idle_seconds or (3.0 if quick else 40.0)
    shown = {key: value for key, value in vars(options).items() if value is not None}
    harness.describe_run("Sealing", shown)
    written: dict[str, list[dict[str, object]]] = {}
    for name, part in PARTS:
        if options.only in (None, name):
            for title, measures in part(options):
                print_measures(title, measures)
                written[title] = [
                    {**attrs.asdict(each), "verdict": each.verdict} for each in measures
                ]
    harness.finish()
    if options.json:
        options.json.write_text(json.dumps(written, indent=1))


# -- packets ----------------------------------------------------------------------------


def native_pair() -> tuple[NativeSealer, NativeSealer]:
    """Two sealers with a session in which the first one sends."""
    ring = Keyring([Key.generate()])
    one, other = NativeSealer(ring, LABEL), NativeSealer(ring, LABEL)
    outgoing, ends = one.seal(b"first", PEER, 0.0), (other, one)
    for depth in range(3):
        (datagram, _), *_ = outgoing
        opened = ends[depth % 2].open(datagram, (US, PEER)[depth % 2], 0.0)
        outgoing = opened.outgoing
    assert opened.packets == [b"first"]
    return one, other


def memberlist_pair() -> tuple[MemberlistSealer, MemberlistSealer]:
    """Two sealers of memberlist's format with one key."""
    ring = Keyring([Key.generate()])
    return MemberlistSealer(ring, LABEL), MemberlistSealer(ring, LABEL)


def packets(options: argparse.Namespace) -> list[tuple[str, list[Measure]]]:
    """Sealing and opening good packets, and AES-GCM alone."""
    tables = []
    for size in SIZES:
        measures, ratios = [], []
        bare = bare_cipher(size, options.rounds, options.turns)
        pairs: dict[str, tuple[PacketSealer, PacketSealer]] = {
            "native": native_pair(),
            "memberlist": memberlist_pair(),
        }
        for name, (one, other) in pairs.items():
            seal, opening = through(one, other, size, options.rounds, options.turns)
            for what, samples, alone in (("seal", seal, bare[0]), ("open", opening, bare[1])):
                measures.append(Measure(f"{name}: {what}", "us", samples, ONE_PACKET_AIM))
                ratio = [each / base for each, base in zip(samples, alone, strict=True)]
                ratios.append(Measure(f"{name}: {what}, times AES-GCM alone", "x", ratio))
        measures.append(Measure("AES-GCM alone: encrypt", "us", bare[0]))
        measures.append(Measure("AES-GCM alone: decrypt", "us", bare[1]))
        tables.append((f"One packet of {size:,} bytes (CPU time, AES-256)", measures + ratios))
    return tables


def through(
    one: PacketSealer, other: PacketSealer, size: int, rounds: int, turns: int
) -> tuple[list[float], list[float]]:
    """Microseconds to seal and to open: samples of ``turns`` packets each."""
    data = random.Random(1).randbytes(size)
    seal_times, open_times = [], []
    sealed: list[bytes] = []

    def seal() -> None:
        for _ in range(turns):
            sealed.append(one.seal(data, PEER, 1.0)[0][0])

    def unseal() -> None:
        for each in sealed:
            other.open(each, US, 1.0)

    for _ in range(rounds):
        sealed.clear()
        gc.collect()
        seal_times.append(cpu_microseconds(seal, turns))
        assert other.open(one.seal(data, PEER, 1.0)[0][0], US, 1.0).packets == [data]
        open_times.append(cpu_microseconds(unseal, turns))
    return seal_times, open_times


def bare_cipher(size: int, rounds: int, turns: int) -> tuple[list[float], list[float]]:
    """The same with nothing but the cipher: one nonce, the native header as associated data."""
    data, cipher = random.Random(1).randbytes(size), AESGCM(bytes(32))
    nonce, bound = bytes(12), bytes(32)
    sealed = cipher.encrypt(nonce, data, bound)
    encrypt_times, decrypt_times = [], []

    def encrypt() -> None:
        for _ in range(turns):
            cipher.encrypt(nonce, data, bound)

    def decrypt() -> None:
        for _ in range(turns):
            cipher.decrypt(nonce, sealed, bound)

    for _ in range(rounds):
        gc.collect()
        encrypt_times.append(cpu_microseconds(encrypt, turns))
        decrypt_times.append(cpu_microseconds(decrypt, turns))
    return encrypt_times, decrypt_times


# -- junk -------------------------------------------------------------------------------


def junk(options: argparse.Namespace) -> list[tuple[str, list[Measure]]]:
    """What is dropped, each kind in a flood of 100,000 a second."""
    turns, rng = options.turns, random.Random(2)
    one, other = native_pair()
    good = [one.seal(bytes(100), PEER, 0.0)[0][0] for _ in range(turns)]
    head = good[0][:13]  # type, key id, token
    for each in good:
        other.open(each, US, 0.0)

    def tail() -> bytes:
        return rng.randbytes(len(good[0]) - len(head))

    def begun(kept: int) -> list[bytes]:
        return [head[:kept] + rng.randbytes(13 - kept) + tail() for _ in range(turns)]

    hello = bytes((HELLO,)) + head[1:5]
    newer = [head + (1 << 39 | n).to_bytes(6, "big") + tail()[6:] for n in range(turns)]
    long_newer = [each + rng.randbytes(1300) for each in newer]
    kinds: dict[str, list[bytes]] = {
        "random bytes": [rng.randbytes(135) for _ in range(turns)],
        "random bytes of 1,400": [rng.randbytes(1400) for _ in range(turns)],
        "first byte of a packet, unknown key": begun(1),
        "right key, unknown token": begun(5),
        "right key and token, forged": newer,
        "right key and token, forged, 1,400": long_newer,
        "replayed": good,
        "hello with the right key, forged": [hello + rng.randbytes(46) for _ in range(turns)],
    }
    assert head[0] == DATA
    measures = [
        Measure(f"native: {name}", "us", dropped(other, data, options.rounds), JUNK_AIM)
        for name, data in kinds.items()
    ]
    slow = dropped(other, kinds["hello with the right key, forged"], options.rounds, 1e-3)
    measures.append(Measure("native: such a hello, if one of the 4,000 a second", "us", slow))
    sealed = [b"\xf4\x05bench\x01" + rng.randbytes(128) for _ in range(turns)]
    for number in (1, 8):
        sealer = MemberlistSealer(Keyring([Key.generate() for _ in range(number)]), LABEL)
        words = "1 key" if number == 1 else f"{number} keys"
        for name, data in (
            ("random bytes", kinds["random bytes"]),
            ("sealed with another", sealed),
        ):
            times = dropped(sealer, data, options.rounds)
            measures.append(Measure(f"memberlist, {words}: {name}", "us", times, JUNK_AIM))
    rates = [
        Measure(each.what, "1/s", [1e6 / sample for sample in each.samples]) for each in measures
    ]
    return [
        ("Junk dropped (CPU time, about 135 bytes unless it says more)", measures),
        ("The same as packets a second, on one core", rates),
    ]


def dropped(
    sealer: PacketSealer, datagrams: list[bytes], rounds: int, interval: float = FLOOD_INTERVAL
) -> list[float]:
    """Microseconds for each; what is answered is made and thrown away."""
    times, now = [], 1.0

    def flood() -> None:
        nonlocal now
        for data in datagrams:
            now += interval
            assert not sealer.open(data, US, now).packets

    for _ in range(BURST // len(datagrams) + 1):
        flood()
    for _ in range(rounds):
        gc.collect()
        times.append(cpu_microseconds(flood, len(datagrams)))
    return times


Part = Callable[[argparse.Namespace], list[tuple[str, list[Measure]]]]

PARTS: tuple[tuple[str, Part], ...] = (
    ("packets", packets),
    ("junk", junk),
    ("streams", streams),
    ("idle", idle),
    ("send", send),
)

if __name__ == "__main__":
    main()
