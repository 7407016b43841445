"""Three members in one process, on a network that exists only in memory."""

import trio

from trio_gossip import Config, MemberFailed, open_cluster
from trio_gossip_transports import MemoryNetwork


async def live(
    network: MemoryNetwork, name: str, seeds: list[str], *, task_status: trio.TaskStatus
) -> None:
    """Be a member until cancelled. A cancelled member says no goodbye: for others, it died."""
    with trio.CancelScope() as scope:
        async with (
            network.transport(name) as transport,
            open_cluster(Config.local(name=name), transport) as cluster,
        ):
            await cluster.join(seeds)
            task_status.started((cluster, scope))
            await trio.sleep_forever()


async def main() -> list[str]:
    """Kill one of three, and return what the first one has to say about it."""
    network = MemoryNetwork(seed=1)
    async with trio.open_nursery() as nursery:
        a, _ = await nursery.start(live, network, "a", [])
        await nursery.start(live, network, "b", ["a:7946"])
        _, life_of_c = await nursery.start(live, network, "c", ["a:7946"])
        with a.events() as events:
            await a.wait_member("c")
            life_of_c.cancel()
            async for event in events:
                if isinstance(event, MemberFailed):
                    break
        story = a.explain("c").splitlines()
        nursery.cancel_scope.cancel()
    return story


if __name__ == "__main__":
    print("\n".join(trio.run(main)))
