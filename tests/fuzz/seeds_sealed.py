"""The first inputs of the targets with sealed packets and streams."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fuzz.samples import CODEC, MESSAGES, TALKS
from tests.fuzz.sealed import KEYS, LABEL
from tests.fuzz.steps import step
from trio_gossip_transports.sealing.memberlist_cipher import label_header


def _native_packets() -> Iterator[tuple[str, bytes]]:
    for number, message in enumerate(MESSAGES):
        data = CODEC.pack([CODEC.encode(message)])
        yield f"good{number:02}", step(1, data) + step(4 | number << 3)
    fields = bytes(range(1, 9)) + bytes(5) + b"\x09" + bytes(16)
    for kind in range(3):
        yield f"kind{kind}", step(2 | kind << 3, fields)
        yield f"boot{kind}", step(2 | (kind + 9) << 3, fields) + step(2 | (kind + 15) << 3, fields)
    yield "token", step(3, bytes(12) + b"\x20\x01\xff") + step(3 | 1 << 3, fields)
    yield "replay", b"".join(step(4 | number << 3) for number in range(4))
    yield "altered", b"".join(step(5, bytes((at, 128))) for at in (0, 2, 8, 15, 20, 40))
    yield "writes", step(6 | 1 << 3, b"to you") + step(6, b"to nobody") + step(7 | 8 << 3)
    yield "keys", step(7, b"\x20") + step(7, b"\x01") + step(1, b"x") + step(7, b"\x12")
    yield "counter", step(3, bytes(8) + b"\xff" * 6) + step(1, b"x")
    for kind in (0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0x82):
        starts = bytes((kind,)) + KEYS[0].id
        yield f"raw{kind:x}", step(0, starts + bytes(46)) + step(0, starts + bytes(31))
    yield "short", b"".join(step(0, b"\xe3" * size) for size in (1, 5, 6, 13, 34))


def _memberlist_packets() -> Iterator[tuple[str, bytes]]:
    data = CODEC.pack([CODEC.encode(MESSAGES[0])])
    padded = b"fifteen bytes..\x01"
    for what in (1, 2, 3):
        for version in range(3):
            yield f"v{version}_{what}", step(what | version << 2, bytes(12) + data)
        yield f"padded{what}", step(what, bytes(12) + padded) + step(what, bytes(12) + bytes(16))
        for key in range(3):
            yield f"key{key}_{what}", step(what | 4 | key << 4, bytes(12) + data)
    for size in (0, 1, 4, 12, 28):
        yield f"short{size}", step(0, label_header(LABEL) + b"\x01" * size)
    yield "plain", step(0, label_header(LABEL) + b"\x00\x83\xa4Node") + step(0, data)
    yield "other", step(0, label_header(b"other") + bytes(40)) + step(0, b"\xf4") + step(0)


def _streams() -> Iterator[tuple[str, bytes]]:
    for how in range(8):
        talk = b"".join(step(2, CODEC.encode_frame(frame)) for frame in TALKS["sync"])
        yield f"talk{how}", bytes((how,)) + talk + step(3)
    for kind in range(5):
        chunk = bytes((kind, 16)) + bytes(16)
        yield f"kind{kind}", b"\0" + step(1, chunk)
        yield f"kind{kind}_accepted", b"\x01" + step(1, chunk)
    for size in (0, 5, 16, 17, 255):
        yield f"keyring{size}", b"\0" + step(1, bytes((2, size)) + bytes(16))
    for what in (4, 5, 6, 7):
        yield f"what{what}", b"\x01" + step(what, b"chunk") + step(2, b"more")
    yield "raw", b"\x01" + step(0, b"\xe8" + KEYS[0].id + bytes(16) + b"\0\0\0\x11" + bytes(17))
    yield "refused", b"\0" + step(0, b"\xea\x02" + KEYS[0].id)
    yield "empty", b"\x01" + step(1) + step(3) + step(2, b"after the end")


def _memberlist_streams() -> Iterator[tuple[str, bytes]]:
    frame = bytes(12) + CODEC.encode_frame(TALKS["ping"][0])
    for how in range(8):
        yield f"good{how}", bytes((how,)) + step(1 | 1 << 4, frame) + step(3 | 1 << 4, frame)
    for version in range(3):
        yield f"v{version}", b"\x05" + step(1 | version << 4, bytes(12) + b"fifteen bytes..\x01")
    for key in range(3):
        yield f"key{key}", b"\x05" + step(1 | (key | 4) << 2, frame)
    yield "length", b"\x05" + step(2 | 0xD0, frame)
    yield "label", b"\x01" + step(0, label_header(LABEL)[:3]) + step(0, label_header(LABEL)[3:])
    yield "other", b"\x01" + step(0, label_header(b"other"))
    yield "plain", b"\x07" + step(0, b"\x08\x81") + step(0, b"more")
    yield "empty", b"\x05" + step(1 | 1 << 4)


SEALED_SEEDS = {
    "native_packets": _native_packets,
    "memberlist_packets": _memberlist_packets,
    "native_streams": _streams,
    "memberlist_streams": _memberlist_streams,
}
"""Names and bytes for each target of a sealed format."""
