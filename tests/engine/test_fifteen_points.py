"""The fifteen points in which this library mends memberlist, each with a test named after it.

``docs/concepts`` lists them. Most run a small cluster of engines in virtual time.
"""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of, alive
from tests.simulation.world import Links, World
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Ack, Alive, Broadcast, Dead, Nack, Ping, Suspect
from trio_gossip.config import Config
from trio_gossip.errors import ConfigError, LocalProtocolError
from trio_gossip.events import (
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberSuspected,
    MemberUpdated,
    NameConflict,
    Reason,
)
from trio_gossip.failures import DialFailure
from trio_gossip.members import INCARNATION_JUMP_MAX, MemberState


def cluster(*names: str, seed: int = 1, links: Links | None = None, **changes: object) -> World:
    """A cluster whose members all know each other."""
    world = World(seed, links)
    for name in names:
        world.start(name, **changes)
        if name != names[0]:
            world.join(name, names[0])
    assert world.run_until(world.agree, 30.0), "the cluster never formed"
    return world


def states(world: World, subject: str) -> set[str]:
    """What all other members think of one."""
    found = set()
    for name, process in world.processes.items():
        if name != subject:
            member = process.engine.member(subject)
            found.add("unknown" if member is None else member.state.value)
    return found


@pytest.mark.parametrize("profile", ["lan", "wan", "local"])
def test_point_1_a_nack_is_in_time_at_the_default_settings(profile: str) -> None:
    world = World(1)
    for name in ("a", "b", "c", "d", "e"):
        config = getattr(Config, profile)(name=name)
        world.start(name, config=config)
        if name != "a":
            world.join(name, "a")
    assert world.run_until(world.agree, 60.0)
    world.crash("e")
    assert world.run_until(lambda: states(world, "e") == {"failed"}, 400.0)
    for process in world.processes.values():
        [failed] = [e for e in process.seen(MemberFailed) if e.member.name == "e"]
        assert failed.health_score == 0, "all helpers answered in time: nobody is to blame here"


def test_point_2_a_stale_alive_cannot_resurrect_after_an_accusation_at_a_higher_incarnation() -> (
    None
):
    bench = Bench()
    bench.know("a", "b")
    bench.receive("b", Dead(1, "a", "b"))
    bench.receive("b", Dead(10, "a", "b"))
    bench.receive("b", alive("a", 2))
    assert bench.state("a") is MemberState.FAILED


def test_point_3_a_mass_restart_leaves_no_black_hole() -> None:
    """All restart at once, some with an incarnation below what is held against them."""
    names = [f"n{number}" for number in range(8)]
    world = cluster(*names)
    for name in names[1:]:
        world.crash(name)
    assert world.run_until(lambda: len(world.active("n0")) == 1, 400.0)
    for name in names[1:]:
        world.start(name, incarnation=5)
        world.join(name, "n0")
    assert world.run_until(world.agree, 5.0)


def test_point_3_a_restarted_member_starts_above_its_former_life() -> None:
    world = cluster("a", "b", "c")
    before = world.processes["c"].engine.local.incarnation
    world.crash("c")
    world.run(1.0)
    process = world.start("c")
    assert process.engine.local.incarnation > before


def test_point_4_an_accusation_at_an_implausible_incarnation_is_refused_everywhere() -> None:
    world = cluster("a", "b", "c")
    codec = NativeCodec()
    target = world.processes["a"].engine.local
    for incarnation in (target.incarnation + INCARNATION_JUMP_MAX + 1, 2**62):
        for claim in (Suspect(incarnation, "a", "b"), Dead(incarnation, "a", "b")):
            for name in ("a", "b", "c"):
                world.inject(name, codec.pack([codec.encode(claim)]), Address("h-b", 7946))
    world.run(10.0)
    assert world.agree()
    assert world.processes["a"].engine.local.incarnation == target.incarnation


def test_point_4_a_refutation_of_any_believed_accusation_wins() -> None:
    world = cluster("a", "b", "c")
    codec = NativeCodec()
    for _ in range(20):
        highest = world.processes["b"].engine.member("a")
        assert highest is not None
        claim = Dead(highest.incarnation + INCARNATION_JUMP_MAX, "a", "c")
        world.inject("b", codec.pack([codec.encode(claim)]), Address("h-c", 7946))
        assert world.run_until(world.agree, 10.0)


@pytest.mark.parametrize("seed", range(5))
def test_point_5_a_split_cluster_heals_without_any_action(seed: int) -> None:
    names = [f"n{number}" for number in range(8)]
    world = cluster(*names, seed=seed)
    left = set(names[:4])
    world.cut = lambda source, target: (source.name in left) != (target.name in left)
    assert world.run_until(lambda: all(len(world.active(name)) == 4 for name in names), 120.0), (
        "each half sees itself"
    )
    world.run(600.0)
    assert all(len(world.active(name)) == 4 for name in names)
    world.cut = lambda source, target: False
    assert world.run_until(world.agree, 90.0)


def test_point_5_a_member_that_was_isolated_for_long_finds_its_seed_again() -> None:
    world = cluster("a", "b", "c")
    world.cut = lambda source, target: "c" in (source.name, target.name)
    world.run(1000.0)
    assert world.active("c") == {"c"}
    world.cut = lambda source, target: False
    assert world.run_until(world.agree, 120.0)


def test_point_5_a_seed_that_comes_up_late_is_found() -> None:
    world = World(1)
    world.start("a")
    world.join("a", "seed")
    world.run(300.0)
    world.start("seed")
    assert world.run_until(world.agree, 60.0)


def test_point_5_lost_members_are_tried_at_a_low_and_bounded_rate() -> None:
    names = [f"n{number}" for number in range(6)]
    world = cluster(*names)
    world.crash("n5")
    world.run(3630.0)
    tries = sum(
        process.engine.statistics().counters.get("rejoin_tried", 0)
        for process in world.processes.values()
    )
    assert 60 < tries < 200, "about one try in 30 seconds for the whole cluster"


@pytest.mark.parametrize("loss", [0.0, 0.25])
def test_point_6_a_leave_is_acknowledged_and_everybody_sees_it_as_a_leave(loss: float) -> None:
    names = [f"n{number}" for number in range(10)]
    links = Links()
    world = cluster(*names, links=links)
    links.loss = loss
    token = world.leave("n3")
    process = world.processes["n3"]
    assert world.run_until(lambda: token in process.results, 6.0)
    assert process.results[token].result >= 3
    world.crash("n3")
    assert world.run_until(lambda: states(world, "n3") <= {"left", "unknown"}, 5.0)
    for other in world.processes.values():
        assert not [event for event in other.seen(MemberFailed) if event.member.name == "n3"]
        assert [event for event in other.seen(MemberLeft) if event.member.name == "n3"]


def test_point_6_a_leave_does_not_wait_behind_other_news() -> None:
    bench = Bench()
    bench.know("a", "b", "c")
    for number in range(200):
        bench.receive("a", alive(f"n{number}", meta=b"x" * 400))
    bench.clear()
    bench.take(bench.engine.leave(token=1, now=bench.now))
    first = bench.sent[0].messages
    assert any(isinstance(message, Dead) and message.is_goodbye for message in first[:2])


def test_point_6_the_same_process_can_join_again_after_it_left() -> None:
    world = cluster("a", "b", "c")
    token = world.leave("c")
    process = world.processes["c"]
    assert world.run_until(lambda: token in process.results, 6.0)
    assert states(world, "c") == {"left"}
    with pytest.raises(LocalProtocolError, match="has left"):
        process.engine.update_meta(b"x", now=world.now)
    world.join("c", "a")
    assert world.run_until(world.agree, 5.0)
    world.do("c", lambda engine, now: engine.update_meta(b"x", now=now))
    assert world.run_until(world.agree, 5.0)


def test_point_7_a_restarted_pod_at_a_new_address_is_taken_over_within_two_seconds() -> None:
    world = cluster(*[f"n{number}" for number in range(10)])
    world.crash("n4")
    world.run(0.5)
    process = world.start("n4", Address("h-elsewhere", 8001))
    world.join("n4", "n0")
    began = world.now
    assert world.run_until(world.agree, 2.0), states(world, "n4")
    assert world.now - began < 2.0
    for other in world.processes.values():
        if other is not process:
            member = other.engine.member("n4")
            assert member is not None
            assert member.address == process.address
            updates = [e for e in other.seen(MemberUpdated) if e.member.name == "n4"]
            assert [event.reason for event in updates] == [Reason.TAKEOVER]


def test_point_7_a_live_member_keeps_its_name_and_both_sides_hear_of_the_conflict() -> None:
    world = cluster("a", "b", "c")
    holder = world.processes.pop("c")
    twin = world.start("c", Address("h-twin", 8001), incarnation=1_800_000_000)
    world.join("c", "a")
    world.run(5.0)
    seen = world.processes["a"].engine.member("c")
    assert seen is not None
    assert seen.address == holder.address
    assert [event.other for event in world.processes["a"].seen(NameConflict)] == [twin.address]
    assert [event.other for event in holder.seen(NameConflict)] == [twin.address]
    assert [event.other for event in twin.seen(NameConflict)] == [holder.address]


def test_point_8_why_a_dial_failed_and_a_refused_datagram_are_counted_evidence() -> None:
    bench = Bench()
    bench.know("a")
    bench.take(bench.engine.packet_refused(address_of("a"), now=bench.now))
    bench.take(bench.engine.packet_refused(Address("h-x", 1), now=bench.now))
    for failure in DialFailure:
        bench.take(bench.engine.join(address_of("x"), token=1, now=bench.now))
        exchange = bench.opened()[-1].exchange
        bench.take(bench.engine.exchange_failed(exchange, failure, now=bench.now))
        assert bench.count(f"dial_{failure.value}") == 1
    assert bench.count("packet_refused") == 1
    assert bench.count("packet_refused_stranger") == 1
    assert bench.state("a") is MemberState.ALIVE


def test_point_9_a_paused_process_declares_nobody_dead() -> None:
    world = cluster(*[f"n{number}" for number in range(6)])
    for seconds in (2.0, 5.0, 30.0):
        world.pause("n2", seconds)
        world.run(seconds + 8.0)
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
    assert observer.engine.member("d").state is MemberState.LEFT  # type: ignore[union-attr]
    world.run(40.0)
    assert observer.engine.member("e") is None


def test_point_11_seeds_are_dialled_at_once_and_each_has_its_outcome() -> None:
    world = World(1)
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
    bench = Bench()
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
    assert bench.engine._node.outbox.transmit_limit == 4
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


def test_a_process_killed_and_restarted_is_alive_everywhere_within_two_seconds() -> None:
    world = cluster(*[f"n{number}" for number in range(10)])
    world.crash("n4")
    world.run(1.2)
    process = world.start("n4")
    world.join("n4", "n0")
    assert world.run_until(
        lambda: all(
            other.engine.member("n4") == process.engine.local for other in world.processes.values()
        ),
        2.0,
    )
    joined = [e for e in world.processes["n0"].seen(MemberJoined) if e.member.name == "n4"]
    assert joined


def test_relayed_nacks_reach_the_requester_before_its_round_ends() -> None:
    world = cluster("a", "b", "c", "d")
    nacks = []
    for process in world.processes.values():
        on_nack = process.engine._node.questions.on_nack

        def note(message: Nack, source: Address, on_nack=on_nack) -> None:
            nacks.append(source)
            on_nack(message, source)

        process.engine._parts.messages[Nack] = note
    world.crash("d")
    world.run(4.0)
    unexpected = sum(
        process.engine.statistics().counters.get("nack_unexpected", 0)
        for process in world.processes.values()
    )
    assert nacks
    assert unexpected == 0


def test_alive_messages_that_move_a_name_carry_who_checked() -> None:
    bench = Bench()
    bench.know("a", "b")
    bench.receive("b", alive("a", 9, address=Address("h-new", 1), vouched_by="b"))
    assert bench.member("a").address == Address("h-new", 1)
    bench.receive("b", alive("b", 9, address=Address("h-new", 2), vouched_by="b"))
    assert bench.member("b").address == address_of("b"), "nobody vouches for itself"
    bench.receive("a", alive("b", 9, address=Address("h-new", 2), vouched_by="ghost"))
    assert bench.member("b").address == address_of("b")
    assert isinstance(bench.sent[-1].messages[0], Ping | Alive)
