"""The table of docs/security.rst, cell by cell: what others really can do in each mode.

Each attack is tried on two members that talk. Flooding and dropping are elsewhere: anybody on a
path can drop, and ``tests/transports/test_floods.py`` floods. What is *not* protected beyond the
table is shown in ``tests/transports/test_weaknesses.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from tests.driver.wrapping import WrappedTransport
from tests.transports.encrypted_helpers import K1, K2
from tests.transports.tls_helpers import OTHER_CA, contexts
from trio_gossip import Address, Transport
from trio_gossip_transports import EncryptedTransport, Keyring, MemoryNetwork
from trio_gossip_transports.tls import TLSTransport

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "security.rst").read_text()
TABLE = PAGE[PAGE.index("* - mode") : PAGE.index("*Floods* are")]
ROWS = [
    [" ".join(cell.split()) for cell in re.split(r"\n +- ", row)] for row in TABLE.split("* - ")[1:]
]
CELLS = {mode: cells for mode, *cells in ROWS}

SAID, FORGED = b"\x81what-a-member-says", b"\x81what-nobody-says"
"""They begin as packets in plain do."""


class Tap(WrappedTransport):
    """Keeps a copy of each datagram that is sent, and of the bytes of each stream."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.datagrams: list[bytes] = []
        self.streams: list[bytearray] = []

    def send_packet(self, data: bytes, address: Address, peer_name: str | None = None) -> None:
        self.datagrams.append(data)
        super().send_packet(data, address, peer_name)

    async def open_stream(self, address: Address, peer_name: str | None = None) -> trio.abc.Stream:
        self.streams.append(bytearray())
        return TapStream(await super().open_stream(address, peer_name), self.streams[-1])


class TapStream(trio.abc.HalfCloseableStream):
    def __init__(self, inner: trio.abc.Stream, copy: bytearray) -> None:
        self.inner, self.copy = inner, copy

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.copy += data
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self.inner.send_eof()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return bytes(await self.inner.receive_some(max_bytes))

    async def aclose(self) -> None:
        await self.inner.aclose()


def sealed(inner: Transport, key: bytes = K1, sealing: str = "native") -> Transport:
    return EncryptedTransport(inner, Keyring([key]), b"label", sealing)


def secured(inner: Transport, name: str, packets: str = "datagrams", **issued) -> Transport:
    return TLSTransport(inner, *contexts(name, **issued), packets=packets)


Layers = Callable[[Transport, str], Transport]
"""What somebody puts over a bare transport, given a name."""

MODES: dict[str, Layers] = {
    "plain": lambda inner, _: inner,
    "keyring, native": lambda inner, _: sealed(inner),
    "keyring, memberlist": lambda inner, _: sealed(inner, sealing="memberlist"),
    "TLS streams, datagrams": secured,
    "TLS, packets in streams": lambda inner, name: secured(inner, name, "streams"),
    "TLS streams and keyring": lambda inner, name: sealed(secured(inner, name)),
    "TLS, packets in streams, and keyring": lambda inner, name: sealed(
        secured(inner, name, "streams")
    ),
}

NO_CERTIFICATE = {"ca": OTHER_CA}

STRANGERS: list[Layers] = [
    MODES["plain"],
    lambda inner, _: sealed(inner, K2),
    lambda inner, _: sealed(inner, K2, "memberlist"),
    lambda inner, name: secured(inner, name, **NO_CERTIFICATE),
    lambda inner, name: secured(inner, name, "streams", **NO_CERTIFICATE),
]

KEY_THIEVES: list[Layers] = [
    MODES["keyring, native"],
    MODES["keyring, memberlist"],
    lambda inner, name: sealed(secured(inner, name, **NO_CERTIFICATE)),
    lambda inner, name: sealed(secured(inner, name, "streams", **NO_CERTIFICATE)),
]

CERTIFICATE_THIEVES: list[Layers] = [
    MODES["TLS streams, datagrams"],
    MODES["TLS, packets in streams"],
    lambda inner, name: sealed(secured(inner, name), K2),
    lambda inner, name: sealed(secured(inner, name, "streams"), K2),
]


@attrs.define(eq=False)
class Talk:
    """A member ``b`` that notes all that reaches it, and what ``a`` sent to it was on the wire."""

    nursery: trio.Nursery
    network: MemoryNetwork = attrs.Factory(MemoryNetwork)
    tap: Tap = attrs.field(init=False)
    packets: list[bytes] = attrs.Factory(list)
    streams: list[bytearray] = attrs.Factory(list)

    def start(self, transport: Transport) -> Transport:
        """Receive and accept, as every member does."""
        self.nursery.start_soon(self._hear, transport)
        self.nursery.start_soon(self._accept, transport)
        return transport

    async def _hear(self, transport: Transport) -> None:
        while True:
            heard = [packet.data for packet in await transport.receive_packets()]
            if transport.local_address.host == "b":
                self.packets += heard

    async def _accept(self, transport: Transport) -> None:
        while True:
            stream, _ = await transport.accept_stream()
            self.nursery.start_soon(self._read, stream)

    async def _read(self, stream: trio.abc.Stream) -> None:
        content = bytearray()
        self.streams.append(content)
        try:
            while data := await stream.receive_some(65_536):
                content += data
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            """Whatever came before it counts."""

    async def begin(self, layers: Layers) -> None:
        self.start(layers(self.network.transport("b"), "b"))
        self.tap = Tap(self.network.transport("a"))
        await say(self.start(layers(self.tap, "a")), SAID)
        assert self.heard(SAID) == {"packets", "streams"}, "members do not hear each other"

    def heard(self, what: bytes) -> set[str]:
        """By which ways this has come to ``b``."""
        ways = {"packets"} if what in self.packets else set[str]()
        return ways | ({"streams"} if any(what in each for each in self.streams) else set())

    def forget(self) -> None:
        self.packets.clear()
        self.streams.clear()

    def seen(self) -> set[str]:
        """By which ways ``a`` can be read on the path; the packet and the stream say the same."""
        ways = {"packets"} if any(SAID in each for each in self.tap.datagrams) else set[str]()
        return ways | ({"streams"} if any(SAID in each for each in self.tap.streams) else set())

    async def attack(self, layers: Layers) -> set[str]:
        """Say something as somebody who has only these layers; returns how it was heard."""
        self.forget()
        stranger = layers(self.network.transport("z", 0), "z")
        await say(self.start(stranger), FORGED)
        return self.heard(FORGED)

    async def replay(self) -> set[str]:
        """Send ``b`` all that ``a`` has sent to it, byte by byte."""
        self.forget()
        stranger = self.network.transport("z", 0)
        for data in self.tap.datagrams:
            stranger.send_packet(data, Address("b", 7946))
        for copy in self.tap.streams:
            stream = await stranger.open_stream(Address("b", 7946))
            await stream.send_all(bytes(copy))
        await trio.sleep(1)
        return self.heard(SAID)


async def say(transport: Transport, what: bytes) -> None:
    """A packet and a stream to ``b``, as far as it lets us."""
    transport.send_packet(what, Address("b", 7946))
    with trio.move_on_after(5):
        try:
            stream = await transport.open_stream(Address("b", 7946))
            await stream.send_all(what)
        except (OSError, trio.BrokenResourceError):
            """It does not."""
    await trio.sleep(1)


@pytest.mark.parametrize("mode", MODES)
async def test_the_table_says_what_each_can_do(mode, autojump_clock: trio.testing.MockClock):
    on_path, off_path, _, key_thief, certificate_thief = CELLS[mode]
    async with trio.open_nursery() as nursery:
        talk = Talk(nursery)
        await talk.begin(MODES[mode])
        read = talk.seen()
        replayed = await talk.replay()
        forged = set().union(*[await talk.attack(layers) for layers in STRANGERS])
        by_key = [await talk.attack(layers) for layers in KEY_THIEVES]
        by_certificate = [await talk.attack(layers) for layers in CERTIFICATE_THIEVES]
        nursery.cancel_scope.cancel()

    both = {"packets", "streams"}
    ways = {"packets"} if "packets only" in on_path else both
    assert read == (ways if "read" in on_path else set())
    assert replayed == (ways if "replay" in on_path else set())
    assert forged == (ways if "forge" in on_path else set())
    assert ("forge" in off_path) == bool(forged)
    assert "deny" in on_path, "whoever carries the packets can drop them"
    if key_thief != "\\-":
        told = {"as a member": both, "packets as a member; streams not at all": {"packets"}}
        told["nothing without a certificate"] = set()
        assert set().union(*by_key) == told[key_thief.partition(", and reads")[0]]
    if certificate_thief != "\\-":
        told = {"as the member that was robbed": both, "nothing without a key": set()}
        assert set().union(*by_certificate) == told[certificate_thief.partition(";")[0]]


def test_the_table_has_every_mode():
    assert list(CELLS) == ["mode", *MODES]
