"""The simulator itself: time, links, streams, processes that cannot run."""

from __future__ import annotations

import random

import pytest

from trio_gossip import Address, Config, ConfigError
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Ack, Alive, Ping
from trio_gossip.events import MemberFailed, MemberJoined, MemberLeft, MessageReceived
from trio_gossip.members import MemberState
from trio_gossip.testing import LinkFaults, Observer, Simulation, Trace
from trio_gossip.testing.simulation.by_reference import ByReferenceCodec
from trio_gossip.testing.simulation.links import Links, Spoiled
from trio_gossip.testing.simulation.schedule import Schedule

CODEC = NativeCodec()


def cluster(*names: str, seed: int = 1, **options: object) -> Simulation:
    simulation = Simulation(seed, **options)
    for name in names:
        simulation.start(name)
        if name != names[0]:
            simulation.join(name, names[0])
    assert simulation.run_until(simulation.agree, 30.0)
    return simulation


# -- time -------------------------------------------------------------------------------


def test_equal_times_run_in_the_order_of_scheduling() -> None:
    schedule = Schedule()
    ran: list[str] = []
    schedule.at(1.0, ran.append, "first")
    schedule.at(1.0, ran.append, "second")
    schedule.at(0.5, ran.append, "early")
    schedule.run(2.0)
    assert ran == ["early", "first", "second"]
    assert (schedule.now, schedule.steps, len(schedule)) == (2.0, 3, 0)


def test_what_is_scheduled_for_the_past_runs_now() -> None:
    schedule = Schedule()
    schedule.run(5.0)
    times: list[float] = []
    schedule.at(1.0, lambda: times.append(schedule.now))
    schedule.run(6.0)
    assert times == [5.0]


def test_run_until_stops_at_the_step_that_made_it_true() -> None:
    schedule = Schedule()
    ran: list[int] = []
    for number in range(5):
        schedule.at(float(number), ran.append, number)
    assert schedule.run_until(lambda: len(ran) == 3, 10.0)
    assert schedule.now == 2.0
    assert not schedule.run_until(lambda: False, 10.0)
    assert (schedule.now, ran) == (10.0, [0, 1, 2, 3, 4])


# -- runs that repeat themselves --------------------------------------------------------


def test_one_seed_one_digest() -> None:
    digests = []
    for seed in (7, 7, 8):
        simulation = cluster("a", "b", "c", seed=seed, loss=0.1, tail=0.1)
        simulation.crash("b")
        simulation.run(20.0)
        digests.append(simulation.digest())
    assert digests[0] == digests[1] != digests[2]


def test_by_reference_nothing_is_decided_otherwise() -> None:
    told = []
    for codec in (None, ByReferenceCodec()):
        simulation = cluster("a", "b", "c", "d", codec=codec, loss=0.1)
        simulation.do("a", "broadcast", b"hello")
        simulation.crash("d")
        simulation.run(60.0)
        told.append([list(process.events) for process in simulation.processes.values()])
    assert told[0] == told[1]


def test_by_reference_foreign_bytes_are_parsed() -> None:
    simulation = cluster("a", "b", codec=ByReferenceCodec())
    simulation.inject("a", b"garbage", Address("stranger", 1))
    assert simulation.processes["a"].engine.statistics().counters["packet_shape"] == 1
    decoder = ByReferenceCodec().stream_decoder(accepted=True)
    assert decoder.feed_untrusted(CODEC.encode_frame(_frame())) == [_frame()]


def _frame() -> object:
    from trio_gossip.codec.messages import StreamAck

    return StreamAck(7)


# -- links ------------------------------------------------------------------------------


def links_with(**faults: object) -> Links:
    return Links(random.Random(1), LinkFaults(**faults))


def fates(links: Links, count: int = 2000) -> list[object]:
    return [links.fate("a", "b", b"x" * 50, 10.0) for _ in range(count)]


@pytest.mark.parametrize(
    ("fault", "low", "high"),
    [("loss", 0.2, 0.4), ("duplicate", 0.2, 0.4), ("reorder", 0.2, 0.4), ("tail", 0.2, 0.4)],
)
def test_each_fault_hits_about_as_often_as_told(fault: str, low: float, high: float) -> None:
    links = links_with(**{fault: 0.3})
    fates(links)
    assert low < links.injected[fault] / 2000 < high
    assert set(links.injected) == {fault}, "nothing else was injected"


def test_losses_come_in_bursts() -> None:
    links = links_with(burst=0.02, burst_packets=10.0)
    lost = [fate == "burst" for fate in fates(links)]
    begins = sum(now and not before for before, now in zip([False, *lost], lost, strict=False))
    assert begins > 10
    assert 5.0 < sum(lost) / begins < 15.0


def test_what_is_corrupted_is_marked_and_what_is_truncated_is_shorter() -> None:
    spoiled = [fate[0][1] for fate in fates(links_with(corrupt=1.0), 50)]
    assert all(type(data) is Spoiled and len(data) == 50 for data in spoiled)
    short = [fate[0][1] for fate in fates(links_with(truncate=1.0), 50)]
    assert all(len(data) < 50 for data in short)


def test_a_packet_above_the_mtu_vanishes() -> None:
    assert fates(links_with(mtu=49), 1) == ["mtu"]
    assert fates(links_with(mtu=50), 1) != ["mtu"]


def test_overlapping_cuts_need_a_mending_each() -> None:
    links = links_with()
    links.cut([("a", "b")])
    links.cut([("a", "b"), ("b", "a")])
    links.mend([("a", "b")])
    assert links.is_cut("a", "b")
    assert links.is_severed("b", "a")
    links.mend([("a", "b"), ("b", "a")])
    assert not links.is_severed("a", "b")
    assert not isinstance(links.fate("a", "b", b"x", 0.0), str)


def test_a_clogged_link_holds_everything_until_its_time() -> None:
    links = links_with()
    links.clog([("a", "b")], 12.0)
    assert links.fate("a", "b", b"x", 10.0)[0][0] == 12.0
    assert links.fate("b", "a", b"x", 10.0)[0][0] < 11.0
    assert links.stream_delay("a", "b", 10.0) == 2.0


def test_one_direction_can_have_faults_of_its_own() -> None:
    links = links_with()
    links.change_one("a", "b", loss=1.0)
    assert links.fate("a", "b", b"x", 0.0) == "loss"
    assert links.fate("b", "a", b"x", 0.0) != "loss"
    links.heal()
    assert links.fate("a", "b", b"x", 0.0) != "loss"


@pytest.mark.parametrize("faults", [{"loss": 1.5}, {"latency": (2.0, 1.0)}, {"mtu": -1}])
def test_an_impossible_fault_is_refused(faults: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Simulation(1, **faults)


def test_a_corrupted_packet_that_still_makes_sense_is_dropped_as_by_a_checksum() -> None:
    simulation = cluster("a", "b")
    good = CODEC.pack([CODEC.encode(Ack(1))])
    before = simulation.processes["a"].engine.statistics().counters
    simulation._runtime.arrive(simulation.processes["a"], Spoiled(good), Address("x", 1))
    simulation._runtime.arrive(simulation.processes["a"], Spoiled(b"nonsense"), Address("x", 1))
    after = simulation.processes["a"].engine.statistics().counters
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {"packet_shape"}
    assert simulation.injected["checksum"] == 1


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


# -- observers and traces ---------------------------------------------------------------


class Everything(Observer):
    """Counts the calls of every hook."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}

    def _count(self, hook: str) -> None:
        self.calls[hook] = self.calls.get(hook, 0) + 1

    def started(self, process: object) -> None:
        self._count("started")

    def ended(self, process: object, how: str) -> None:
        self._count("ended")

    def event(self, process: object, event: object) -> None:
        self._count("event")

    def completed(self, process: object, complete: object) -> None:
        self._count("completed")

    def changed(self, process: object, name: str, before: object, after: object) -> None:
        assert before is not None or after is not None
        assert before != after
        self._count("changed")

    def sent(self, process: object, data: bytes, address: Address) -> None:
        self._count("sent")

    def arrived(self, process: object, data: bytes, source: Address) -> None:
        self._count("arrived")

    def lost(self, process: object, data: bytes, address: Address, reason: str) -> None:
        self._count("lost")

    def turned(self, process: object, outputs: list[object]) -> None:
        self._count("turned")

    def injected(self, kind: str, names: tuple[str, ...]) -> None:
        self._count("injected")


def test_an_observer_sees_every_step_and_disturbs_none() -> None:
    watched = Everything()
    digests = []
    for observer in (None, watched):
        simulation = Simulation(5, loss=0.1)
        if observer is not None:
            simulation.observe(observer)
        for name in "abc":
            simulation.start(name)
            simulation.join(name, "a")
        simulation.run(10.0)
        simulation.crash("c")
        simulation.note("test", ["a"], "said so")
        simulation.run(60.0)
        digests.append(simulation.digest())
    assert digests[0] == digests[1]
    assert set(watched.calls) == {name for name in vars(Observer) if not name.startswith("_")}, (
        "each hook was called"
    )


def test_a_trace_reads_like_a_log_and_says_where_two_runs_part() -> None:
    traces = []
    for crash_at in (5.0, 6.0):
        trace = Trace()
        simulation = cluster("a", "b", "c", trace=trace)
        simulation.run(crash_at)
        simulation.crash("c")
        simulation.run(15.0)
        traces.append(trace)
    text = "\n".join(traces[0].lines())
    assert "a -> b" in text
    assert "ping b" in text
    assert "event    a MemberFailed c" in text
    assert traces[0].diff(traces[0]) == ""
    difference = traces[0].diff(traces[1]).splitlines()
    assert "differ from record" in difference[0]
    assert difference[4].startswith("- ")
    assert "end" in difference[4]


def test_a_trace_keeps_what_it_may_and_digests_all() -> None:
    small, large = Trace(keep=10), Trace()
    for trace in (small, large):
        for number in range(2000):
            trace.add(float(number), "note", "a", "", str(number))
    assert small.digest() == large.digest()
    assert (len(small), small.dropped, small.count) == (10, 1990, 2000)
    assert next(iter(small))[4] == "1990"


def test_an_undecodable_packet_is_shown_as_such() -> None:
    trace = Trace()
    trace.add(1.0, "send", "a", "b", b"garbage")
    ping = CODEC.pack([CODEC.encode(Ping(1, "b", "a", None))])
    trace.add(1.5, "send", "a", "b", ping)
    assert [line.split("] ")[-1] for line in trace.lines()][1] == "ping b"
    assert "undecodable" in next(trace.lines())


# -- a converged start ------------------------------------------------------------------


def test_a_converged_start_is_quiet_and_works() -> None:
    simulation = Simulation(1)
    names = [f"n{number}" for number in range(20)]
    simulation.start_converged(names)
    assert simulation.agree()
    simulation.run(10.0)
    assert simulation.agree()
    packets = sum(process.packets_sent for process in simulation.processes.values())
    assert packets <= 20 * 10 * 2 + 40, "only probes and their answers"
    simulation.crash("n3")
    assert simulation.run_until(simulation.agree, 60.0)
    simulation.start("n3")
    simulation.join("n3", "n5")
    assert simulation.run_until(simulation.agree, 60.0)
    assert all(
        process.engine.member("n3").state is MemberState.ALIVE
        for process in simulation.processes.values()
    )
    assert len(simulation.processes["n0"].seen(MemberJoined)) >= 2


def test_settings_that_do_not_go_together_are_refused() -> None:
    simulation = Simulation(1)
    with pytest.raises(ConfigError):
        simulation.start("a", probe_timeout=-1.0)
    simulation.start("a", config=Config.wan(name="a"))
    assert simulation.processes["a"].config.probe_interval == 5.0


def test_a_forged_alive_of_a_stranger_is_an_event_like_any_other() -> None:
    simulation = cluster("a", "b")
    forged = Alive(5, "ghost", Address("h-ghost", 7946), b"", bytes((1, 1, 1, 0, 0, 0)))
    simulation.inject("a", CODEC.pack([CODEC.encode(forged)]), Address("h-ghost", 7946))
    simulation.run(60.0)
    assert simulation.agree(), "nobody answers there, so that it is failed by now"
    assert simulation.injected["hostile"] == 1
