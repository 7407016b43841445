"""Whole clusters over sealed transports: rolling in, rotating keys, coming back."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import pytest
import trio
import trio.testing

from tests.transports.encrypted_helpers import K1, K2, K3
from trio_gossip import Cluster, Config, JoinError, MemberFailed, MemberSuspected, serve_cluster
from trio_gossip_transports import EncryptedTransport, Key, Keyring, MemoryNetwork

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trio_gossip.transport import Transport


@attrs.define(eq=False)
class Node:
    cluster: Cluster
    scope: trio.CancelScope
    alarms: list[object] = attrs.Factory(list)


class Town:
    """Members that can be killed, with every suspicion and failure that anybody saw."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.network = MemoryNetwork(seed=4, latency=(0.0005, 0.002))
        self.nursery = nursery
        self.nodes: dict[str, Node] = {}

    def sealed(self, name: str, ring: Keyring, **options) -> EncryptedTransport:
        return EncryptedTransport(self.network.transport(name), ring, b"town", **options)

    async def start(self, name: str, transport: Transport, *, seed: str | None = None) -> Node:
        node: Node = await self.nursery.start(self._live, name, transport)
        self.nodes[name] = node
        if seed is not None:
            await node.cluster.join([f"{seed}:7946"])
        return node

    async def _live(self, name: str, transport: Transport, *, task_status) -> None:
        config = Config.lan(name=name, seed=sum(name.encode()))
        with trio.CancelScope() as scope:
            async with transport, trio.open_nursery() as nursery:
                cluster = await nursery.start(serve_cluster, config, transport)
                node = Node(cluster, scope)
                nursery.start_soon(self._listen, node)
                task_status.started(node)

    async def _listen(self, node: Node) -> None:
        with node.cluster.events() as events:
            async for event in events:
                if isinstance(event, MemberSuspected | MemberFailed):
                    node.alarms.append(event)

    async def restart(self, name: str, transport_of) -> Node:
        """A goodbye, then another process of the same name."""
        node = self.nodes.pop(name)
        await node.cluster.leave()
        node.scope.cancel()
        await trio.sleep(0.1)
        seed = next(iter(self.nodes))
        return await self.start(name, transport_of(), seed=seed)

    async def agreed(self) -> None:
        with trio.fail_after(60):
            for node in self.nodes.values():
                for name in self.nodes:
                    await node.cluster.wait_member(name)

    def alarms(self) -> list[object]:
        return [alarm for node in self.nodes.values() for alarm in node.alarms]


@asynccontextmanager
async def town() -> AsyncGenerator[Town]:
    async with trio.open_nursery() as nursery:
        yield Town(nursery)
        nursery.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def quiet(autojump_clock: trio.testing.MockClock) -> None:
    """All tests here are on virtual time."""


async def test_encryption_is_rolled_in_member_by_member_without_a_suspicion(autojump_clock):
    async with town() as world:
        for name in "abc":
            await world.start(name, world.network.transport(name), seed="a" if name > "a" else None)
        await world.agreed()
        transports: dict[str, EncryptedTransport] = {}

        def mixed(name: str) -> EncryptedTransport:
            transports[name] = world.sealed(name, Keyring([K1]), accept_plain=True, send_plain=True)
            return transports[name]

        for name in "abc":
            await world.restart(name, lambda name=name: mixed(name))
            await world.agreed()
            await trio.sleep(20)
        for step in ("send_plain", "accept_plain"):
            for name in "abc":
                setattr(transports[name], step, False)
                await trio.sleep(20)
        assert world.alarms() == []
        for name in "abc":
            await world.nodes[name].cluster.send_reliable("abc"["bca".index(name)], b"sealed")
        spy = await world.start("spy", world.network.transport("spy"))
        with pytest.raises(JoinError):
            await spy.cluster.join(["a:7946"])


async def test_keys_are_rotated_in_a_running_cluster_without_a_suspicion(autojump_clock):
    async with town() as world:
        rings = {name: Keyring([K1]) for name in "abc"}
        for name, ring in rings.items():
            await world.start(name, world.sealed(name, ring), seed="a" if name > "a" else None)
        await world.agreed()
        got: list[bytes] = []

        async def count(node: Node) -> None:
            with node.cluster.events() as events:
                async for event in events:
                    got.extend(filter(None, [getattr(event, "payload", None)]))

        world.nursery.start_soon(count, world.nodes["b"])
        await trio.sleep(5)
        sent = 0
        for old, new in ((K1, K2), (K2, K3)):
            for change, key in (("install", new), ("use", new), ("remove", old)):
                for ring in rings.values():
                    getattr(ring, change)(key)
                    for _ in range(5):
                        sent += 1
                        with trio.fail_after(10):
                            payload = b"%d" % sent
                            await world.nodes["a"].cluster.send_reliable("b", payload)
                        await trio.sleep(0.5)
        await trio.sleep(30)
        assert got == [b"%d" % number for number in range(1, sent + 1)]
        assert world.alarms() == []
        assert {ring.list() for ring in rings.values()} == {(Key(K3),)}


async def test_a_member_that_was_away_during_a_rotation_comes_back(autojump_clock):
    async with town() as world:
        rings = {name: Keyring([K1]) for name in "abc"}
        for name, ring in rings.items():
            await world.start(name, world.sealed(name, ring), seed="a" if name > "a" else None)
        await world.agreed()
        away = world.nodes.pop("c")
        await away.cluster.leave()
        away.scope.cancel()
        await trio.sleep(1)
        for name in "ab":
            rings[name].install(K2)
            rings[name].use(K2)
            rings[name].remove(K1)
        await world.start("c", world.sealed("c", rings["c"]), seed="a")
        await world.agreed()
        await trio.sleep(30)
        assert rings["c"].list() == (Key(K2),)
        assert world.alarms() == []


async def test_a_member_that_was_cut_off_during_a_rotation_comes_back(autojump_clock):
    async with town() as world:
        rings = {name: Keyring([K1]) for name in "abc"}
        for name, ring in rings.items():
            await world.start(name, world.sealed(name, ring), seed="a" if name > "a" else None)
        await world.agreed()
        world.network.partition(["a", "b"], ["c"])
        await trio.sleep(120)
        assert "c" not in [member.name for member in world.nodes["a"].cluster.members()]
        for name in "ab":
            rings[name].install(K2)
            rings[name].use(K2)
            rings[name].remove(K1)
        world.network.heal()
        with trio.fail_after(600):
            for node in world.nodes.values():
                for name in "abc":
                    await node.cluster.wait_member(name)
        assert rings["c"].list() == (Key(K2),)
        for node in world.nodes.values():
            node.alarms.clear()
        await trio.sleep(60)
        assert world.alarms() == []


async def test_a_member_that_restarts_under_the_same_address_is_reached_by_packets(autojump_clock):
    async with town() as world:
        for name in "abc":
            ring = Keyring([K1])
            await world.start(name, world.sealed(name, ring), seed="a" if name > "a" else None)
        await world.agreed()
        await trio.sleep(10)
        await world.restart("b", lambda: world.sealed("b", Keyring([K1])))
        await world.agreed()
        await trio.sleep(60)
        assert world.alarms() == []
        for node in world.nodes.values():
            for other in world.nodes:
                if other != node.cluster.local.name:
                    await node.cluster.ping(other)
