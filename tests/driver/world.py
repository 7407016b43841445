"""A few members in one process on a made-up network, each with a life of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import trio

from trio_gossip import Cluster, Config, MemberState, Transport, serve_cluster
from trio_gossip.addresses import PORT_DEFAULT, Address
from trio_gossip_transports import MemoryNetwork, MemoryTransport

PATIENCE = 120.0
"""Virtual seconds after which something that did not happen is taken as a failure."""


def host_of(name: str) -> str:
    """The host on which a member lives unless it is told otherwise: ``"a"`` on 10.0.0.1.

    Numbers, because the default of ``Transport.resolve`` leaves them alone.
    """
    return f"10.0.0.{ord(name[0]) - ord('a') + 1}"


def seed_of(name: str, port: int = PORT_DEFAULT) -> str:
    """The text with which others join a member."""
    return f"{host_of(name)}:{port}"


def config_of(name: str, **changes: Any) -> Config:
    """The LAN profile, with all chance and the incarnation fixed so that a run repeats itself."""
    settings: dict[str, Any] = {"seed": sum(name.encode()), "incarnation": 1000}
    return Config.lan(name=name, **(settings | changes))


@attrs.define(eq=False)
class Life:
    """One member: its cluster, its transport, and how to end it."""

    cluster: Cluster
    transport: Transport
    scope: trio.CancelScope
    ended: trio.Event


class World:
    """Starts and kills members. Killing is what SIGKILL does: no goodbye, sockets gone."""

    def __init__(self, nursery: trio.Nursery, network: MemoryNetwork | None = None) -> None:
        self.network = network or MemoryNetwork(seed=7)
        self.lives: dict[str, Life] = {}
        self._nursery = nursery

    async def start(
        self,
        name: str,
        *,
        host: str | None = None,
        port: int = PORT_DEFAULT,
        transport: Transport | None = None,
        config: Config | None = None,
        **changes: Any,
    ) -> Cluster:
        """Bring a member to life; it knows nobody."""
        life: Life = await self._nursery.start(
            self._live,
            config or config_of(name, **changes),
            transport or self.network.transport(host or host_of(name), port),
        )
        self.lives[name] = life
        return life.cluster

    async def _live(
        self, config: Config, transport: Transport, *, task_status: trio.TaskStatus[Life]
    ) -> None:
        ended = trio.Event()
        try:
            with trio.CancelScope() as scope:
                async with transport, trio.open_nursery() as nursery:
                    cluster: Cluster = await nursery.start(serve_cluster, config, transport)
                    task_status.started(Life(cluster, transport, scope, ended))
        finally:
            ended.set()

    async def cluster_of(self, names: str, **changes: Any) -> list[Cluster]:
        """Members that all see each other as alive; the first is everybody's seed."""
        clusters = [await self.start(name, **changes) for name in names]
        for cluster in clusters[1:]:
            await cluster.join([seed_of(names[0])])
        await self.wait_agreed(clusters)
        return clusters

    async def wait_agreed(self, clusters: list[Cluster]) -> None:
        """Wait until each of ``clusters`` sees each of them alive."""
        for cluster in clusters:
            for other in clusters:
                await soon(cluster.wait_member, other.local.name)

    async def kill(self, name: str) -> None:
        """End a member without a word; returns when its transport is closed."""
        life = self.lives.pop(name)
        life.scope.cancel()
        await life.ended.wait()

    async def stranger(self, host: str = "10.0.9.9") -> MemoryTransport:
        """An endpoint without a member, for tests that speak the wire themselves."""
        return self.network.transport(host)


async def soon(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Await a call that has to end within some virtual minutes."""
    with trio.fail_after(PATIENCE):
        return await function(*arguments, **options)


async def until(condition: Callable[[], object], *, step: float = 0.05) -> None:
    """Look at a condition on virtual time until it holds."""
    with trio.fail_after(PATIENCE):
        while not condition():
            await trio.sleep(step)


def names_of(cluster: Cluster) -> list[str]:
    """The members that a cluster counts as its own, sorted."""
    return sorted(member.name for member in cluster.members())


def state_at(cluster: Cluster, name: str) -> MemberState | None:
    """How a cluster sees a member; None when it does not know it."""
    member = cluster.member(name)
    return None if member is None else member.state


def address_of(name: str, port: int = PORT_DEFAULT) -> Address:
    """Where a member listens unless it is told otherwise."""
    return Address(host_of(name), port)
