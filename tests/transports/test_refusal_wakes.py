"""A refusal wakes who waits for packets, through every wrapper, and once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.transports.example_wrapper import BlocklistTransport
from tests.transports.tls_helpers import named
from tests.transports.tls_packet_helpers import over
from trio_gossip.addresses import Address
from trio_gossip.testing.kit.wire import Wire
from trio_gossip.testing.trace import Trace
from trio_gossip.transport import Refused
from trio_gossip_transports import EncryptedTransport, Key, Keyring, MemoryNetwork
from trio_gossip_transports.tls import TLSTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.transport import Transport

RING = Keyring([Key.generate()])
WRAPPERS: dict[str, Callable[[Transport], Transport]] = {
    "bare": lambda inner: inner,
    "the wrapper of the pages": lambda inner: BlocklistTransport(inner, {"x"}),
    "sealed": lambda inner: EncryptedTransport(inner, RING, b"test"),
    "TLS": lambda inner: TLSTransport(inner, *named("a")),
    "TLS with packets in streams": lambda inner: over(inner, "a"),
    "sealed over TLS": lambda inner: EncryptedTransport(
        TLSTransport(inner, *named("a")), RING, b"test"
    ),
    "the wire of the kit": lambda inner: Wire("a", inner, Trace()),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
async def test_a_refusal_wakes_the_receiver_once(
    wrapper: str, autojump_clock: trio.testing.MockClock
) -> None:
    network = MemoryNetwork()
    nobody = Address("b", 7946)
    async with WRAPPERS[wrapper](network.transport("a")) as transport:
        batches: list[object] = []

        async def receive() -> None:
            batches.append(await transport.receive_packets())

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive)
                await trio.testing.wait_all_tasks_blocked()
                transport.send_packet(b"anybody?", nobody, "b")
        assert batches == [[]]
        with trio.move_on_after(0.05) as scope:
            await transport.receive_packets()
        assert scope.cancelled_caught
        assert transport.refusals_nowait() == [Refused(nobody)]
