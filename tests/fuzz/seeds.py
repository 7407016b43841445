"""The inputs that the corpus begins with: real messages, in the form of each target.

    python -m tests.fuzz.seeds

writes them; they are the same each time. What the fuzzer found later lies beside them under the
names that :mod:`tests.fuzz.distil` gives.
"""

from __future__ import annotations

from collections.abc import Iterator

from cbor2 import dumps

from tests.fuzz.samples import CODEC, MESSAGES, ODD_VALUES, TALKS
from tests.fuzz.sealed import KEYS
from tests.fuzz.seeds_sealed import SEALED_SEEDS
from tests.fuzz.steps import step
from tests.fuzz.targets import CORPUS, TARGETS
from trio_gossip.addresses import Address
from trio_gossip.cli.control_wire import DONE, ERROR, ROW, pack, rows_of
from trio_gossip.codec.messages import (
    Alive,
    Frame,
    Nack,
)
from trio_gossip.members import VERSIONS_DEFAULT
from trio_gossip.services.key_wire import encode_answer


def _packets() -> Iterator[tuple[str, bytes]]:
    for message in MESSAGES:
        yield type(message).__name__.lower(), CODEC.pack([CODEC.encode(message)])
    yield "all", CODEC.pack([CODEC.encode(message) for message in MESSAGES])
    yield "many", CODEC.pack([CODEC.encode(Nack(1))] * 60)
    yield "unknown", CODEC.pack([dumps([99, "later"]), CODEC.encode(Nack(1))])
    for name, value in ODD_VALUES.items():
        yield name, CODEC.pack([dumps([0, value, "b", "a", None])])
        yield f"{name}_name", CODEC.pack([dumps([5, 1, value, value])])


def _engine_packets() -> Iterator[tuple[str, bytes]]:
    for number, message in enumerate(MESSAGES):
        yield type(message).__name__.lower(), step(16 | number & 15, CODEC.encode(message))
    every = [CODEC.pack([CODEC.encode(message)]) for message in MESSAGES]
    yield "story", b"".join(step(1 + number % 3, data) for number, data in enumerate(every))
    yield "slow_story", b"".join(step(5 + number % 8, data) for number, data in enumerate(every))
    names = [
        Alive(1, f"n{n}", Address("10.0.1.1", 1 + n), b"", VERSIONS_DEFAULT, "") for n in range(12)
    ]
    yield "crowd", b"".join(step(17, CODEC.encode(each)) for each in names)


def _bodies(talk: list[Frame]) -> list[bytes]:
    return [CODEC.encode_frame(frame)[4:] for frame in talk]


def _frames() -> Iterator[tuple[str, bytes]]:
    for name, talk in TALKS.items():
        yield name, b"".join(step(0, body) for body in _bodies(talk))
        yield f"{name}_raw", step(1, b"".join(CODEC.encode_frame(frame) for frame in talk))
    yield "long", step(1, (512 * 1024).to_bytes(4, "big") + b"\x83")
    yield "too_long", step(1, b"\xff\xff\xff\xff")
    yield "one_item", step(0, dumps([1]))
    yield "no_item", step(0, dumps([]))
    for name, value in ODD_VALUES.items():
        yield f"{name}_name", step(0, dumps([1, 19, 4, value, "a"]))


def _conversations() -> Iterator[tuple[str, bytes]]:
    for name, talk in TALKS.items():
        for first in (0, 1):
            steps = b"".join(step(0, body) for body in _bodies(talk))
            yield f"{name}_{first}", bytes((first,)) + steps
        yield f"{name}_late", b"\x01" + b"".join(step(6, body) for body in _bodies(talk))
        yield f"{name}_broken", b"\0" + b"".join(step(248, body) for body in _bodies(talk))


def _addresses() -> Iterator[tuple[str, bytes]]:
    texts = ["host:80", "10.0.0.1", "[::1]:7946", "fe80::1%eth0", "::ffff:10.0.0.1", "[::1", "a:b"]
    texts += ["", ":80", "host:65536", "host:00080", "a b:1", "\u4e2d:1", "[fe80::1%25]:0"]
    texts += ["::%]"]  # found: it was read, and what it was printed as was not
    for number, text in enumerate(texts):
        yield f"text{number:02}", text.encode()


def _key_files() -> Iterator[tuple[str, bytes]]:
    lines = [key.text for key in KEYS]
    for number, key in enumerate(lines):
        yield f"one{number}", f"{key}\n".encode()
    yield "three", b"# keys\n\n" + "\n".join(lines).encode()
    yield "unpadded", lines[0].rstrip("=").encode()
    yield "twice", "\r\n".join([lines[0]] * 9).encode()
    yield "short", b"AAAA\n"
    yield "beyond_ascii", "\u4e2d\n".encode()
    yield "comments", b"#\n" * 9


def _control() -> Iterator[tuple[str, bytes]]:
    requests = {"members": ["members"], "use": ["keys", "use", "0badcafe"], "leave": ["leave"]}
    for name, items in requests.items():
        yield name, step(1, pack(*items))
    tree = {"name": "me", "load": 0.5, "counters": {"a": 1, "b": {"c": [1, "x", None, b"y"]}}}
    answer = [pack(ROW, *row) for row in rows_of(tree)]
    yield "answer", b"".join(step(1, each) for each in [*answer, pack(DONE)])
    yield "one_read", step(1, b"".join(answer))
    yield "error", step(1, pack(ERROR, "no such key"))
    yield "split", step(1, answer[0][:7]) + step(1, answer[0][7:])
    yield "body", step(0, answer[0][4:])
    yield (
        "clash",
        b"".join(step(1, pack(ROW, "value", *r)) for r in ([1, "a", 1], [2, "a", "b", 2])),
    )
    yield (
        "depths",
        b"".join(step(1, pack(ROW, "list", depth, "a")) for depth in (-1, 0, 1, 2, 2**64)),
    )
    yield "no_path", step(1, pack(ROW, "list", 1)) + step(1, pack(ROW)) + step(0, dumps([1]))
    yield "long", step(1, b"\x00\x01\x00\x01") + step(1, b"\x00\x00\x00\x00")
    for name, value in ODD_VALUES.items():
        yield name, step(0, dumps([1, ROW, "value", 1, "a", value])) + step(0, dumps([value]))


def _key_requests() -> Iterator[tuple[str, bytes]]:
    for operation in range(4):
        for phase in range(3):
            chunk = bytes((operation, phase, 2))
            yield f"request{operation}{phase}", step(1, bytes((operation, 0, 2))) + step(1, chunk)
    phases = [bytes((operation, phase, 2)) for operation in (1, 2) for phase in (0, 1)]
    yield "rotation", b"".join(step(1, chunk) for chunk in phases) + step(1, b"\3\0\0\1")
    yield "others", step(1, phases[0]) + step(3, phases[0]) + step(9, phases[1])
    yield "secret", step(1, phases[0]) + step(1, phases[1] + b"\0" + bytes(15))
    answer = encode_answer("", (KEYS[0].id, KEYS[1].id))
    for what in range(8):
        yield f"change{what}", step(16 | what << 5, answer) + step(16 | what << 5, b"\x80")
    yield "few", b"".join(step(0, dumps([1] * count)) for count in range(9))
    for name, value in ODD_VALUES.items():
        yield (
            name,
            step(0, dumps([1, value, 0, 0, value, value, value])) + step(0, dumps([1, "", value])),
        )
    yield "no", step(16 | 1 << 5, encode_answer("no room", (KEYS[0].id,)))


SEEDS = SEALED_SEEDS | {
    "key_requests": _key_requests,
    "control": _control,
    "packet": _packets,
    "frames": _frames,
    "engine_packets": _engine_packets,
    "engine_accepted": _conversations,
    "engine_dialled": _conversations,
    "address": _addresses,
    "key_file": _key_files,
}
"""Names and bytes for each target."""


def seeds_of(target: str) -> dict[str, bytes]:
    """The first inputs of a target, by the name of their file."""
    return dict(SEEDS[target]())


def main() -> None:
    """Write all of them."""
    for target in TARGETS:
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds_of(target).items():
            (folder / name).write_bytes(data)
        print(f"{target}: {len(list(folder.iterdir()))} inputs")


if __name__ == "__main__":
    main()
