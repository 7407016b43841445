"""Where probes show that packets get lost, news is told more often."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench
from trio_gossip.codec.messages import Broadcast, Suspect
from trio_gossip.config import Config
from trio_gossip.engine.losses import LOSSY, WEIGHT, Losses
from trio_gossip.engine.pacing import pace_for
from trio_gossip.testing import Simulation


def test_the_share_of_lost_probes_is_an_average_of_the_last_ones() -> None:
    losses = Losses()
    assert losses.share == 0.0
    losses.note(lost=True)
    assert losses.share == WEIGHT
    losses.note(lost=False)
    assert losses.share == WEIGHT * (1 - WEIGHT)
    for _ in range(200):
        losses.note(lost=True)
    assert losses.share == pytest.approx(1.0, abs=1e-3)


def test_one_or_two_probes_without_an_answer_are_no_lossy_network() -> None:
    losses = Losses()
    assert not losses.note(lost=True)
    assert not losses.note(lost=True)
    assert not losses.is_lossy
    changes = [losses.note(lost=True) for _ in range(4)]
    assert changes.count(True) == 1, "the change is told once"
    assert losses.is_lossy
    assert losses.share > LOSSY


@pytest.mark.parametrize(("n", "calm", "lossy"), [(5, 8, 12), (30, 8, 12), (100, 12, 12)])
def test_small_clusters_tell_more_when_much_is_lost(n: int, calm: int, lossy: int) -> None:
    config = Config.lan(name="a")
    assert pace_for(config, n).copies == calm
    assert pace_for(config, n, lossy=True).copies == lossy
    rounds = Config.lan(name="a", eager_copies=0)
    assert pace_for(rounds, n, lossy=True) == pace_for(rounds, n)


def copies(bench: Bench) -> int:
    bench.clear()
    bench.take(bench.engine.broadcast(b"x", now=bench.now))
    bench.wait(5.0)
    return len(bench.messages(Broadcast))


def test_probes_without_an_answer_raise_the_floor_and_answers_lower_it() -> None:
    bench = Bench(lossy_transmit_floor=12)
    names = [f"n{number}" for number in range(20)]
    bench.know(*names)
    bench.answer(*names)
    bench.wait(30.0)
    assert copies(bench) == 8
    bench.answering.clear()
    bench.wait(20.0)
    assert copies(bench) == 12
    bench.answer(*names)
    bench.wait(90.0)
    assert copies(bench) == 8


def test_a_suspect_that_is_silent_says_nothing_of_the_network() -> None:
    bench = Bench(lossy_transmit_floor=12, suspicion_mult=64)
    bench.know("a", "b")
    bench.answer("a", "b")
    bench.wait(10.0)
    bench.answering.clear()
    bench.receive("b", Suspect(1, "a", "b"))
    bench.receive("a", Suspect(1, "b", "a"))
    before = bench.engine._node.losses.share
    bench.wait(20.0)
    assert bench.engine._node.losses.share == before


def test_a_member_that_crashes_does_not_make_the_network_lossy() -> None:
    world = Simulation(1)
    names = [f"n{number:02}" for number in range(10)]
    world.start_converged(names)
    world.run(20.0)
    world.crash("n03")
    for _ in range(60):
        world.run(0.5)
        for process in world.processes.values():
            assert not process.engine._node.losses.is_lossy


def test_where_a_quarter_of_all_packets_is_lost_everybody_notices() -> None:
    world = Simulation(1, loss=0.25)
    world.start_converged([f"n{number:02}" for number in range(10)])
    world.run(60.0)
    lossy = [process.engine._node.losses.is_lossy for process in world.processes.values()]
    assert sum(lossy) >= 9
