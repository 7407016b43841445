"""The fifteen points in which this library mends memberlist, each with a test named after it:
the last seven. ``docs/differences`` lists them.
"""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of, alive
from tests.engine.clusters import cluster
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import Ack, Broadcast, Dead, Ping, Suspect
from trio_gossip.config import Config
from trio_gossip.errors import ConfigError, LocalProtocolError
from trio_gossip.events import (
    MemberFailed,
    MemberSuspected,
    Reason,
)
from trio_gossip.members import MemberState
from trio_gossip.testing import Simulation


def test_point_9_a_paused_process_declares_nobody_dead() -> None:
    world = cluster(*[f"n{number}" for number in range(6)])
    for seconds in (2.0, 5.0, 30.0):
        world.pause("n2")
        world.run(seconds)
        world.resume("n2")
        world.run(8.0)
        paused = world.processes["n2"]
        assert not paused.seen(MemberFailed)
        assert world.run_until(world.agree, 30.0)


def test_point_9_a_stall_re_arms_the_deadlines_and_lowers_our_health() -> None:
    bench = Bench()
    bench.know("a", "b")
    bench.receive("b", Suspect(1, "a", "b"))
    bench.wait(1.0)
    bench.answer("a", "b")
    score = bench.engine.health_score
    bench.now += 60.0
    bench.take(bench.engine.handle_timeout(now=bench.now))
    assert bench.state("a") is MemberState.SUSPECT
    assert bench.engine.health_score >= score + 2
    statistics = bench.engine.statistics()
    assert statistics.stalls == 1
    assert statistics.stalled_seconds > 58.0
    assert statistics.lateness_max > 58.0
    bench.wait(24.5)
    assert not [e for e in bench.seen(MemberFailed) if e.member.name == "b"]


def test_point_9_an_answer_that_waited_in_the_socket_counts_before_the_timeout() -> None:
    bench = Bench()
    bench.know("a")
    bench.clear()
    _, ping = bench.wait_for(Ping)
    bench.now += 20.0
    bench.receive("a", Ack(ping.sequence))
    bench.take(bench.engine.handle_timeout(now=bench.now))
    assert bench.state("a") is MemberState.ALIVE
    assert bench.count("probe_acked") == 1


def test_point_10_suspect_failed_left_and_reaped_differ_with_reason_and_accusers() -> None:
    world = cluster("a", "b", "c", "d", "e")
    world.crash("e")
    world.run(20.0)
    observer = world.processes["a"]
    [suspected] = [e for e in observer.seen(MemberSuspected) if e.member.name == "e"]
    [failed] = [e for e in observer.seen(MemberFailed) if e.member.name == "e"]
    assert suspected.member.state is MemberState.SUSPECT
    assert failed.member.state is MemberState.FAILED
    assert len(failed.accusers) >= 2
    assert suspected.reason in (Reason.PROBE_FAILED, Reason.ACCUSED)
    assert failed.reason in (Reason.SUSPICION_EXPIRED, Reason.REPORTED)
    told = {s for p in world.processes.values() for e in p.seen(MemberFailed) for s in e.tried}
    assert told == {"direct", "relayed", "stream"}
    world.leave("d")
    world.run(3.0)
    assert observer.engine.member("d").state is MemberState.LEFT  # type: ignore[union-attr]  # it is there
    world.run(40.0)
    assert observer.engine.member("e") is None


def test_point_11_seeds_are_dialled_at_once_and_each_has_its_outcome() -> None:
    world = Simulation(1)
    world.start("seed")
    world.start("picky", admit=lambda member: member.name != "new")
    process = world.start("new")
    gone, refusing, good = world.join("new", "gone", "picky", "seed")
    world.run(0.1)
    assert "refused" in str(process.results[gone].error)
    assert "not admitted" in str(process.results[refusing].error)
    assert process.results[good].result == 1
    picky = world.processes["picky"].engine.statistics().counters
    assert picky["exchange_refused_not_admitted"] == 1, "explicit on both sides"


def test_point_12_user_broadcasts_get_through_while_membership_churns() -> None:
    bench = Bench()
    bench.know("a", "b")
    for number in range(500):
        bench.receive("a", alive(f"n{number}", meta=b"x" * 300))
    bench.take(bench.engine.broadcast(b"payload", now=bench.now))
    bench.clear()
    bench.wait(0.25)
    assert bench.messages(Broadcast), "at the latest in the next round of gossip"


def test_point_12_every_queue_has_a_cap_and_a_counter() -> None:
    bench = Bench(broadcast_queue_max=10)
    for number in range(25):
        bench.take(bench.engine.broadcast(b"%d" % number, now=bench.now))
    assert bench.engine.statistics().user_queue == 10
    assert bench.count("broadcast_dropped") == 15


def test_point_13_a_message_too_large_for_a_datagram_raises_at_the_call() -> None:
    bench = Bench(lazy_bytes=65536)
    bench.know("a")
    with pytest.raises(LocalProtocolError, match="does not fit a packet"):
        bench.engine.broadcast(bytes(1400), now=bench.now)
    with pytest.raises(LocalProtocolError, match="send_reliable"):
        bench.engine.send("a", bytes(1400), now=bench.now)
    assert bench.engine.statistics().user_queue == 0
    largest = 1400
    while True:
        try:
            bench.take(bench.engine.broadcast(bytes(largest), now=bench.now))
        except LocalProtocolError:
            largest -= 1
        else:
            break
    bench.clear()
    bench.wait(1.0)
    assert max(sent.size for sent in bench.sent) == 1400, "the largest that is taken is sent"


def test_point_13_news_that_does_not_fit_a_smaller_packet_is_counted_and_not_queued() -> None:
    bench = Bench(packet_limit=600)
    bench.know("b")
    bench.receive("a", alive("a", meta=b"x" * 500, address=Address("h" * 200, 1)))
    before = bench.engine.statistics()
    assert before.counters["message_too_large"] == 1
    bench.receive("a", Broadcast("a", 1, 1, bytes(700)))
    assert bench.count("message_too_large") == 2
    assert bench.engine.statistics().user_queue == 0


def test_point_14_dead_and_left_members_do_not_count_in_the_formulas() -> None:
    bench = Bench()
    for number in range(99):
        bench.know(f"n{number}")
    assert bench.engine.statistics().active == 100
    for number in range(49):
        bench.receive("n98", Dead(1, f"n{number}", "n98"))
    for number in range(49, 95):
        name = f"n{number}"
        bench.receive("n98", Dead(1, name, name))
    assert bench.engine.statistics().active == 5
    assert bench.engine._node.queue.pace.copies == 8, "4 for five members, and 8 at least"
    bench.receive("n98", Suspect(1, "n97", "n98"))
    suspicion = bench.engine._parts.claims.suspicions["n97"]
    assert suspicion.minimum == 4.0


def test_point_14_tombstone_gossip_and_reap_times_are_separate() -> None:
    bench = Bench(gossip_to_dead_time=5.0, reap_time=50.0, tombstone_time=500.0)
    bench.know("a", "b")
    bench.answer("b")
    bench.receive("b", Dead(1, "a", "b"))
    bench.clear()
    bench.wait(4.0)
    assert [sent for sent in bench.sent if sent.address == address_of("a")]
    bench.wait(2.0)
    bench.clear()
    bench.take(bench.engine.update_meta(b"x", now=bench.now))
    bench.wait(40.0)
    assert not [sent for sent in bench.sent if sent.address == address_of("a")]
    assert bench.state("a") is MemberState.FAILED
    bench.wait(5.0)
    assert bench.engine.member("a") is None
    bench.receive("a", alive("a", 1))
    assert bench.engine.member("a") is None


def test_point_15_settings_that_cannot_work_are_refused_with_the_reason() -> None:
    with pytest.raises(ConfigError, match=r"probe_timeout \(2.0\) must be below probe_interval"):
        Config.lan(name="a", probe_timeout=2.0)
    with pytest.raises(ConfigError, match=r"gossip_nodes .* whole number"):
        Config.lan(name="a", gossip_nodes=0)
    with pytest.raises(ConfigError, match="do not fit a packet"):
        Bench(name="n" * 255, meta=b"x" * 512, packet_limit=900)
