"""Parsers of what is not sealed: packets, frames, addresses, key files; and a whole engine."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Callable

from tests.fuzz.steps import read_steps, timed
from trio_gossip.addresses import Address, parse_address
from trio_gossip.codec import DecodeError, NativeCodec
from trio_gossip.codec.frames import FRAME_BYTES_MAX, FRAMES_PER_FEED_MAX, frame_header
from trio_gossip.codec.messages import Alive, Unknown
from trio_gossip.config import Config
from trio_gossip.engine import (
    CloseExchange,
    Complete,
    Deliver,
    Engine,
    OpenExchange,
    Output,
    SendFrame,
    SendPacket,
)
from trio_gossip.failures import DialFailure
from trio_gossip.members import VERSIONS_DEFAULT
from trio_gossip.services.base import Service
from trio_gossip_transports.keyring import KEYS_MAX, Keyring, KeyringError

CODEC = NativeCodec()
START = 100.0
MEMBERS_MAX = 8
PACKET_LIMIT = 1400
TURNS_MAX = 200
PLACES = [Address(f"10.0.0.{number}", 7946) for number in range(1, 5)]
ME, A, B, STRANGER = PLACES
PAUSES = (0.0, 0.2, 2.0, 40.0)

_CONFIG = Config.lan(
    name="me", members_max=MEMBERS_MAX, broadcast_queue_max=16, message_bytes_max=4096
)
_KNOWN = CODEC.pack(
    [CODEC.encode(Alive(1, n, at, b"", VERSIONS_DEFAULT, "")) for n, at in (("a", A), ("b", B))]
)


def packet(data: bytes) -> None:
    """One packet: messages that can be written again, or a ``DecodeError``."""
    try:
        messages = timed(CODEC.unpack_untrusted, data)
    except DecodeError:
        return
    again = CODEC.pack([CODEC.encode(each) for each in messages if type(each) is not Unknown])
    if all(type(each) is not Unknown for each in messages):
        assert CODEC.unpack_untrusted(again) == messages


def frames(data: bytes) -> None:
    """The bytes of a stream, in pieces: an even op wraps a chunk into a frame."""
    decoder = CODEC.stream_decoder(accepted=True)
    is_dead = False
    for op, chunk in read_steps(data):
        if op % 2 == 0:
            chunk = frame_header(len(chunk)) + chunk
        try:
            found = timed(decoder.feed_untrusted, chunk)
        except DecodeError:
            is_dead = True
            assert decoder.buffered == 0
            continue
        assert not is_dead, "a dead decoder came back to life"
        assert len(found) <= FRAMES_PER_FEED_MAX
        assert decoder.buffered <= FRAME_BYTES_MAX + 4
        for frame in found:
            again = CODEC.stream_decoder(accepted=True).feed_untrusted(CODEC.encode_frame(frame))
            assert again == [frame]


def address(data: bytes) -> None:
    """An address as people write it, which reads back from what it is printed as."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        found = timed(parse_address, text)
    except ValueError as error:
        problem: Exception = error
    else:
        assert 0 <= found.port <= 65535
        assert parse_address(str(found)) == found
        return
    assert type(problem) is ValueError
    assert "\n" not in str(problem)


def _make_key_file() -> tuple[int, str]:
    if hasattr(os, "memfd_create"):  # Linux: a file in memory that ends with the process
        descriptor = os.memfd_create("fuzz")
        os.fchmod(descriptor, 0o600)
        return descriptor, f"/proc/self/fd/{descriptor}"
    return tempfile.mkstemp(prefix="trio-gossip-fuzz-")


_key_file: list[tuple[int, str]] = []


def key_file(data: bytes) -> None:
    """The content of a key file: a keyring, or an error of one line that tells nothing of it."""
    if not _key_file:
        _key_file.append(_make_key_file())
    descriptor, path = _key_file[0]
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, data, 0)
    try:
        ring = timed(Keyring.load, path)
    except KeyringError as error:
        told = str(error).replace(path, "")
        assert "\n" not in told
        assert "codec" not in told, "Python's own words repeat bytes of the file"
        for line in data.split():
            assert len(line) < 16 or line.decode("latin-1") not in told
        return
    assert 1 <= len(ring.list()) <= KEYS_MAX
    for key in ring.list():
        assert key.text not in repr(ring)


class Life:
    """An engine called ``me`` that knows two members, and whoever performs its decisions."""

    def __init__(self, *services: Service) -> None:
        self.now = START
        self.frames: list[bytes] = []
        self.results: set[int] = set()
        self.opened: list[int] = []
        self.closed: set[int] = set()
        self.sent_to: dict[Address, int] = {}
        self.engine = Engine(
            _CONFIG,
            ME,
            rng=random.Random(1),
            packet_limit=PACKET_LIMIT,
            incarnation=10,
            services=services,
        )
        self.perform(self.engine.start(now=self.now))
        self.perform(self.engine.receive_packet(_KNOWN, A, now=self.now))

    def perform(self, outputs: list[Output]) -> None:
        """Do what a driver does, as far as it comes back to the engine."""
        engine = self.engine
        queue = list(outputs)
        for _ in range(TURNS_MAX):
            if not queue:
                return
            output = queue.pop(0)
            if isinstance(output, SendPacket):
                assert len(output.data) <= PACKET_LIMIT
                CODEC.unpack_untrusted(output.data)
                sent = self.sent_to.get(output.address, 0)
                self.sent_to[output.address] = sent + len(output.data)
            elif isinstance(output, OpenExchange):
                self.opened.append(output.exchange)
            elif isinstance(output, SendFrame):
                self.frames.append(output.data)
                if output.more:
                    queue += engine.exchange_writable(output.exchange, now=self.now)
            elif isinstance(output, Deliver):
                queue += engine.exchange_delivered(output.exchange, now=self.now)
            elif isinstance(output, CloseExchange):
                self.closed.add(output.exchange)
            elif isinstance(output, Complete):
                assert output.token not in self.results, "a command completed twice"
                self.results.add(output.token)
        raise AssertionError("one input makes an engine work for ever")

    def wait(self, seconds: float) -> None:
        """Let time pass, with as many turns as a driver would take, within reason."""
        end = self.now + seconds
        for _ in range(TURNS_MAX):
            due = self.engine.next_deadline
            if due > end:
                break
            self.now = max(self.now, due)
            self.perform(timed(self.engine.handle_timeout, now=self.now))
        self.now = max(self.now, end)

    def check(self) -> None:
        """What holds whatever has happened."""
        statistics = self.engine.statistics()
        assert statistics.members <= MEMBERS_MAX
        assert statistics.user_queue <= 16
        assert self.engine.local.incarnation <= 2**62


def engine_packets(data: bytes) -> None:
    """Packets from members and strangers, with pauses between them.

    The op says who sends (2 bits), how long ago the one before was (2 bits), and if the chunk is a
    whole packet or a message in one (1 bit).
    """
    life = Life()
    for op, chunk in read_steps(data):
        source = PLACES[op & 3]
        if op & 16:
            chunk = b"\x82\x01" + chunk
        life.wait(PAUSES[op >> 2 & 3])
        is_stranger = source not in [each.address for each in life.engine.members(all=True)]
        before = life.sent_to.get(source, 0)
        life.perform(timed(life.engine.receive_packet, chunk, source, now=life.now))
        is_stranger &= source not in [each.address for each in life.engine.members(all=True)]
        if is_stranger:
            assert life.sent_to.get(source, 0) - before <= len(chunk), "a stranger's amplifier"
    life.check()


def _converse(life: Life, exchange: int, steps: bytes) -> None:
    """Bytes, ends and pauses on one stream; late ones must do no harm either.

    The op says if the chunk is a frame's body (1 bit), how long to wait first (2 bits), and if the
    stream breaks after it (all of the rest set).
    """
    for op, chunk in read_steps(steps):
        if op & 1 == 0:
            chunk = frame_header(len(chunk)) + chunk
        life.wait(PAUSES[op >> 1 & 3])
        life.perform(timed(life.engine.exchange_received, exchange, chunk, now=life.now))
        if op >> 3 == 31:
            failure = DialFailure.RESET
            life.perform(life.engine.exchange_failed(exchange, failure, now=life.now))
    life.check()


def engine_accepted(data: bytes) -> None:
    """A stream that a stranger opened; a first byte of odd value vouches for a name."""
    life = Life()
    names = ("a",) if data[:1] and data[0] & 1 else ()
    exchange = life.engine.new_exchange()
    life.perform(life.engine.exchange_accepted(exchange, STRANGER, names, now=life.now))
    _converse(life, exchange, data[1:])


def engine_dialled(data: bytes) -> None:
    """A stream that we opened: to join (first byte even) or with a message (odd)."""
    life = Life()
    if data[:1] and data[0] & 1:
        life.perform(life.engine.send_reliable("a", bytes(100), token=1, now=life.now))
    else:
        life.perform(life.engine.join(STRANGER, token=1, now=life.now))
    exchange = life.opened[-1]
    life.perform(life.engine.exchange_opened(exchange, now=life.now))
    _converse(life, exchange, data[1:])


PLAIN: dict[str, Callable[[bytes], None]] = {
    "packet": packet,
    "frames": frames,
    "engine_packets": engine_packets,
    "engine_accepted": engine_accepted,
    "engine_dialled": engine_dialled,
    "address": address,
    "key_file": key_file,
}
"""By name; each takes any bytes and raises only if something is wrong with this library."""
