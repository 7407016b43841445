"""Attacks on plain mode that were found by trying, each with what holds against it now."""

from __future__ import annotations

import random

import pytest

from tests.engine.bench import CODEC, Bench, address_of, alive
from tests.engine.clusters import active, cluster
from tests.engine.exchanging import record, refusal_of
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import (
    Ack,
    Alive,
    Broadcast,
    Dead,
    Leave,
    MessageChunk,
    MessageOpen,
    Ping,
    Suspect,
    SyncEnd,
    SyncMembers,
    SyncOpen,
    UserMessage,
)
from trio_gossip.engine.core import STRANGER_PACKETS_PER_SECOND
from trio_gossip.engine.node import ANSWERS_MAX
from trio_gossip.events import MessageReceived
from trio_gossip.failures import RefusalReason
from trio_gossip.members import ALIVE_JUMP_MAX, INCARNATION_JUMP_MAX, OWN_JUMP_MAX
from trio_gossip.testing import Simulation

STRANGER = Address("h-stranger", 9)


def forge(world: Simulation, name: str, *messages: object, source: Address = STRANGER) -> None:
    data = CODEC.pack([CODEC.encode(message) for message in messages])  # type: ignore[arg-type]  # messages
    world.inject(name, data, source)


def packets(world: Simulation, seconds: float) -> int:
    before = sum(process.packets_sent for process in world.processes.values())
    world.run(seconds)
    return sum(process.packets_sent for process in world.processes.values()) - before


def test_two_members_told_different_addresses_of_a_third_do_not_answer_each_other_for_ever() -> (
    None
):
    """Two forged packets kept two healthy members at half a core each."""
    world = cluster("x", "y")
    forge(world, "x", alive("z", 7))
    forge(world, "y", alive("z", 7, address=Address("h-z-too", 1)))
    forge(world, "x", alive("w", 7, address=address_of("x")))
    forge(world, "y", alive("w", 7, address=address_of("y")))
    assert packets(world, 10.0) < 400
    assert world.processes["x"].engine.member("w") is None, "our own address is ours"


def test_two_processes_of_one_name_do_not_outbid_each_other_at_the_speed_of_the_network() -> None:
    world = cluster("x", "twin")
    one = world.processes.pop("twin")
    world.start("twin", address=Address("h-twin-2", 7946))
    forge(world, "twin", alive("twin", 1_800_000_000, address=one.address), source=one.address)
    assert packets(world, 10.0) < 500


def test_a_member_outbids_whatever_others_could_be_made_to_believe_of_it() -> None:
    """An alive far above and a death on top of it buried a member for good."""
    world = cluster("x", "y", "v")
    start = world.processes["v"].engine.local.incarnation
    far = start + ALIVE_JUMP_MAX
    for name in ("x", "y"):
        forge(world, name, alive("v", far), Dead(far + INCARNATION_JUMP_MAX, "v", "z"))
    assert world.run_until(world.agree, 60.0)


def test_a_forged_incarnation_bars_no_name_from_coming() -> None:
    world = cluster("x", "y")
    for name in ("x", "y"):
        forge(world, name, alive("new", 2**40))
    world.start("new")
    world.join("new", "x")
    assert world.run_until(world.agree, 60.0)


def test_nobody_names_a_voucher_at_second_hand() -> None:
    """A forged voucher took a live member's name away for ever."""
    world = cluster("x", "y", "v")
    incarnation = world.processes["v"].engine.local.incarnation
    for name in ("x", "y"):
        forge(world, name, alive("v", incarnation + 1, address=STRANGER, vouched_by="y"))
    world.run(5.0)
    for name in ("x", "y"):
        held = world.processes[name].engine.member("v")
        assert held is not None
        assert held.address == address_of("v")


def test_one_forged_broadcast_does_not_silence_a_member() -> None:
    bench = Bench()
    bench.know("v")
    bench.receive(STRANGER, Broadcast("v", 2**62, 2**62, b""), Broadcast("v", 2, 1, b""))
    assert bench.count("broadcast_of_unknown") == 2
    bench.receive("v", Broadcast("v", 1, 1, b"first"))
    bench.receive(STRANGER, Broadcast("v", 1, 2**40, b"far"), Broadcast("u", 1, 1, b"unknown"))
    bench.receive("v", Broadcast("v", 1, 2, b"second"))
    assert [event.payload for event in bench.seen(MessageReceived)] == [b"first", b"second"]


def test_an_address_stays_known_when_another_name_claimed_it_for_a_while() -> None:
    bench = Bench()
    bench.know("y", "x")
    shared = address_of("y")
    bench.receive(
        STRANGER,
        alive("z", 1, address=shared),
        alive("u", 1, address=shared),
        Dead(1, "z", "z"),
        alive("z", 2, address=Address("h-elsewhere", 1)),
        Dead(1, "u", "u"),
    )
    table = bench.engine._node.table
    assert table.knows_address(shared)
    bench.receive("x", alive("u", 2, address=Address("h-elsewhere", 2)))
    assert table.name_at(shared) == "y"
    bench.wait(0.0)
    bench.receive("x", Dead(1, "y", "y"))
    bench.wait(31.0)
    assert not table.knows_address(shared)


def test_a_packet_of_many_pings_is_answered_a_few_times_and_carries_news_once() -> None:
    """From a member's forged source: 131 KB for one packet, and 433 ms of work."""
    bench = Bench()
    for number in range(200):
        bench.receive("x", alive(f"n{number}", meta=b"m" * 400))
    bench.know("a")
    bench.clear()
    bench.receive("a", *(Ping(number, "me", "a") for number in range(60)))
    assert len(bench.messages(Ack, to="a")) == ANSWERS_MAX
    assert sum(sent.size > 100 for sent in bench.sent) <= 1
    bench.clear()
    bench.receive("a", *(Leave(number, 1, "a") for number in range(60)))
    assert len(bench.sent) <= ANSWERS_MAX
    bench.receive("a", *(Dead(10 + number, "me", "a") for number in range(60)))
    assert bench.engine.local.incarnation <= 10 + ANSWERS_MAX


def test_due_work_is_done_in_slices() -> None:
    bench = Bench()
    for number in range(300):
        bench.receive("x", alive(f"n{number}"), Dead(1, f"n{number}", f"n{number}"))
    bench.now += 0.0
    bench.wait(29.9)
    assert bench.engine.statistics().members == 301
    bench.now = bench.engine.next_deadline + 0.05
    bench.take(bench.engine.handle_timeout(now=bench.now))
    assert 301 - 64 <= bench.engine.statistics().members < 301
    bench.wait(1.0)
    assert bench.engine.statistics().members == 1


def test_a_stream_of_tiny_frames_is_refused() -> None:
    """One read of 64 KiB held us for 102 ms."""
    bench = Bench()
    exchange = bench.accept()
    opening = CODEC.encode_frame(MessageOpen("s", "me", 1000))
    data = opening + CODEC.encode_frame(MessageChunk(b"x")) * 100
    bench.take(bench.engine.exchange_received(exchange, data, now=bench.now))
    assert refusal_of(bench, exchange).reason == RefusalReason.MALFORMED
    assert bench.count("frame_frames_too_small") == 1


def test_tables_of_peers_are_held_up_to_a_bound_and_name_each_member_once() -> None:
    bench = Bench(members_max=100)
    opening = SyncOpen("peer", address_of("peer"), False)
    chunk = SyncMembers([record(f"n{number}") for number in range(100)])
    held = [bench.accept() for _ in range(4)]
    for exchange in held:
        bench.frames(exchange, opening, chunk)
    fifth = bench.accept()
    bench.frames(fifth, opening, chunk)
    assert refusal_of(bench, fifth).reason == RefusalReason.BUSY
    bench.wait(bench.config.stream_timeout + 0.1)
    assert bench.engine._parts.sync.held == 0
    doubled = bench.accept()
    records = [record("peer"), record("g"), record("g")]
    bench.frames(doubled, opening, SyncMembers(records), SyncEnd(3))
    assert refusal_of(bench, doubled).reason == RefusalReason.MALFORMED
    assert bench.engine._parts.sync.answering == 0


def test_invented_accusers_do_not_shorten_a_suspicion() -> None:
    bench = Bench()
    bench.know("a", "b", "c", "d")
    for accuser in ("ghost1", "ghost2", "ghost3", "ghost4"):
        bench.receive(STRANGER, Suspect(1, "a", accuser))
    assert bench.engine._parts.claims.suspicions["a"].confirmations == 0
    assert bench.count("accuser_unknown") == 3
    bench.receive("b", Suspect(1, "a", "b"))
    assert bench.engine._parts.claims.suspicions["a"].confirmations == 1


def test_a_group_of_hosts_is_no_member() -> None:
    bench = Bench()
    for number, host in enumerate(("224.0.0.1", "255.255.255.255", "ff02::1")):
        bench.receive("x", alive(f"n{number}", address=Address(host, 1)))
    assert bench.count("refused_wildcard_address") == 3
    assert bench.engine.members() == (bench.engine.local,)


def test_a_message_to_the_application_costs_no_answer() -> None:
    bench = Bench()
    bench.know("a")
    bench.receive("a", *(UserMessage("a", b"%d" % number) for number in range(60)))
    assert len(bench.seen(MessageReceived)) == 60
    assert isinstance(bench.engine._node.own_claim(), Alive)


def test_a_claim_beyond_the_bound_at_first_hand_is_not_asked_for_again() -> None:
    """Question and answer went on at the speed of the network: 16,000 packets in five seconds."""
    world = cluster("x", "v")
    engine = world.processes["v"].engine
    engine._parts.refutation.bid(engine.local.incarnation + 2 * OWN_JUMP_MAX)
    world.do("v", "handle_timeout")
    assert packets(world, 5.0) < 200
    assert active(world, "x") == {"x", "v"}


@pytest.mark.parametrize("seed", range(150))
def test_whatever_was_forged_members_come_to_rest(seed: int) -> None:
    """A search for pairs of answers that answer each other."""
    rng = random.Random(f"rest {seed}")
    names = ("x", "y", "v")
    world = cluster(*names, seed=seed, push_pull_interval=1e6, rejoin_interval=1e6)
    places = [*map(address_of, names), STRANGER, Address("h-other", 1)]
    jumps = (-1, 0, 1, 2, 2**32, 2**32 + 1, 2**33, 2**33 + 1, 2**40, 2**44, 2**44 + 1, 2**46)
    for _ in range(12):
        subject = rng.choice((*names, "z"))
        base = world.processes["v"].engine.local.incarnation
        incarnation = min(max(1, base + rng.choice(jumps)), 2**62)
        claims = (
            alive(
                subject, incarnation, address=rng.choice(places), vouched_by=rng.choice(["", "y"])
            ),
            Suspect(incarnation, subject, rng.choice(names)),
            Dead(incarnation, subject, rng.choice((*names, subject))),
            Leave(7, incarnation, subject),
            Ping(7, rng.choice(names), subject),
        )
        forge(world, rng.choice(names), rng.choice(claims), source=rng.choice(places))
        world.run(rng.choice((0.0, 0.1, 1.0)))
    world.run(20.0)
    # Probes of two others at their busiest, with helpers and news: a few packets a second each.
    assert packets(world, 10.0) < 600


def test_a_flood_of_packets_from_strangers_is_dropped_unread_and_members_are_heard() -> None:
    """Each was decoded, for up to 0.4 ms: 20,000 a second left no time for acks, and members that
    lived were suspected."""
    bench = Bench()
    bench.know("a")
    taken = int(STRANGER_PACKETS_PER_SECOND)
    for _ in range(taken + 4):  # `a` was one before it was known
        bench.receive(STRANGER, Ping(1, "nobody", "who"))
    assert bench.count("packet_over_rate") == 5
    bench.receive("a", Suspect(10, "me", "a"))
    assert bench.engine.local.incarnation > 10, "the member was heard, and refuted"
    bench.wait(0.5)
    for _ in range(taken):
        bench.receive(STRANGER, Ping(1, "nobody", "who"))
    assert bench.count("packet_over_rate") == 5 + taken // 2
