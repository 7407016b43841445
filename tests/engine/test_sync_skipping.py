"""Periodic exchanges are left out while pings say that there is nothing to exchange."""

from __future__ import annotations

from tests.engine.bench import Bench
from trio_gossip.codec.messages import Ack, Ping
from trio_gossip.codec.summary import EQUAL, EXPLAINED, pack_sums
from trio_gossip.engine.repair import AGREEMENTS
from trio_gossip.engine.sync import SKIPPED_MAX
from trio_gossip.testing import Simulation

OLD = 20


def bench_of(*names: str, **changes: float) -> Bench:
    made = Bench(push_pull_interval=30.0, rejoin_interval=1e6, **changes)
    made.know(*names)
    made.clear()
    return made


def probe(bench: Bench, summary: bytes) -> int:
    """Wait for a probe and have it answered so; says how many exchanges were begun meanwhile."""
    bench.clear()
    sent, ping = bench.wait_for(Ping)
    bench.receive(sent.address, Ack(ping.sequence, b"", summary))
    return len(bench.opened())


def agrees(bench: Bench) -> bool:
    return bench.engine._parts.repair.agrees()


def test_some_equal_sums_in_a_row_are_agreement_and_one_difference_ends_it() -> None:
    bench = bench_of("a", "b", "c")
    different = pack_sums(OLD, {0: 12345})
    for summary in (different, EXPLAINED):
        for _ in range(AGREEMENTS):
            assert not agrees(bench)
            probe(bench, EQUAL)
        assert agrees(bench)
        probe(bench, b"")
        assert agrees(bench), "a member without sums says nothing"
        probe(bench, summary)
        assert not agrees(bench)


def test_while_sums_agree_most_exchanges_are_left_out_and_now_and_then_one_is_not() -> None:
    bench = bench_of("a", "b", "c")
    while not agrees(bench):
        probe(bench, EQUAL)
    before = bench.count("sync_skipped")
    end = bench.now + 2 * (SKIPPED_MAX + 1) * 30.0
    opened = 0
    while bench.now < end:
        opened += probe(bench, EQUAL)
    assert opened == 2
    assert bench.count("sync_skipped") - before == 2 * SKIPPED_MAX


def test_with_a_difference_exchanges_come_as_often_as_ever() -> None:
    bench = bench_of("a", "b", "c")
    end = bench.now + 300.0
    opened = 0
    while bench.now < end:
        opened += probe(bench, pack_sums(OLD, {0: 12345}))
    assert bench.count("sync_skipped") == 0
    assert opened >= 10


def test_without_sums_no_exchange_is_left_out() -> None:
    world = Simulation(1)
    world.start_converged(["a", "b", "c"], summaries=False)
    world.run(300.0)
    counts = [process.engine.statistics().counters for process in world.processes.values()]
    assert all("sync_skipped" not in each for each in counts)
    assert sum(each["sync_done"] for each in counts) >= 27


def test_a_cluster_at_rest_hardly_exchanges_tables() -> None:
    world = Simulation(1)
    world.start_converged(["a", "b", "c"])
    world.run(1200.0)
    counts = [process.engine.statistics().counters for process in world.processes.values()]
    assert 6 <= sum(each["sync_done"] for each in counts) <= 15
