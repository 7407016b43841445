"""Whole clusters whose packets travel over TLS connections: they live, and notice who dies."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.transports.socket_helpers import LOOPBACK
from tests.transports.tls_packet_helpers import over
from trio_gossip import (
    Config,
    MemberFailed,
    MemberState,
    MemberSuspected,
    MessageReceived,
    serve_cluster,
)
from trio_gossip_transports import (
    EncryptedTransport,
    Key,
    Keyring,
    MemoryNetwork,
    open_socket_transport,
    tls_packets,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from trio.testing import MockClock

    from trio_gossip import Transport

KEY = Key.generate()


class Trio:
    """Three members; every alarm that one of them raises is kept."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.clusters: dict[str, Any] = {}
        self.scopes: dict[str, trio.CancelScope] = {}
        self.alarms: list[Any] = []

    async def start(self, name: str, transport: Transport) -> None:
        self.clusters[name] = await self.nursery.start(self._live, name, transport)
        await self.clusters[name].join([str(self.clusters["a"].local.address)])

    async def _live(self, name: str, transport: Transport, *, task_status: Any) -> None:
        with trio.CancelScope() as self.scopes[name]:
            async with transport, trio.open_nursery() as nursery:
                cluster = await nursery.start(serve_cluster, Config.local(name=name), transport)
                nursery.start_soon(self._listen, cluster)
                task_status.started(cluster)

    async def _listen(self, cluster: Any) -> None:
        with cluster.events() as events:
            async for event in events:
                if isinstance(event, MemberSuspected | MemberFailed):
                    self.alarms.append(event)

    def kill(self, name: str) -> None:
        """No goodbye; its sockets are closed as the kernel does it."""
        self.scopes.pop(name).cancel()
        del self.clusters[name]

    async def all_see(self, name: str, state: MemberState) -> None:
        with trio.fail_after(25):
            for cluster in self.clusters.values():
                await cluster.wait_member(name, state=state)


@asynccontextmanager
async def three(transports: list[Transport]) -> AsyncGenerator[Trio]:
    async with AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())
        town = Trio(nursery)
        for name, transport in zip("abc", transports, strict=True):
            await town.start(name, transport)
        for name in "abc":
            await town.all_see(name, MemberState.ALIVE)
        yield town
        nursery.cancel_scope.cancel()


async def check_messages(town: Trio) -> None:
    a, b, c = (town.clusters[name] for name in "abc")
    with c.events() as events:
        a.send("c", b"one")
        b.broadcast(b"two")
        await a.send_reliable("c", b"three")
        got: set[bytes] = set()
        with trio.fail_after(20):
            async for event in events:
                if isinstance(event, MessageReceived):
                    got.add(event.payload)
                if got == {b"one", b"two", b"three"}:
                    return


def only_tls(inner: Transport, name: str) -> Transport:
    return over(inner, name)


def sealed_over_tls(inner: Transport, name: str) -> Transport:
    return EncryptedTransport(over(inner, name), Keyring([KEY]))


def tls_over_sealed(inner: Transport, name: str) -> Transport:
    return over(EncryptedTransport(inner, Keyring([KEY])), name)


@pytest.mark.parametrize("wrap", [only_tls, sealed_over_tls, tls_over_sealed])
async def test_a_cluster_lives_without_datagrams_and_notices_who_dies(
    wrap: Callable[[Transport, str], Transport],
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    monkeypatch.setattr(tls_packets, "LIFE_SECONDS", 10.0)
    network = MemoryNetwork()
    inner = [network.transport(f"host-{name}") for name in "abc"]
    async with three([wrap(one, name) for one, name in zip(inner, "abc", strict=True)]) as town:
        await check_messages(town)
        await trio.sleep(60)  # connections grow old meanwhile
        assert town.alarms == []
        assert [one.statistics().sent for one in inner] == [0, 0, 0]
        town.kill("c")
        await town.all_see("c", MemberState.FAILED)
        await town.start("c", wrap(network.transport("host-c"), "c"))
        await town.all_see("c", MemberState.ALIVE)


@pytest.mark.sockets
async def test_a_cluster_lives_without_datagrams_on_sockets() -> None:
    inner = [await open_socket_transport(LOOPBACK, 0) for _ in range(3)]
    async with three([over(one, name) for one, name in zip(inner, "abc", strict=True)]) as town:
        await check_messages(town)
        town.kill("c")
        await town.all_see("c", MemberState.FAILED)
        assert {event.member.name for event in town.alarms} == {"c"}
        for one in inner:
            assert one.statistics().packets_sent == one.statistics().packets_received == 0
