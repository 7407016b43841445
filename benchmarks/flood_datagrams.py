"""The datagrams of each kind of flood, and the plan that tells what to send where.

All of them are made before the flood begins, so that the flooder's time goes into sending.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import harness  # noqa: F401  # makes the project importable

from trio_gossip import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Alive
from trio_gossip.members import VERSIONS_DEFAULT

VARIETY = 4096
"""Different datagrams of a kind; they are made before the flood begins."""

SEALED_KINDS = bytes((0xE1, 0xE2, 0xE3, 0xE4, 0xE5))
"""First bytes of the native sealed format."""

SEALED_BYTES = {0xE1: 51, 0xE2: 51, 0xE3: 120, 0xE4: 51, 0xE5: 6}
"""Their lengths: a wrong one is dropped before anything is computed."""

PLAIN_KINDS = bytes((0x82, 0x83, 0x84, 0x85))
"""First bytes of plain packets: arrays of CBOR."""

codec = NativeCodec()
Datagrams: TypeAlias = Iterator[bytes]


class Plan:
    """What the orchestrator told us: whom to flood, with what, for how long, from where."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.kind: str = values["kind"]
        self.seconds: float = values["seconds"]
        host, _, port = values["to"].rpartition(":")
        self.to = (host, int(port))
        self.target: str = values["to"]
        self.is_sealed: bool = values["sealed"]
        self.held: int = values["held"]
        self.sources = [f"127.1.0.{number + 1}" for number in range(values["hosts"])]
        lines = "".join(Path(path).read_text() for path in values["recorded"])
        rows = map(json.loads, lines.splitlines())
        self.recorded = [(bytes.fromhex(data), source, to) for data, source, to in rows]
        self.chance = random.Random(values["seed"])


def anything(plan: Plan) -> Datagrams:
    """Random bytes of random length."""
    chance = plan.chance
    return itertools.cycle([chance.randbytes(chance.randrange(1, 1400)) for _ in range(VARIETY)])


def headed(plan: Plan) -> Datagrams:
    """Random bytes behind a true beginning: the kind, and the key's id, which anybody can read."""
    chance = plan.chance
    ids = sorted({data[1:5] for data, _, _ in plan.recorded if data[0] in SEALED_KINDS})
    made = []
    for number in range(VARIETY):
        if plan.is_sealed:
            kind = SEALED_KINDS[number % len(SEALED_KINDS)]
            head = bytes((kind,)) + chance.choice(ids)
            made.append(head + chance.randbytes(SEALED_BYTES[kind] - len(head)))
        else:
            head = bytes((PLAIN_KINDS[number % len(PLAIN_KINDS)], 1))
            made.append(head + chance.randbytes(chance.randrange(1, 1400)))
    return itertools.cycle(made)


def altered(plan: Plan) -> Datagrams:
    """True datagrams to this member with one byte changed, and as new a number as can be."""
    chance = plan.chance
    taken = [data for data, _, to in plan.recorded if to == plan.target]
    made = []
    for _ in range(VARIETY):
        data = bytearray(chance.choice(taken))
        data[chance.randrange(len(data) // 2, len(data))] ^= 1 << chance.randrange(8)
        if plan.is_sealed and data[0] == 0xE3:
            data[13:19] = chance.randrange(1 << 30, 1 << 40).to_bytes(6, "big")
        made.append(bytes(data))
    return itertools.cycle(made)


def replayed(plan: Plan) -> Datagrams:
    """Everything that was sent to this member, in order."""
    return itertools.cycle([data for data, _, to in plan.recorded if to == plan.target])


def replayed_shuffled(plan: Plan) -> Datagrams:
    """The same in another order each time round."""
    taken = [data for data, _, to in plan.recorded if to == plan.target]
    while True:
        plan.chance.shuffle(taken)
        yield from taken


def replayed_to_others(plan: Plan) -> Datagrams:
    """Everything that was sent to others, also by this member itself."""
    return itertools.cycle([data for data, _, to in plan.recorded if to != plan.target])


def named(plan: Plan) -> Datagrams:
    """Alive messages of members that nobody knows, twelve a packet, more than any table holds."""
    made = []
    for number in range(VARIETY // 2):
        parts = []
        for part in range(12):
            name = f"nobody-{plan.chance.getrandbits(40):x}-{number}-{part}"
            at = Address(plan.sources[0], 1 + plan.chance.randrange(65535))
            parts.append(codec.encode(Alive(1, name, at, b"", VERSIONS_DEFAULT)))
        made.append(codec.pack(parts))
    return itertools.cycle(made)


PACKETS: dict[str, list[Callable[[Plan], Datagrams]]] = {
    "random": [anything],
    "headed": [headed],
    "altered": [altered],
    "replayed": [replayed],
    "shuffled": [replayed_shuffled],
    "to-others": [replayed_to_others],
    "names": [named],
    "mix": [anything, headed, altered, replayed, replayed_shuffled, replayed_to_others, named],
}
