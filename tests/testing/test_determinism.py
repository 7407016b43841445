"""A run is a function of its seed: in one process, in two, and under two hash seeds."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import trio

from trio_gossip.testing import GossipNetwork


def story(seed: int, *, loss: float = 0.1) -> GossipNetwork:
    """A run with something of everything in it."""
    network = GossipNetwork(seed, latency=(0.001, 0.02))

    async def main() -> None:
        async with network.clusters("alpha", "beta", "gamma", "delta", "epsilon") as clusters:
            with network.lossy(loss), network.reordering(0.1), network.duplicating(0.1):
                clusters[0].broadcast(b"hello")
                await network.run_for(5)
            with network.partitioned({"alpha", "beta"}, {"gamma", "delta", "epsilon"}):
                await clusters[0].wait_member("delta", state="failed")
            network.pause("beta")
            await network.crash("gamma")
            await network.run_for(10)
            network.resume("beta")
            restarted = await network.restart("gamma")
            clusters[3].send("gamma", b"again")
            await restarted.send_reliable("delta", b"by stream")
            await network.run_for(10)

    network.run(main)
    return network


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    first, again, other = story(1), story(1), story(2)
    assert first.trace.diff(again.trace) == ""
    assert first.digest() == again.digest() != other.digest()
    assert "the runs differ from record" in first.trace.diff(other.trace)
    assert first.digest() != story(1, loss=0.2).digest()


def test_the_order_of_texts_in_sets_has_no_influence() -> None:
    digests = set()
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "tests.testing.test_determinism"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        digests.add(done.stdout)
    assert digests == {f"{story(3).digest()}\n"}


SEEN: dict[str, str] = {}


@pytest.fixture
async def one(gossip_network):
    await trio.lowlevel.checkpoint()
    return 1


@pytest.fixture
async def two(gossip_network, nursery):
    nursery.start_soon(trio.sleep, 0.3)
    return 2


@pytest.mark.parametrize("attempt", range(4))
async def test_what_fixtures_do_before_the_test_has_no_influence(
    gossip_network, one, two, nursery, attempt
):
    # pytest-trio starts fixtures in an order that follows addresses in memory. Here there are
    # besides more tasks with each attempt.
    async with trio.open_nursery() as before:
        for _ in range(7 * attempt):
            before.start_soon(trio.sleep, 0)
    async with gossip_network.clusters("a", "b", "c", "d", "e") as clusters:
        gossip_network.lossy(0.3)
        nursery.start_soon(gossip_network.run_for, 1)
        async with trio.open_nursery() as inner:
            for cluster in clusters[1:]:
                for _ in range(3):
                    inner.start_soon(cluster.send_reliable, "a", b"x")
        await gossip_network.run_for(3)
    digest = gossip_network.digest()
    assert SEEN.setdefault("digest", digest) == digest


if __name__ == "__main__":
    print(story(3).digest())
