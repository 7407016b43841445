"""How long the worst packets that a stranger can send keep the decoder busy.

Each family makes the decoder do as much of one thing as fits a datagram of 65,507 bytes. The aim:
no packet of any family takes more than 1 ms. The minimum of many repeats is compared with it, since
everything above the minimum is this machine's other business.

    python benchmarks/bench_hostile.py [--repeats 30] [--bytes 65507] [--limit-ms 1.0]

Exits with 1 when a family is over the limit. Frames of streams are measured for information: a
stranger needs a connection for them, and each may be eight times as long.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from time import perf_counter

from cbor2 import dumps

from trio_gossip.addresses import Address
from trio_gossip.codec import DecodeError, NativeCodec
from trio_gossip.codec.frames import FRAME_BYTES_MAX, frame_header
from trio_gossip.codec.messages import Alive, UserMessage
from trio_gossip.codec.wire import PARTS_MAX

VERSIONS = bytes((1, 1, 1, 0, 0, 0))

codec = NativeCodec()


def head(major: int, argument: int) -> bytes:
    """A CBOR head in its shortest form."""
    if argument < 24:
        return bytes((major << 5 | argument,))
    width = next(size for size in (1, 2, 4, 8) if argument < 256**size)
    return bytes((major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[width],)) + argument.to_bytes(
        width, "big"
    )


def array(unit: bytes, size: int) -> bytes:
    """As many ``unit`` as fit an array of ``size`` bytes."""
    count = (size - 5) // len(unit)
    return head(4, count) + unit * count


def table(size: int, key: Callable[[int], bytes]) -> bytes:
    """A map of as many different keys as fit."""
    parts: list[bytes] = []
    used = 5
    for number in range(size):
        part = key(number) + b"\x00"
        used += len(part)
        if used > size:
            break
        parts.append(part)
    return head(5, len(parts)) + b"".join(parts)


def messages(parts: Iterator[bytes], size: int) -> bytes:
    """As many messages as fit a packet."""
    taken: list[bytes] = []
    room = codec.room(size)
    for part in parts:
        if not room.take(len(part)):
            break
        taken.append(part)
    return codec.pack(taken)


def one(field: bytes) -> bytes:
    """A packet of one message with a good code, and ``field`` in the place of its fields."""
    return b"\x82\x01\x82\x00" + field


def _alive(rng: random.Random, host: str) -> bytes:
    name = f"member-{rng.getrandbits(32):08x}"
    address = Address(host, rng.randrange(1, 65536))
    return codec.encode(Alive(2**40, name, address, rng.randbytes(190), VERSIONS))


def _conflict(rng: random.Random, host: Callable[[], object]) -> bytes:
    del rng
    return dumps([10, "n", host(), host()])


def _repeat(part: bytes) -> Iterator[bytes]:
    return iter([part] * PARTS_MAX)


def _ipv4(rng: random.Random) -> str:
    return ".".join(str(rng.randrange(1, 255)) for _ in range(4))


def families(size: int, rng: random.Random) -> dict[str, Callable[[], bytes]]:
    """Makers of packets by family; each call may give another packet of its kind."""
    inner = size - 12
    spread = max(8, size // PARTS_MAX - 4)

    def ipv6() -> object:
        return rng.randbytes(16) + b"\x1f\x0a"

    def host() -> object:
        return rng.randbytes(52).hex() + ":80"

    def numbers() -> object:
        return _ipv4(rng) + "%" + "x" * 80 + ":80"

    def split(unit: bytes) -> bytes:
        return messages(_repeat(b"\x82\x18\xff" + array(unit, spread - 3)), size)

    def flat(unit: bytes) -> bytes:
        count = min(250, (spread - 4) // len(unit))
        return messages(_repeat(head(4, count + 1) + b"\x18\xff" + unit * count), size)

    return {
        "empty arrays": lambda: array(b"\x80", size),
        "empty arrays as messages": lambda: b"\x99\xff\xdb\x01" + b"\x80" * (size - 4),
        "empty arrays in a field": lambda: one(array(b"\x80", inner)),
        "empty arrays in every message": lambda: split(b"\x80"),
        "arrays in arrays": lambda: one(array(b"\x81\x80", inner)),
        "tiny numbers": lambda: array(b"\x00", size),
        "tiny numbers in a message": lambda: b"\x82\x01" + array(b"\x00", size - 2),
        "tiny numbers in every message": lambda: flat(b"\x00"),
        "long numbers": lambda: one(array(b"\x1b" + b"\xff" * 8, inner)),
        "negative numbers": lambda: one(array(b"\x3b" + b"\xff" * 8, inner)),
        "floats": lambda: one(array(b"\xf9\x3c\x01", inner)),
        "simple values": lambda: one(array(b"\xe0", inner)),
        "simple values in a message": lambda: b"\x82\x01" + array(b"\xe0", size - 2),
        "simple values in every message": lambda: flat(b"\xe0"),
        "undefined": lambda: one(array(b"\xf7", inner)),
        "empty texts": lambda: one(array(b"\x60", inner)),
        "short texts": lambda: one(array("\u4e2d".encode().join((b"\x63", b"")), inner)),
        "empty byte strings": lambda: one(array(b"\x40", inner)),
        "empty maps": lambda: one(array(b"\xa0", inner)),
        "a map of many keys": lambda: one(table(inner, lambda n: b"\x19" + n.to_bytes(2, "big"))),
        "a map of colliding keys": lambda: one(
            table(inner, lambda n: b"\x1b" + ((n * (2**61 - 1)) % 2**64).to_bytes(8, "big"))
        ),
        "a map with a key twice": lambda: one(table(inner, lambda _: b"\x00")),
        "maps of simple values": lambda: one(array(b"\xa1\xe0\xa0", inner)),
        "deepest nesting": lambda: b"\x81" * size,
        "deepest legal nesting": lambda: one(array(b"\x81\x00", inner)),
        "tags": lambda: one(array(b"\xc0\x00", inner)),
        "a big number": lambda: one(b"\xc2" + head(2, inner - 6) + b"\xff" * (inner - 6)),
        "an array longer than the packet": lambda: b"\x9b\x7f" + b"\xff" * 7 + b"\x00" * (size - 9),
        "a text longer than the packet": lambda: one(head(3, 2**32) + b"a" * (inner - 9)),
        "a huge text": lambda: one(head(3, inner - 5) + b"a" * (inner - 5)),
        "a huge text with a bad end": lambda: one(
            head(3, inner - 5) + b"a" * (inner - 6) + b"\xff"
        ),
        "a huge payload": lambda: codec.pack(
            [codec.encode(UserMessage("a", b"x" * inner))[: size - 2]]
        ),
        "unknown codes": lambda: messages(_repeat(b"\x81\x18\xff"), size),
        "many pings": lambda: messages(_repeat(dumps([0, 1, "b", "a", None])), size),
        "long names": lambda: messages(_repeat(dumps([5, 1, "n" * 120, "m" * 120])), size),
        "long names beyond ASCII": lambda: messages(
            _repeat(dumps([5, 1, "\u4e2d" * 40, "\u4e2d" * 40])), size
        ),
        "alive messages, one address": lambda: messages(
            (_alive(rng, "10.0.0.2") for _ in range(PARTS_MAX)), size
        ),
        "alive messages, new IPv4 addresses": lambda: messages(
            (_alive(rng, _ipv4(rng)) for _ in range(PARTS_MAX)), size
        ),
        "conflicts, new IPv6 addresses": lambda: messages(
            (_conflict(rng, ipv6) for _ in range(PARTS_MAX)), size
        ),
        "indirect pings, new IPv6 addresses": lambda: messages(
            (dumps([1, 1, "b", ipv6(), "a", 9, True, ipv6()]) for _ in range(PARTS_MAX)), size
        ),
        "alive messages, new in every field": lambda: messages(
            (
                dumps(
                    [
                        4,
                        2**40,
                        rng.randbytes(9).hex(),
                        ipv6(),
                        b"",
                        b"\x01\x01" + rng.randbytes(4),
                        "\u4e2d",
                    ]
                )
                for _ in range(PARTS_MAX)
            ),
            size,
        ),
        "conflicts, new host names": lambda: messages(
            (_conflict(rng, host) for _ in range(PARTS_MAX)), size
        ),
        "conflicts, almost IP addresses": lambda: messages(
            (_conflict(rng, numbers) for _ in range(PARTS_MAX)), size
        ),
        "random bytes": lambda: rng.randbytes(size),
        "random bytes in a message": lambda: b"\x82\x01" + rng.randbytes(size - 2),
    }


def frames() -> dict[str, Callable[[], bytes]]:
    """The same for frames of full length."""

    def frame(unit: bytes) -> Callable[[], bytes]:
        body = b"\x83\x01\x11" + array(unit, FRAME_BYTES_MAX - 3)
        return lambda: frame_header(len(body)) + body

    record = dumps(["n" * 60, bytes(15) + b"\x01\x1f\x0a", b"", VERSIONS, 1, 0])
    good = b"\x83\x01\x11" + head(4, 256) + record * 256
    return {
        "frame of empty arrays": frame(b"\x80"),
        "frame of simple values": frame(b"\xe0"),
        "frame of maps of simple values": frame(b"\xa1\xe0\xa0"),
        "frame of 256 records": lambda: frame_header(len(good)) + good,
    }


def measure(
    decode: Callable[[bytes], object], make: Callable[[], bytes], repeats: int
) -> tuple[list[float], int, str]:
    """Milliseconds of each repeat, sorted; the longest packet; the outcome."""
    times: list[float] = []
    outcome, longest = "ok", 0
    for _ in range(repeats):
        data = make()
        longest = max(longest, len(data))
        before = perf_counter()
        try:
            decode(data)
        except DecodeError as error:
            outcome = error.reason
        times.append((perf_counter() - before) * 1000)
    return sorted(times), longest, outcome


def main() -> int:
    """Print the table; 1 when a family of packets is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--bytes", type=int, default=65_507, help="length of the packets")
    parser.add_argument("--limit-ms", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    packets = families(options.bytes, rng)
    over: list[str] = []
    print(f"packets of up to {options.bytes:,} bytes, {options.repeats} repeats, milliseconds")
    print(f"{'family':36} {'bytes':>7} {'min':>8} {'median':>8} {'max':>8}  outcome")
    for family, make in (packets | frames()).items():
        gc.collect()
        is_packet = family in packets
        decode = codec.unpack_untrusted if is_packet else _decode_stream
        times, size, outcome = measure(decode, make, options.repeats)
        slow = is_packet and times[0] > options.limit_ms
        if slow:
            over.append(family)
        numbers = f"{times[0]:8.3f} {statistics.median(times):8.3f} {times[-1]:8.3f}"
        print(f"{family:36} {size:7} {numbers}  {outcome}{'  OVER' if slow else ''}")
    print(f"limit {options.limit_ms} ms for packets (best of {options.repeats}): {len(over)} over")
    return 1 if over else 0


def _decode_stream(data: bytes) -> object:
    return codec.stream_decoder(accepted=True).feed_untrusted(data)


if __name__ == "__main__":
    sys.exit(main())
