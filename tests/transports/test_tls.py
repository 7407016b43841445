"""TLS over memory and over sockets keeps the contract, and garbage ends nothing but itself."""

from __future__ import annotations

import random
import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from trio.testing import MockClock as Clock

from tests.transports.contract import TransportContract, on_autojump_clock
from tests.transports.socket_helpers import LOOPBACK
from tests.transports.tls_helpers import Pair, named
from trio_gossip.transport import DialError
from trio_gossip_transports import MemoryNetwork, open_socket_transport
from trio_gossip_transports.tls import TLSTransport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@on_autojump_clock
class TestTLSContractInMemory(TransportContract):
    every_name_is_an_address = True
    network: MemoryNetwork | None = None
    opened = 0

    @asynccontextmanager
    async def open_pair(self) -> AsyncGenerator[tuple[TLSTransport, TLSTransport]]:
        network = self.network = self.network or MemoryNetwork()
        self.opened += 2
        left, right = (network.transport(f"host-{self.opened - n}") for n in (1, 0))
        async with (
            TLSTransport(left, *named("left")) as one,
            TLSTransport(right, *named("right")) as other,
        ):
            yield one, other


class TestTLSContractOnSockets(TransportContract):
    @asynccontextmanager
    async def open_pair(self) -> AsyncGenerator[tuple[TLSTransport, TLSTransport]]:
        async with (
            TLSTransport(await open_socket_transport(LOOPBACK, 0), *named("left")) as left,
            TLSTransport(await open_socket_transport(LOOPBACK, 0), *named("right")) as right,
        ):
            yield left, right


async def test_streams_that_nobody_took_are_closed_with_the_transport() -> None:
    async with TLSTransport(await open_socket_transport(LOOPBACK, 0), *named("a")) as ours:
        async with TLSTransport(await open_socket_transport(LOOPBACK, 0), *named("b")) as theirs:
            stream = await ours.open_stream(theirs.local_address, "b")
            await trio.testing.wait_all_tasks_blocked()
            [(ready, _)] = theirs._accepter._ready
        assert ready._secured.transport_stream.socket.fileno() == -1
        await stream.aclose()


def altered(rng: random.Random, data: bytes) -> bytes:
    """Cut, doubled, or with some bytes changed."""
    changed = bytearray(data)
    for _ in range(rng.choice((0, 1, 1, 2, 9, 99))):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    end = rng.choice((len(changed), rng.randrange(len(changed))))
    return bytes(changed[:end]) + rng.choice((b"", b"", rng.randbytes(50)))


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        named("a")[1].wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("seed", range(4))
async def test_garbage_from_diallers_ends_nothing_but_itself(
    seed: int, caplog: pytest.LogCaptureFixture, autojump_clock: Clock
) -> None:
    rng = random.Random(seed)
    hello = client_hello()
    async with Pair(named("a"), named("b")) as pair:
        for _ in range(100):
            stream = await pair.inner[0].open_stream(pair.right.local_address)
            with suppress(trio.BrokenResourceError):
                await stream.send_all(altered(rng, hello))
            if rng.random() < 0.5:
                await stream.aclose()
        await trio.sleep(20)
        found = pair.right.statistics()
        assert (found.handshakes, found.ready) == (0, 0)
        assert sum(found.accept_faults.values()) == 100
        await pair.connect("b")
        assert all(each.levelname == "WARNING" for each in caplog.records)


@pytest.mark.parametrize("seed", range(4))
async def test_garbage_from_acceptors_is_an_error_of_that_dial(
    seed: int, autojump_clock: Clock
) -> None:
    rng = random.Random(seed)
    network = MemoryNetwork()
    bad = network.transport("bad")
    async with TLSTransport(network.transport("ours"), *named("a")) as ours:

        async def answer(real: ssl.SSLContext) -> None:
            stream, _ = await bad.accept_stream()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            incoming.write(await stream.receive_some(10_000))
            with suppress(ssl.SSLWantReadError):
                real.wrap_bio(incoming, outgoing, server_side=True).do_handshake()
            with suppress(trio.BrokenResourceError):
                await stream.send_all(altered(rng, outgoing.read()))
                await stream.send_eof()

        for _ in range(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(answer, named("b")[0])
                with pytest.raises(DialError, match=r"^bad:7946 ") as caught:
                    await ours.open_stream(bad.local_address, "b")
                assert caught.value.failure.value in {"handshake", "reset"}
        assert sum(ours.statistics().dial_faults.values()) == 60
