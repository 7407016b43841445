"""One rotation in ten members on real sockets, under load."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import trio

from tests.driver.load import Load
from trio_gossip import Cluster, Config, open_cluster
from trio_gossip_transports import EncryptedTransport, Key, Keyring, open_socket_transport

pytestmark = pytest.mark.sockets

PATIENCE = 120.0
"""Real seconds after which something that did not happen is taken as a failure."""

MEMBERS = 10
OLD, NEW = Key(bytes(32)), Key(bytes([7]) * 32)


def config_of(number: int) -> Config:
    """Told twice as often as usual: gossip misses a member now and then, keys or not."""
    return Config.lan(name=f"m{number}", leave_linger=0.01, seed=number, retransmit_mult=8)


async def test_a_rotation_in_ten_members_under_load_loses_nothing_and_suspects_nobody() -> None:
    rings = [Keyring([OLD]) for _ in range(MEMBERS)]
    with trio.fail_after(PATIENCE):
        async with AsyncExitStack() as stack:
            clusters: list[Cluster] = []
            for number, ring in enumerate(rings):
                inner = await open_socket_transport("127.0.0.1", 0)
                transport = await stack.enter_async_context(EncryptedTransport(inner, ring))
                cluster = await stack.enter_async_context(
                    open_cluster(config_of(number), transport)
                )
                if clusters:
                    await cluster.join([str(clusters[0].local.address)])
                clusters.append(cluster)
            for cluster in clusters:
                for other in clusters:
                    await cluster.wait_member(other.local.name)
            load = Load(clusters, pause=0.2)
            async with load.running():
                await load.wait_sent(50)
                reports = [await clusters[3].keys.install(NEW)]
                await load.wait_sent(50)
                reports.append(await clusters[7].keys.use(NEW))
                await load.wait_sent(50)
                reports.append(await clusters[0].keys.remove(OLD))
                await load.wait_sent(100)
    assert [report.failed for report in reports] == [(), (), ()]
    assert all(ring.list() == (NEW,) for ring in rings)
    assert load.troubles == []
    assert load.repeated() == []
    assert len(load.letters) >= 250
