"""Many messages at once, and members that cannot keep up with them."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import pairwise

import pytest

from tests.simulation.forming import cluster
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.config import Config
from trio_gossip.engine import Output
from trio_gossip.errors import BroadcastRateError
from trio_gossip.events import Event, MemberFailed, MemberSuspected, MessageReceived
from trio_gossip.testing import Observer, Simulation
from trio_gossip.testing.simulation.by_reference import ByReferenceCodec
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


class Watch(Observer):
    """The longest queues that there were after any turn, and who was ever suspected."""

    def __init__(self) -> None:
        self.user = 0
        self.membership = 0
        self.suspected: list[str] = []

    def turned(self, process: Process, outputs: list[Output]) -> None:
        queue = process.engine._node.queue
        self.user = max(self.user, len(queue.user))
        self.membership = max(self.membership, len(queue.membership))

    def event(self, process: Process, event: Event) -> None:
        if isinstance(event, MemberSuspected | MemberFailed):
            self.suspected.append(event.member.name)


def counted(simulation: Simulation, name: str) -> int:
    return sum(
        process.engine.statistics().counters.get(name, 0)
        for process in simulation.processes.values()
    )


# -- more than there is room for --------------------------------------------------------


@pytest.mark.parametrize("size", [100, 400])
def test_of_a_thousand_messages_a_second_from_one_member_none_that_was_taken_is_dropped(
    size: int,
) -> None:
    """Whom a message reaches is left to chance as ever: with eight transmissions each member is
    missed once in e^8 = 3,000 times. None is missed more often because there are many."""
    simulation = Simulation(3, latency=(0.0005, 0.0015))
    names = [f"n{number:02}" for number in range(30)]
    watch = Watch()
    simulation.observe(watch)
    simulation.start_converged(names)
    simulation.run(1.0)
    taken: list[bytes] = []

    def say(number: int) -> None:
        payload = (b"%d" % number).ljust(size, b".")
        with suppress(BroadcastRateError):
            simulation.do("n07", "broadcast", payload)
            taken.append(payload)

    for number in range(5000):
        simulation.at(number / 1000, partial(say, number))
    simulation.run(20.0)
    assert len(taken) == pytest.approx((400 + 5 * 200) * 100 / size, rel=0.02)
    assert counted(simulation, "broadcast_refused") == 5000 - len(taken)
    assert watch.user <= Config.lan(name="x").broadcast_queue_max
    assert counted(simulation, "broadcast_dropped") == 0
    assert watch.suspected == []
    missed = 0
    for name in names:
        got = received(simulation.processes[name])
        assert len(got) == len(set(got)), "delivered twice"
        assert simulation.processes[name].engine.statistics().user_queue == 0
        missed += len(set(taken) - set(got)) if name != "n07" else len(got)
    assert missed <= 0.001 * len(taken) * len(names)


@pytest.mark.parametrize("newcomers", [100, pytest.param(300, marks=pytest.mark.slow)])
def test_a_join_storm_within_a_second_is_over_soon_and_accuses_nobody(newcomers: int) -> None:
    simulation = Simulation(4, codec=ByReferenceCodec(), latency=(0.0005, 0.0015))
    watch = Watch()
    simulation.observe(watch)
    simulation.start("seed")
    for number in range(newcomers):
        name = f"n{number:03}"
        simulation.at(number / newcomers, partial(_start, simulation, name))
    simulation.run(1.0)
    assert len(simulation.processes) == newcomers + 1
    while not simulation.agree():
        simulation.run(0.1)
        assert simulation.now < 5.0, "all know all"
    simulation.run(8.0)
    assert watch.suspected == []
    assert watch.membership <= newcomers + 1
    assert counted(simulation, "broadcast_dropped") == 0
    assert all(
        process.engine.statistics().membership_queue == 0
        for process in simulation.processes.values()
    )


def _start(simulation: Simulation, name: str) -> None:
    simulation.start(name)
    simulation.join(name, "seed")


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
