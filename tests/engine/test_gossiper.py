"""Rounds of gossip."""

from __future__ import annotations

from tests.engine.bench import Bench, address_of
from trio_gossip.codec.messages import Alive, Dead
from trio_gossip.testing import Simulation


def test_two_members_with_nothing_to_tell_each_other_sleep() -> None:
    """News about the only other member is never sent, and must not keep the timer going."""
    bench = Bench()
    bench.know("a")
    bench.answer("a")
    bench.wait(5.0)
    assert ("gossip", 0) not in bench.engine._node.timers
    assert bench.engine.statistics().membership_queue == 1
    bench.clear()
    bench.know("b")
    bench.wait(0.3)
    assert {message.name for message in bench.messages(Alive, to="b")} == {"a"}
    bench.answer("b")
    bench.wait(5.0)
    assert bench.engine.statistics().membership_queue == 0


def test_with_one_target_a_round_news_about_that_target_wait_for_another_round() -> None:
    bench = Bench(gossip_nodes=1)
    bench.know("a", "b")
    bench.answer("a", "b")
    bench.wait(10.0)
    assert bench.engine.statistics().membership_queue == 0
    assert "a" in {message.name for message in bench.messages(Alive, to="b")}
    assert "b" in {message.name for message in bench.messages(Alive, to="a")}


def test_each_target_of_a_round_gets_a_packet_of_its_own() -> None:
    bench = Bench(gossip_nodes=3)
    names = [f"n{number}" for number in range(6)]
    bench.know(*names)
    bench.wait(5.0)
    bench.clear()
    bench.take(bench.engine.update_meta(b"new", now=bench.now))
    bench.take(bench.engine.handle_timeout(now=bench.now))
    assert len(bench.sent) == 3
    assert len({sent.address for sent in bench.sent}) == 3


def test_only_members_that_left_are_not_told() -> None:
    bench = Bench()
    bench.know("a", "b")
    bench.receive("a", Dead(1, "a", "a"))
    bench.receive("b", Dead(1, "b", "b"))
    bench.clear()
    bench.take(bench.engine.broadcast(b"x", now=bench.now))
    bench.wait(5.0)
    assert not [sent for sent in bench.sent if sent.address in map(address_of, ("a", "b"))]


def test_an_idle_cluster_sends_probes_and_nothing_else() -> None:
    world = Simulation(3)
    for name in ("a", "b", "c", "d"):
        world.start(name, push_pull_interval=1e6)
        world.join(name, "a")
    world.run(30.0)
    before = {name: process.packets_sent for name, process in world.processes.items()}
    world.run(100.0)
    for name, process in world.processes.items():
        assert 170 <= process.packets_sent - before[name] <= 230, "a ping and an ack a second"
