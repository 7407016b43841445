"""Tests of the work distributor: three members in one process, in virtual time."""

import random
from functools import partial

import pytest
import trio
from work_distributor import CarefulDistributor, Distributor, MajorityDistributor

KEYS = [f"key-{number}" for number in range(6)]

FIRST = Distributor
MAJORITY = partial(MajorityDistributor, size=3)
CAREFUL = partial(CarefulDistributor, size=3, hand_over=60.0)


class Ledger:
    """Knows from outside who works on what, and writes it into the trace of the test."""

    def __init__(self, network, distributor):
        self.network = network
        self.distributor = distributor
        self.workers = {key: [] for key in KEYS}
        self.clashes = []
        self.clashed = trio.Event()

    async def follow(self, cluster):
        """Run a distributor at this member, until it stops."""
        work = partial(self.work, cluster.local.name)
        await self.distributor(cluster, KEYS, work).run()

    async def work(self, name, key):
        """Stands for the work: reading a camera, writing a file, sending mails."""
        self.network.trace.add(self.network.now, "note", name, "", f"begins {key}")
        if self.workers[key]:
            self.clashes.append(f"{name} begins {key} while {self.workers[key][0]} works on it")
            self.clashed.set()
        self.workers[key].append(name)
        try:
            await trio.sleep_forever()
        finally:
            self.workers[key].remove(name)

    async def watch(self, seconds):
        """Let time pass, and fail in the moment in which two members work on one key."""
        with trio.move_on_after(seconds):
            await self.clashed.wait()
        assert not self.clashes


@pytest.fixture
def distributor():
    return CAREFUL


@pytest.fixture
async def ledger(gossip_network, distributor, nursery):
    """Three members, each with its distributor, when every key has found its worker."""
    ledger = Ledger(gossip_network, distributor)
    async with gossip_network.clusters("a", "b", "c") as clusters:
        for cluster in clusters:
            nursery.start_soon(ledger.follow, cluster)
        await gossip_network.run_for(90)
        yield ledger


async def test_every_key_has_a_worker(gossip_network, ledger):
    assert all(len(names) == 1 for names in ledger.workers.values())
    await gossip_network.crash("c")
    await gossip_network.run_for(120)
    assert all(names in (["a"], ["b"]) for names in ledger.workers.values())


async def test_in_a_partition_no_key_has_two_workers(gossip_network, ledger):
    with gossip_network.partitioned({"a"}, {"b", "c"}):
        await gossip_network.run_for(120)
        assert all(len(names) <= 1 for names in ledger.workers.values())


async def test_a_short_outage_gives_no_key_to_two_members(gossip_network, ledger):
    with gossip_network.partitioned({"a"}, {"b", "c"}):
        await ledger.watch(4.4)
    await ledger.watch(120)
    assert all(len(names) == 1 for names in ledger.workers.values())


async def test_nothing_gives_a_key_to_two_members(gossip_network, ledger, nursery):
    rng = random.Random(gossip_network.seed)
    for _ in range(5):
        member = rng.choice("abc")
        kind = rng.choice(["alone", "deaf", "lossy", "restarted"])
        if kind == "restarted":
            await gossip_network.crash(member)
            await ledger.watch(rng.uniform(0, 90))
            nursery.start_soon(ledger.follow, await gossip_network.restart(member))
        else:
            if kind == "alone":
                fault = gossip_network.isolate(member)
            elif kind == "deaf":
                fault = gossip_network.lossy(1.0, target=member)
            else:
                fault = gossip_network.lossy(0.3)
            with fault:
                await ledger.watch(rng.uniform(0, 90))
        await ledger.watch(rng.uniform(0, 90))
    await ledger.watch(120)
    assert all(len(names) == 1 for names in ledger.workers.values())


async def test_a_member_that_sleeps_too_long_still_gives_its_keys_to_two(gossip_network, ledger):
    with gossip_network.pause("a"), pytest.raises(AssertionError, match="while a works on it"):
        await ledger.watch(120)
