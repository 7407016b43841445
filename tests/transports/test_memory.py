"""The in-memory network without faults: the contract, addresses, counting."""

from __future__ import annotations

import errno
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
import trio.testing

from tests.transports.contract import TransportContract, on_autojump_clock
from trio_gossip.addresses import Address
from trio_gossip.transport import Packet
from trio_gossip_transports import MemoryNetwork, MemoryTransport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@on_autojump_clock
class TestMemoryContract(TransportContract):
    every_name_is_an_address = True
    network: MemoryNetwork | None = None
    opened = 0

    def make_network(self) -> MemoryNetwork:
        return MemoryNetwork()

    @asynccontextmanager
    async def open_pair(self) -> AsyncGenerator[tuple[MemoryTransport, MemoryTransport]]:
        network = self.network = self.network or self.make_network()
        self.opened += 2
        left, right = f"host-{self.opened - 1}", f"host-{self.opened}"
        async with network.transport(left) as one, network.transport(right) as other:
            yield one, other


class TestMemoryContractWithoutLatency(TestMemoryContract):
    def make_network(self) -> MemoryNetwork:
        return MemoryNetwork(latency=0.0)


class TestMemoryContractWithChangingLatency(TestMemoryContract):
    def make_network(self) -> MemoryNetwork:
        return MemoryNetwork(latency=(0.0, 0.0009))


async def test_an_address_is_a_name_and_the_customary_port(
    autojump_clock: trio.testing.MockClock,
) -> None:
    assert MemoryNetwork().transport("a").local_address == Address("a", 7946)


async def test_a_taken_address_cannot_be_opened_again_until_it_is_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    first = network.transport("a")
    with pytest.raises(OSError, match=r"cannot bind a:7946: address already in use") as caught:
        network.transport("a")
    assert caught.value.errno == errno.EADDRINUSE
    await first.aclose()
    second = network.transport("a")
    await first.aclose()  # the old one has no say in the new one
    with pytest.raises(OSError, match="already in use"):
        network.transport("a")
    second.send_packet(b"x", second.local_address)
    assert await second.receive_packets() == [Packet(b"x", second.local_address)]


async def test_hosts_have_many_ports_and_zero_is_a_free_one(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    addresses = [network.transport("a", port).local_address for port in (1, 2, 0, 0)]
    assert len(set(addresses)) == 4
    assert all(address.port for address in addresses)


@pytest.mark.parametrize(("host", "port"), [("", 1), ("a:b", 1), ("a", -1), ("a", 65_536)])
async def test_an_address_that_makes_no_sense_is_refused(
    autojump_clock: trio.testing.MockClock, host: str, port: int
) -> None:
    with pytest.raises(ValueError, match=r"host|port"):
        MemoryNetwork().transport(host, port)


async def test_names_are_resolved_without_asking_and_not_after_closing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    transport = MemoryNetwork().transport("a")
    for host in ("a", "never-opened", "10.0.0.1"):
        assert await transport.resolve(Address(host, 7)) == [Address(host, 7)]
    await transport.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await transport.resolve(Address("a", 7946))


async def test_two_networks_do_not_know_each_other(autojump_clock: trio.testing.MockClock) -> None:
    here, there = MemoryNetwork().transport("a"), MemoryNetwork().transport("b")
    with pytest.raises(ConnectionRefusedError):
        await here.open_stream(there.local_address)


async def test_a_network_without_faults_counts_none(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    left, right = network.transport("a"), network.transport("b")
    for _ in range(30):
        left.send_packet(b"x", right.local_address)
    assert network.statistics().queued == right.statistics().queued == 30
    await right.receive_packets()
    total = network.statistics()
    assert (total.sent, total.delivered, total.queued) == (30, 30, 0)
    assert attrs.evolve(total, sent=0, delivered=0) == type(total)()
    assert left.statistics().sent == right.statistics().delivered == 30


async def test_statistics_are_frozen(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        MemoryNetwork().statistics().sent = 1  # type: ignore[misc]  # frozen


async def test_closed_endpoints_refuse_every_look_and_keep_their_counters(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = network.transport("a"), network.transport("b")
    left.send_packet(b"x", right.local_address)
    await left.aclose()
    for call in (left.receive_packets_nowait, left.refusals_nowait):
        with pytest.raises(trio.ClosedResourceError):
            call()
    assert left.statistics().sent == 1
    assert network.statistics().sent == 1
