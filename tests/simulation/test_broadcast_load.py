"""Many messages at once, and members that cannot keep up with them."""

from __future__ import annotations

from itertools import pairwise

from tests.simulation.forming import cluster
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.config import Config
from trio_gossip.events import MemberSuspected, MessageReceived
from trio_gossip.testing import Observer, Simulation
from trio_gossip.testing.simulation.process import Process

CODEC = NativeCodec()
NAMES = tuple("abcdefghij")


class Rumours(Observer):
    """When a member sent packets that neither ask nor answer anything."""

    def __init__(self, simulation: Simulation, name: str) -> None:
        self.simulation = simulation
        self.name = name
        self.times: list[float] = []

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        if process.name == self.name and not CODEC.is_urgent(data):
            self.times.append(self.simulation.now)


def received(process: Process) -> list[bytes]:
    return [event.payload for event in process.seen(MessageReceived)]


# -- members that lag -------------------------------------------------------------------


def test_a_member_with_a_backlog_forwards_in_rounds_alone_until_it_is_gone_for_a_second() -> None:
    """Twenty milliseconds a turn: packets and timers wait for seconds."""
    simulation = cluster(*NAMES)
    simulation.run(20.0)
    seen = Rumours(simulation, "a")
    simulation.observe(seen)
    simulation.slow("a", 0.02)
    for number in range(30):
        simulation.at(0.005 * number, lambda at=number: simulation.do("b", "broadcast", b"%d" % at))
    began = simulation.now
    simulation.run(8.0)
    assert simulation.processes["a"].engine.statistics().counters["eager_paused"] > 0
    interval = Config.lan(name="x").cold_interval
    rounds = sorted({time for time in seen.times if time > began + 0.1})
    assert len(rounds) > 3, "it goes on telling what it knows"
    assert all(later - earlier > interval - 1e-6 for earlier, later in pairwise(rounds))
    for name in NAMES:
        assert len(received(simulation.processes[name])) == (0 if name == "b" else 30)
        assert not simulation.processes[name].seen(MemberSuspected)

    simulation.slow("a", 0.0)
    seen.times.clear()
    simulation.do("a", "broadcast", b"soon")
    simulation.run(0.01)
    assert len(seen.times) == Config.lan(name="x").transmit_floor // 2, "it is fast again"


def test_a_member_that_is_in_time_is_never_slowed_down() -> None:
    simulation = cluster(*NAMES)
    simulation.run(20.0)
    for number in range(30):
        simulation.at(0.005 * number, lambda at=number: simulation.do("b", "broadcast", b"%d" % at))
    simulation.run(10.0)
    for name in NAMES:
        assert "eager_paused" not in simulation.processes[name].engine.statistics().counters
