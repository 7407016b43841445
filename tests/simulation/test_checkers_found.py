"""Faults of the engine that checkers have found, each by itself."""

from __future__ import annotations

import random

from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Alive, Suspect
from trio_gossip.config import Config
from trio_gossip.engine import Engine
from trio_gossip.engine.clock import StallClock
from trio_gossip.events import MessageReceived
from trio_gossip.members import VERSIONS_DEFAULT
from trio_gossip.testing.simulation.simulation import Simulation

CODEC = NativeCodec()
HOME = Address("h-a", 7946)


def pack(*messages):
    return CODEC.pack([CODEC.encode(message) for message in messages])


def test_a_late_confirmation_is_no_stall_of_this_process():
    """Its shorter deadline has passed already: that is nobody's lateness. It was taken for a stall,
    which moved all deadlines by seconds and lowered the health score by two.
    """
    engine = Engine(
        Config.lan(name="a", detector="memberlist"), HOME, rng=random.Random(1), packet_limit=1400
    )
    engine.start(now=0.0)
    for name in "bcdef":
        claim = Alive(1, name, Address(f"h-{name}", 7946), b"", VERSIONS_DEFAULT)
        engine.receive_packet(pack(claim), claim.address, now=0.0)
    source = Address("h-b", 7946)
    engine.receive_packet(pack(Suspect(1, "f", "b")), source, now=0.0)
    now = 0.0
    while engine.next_deadline <= 10.0:
        now = max(now, engine.next_deadline)
        engine.handle_timeout(now=now)
    before = engine.statistics()
    for accuser in "cd":
        engine.receive_packet(pack(Suspect(1, "f", accuser)), source, now=10.0)
    assert engine.next_deadline <= 10.0
    engine.handle_timeout(now=10.0)
    failed = engine.member("f")
    assert failed is not None
    assert failed.state == "failed"
    after = engine.statistics()
    assert after.stalls == before.stalls
    assert after.stalled_seconds == before.stalled_seconds
    assert after.health_score <= before.health_score
    assert engine.next_deadline > 10.0


def test_engine_time_never_runs_backwards():
    """A packet that is read just after a deadline, then a stall: time stood still at the deadline,
    before the packet. A ping that was sent with that packet's turn had a negative round trip.
    """
    clock = StallClock(0.1)
    assert clock.advance(10.0, 20.0) == (10.0, 0.0)
    time, stalled = clock.advance(20.05, 20.0)
    assert (time, stalled) == (20.05, 0.0)
    time, stalled = clock.advance(23.0, 20.0)
    assert time >= 20.05
    assert 0.0 < stalled <= 2.95 + 1e-9


def test_a_restart_with_a_lost_incarnation_does_not_silence_the_broadcasts_of_a_member():
    """Broadcasts carry the incarnation with which their origin began. Whoever remembered a former
    life with a higher one dropped all of the new life as repeated.
    """
    simulation = Simulation(1)
    for name in "abcd":
        simulation.start(name)
        if name != "a":
            simulation.join(name, "a")
    simulation.run(5.0)
    simulation.do("d", "broadcast", b"first life")
    simulation.run(5.0)
    simulation.crash("d")
    simulation.run(40.0)
    simulation.start("d", incarnation=1)
    simulation.join("d", "a", "b")
    simulation.run(40.0)
    assert simulation.agree()
    simulation.do("d", "broadcast", b"second life")
    simulation.run(5.0)
    for name in "abc":
        heard = [event.payload for event in simulation.processes[name].seen(MessageReceived)]
        assert heard == [b"first life", b"second life"]
