"""What hosts say of processes: answered, refused, stalled or silent, in plain and sealed runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.forming import cluster
from trio_gossip.codec.messages import StreamPing
from trio_gossip.engine.session import Session
from trio_gossip.events import MemberFailed
from trio_gossip.failures import DialFailure
from trio_gossip.testing import Observer, Simulation
from trio_gossip.testing.sealed import NativeSealing, key_of
from trio_gossip.testing.simulation.evidence import BACKLOG_MAX


class Asking(Session):
    """A stream ping that keeps how it ended."""

    aborts = True

    def __init__(self, streams: Any, target: str) -> None:
        self.streams = streams
        self.target = target
        self.outcome = ""

    def opened(self, exchange: Any) -> None:
        self.streams.send(exchange, StreamPing(7, self.target, "asker"))

    def frame(self, exchange: Any, frame: Any) -> None:
        self.outcome = "answered"
        self.streams.close(exchange)

    def failed(self, exchange: Any, failure: DialFailure) -> None:
        if failure is DialFailure.REFUSED:
            self.outcome = "refused"
        else:
            self.outcome = "stalled" if exchange.connected else f"silent, {failure.value}"


def ask(simulation: Simulation, asker: str, target: str, count: int = 1) -> list[Asking]:
    """Ping a member by stream, so many times at once, with half a second of patience."""
    process = simulation.processes[asker]
    engine = process.engine
    streams = engine._parts.streams
    address = engine.member(target).address
    asked: list[Asking] = []

    def begin(*, now: float) -> list[Any]:
        engine._begin(now)
        for _ in range(count):
            asked.append(Asking(streams, target))
            streams.dial(asked[-1], address, target, 0.5)
        return engine._node.outbox.take()

    simulation._runtime.give(process, begin)
    return asked


def outcome(simulation: Simulation) -> str:
    [asking] = ask(simulation, "a", "b")
    simulation.run(1.0)
    return asking.outcome


@pytest.fixture(params=["plain", "sealed"])
def two(request: pytest.FixtureRequest) -> Simulation:
    sealing = {} if request.param == "plain" else {"sealing": NativeSealing([key_of(1)])}
    simulation = cluster("a", "b", **sealing)
    assert outcome(simulation) == "answered"
    return simulation


def test_a_killed_process_is_refused_for(two: Simulation) -> None:
    two.crash("b")
    assert outcome(two) == "refused"


def test_a_paused_process_is_connected_and_stalls(two: Simulation) -> None:
    two.pause("b")
    assert outcome(two) == "stalled"
    two.resume("b")
    assert outcome(two) == "answered"


def test_a_paused_process_that_is_killed_is_refused_for(two: Simulation) -> None:
    two.pause("b")
    two.crash("b")
    assert outcome(two) == "refused"


def test_a_host_that_is_gone_is_silent(two: Simulation) -> None:
    two.crash("b", host=True)
    assert outcome(two) == "silent, timed_out"


def test_a_host_that_came_back_refuses_again(two: Simulation) -> None:
    two.crash("b", host=True)
    two.start("b")
    assert outcome(two) in ("answered", "refused")
    two.crash("b")
    assert outcome(two) == "refused"


@pytest.mark.parametrize("direction", [("a", "b"), ("b", "a")])
def test_nothing_comes_back_through_a_cut(two: Simulation, direction: tuple[str, str]) -> None:
    two.links.cut([direction])
    assert outcome(two) == "silent, timed_out"
    two.crash("b")
    assert outcome(two) == "silent, timed_out"
    two.links.mend([direction])
    assert outcome(two) == "refused"


def test_a_process_that_dies_while_it_is_dialled_is_refused_for(two: Simulation) -> None:
    two.links.change(latency=0.1)
    [asking] = ask(two, "a", "b")
    two.run(0.05)
    two.crash("b")
    two.run(1.0)
    assert asking.outcome == "refused"


def test_a_stopped_process_takes_a_bounded_number_of_streams(two: Simulation) -> None:
    two.pause("b")
    asked = ask(two, "a", "b", BACKLOG_MAX + 40)
    two.run(1.0)
    outcomes = [each.outcome for each in asked]
    assert outcomes.count("stalled") == BACKLOG_MAX
    assert outcomes.count("silent, timed_out") == 40
    assert two.injected["backlog_full"] >= 40
    two.resume("b")
    two.run(5.0)
    assert outcome(two) == "answered"  # there is room again


class Refusals(Observer):
    """Notes when hosts send the word that nobody listens, and when it comes."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.words: list[tuple[float, float]] = []

    def refused(self, process: object, address: object, due: float) -> None:
        self.words.append((self.simulation.now, due))


def told(simulation: Simulation) -> int:
    return simulation.processes["a"].engine.statistics().counters.get("packet_refused", 0)


def send(simulation: Simulation, count: int) -> None:
    """Send packets from a to b."""
    for _ in range(count):
        simulation.do("a", "send", "b", b"x")


def test_packets_to_a_killed_process_are_refused_six_times_and_then_once_a_second() -> None:
    simulation = cluster("a", "b", "c", detector="memberlist")  # which takes longer to declare it
    simulation.run(5.0)
    watch = Refusals(simulation)
    simulation.observe(watch)
    simulation.crash("b")
    send(simulation, 20)
    simulation.run(0.01)
    assert told(simulation) == 6
    simulation.run(0.49)
    send(simulation, 20)
    simulation.run(0.01)
    assert told(simulation) == 6
    simulation.run(0.5)
    send(simulation, 20)
    simulation.run(0.01)
    assert told(simulation) == 7
    assert simulation.injected["refusal_withheld"] >= 14 + 20 + 19
    assert len(watch.words) >= 7


def test_a_refusal_comes_after_a_round_trip() -> None:
    simulation = cluster("a", "b", latency=0.1)
    simulation.run(5.0)
    simulation.crash("b")
    watch = Refusals(simulation)
    simulation.observe(watch)
    before = told(simulation)
    send(simulation, 1)
    simulation.run(0.19)
    assert told(simulation) == before
    [(sent, due), *_] = watch.words
    assert due - sent == pytest.approx(0.2)
    simulation.run(0.02)
    assert told(simulation) > before


def test_a_packet_that_is_under_way_when_its_target_dies_is_refused() -> None:
    simulation = cluster("a", "b", latency=0.1)
    simulation.run(1.0)
    send(simulation, 1)
    arrival = simulation.now + 0.1
    simulation.run(0.01)
    simulation.crash("b")
    watch = Refusals(simulation)
    simulation.observe(watch)
    simulation.run(0.15)
    words = [pytest.approx(word) for word in watch.words]
    assert (arrival, arrival + 0.1) in words


def test_a_refusal_waits_while_the_way_back_is_clogged() -> None:
    simulation = cluster("a", "b")
    simulation.run(1.0)
    simulation.crash("b")
    watch = Refusals(simulation)
    simulation.observe(watch)
    simulation.links.clog([("b", "a")], simulation.now + 5.0)
    until = simulation.now + 5.0
    send(simulation, 1)
    assert watch.words[0][1] == pytest.approx(until)


@pytest.mark.parametrize("how", ["host", "cut", "config", "loss"])
def test_packets_are_not_refused_where_the_word_cannot_come_or_is_not_wanted(how: str) -> None:
    simulation = Simulation(1)
    simulation.start("a", kernel_evidence=how != "config")
    simulation.start("b")
    simulation.join("b", "a")
    assert simulation.run_until(simulation.agree, 30.0)
    watch = Refusals(simulation)
    simulation.observe(watch)
    if how == "cut":
        simulation.links.cut([("b", "a")])
    if how == "loss":
        simulation.links.change_one("b", "a", loss=1.0)
    simulation.crash("b", host=how == "host")
    send(simulation, 20)
    simulation.run(1.0)
    assert told(simulation) == len(watch.words) == 0


def test_streams_to_a_host_that_is_gone_stand_still_until_patience_ends() -> None:
    errors = []
    for host in (False, True):
        simulation = cluster("a", "b")
        simulation.run(5.0)  # the streams of the join have ended
        token = simulation.command("a", "send_reliable", "b", b"x" * 1_000_000)
        receiver = simulation.processes["b"]
        assert simulation.run_until(lambda: simulation._runtime.pipes.open_at(receiver) > 0, 1.0)
        simulation.crash("b", host=host)
        began = simulation.now
        results = simulation.processes["a"].results
        assert simulation.run_until(lambda: token in results, 60.0)
        errors.append((str(results[token].error), simulation.now - began))
    (killed, soon), (gone, late) = errors
    assert "reset" in killed
    assert "timed" in gone
    assert soon < 1.0 < late


def test_a_host_that_is_gone_is_declared_failed_all_the_same() -> None:
    simulation = cluster("a", "b", "c")
    simulation.crash("b", host=True)
    assert simulation.run_until(simulation.agree, 60.0)
    assert simulation.processes["a"].seen(MemberFailed)
