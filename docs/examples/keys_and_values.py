"""Two members in one process: what one of them writes, the other reads."""

import trio

from trio_gossip import Config, open_cluster
from trio_gossip_transports import MemoryNetwork


async def main() -> list[str]:
    """Write, replace and delete at one member, and return what the other sees of it."""
    network = MemoryNetwork(seed=1)
    told: list[str] = []
    async with (
        network.transport("host-a") as one,
        network.transport("host-b") as other,
        open_cluster(Config.local(name="host-a"), one) as a,
        open_cluster(Config.local(name="host-b"), other) as b,
    ):
        await b.join(["host-a:7946"])
        a.state.set("load", b"0.7")  # a key of its own
        a.shared.set("config/version", b"41")  # a key of the cluster: the last writer wins
        with b.state.changes("load") as loads:  # first what there is, then what changes
            await anext(loads)
        told.append(f"load of host-a: {b.state.get('load', 'host-a')!r}")
        with b.shared.changes("config/") as changes:
            async for change in changes:
                told.append(f"{change.key} of {change.owner}: {change.value!r}")
                if change.value == b"41":
                    a.shared.set("config/version", b"42")
                elif change.value == b"42":
                    b.shared.delete("config/version")
                else:  # None: deleted
                    break
    return told


if __name__ == "__main__":
    print("\n".join(trio.run(main)))
