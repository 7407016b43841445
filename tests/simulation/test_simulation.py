"""The simulator: time, repeatable runs, links, a start at rest."""

from __future__ import annotations

import inspect
import random

import pytest

from tests.simulation.forming import cluster
from trio_gossip import Address, Config, ConfigError
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Ack, Alive, StreamAck
from trio_gossip.engine import Engine
from trio_gossip.events import MemberJoined
from trio_gossip.members import MemberState
from trio_gossip.testing import LinkFaults, Simulation
from trio_gossip.testing.simulation.arguments import CALLS, COMMANDS
from trio_gossip.testing.simulation.by_reference import ByReferenceCodec
from trio_gossip.testing.simulation.links import Links, Spoiled
from trio_gossip.testing.simulation.schedule import Schedule

CODEC = NativeCodec()


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
    assert decoder.feed_untrusted(CODEC.encode_frame(StreamAck(7))) == [StreamAck(7)]


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


@pytest.mark.parametrize(
    "faults",
    [
        {"loss": 1.5},
        {"loss": "x"},
        {"loss": True},
        {"loss": float("nan")},
        {"latency": (2.0, 1.0)},
        {"latency": -1},
        {"latency": (1, 2, 3)},
        {"latency": "ab"},
        {"latency": None},
        {"mtu": -1},
        {"mtu": 0.5},
        {"burst_packets": 0},
        {"burst_packets": float("inf")},
        {"hold": 10**400},
    ],
)
def test_an_impossible_fault_is_refused(faults: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Simulation(1, **faults)


def test_one_number_is_a_latency_without_chance() -> None:
    assert LinkFaults(latency=5) == LinkFaults(latency=(5, 5))
    simulation = cluster("a", "b")
    simulation.links.change(latency=0.5)
    assert simulation.links.fate("a", "b", b"x", 1.0) == [(1.5, b"x")]


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


# -- a converged start ------------------------------------------------------------------


def test_a_converged_start_is_quiet_and_works() -> None:
    simulation = Simulation(1)
    names = [f"n{number}" for number in range(20)]
    simulation.start_converged(names)
    assert simulation.agree()
    simulation.run(10.0)
    assert simulation.agree()
    packets = sum(process.packets_sent for process in simulation.processes.values())
    assert packets <= 20 * 10 * 4 + 80, "only probes of two loops and their answers"
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


# -- what is handed to it ---------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda world: world.run(-1),
        lambda world: world.run(float("nan")),
        lambda world: world.run(float("inf")),
        lambda world: world.run("x"),
        lambda world: world.run_until(lambda: False, -1.0),
        lambda world: world.run_until(lambda: False, float("inf")),
        lambda world: world.at(float("nan"), lambda: None),
        lambda world: world.slow("a", -1),
        lambda world: world.skew("a", rate=0.0),
        lambda world: world.skew("a", jump=-1.0),
    ],
)
def test_time_only_goes_forward(call) -> None:
    simulation = cluster("a", "b")
    before = simulation.now, simulation.digest()
    with pytest.raises(ValueError, match=r"must be (0 or more seconds|above 0), not"):
        call(simulation)
    simulation.run(0)
    assert (simulation.now, simulation.digest()) == before


def test_only_calls_of_the_table_reach_an_engine() -> None:
    simulation = cluster("a", "b")
    for call in ("members", "__init__", "_table", "ping", "brodcast", 5):
        with pytest.raises(ValueError, match=r"do\(\) knows broadcast, send, update_meta, "):
            simulation.do("a", call)
    for call in ("broadcast", "new_exchange", "nothing", None):
        with pytest.raises(ValueError, match=r"command\(\) knows join, leave, ping, send_reliable"):
            simulation.command("a", call)
    assert simulation.processes["a"].tokens == 0, "none was used up"


@pytest.mark.parametrize(
    ("call", "arguments", "words"),
    [
        ("broadcast", ("text",), "broadcast takes bytes, not 'text'"),
        ("broadcast", (bytearray(b"x"),), "broadcast takes bytes, not bytearray(b'x')"),
        ("broadcast", (), "broadcast takes 1 argument (bytes), not 0"),
        ("update_meta", (None,), "update_meta takes bytes, not None"),
        ("send", (b"b", b"x"), "send takes str, not b'b'"),
        ("send", ("b",), "send takes 2 arguments (str, bytes), not 1"),
        ("handle_timeout", (1.0,), "handle_timeout takes 0 arguments, not 1"),
    ],
)
def test_payloads_are_bytes_also_of_who_cannot_run(call: str, arguments, words: str) -> None:
    simulation = cluster("a", "b")
    simulation.pause("a")
    with pytest.raises(TypeError) as caught:
        simulation.do("a", call, *arguments)
    assert str(caught.value) == words


def test_payloads_of_commands_are_bytes() -> None:
    with pytest.raises(TypeError, match="send_reliable takes bytes, not 'x'"):
        cluster("a", "b").command("a", "send_reliable", "b", "x")


@pytest.mark.parametrize("table", [CALLS, COMMANDS])
def test_every_call_of_the_tables_is_one_of_engines(table) -> None:
    for call, types in table.items():
        parameters = inspect.signature(getattr(Engine, call)).parameters.values()
        positional = [each for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
        given = [each for each in positional if each.default is each.empty]
        assert len(given) - 1 == len(types), call
        keywords = {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}
        assert ("token" in keywords) == (table is COMMANDS)


@pytest.mark.parametrize("seed", ["x", 1.0, None, True])
def test_a_seed_is_a_whole_number(seed: object) -> None:
    with pytest.raises(TypeError, match="seed must be a whole number, not"):
        Simulation(seed)
