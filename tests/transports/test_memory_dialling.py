"""Opening streams on the in-memory network: refusals, the backlog, closing meanwhile."""

from __future__ import annotations

import errno
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from trio_gossip.addresses import Address
from trio_gossip.failures import DialFailure
from trio_gossip.transport import classify_dial_error
from trio_gossip_transports import MemoryNetwork

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def test_a_dial_to_nobody_is_refused_after_the_round_trip(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(latency=0.1)
    dialler = network.transport("a")
    started = trio.current_time()
    with pytest.raises(ConnectionRefusedError) as caught:
        await dialler.open_stream(Address("b", 7946))
    assert caught.value.errno == errno.ECONNREFUSED
    assert classify_dial_error(caught.value) is DialFailure.REFUSED
    assert trio.current_time() - started == pytest.approx(0.2)
    assert network.statistics().dials_refused == 1


async def test_the_accepted_source_has_a_port_of_its_own(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """As on real sockets: who takes it for the address of the member is wrong here too."""
    network = MemoryNetwork()
    left, right = network.transport("a"), network.transport("b")
    sources: list[Address] = []
    for _ in range(3):
        await left.open_stream(right.local_address)
        sources.append((await right.accept_stream())[1])
    assert {source.host for source in sources} == {"a"}
    assert len({source.port for source in sources} | {7946}) == 4


async def test_the_backlog_is_bounded_and_a_dial_waits_for_room(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = network.transport("a"), network.transport("b")
    for _ in range(256):
        await left.open_stream(right.local_address)
    with trio.move_on_after(60) as scope:
        await left.open_stream(right.local_address)
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(left.open_stream, right.local_address)
        await trio.sleep(1)
        await right.accept_stream()
    assert left.statistics().streams_opened == 257


async def test_a_dial_that_waits_for_room_is_refused_when_the_peer_closes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = network.transport("a"), network.transport("b")
    for _ in range(256):
        await left.open_stream(right.local_address)
    with pytest.raises(ConnectionRefusedError):  # noqa: PT012  # raised by the child task
        async with _unwrapped() as nursery:
            nursery.start_soon(left.open_stream, right.local_address)
            await trio.sleep(1)
            await right.aclose()


@pytest.mark.parametrize("after", [0.0, 0.05, 0.15])
async def test_a_dial_that_waits_is_woken_by_closing_its_own_transport(
    autojump_clock: trio.testing.MockClock, after: float
) -> None:
    network = MemoryNetwork(latency=0.1)
    left, right = network.transport("a"), network.transport("b")
    with pytest.raises(trio.ClosedResourceError):  # noqa: PT012  # raised by the child task
        async with _unwrapped() as nursery:
            nursery.start_soon(left.open_stream, right.local_address)
            await trio.sleep(after)
            await left.aclose()


@asynccontextmanager
async def _unwrapped() -> AsyncGenerator[trio.Nursery]:
    """A nursery whose one failure comes out as it is."""
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
