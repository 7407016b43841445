"""The simulator: processes that cannot run, and streams between them."""

from __future__ import annotations

import pytest

from tests.simulation.forming import cluster
from trio_gossip import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Ack, Ping, Suspect
from trio_gossip.events import MemberFailed, MemberLeft, MessageReceived
from trio_gossip.testing import Observer

CODEC = NativeCodec()


# -- processes --------------------------------------------------------------------------


def test_a_paused_process_gets_its_packets_before_its_late_timers() -> None:
    simulation = cluster("a", "b", "c")
    seen: list[float] = []

    class Watch(Observer):
        def arrived(self, process: object, data: bytes, source: Address) -> None:
            if process.name == "a":
                seen.append(simulation.now)

    simulation.observe(Watch())
    simulation.pause("a")
    simulation.run(3.0)
    assert not seen
    assert simulation.processes["a"].packets_waiting > 0
    simulation.resume("a")
    resumed = simulation.now
    simulation.run(0.0)
    assert seen
    assert set(seen) == {resumed}
    assert simulation.processes["a"].engine.statistics().stalls == 1
    simulation.run(30.0)
    assert simulation.agree()


def test_a_process_that_wakes_answers_pings_before_it_reads_rumours() -> None:
    simulation = cluster("a", "b")
    seen: list[bytes] = []

    class Watch(Observer):
        def arrived(self, process: object, data: bytes, source: Address) -> None:
            seen.append(data)

    rumours = [CODEC.pack([CODEC.encode(Suspect(number, "x", "b"))]) for number in range(1, 40)]
    ping = CODEC.pack([CODEC.encode(Ping(1, "a", "b"))])
    source = simulation.processes["b"].address
    simulation.pause("a")
    for packet in [*rumours, ping]:
        simulation.inject("a", packet, source)
    simulation.observe(Watch())
    simulation.resume("a")
    simulation.run(0.0)
    assert seen == [ping, *rumours]


def test_a_full_inbox_loses_the_newest_packet() -> None:
    simulation = cluster("a", "b")
    simulation.processes["a"].inbox_limit = 2
    simulation.pause("a")
    for number in range(5):
        simulation.inject("a", CODEC.pack([CODEC.encode(Ack(number))]), Address("x", 1))
    assert simulation.injected["inbox_full"] == 3
    assert simulation.processes["a"].packets_waiting == 2


def test_a_slow_process_takes_its_time_and_loses_no_timer() -> None:
    simulation = cluster("a", "b", "c", "d")
    simulation.slow("a", 0.02)
    simulation.run(60.0)
    assert len(simulation.processes["a"].waiting) < 10, "what waits does not pile up"
    simulation.slow("a", 0.0)
    simulation.run(60.0)
    assert simulation.agree()


def test_a_clock_that_jumps_forward_is_a_stall_and_one_that_drifts_is_not() -> None:
    simulation = cluster("a", "b", "c")
    simulation.skew("a", rate=1.01)
    simulation.run(30.0)
    statistics = simulation.processes["a"].engine.statistics()
    assert statistics.stalls == 0
    assert simulation.processes["a"].clock(simulation.now) > simulation.now
    simulation.skew("a", jump=20.0)
    simulation.run(30.0)
    assert simulation.processes["a"].engine.statistics().stalls == 1
    assert simulation.agree()
    assert not simulation.processes["b"].seen(MemberFailed)


def test_a_crash_breaks_streams_and_frees_the_address() -> None:
    simulation = cluster("a", "b")
    simulation.crash("b")
    token = simulation.join("a", "b")[0]
    simulation.run(1.0)
    assert simulation.processes["a"].results[token].error is not None
    simulation.start("b")
    with pytest.raises(ValueError, match="running already"):
        simulation.start("b")
    with pytest.raises(ValueError, match="listens at"):
        simulation.start("c", address=Address("h-b", 7946))
    with pytest.raises(ValueError, match="not running"):
        simulation.crash("nobody")


def test_a_process_that_leaves_ends_when_its_goodbye_was_told() -> None:
    simulation = cluster("a", "b", "c")
    simulation.leave("c")
    assert simulation.run_until(lambda: "c" not in simulation.processes, 10.0)
    assert simulation.run_until(simulation.agree, 1.0)
    assert simulation.processes["a"].seen(MemberLeft)
    assert not simulation.processes["a"].seen(MemberFailed)


def test_a_wrong_wall_clock_gives_a_low_first_incarnation() -> None:
    simulation = cluster("a", "b")
    before = simulation.crash("b").first_incarnation
    simulation.wall_offset = -1000.0
    assert simulation.start("b").first_incarnation < before


# -- streams ----------------------------------------------------------------------------


def test_a_reliable_message_arrives_whole_and_in_order() -> None:
    simulation = cluster("a", "b")
    payload = bytes(range(256)) * 2000
    token = simulation.command("a", "send_reliable", "b", payload)
    simulation.run(5.0)
    assert simulation.processes["a"].results[token].error is None
    assert [event.payload for event in simulation.processes["b"].seen(MessageReceived)] == [payload]
    assert simulation._runtime.pipes.open_at(simulation.processes["a"]) == 0


@pytest.mark.parametrize("fault", ["dial_refuse", "dial_hang", "stream_cut"])
def test_streams_that_fail_are_told_of_and_leave_nothing_open(fault: str) -> None:
    simulation = cluster("a", "b")
    simulation.links.change(**{fault: 1.0})
    token = simulation.command("a", "send_reliable", "b", b"x" * 10_000)
    simulation.run(60.0)
    assert simulation.processes["a"].results[token].error is not None
    assert simulation.injected[fault] >= 1
    simulation.links.change(**{fault: 0.0})
    simulation.run(12.0)  # whatever the engines began meanwhile
    for process in simulation.processes.values():
        assert simulation._runtime.pipes.open_at(process) == 0


def test_a_cut_in_the_middle_of_a_stream_swallows_the_rest_also_after_it() -> None:
    simulation = cluster("a", "b")
    token = simulation.command("a", "send_reliable", "b", b"x" * 1_000_000)
    receiver = simulation.processes["b"]
    assert simulation.run_until(lambda: simulation._runtime.pipes.open_at(receiver) > 0, 1.0)
    simulation.links.cut([("a", "b")])
    simulation.run(0.5)
    assert simulation.injected["stream_stall"] > 0
    simulation.links.heal()
    simulation.run(120.0)
    assert simulation.processes["a"].results[token].error is not None
    assert not simulation.processes["b"].seen(MessageReceived)
    assert simulation.agree()


def test_a_dial_into_a_cut_hangs_until_the_engine_gives_up() -> None:
    simulation = cluster("a", "b", "c")
    simulation.links.cut([("a", "b")])
    began = simulation.now
    token = simulation.command("a", "send_reliable", "b", b"x")
    results = simulation.processes["a"].results
    assert simulation.run_until(lambda: token in results, 60.0)
    assert results[token].error is not None
    assert simulation.now - began > 1.0
