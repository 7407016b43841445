"""The fifteen points in which this library mends memberlist, each with a test named after it:
the first eight. ``docs/differences`` lists them.
"""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of, alive
from tests.engine.clusters import active, cluster, split, states
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Alive, Dead, Nack, Ping, Suspect
from trio_gossip.config import Config
from trio_gossip.errors import LocalProtocolError
from trio_gossip.events import (
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberUpdated,
    NameConflict,
    Reason,
)
from trio_gossip.failures import DialFailure
from trio_gossip.members import INCARNATION_JUMP_MAX, MemberState
from trio_gossip.testing import Simulation


@pytest.mark.parametrize("profile", ["lan", "wan", "local"])
def test_point_1_a_nack_is_in_time_at_the_default_settings(profile: str) -> None:
    world = Simulation(1)
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
    assert world.run_until(lambda: len(active(world, "n0")) == 1, 400.0)
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
            for name in ("b", "c") if incarnation < 2**62 else ("a", "b", "c"):
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
    split(world, *names[:4])
    assert world.run_until(lambda: all(len(active(world, name)) == 4 for name in names), 120.0), (
        "each half sees itself"
    )
    world.run(600.0)
    assert all(len(active(world, name)) == 4 for name in names)
    world.links.heal()
    assert world.run_until(world.agree, 90.0)


def test_point_5_a_member_that_was_isolated_for_long_finds_its_seed_again() -> None:
    world = cluster("a", "b", "c")
    split(world, "c")
    world.run(1000.0)
    assert active(world, "c") == {"c"}
    world.links.heal()
    assert world.run_until(world.agree, 120.0)


def test_point_5_a_seed_that_comes_up_late_is_found() -> None:
    world = Simulation(1)
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
    world = cluster(*names)
    world.links.change(loss=loss)
    token = world.leave("n3")
    process = world.processes["n3"]
    assert world.run_until(lambda: token in process.results, 6.0)
    assert process.results[token].result >= 3
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
    token = world.command("c", "leave")  # unlike leave(), this does not end the process
    process = world.processes["c"]
    assert world.run_until(lambda: token in process.results, 6.0)
    assert states(world, "c") == {"left"}
    with pytest.raises(LocalProtocolError, match="has left"):
        process.engine.update_meta(b"x", now=world.now)
    world.join("c", "a")
    assert world.run_until(world.agree, 5.0)
    world.do("c", "update_meta", b"x")
    assert world.run_until(world.agree, 5.0)


@pytest.mark.parametrize("down", [0.2, 0.5, 1.0, 3.0])
def test_point_7_a_restarted_pod_at_a_new_address_is_taken_over_within_two_seconds(
    down: float,
) -> None:
    world = cluster(*[f"n{number}" for number in range(10)])
    world.crash("n4")
    world.run(down)
    process = world.start("n4", address=Address("h-elsewhere", 8001))
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
            failed = [e for e in other.seen(MemberFailed) if e.member.name == "n4"]
            # Of a process that is gone for a second its host has told everybody.
            assert [event.reason for event in updates] == ([] if failed else [Reason.TAKEOVER])
            assert down > 0.2 or not failed


def test_point_7_a_live_member_keeps_its_name_and_both_sides_hear_of_the_conflict() -> None:
    world = cluster("a", "b", "c")
    holder = world.processes.pop("c")
    twin = world.start("c", address=Address("h-twin", 8001), incarnation=1_800_000_000)
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


@pytest.mark.parametrize("seed", range(20))
def test_no_restart_waits_for_the_next_push_pull_because_gossip_missed_somebody(seed: int) -> None:
    """At N=8 the transmit limit of 4 let one restart in twenty wait up to 21 seconds."""
    world = cluster(*[f"n{number}" for number in range(8)], seed=seed)
    world.crash("n3")
    world.run(1.0 if seed % 2 else 15.0)
    world.start("n3", address=Address("h-n3", 7947) if seed % 3 else None)
    world.join("n3", "n0")
    assert world.run_until(world.agree, 2.0)


def test_a_member_held_failed_that_pings_from_another_port_is_told_too() -> None:
    bench = Bench()
    bench.know("a", "b")
    bench.receive("b", Dead(1, "a", "b"))
    bench.clear()
    ping = Ping(7, "me", "a")
    bench.receive(Address("h-a", 7999), ping)
    [accusation] = bench.messages(Dead)
    assert (accusation.name, accusation.incarnation) == ("a", 1)
    assert bench.count("answer_withheld") == 1, "a stranger gets no more bytes than it sent"
