"""Rounds of gossip."""

from __future__ import annotations

from tests.engine.bench import Bench, address_of
from trio_gossip.codec.messages import Alive, Broadcast, Dead
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
    bench = Bench(cold_packets=1)
    bench.know("a", "b")
    bench.answer("a", "b")
    bench.wait(10.0)
    assert bench.engine.statistics().membership_queue == 0
    assert "a" in {message.name for message in bench.messages(Alive, to="b")}
    assert "b" in {message.name for message in bench.messages(Alive, to="a")}


def test_each_target_of_a_round_gets_a_packet_of_its_own() -> None:
    bench = Bench(eager_copies=0, gossip_nodes=3)
    names = [f"n{number}" for number in range(6)]
    bench.know(*names)
    bench.wait(5.0)
    bench.clear()
    bench.take(bench.engine.update_meta(b"new", now=bench.now))
    bench.take(bench.engine.handle_timeout(now=bench.now))
    assert len(bench.sent) == 3
    assert len({sent.address for sent in bench.sent}) == 3


def test_news_goes_out_a_moment_after_it_came_and_half_of_the_copies_stay() -> None:
    bench = Bench()
    bench.know(*(f"n{number}" for number in range(8)))
    bench.wait(20.0)
    bench.clear()
    bench.take(bench.engine.broadcast(b"x", now=bench.now))
    assert not bench.sent, "more news may come in the same moment"
    bench.wait(0.002)
    assert len(bench.messages(Broadcast)) == 4
    assert len({sent.address for sent in bench.sent}) == 4
    bench.wait(3.0)
    assert len(bench.messages(Broadcast)) == 8


def test_what_comes_within_a_moment_goes_out_together() -> None:
    bench = Bench()
    bench.know(*(f"n{number}" for number in range(8)))
    bench.wait(20.0)
    bench.clear()
    for number in range(5):
        bench.take(bench.engine.broadcast(b"%d" % number, now=bench.now))
    bench.wait(0.002)
    assert len(bench.sent) == 4
    assert len(bench.messages(Broadcast)) == 20


def test_hot_packets_are_paced_and_full_ones_have_tokens_of_their_own() -> None:
    bench = Bench(
        eager_burst=2, eager_rate=1.0, eager_full_burst=3, eager_full_rate=2.0, lazy_bytes=65536
    )
    bench.know(*(f"n{number}" for number in range(20)))
    bench.wait(20.0)
    bench.clear()
    bench.take(bench.engine.broadcast(b"x" * 100, now=bench.now))
    bench.wait(0.01)
    assert len(bench.sent) == 2
    bench.clear()
    for number in range(6):
        bench.take(bench.engine.broadcast(bytes([number]) * 1200, now=bench.now))
    bench.wait(0.01)
    assert len(bench.sent) == 3
    bench.wait(30.0)
    told = [message.payload for message in bench.messages(Broadcast)]
    assert all(told.count(bytes([number]) * 1200) == 8 for number in range(6))


def test_a_member_that_was_late_leaves_its_news_to_the_rounds() -> None:
    bench = Bench()
    bench.know(*(f"n{number}" for number in range(8)))
    bench.wait(20.0)
    bench.now += 5.0
    bench.take(bench.engine.handle_timeout(now=bench.now))
    assert bench.count("stalled") == 1
    bench.clear()
    bench.take(bench.engine.broadcast(b"x", now=bench.now))
    bench.wait(0.01)
    assert len(bench.messages(Broadcast)) <= 1, "a probe that is due takes it along"
    bench.wait(5.0)
    assert len(bench.messages(Broadcast)) == 8


def test_news_is_not_sent_back_to_who_told_us() -> None:
    bench = Bench()
    bench.know("a", "b", "c")
    bench.wait(20.0)
    bench.clear()
    bench.receive("a", Broadcast("b", 1, 1, b"x"))
    bench.wait(5.0)
    assert not bench.messages(Broadcast, to="a")
    assert len(bench.messages(Broadcast, to="b")) + len(bench.messages(Broadcast, to="c")) == 8


def test_what_the_only_other_member_told_us_is_not_kept_for_others() -> None:
    """It waited in the queue for ever, and a newcomer was told hundreds of old messages."""
    bench = Bench()
    bench.know("a")
    bench.receive("a", Broadcast("a", 1, 1, b"x"))
    assert bench.engine.statistics().user_queue == 0


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
        assert 380 <= process.packets_sent - before[name] <= 420, "two pings and two acks a second"
