"""Simulated clusters whose packets and streams are sealed by the real code."""

from __future__ import annotations

import pytest

from tests.simulation.rotation import sealed_cluster
from trio_gossip.addresses import Address
from trio_gossip.events import MessageReceived
from trio_gossip.failures import DialFailure, RefusalReason
from trio_gossip.testing import Observer, Process, Scenario, Simulation, Step, play
from trio_gossip.testing.sealed import NativeSealing, key_of
from trio_gossip.testing.simulation.sealed_pipes import SealedPipes

NAMES = ("a", "b", "c")
OVERHEAD = 35
HELLO = 0xE1


class Looking(Observer):
    """See the names of its lists."""

    def __init__(self) -> None:
        self.clear: list[bytes] = []
        self.came: list[bytes] = []
        self.on_links: list[bytes] = []
        self.on_streams: list[bytes] = []

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        self.clear.append(data)

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        self.came.append(data)

    def carried(self, process: Process, data: bytes, address: Address) -> None:
        self.on_links.append(data)

    def streamed(self, process: Process, data: bytes, peer: Process) -> None:
        self.on_streams.append(data)


def two(**sealing: object) -> tuple[Simulation, Looking]:
    """Two members that have not spoken yet; ``b`` may find other keys than ``a``."""
    keys = NativeSealing([key_of(1)])
    for name, number in sealing.items():
        keys.give(name, [key_of(1, number).secret])
    simulation = Simulation(1, sealing=keys)
    looking = Looking()
    simulation.observe(looking)
    simulation.start("a")
    simulation.start("b")
    return simulation, looking


def test_observers_see_packets_in_the_clear_and_links_carry_none() -> None:
    simulation, looking = two()
    simulation.join("b", "a")
    simulation.run(20.0)
    assert simulation.agree()
    assert looking.came
    assert set(looking.came) <= set(looking.clear)
    handshakes = sum(each.handshakes_sent for each in simulation.processes.values())
    assert handshakes >= 4, "a hello and a welcome in both directions"
    assert len(looking.on_links) == len(looking.clear) + handshakes
    assert not set(looking.on_links) & set(looking.clear)
    simulation.do("a", "send", "b", b"in the clear")
    simulation.run(1.0)
    assert any(b"in the clear" in each for each in looking.clear)
    assert not any(b"in the clear" in each for each in looking.on_links)


def test_a_message_by_stream_arrives_whole_and_is_nowhere_in_the_clear() -> None:
    simulation, looking = two()
    simulation.join("b", "a")
    simulation.run(2.0)
    payload = b"a word in the clear " * 20_000
    token = simulation.command("a", "send_reliable", "b", payload)
    simulation.run(5.0)
    assert simulation.processes["a"].results[token].error is None
    (message,) = simulation.processes["b"].seen(MessageReceived)
    assert message.payload == payload
    assert sum(map(len, looking.on_streams)) > len(payload)
    assert not any(b"a word in the clear" in each for each in looking.on_streams)


def test_a_packet_has_room_for_its_seal() -> None:
    simulation = Simulation(1, sealing=NativeSealing([key_of(1)]))
    looking = Looking()
    simulation.observe(looking)
    for name in NAMES:
        simulation.start(name, packet_limit=1000)
        simulation.join(name, "a")
    for number in range(60):
        simulation.do("a", "broadcast", b"%d" % number * 300)
    simulation.run(10.0)
    assert max(map(len, looking.clear)) <= 1000 - OVERHEAD
    assert 900 < max(map(len, looking.on_links)) <= 1000


@pytest.mark.parametrize("joiner", ["a", "b"])
def test_a_member_with_another_key_stays_alone_and_is_told_why(joiner: str) -> None:
    simulation, looking = two(b=7)
    other = {"a": "b", "b": "a"}[joiner]
    (token,) = simulation.join(joiner, other)
    simulation.run(20.0)
    process = simulation.processes[joiner]
    assert "handshake" in str(process.results[token].error).lower()
    assert process.active_names() == {joiner}
    assert simulation.processes[other].active_names() == {other}
    assert not looking.came


def test_a_stranger_is_not_heard() -> None:
    plain = Simulation(5)
    plain.start("stranger")
    looking = Looking()
    plain.observe(looking)
    plain.join("stranger", Address("h-nobody", 7946))
    simulation = sealed_cluster(1, NAMES)
    before = simulation.processes["a"].engine.statistics().counters
    watcher = Looking()
    simulation.observe(watcher)
    simulation.inject("a", b"\x81\x83\x01\x01\x01", Address("stranger", 1))
    assert not watcher.came
    assert simulation.processes["a"].seal.counts["unsealed"] == 1
    assert simulation.processes["a"].engine.statistics().counters == before


def test_what_was_recorded_is_taken_by_nobody_again() -> None:
    simulation = sealed_cluster(1, NAMES)
    looking = Looking()
    simulation.observe(looking)
    simulation.run(10.0)
    recorded = list(looking.on_links)
    assert len(recorded) > 50
    simulation.pause("b")  # so that nothing else arrives meanwhile
    simulation.run(0.1)
    came = len(looking.came)
    for data in (*recorded, *reversed(recorded)):
        for name in ("a", "c"):
            simulation.inject(name, data, simulation.processes["b"].address)
    assert len(looking.came) == came


def test_a_paused_member_neither_answers_a_handshake_nor_opens_anything() -> None:
    simulation, looking = two()
    simulation.pause("b")
    (token,) = simulation.join("a", "b")
    simulation.run(2.0)
    assert token not in simulation.processes["a"].results
    assert not looking.came
    simulation.resume("b")
    simulation.run(2.0)
    assert simulation.processes["a"].results[token].error is None
    assert simulation.agree()


def test_a_restarted_member_has_another_boot_and_the_keys_it_had() -> None:
    simulation, looking = two()
    simulation.join("b", "a")
    simulation.run(2.0)
    for operation in ("install", "use"):
        simulation.keys("b", operation, key_of(1, 1).secret)
        simulation.run(2.0)
    ids = simulation.processes["a"].seal.key_ids
    assert ids == (key_of(1, 1).fingerprint, key_of(1).fingerprint)
    simulation.crash("a")
    simulation.start("a", incarnation=1_800_000_000)
    assert simulation.processes["a"].seal.key_ids == ids
    simulation.join("a", "b")
    assert simulation.run_until(simulation.agree, 30.0)
    boots = {each[5:13] for each in looking.on_links if each[0] == HELLO}
    assert len(boots) == 3, "one of b, and one of each life of a"


def test_a_stream_that_is_cut_in_its_handshake_fails_at_both_ends() -> None:
    simulation, _ = two()
    simulation.links.change(stream_cut=1.0)
    (token,) = simulation.join("b", "a")
    simulation.run(5.0)
    assert "reset" in str(simulation.processes["b"].results[token].error)
    pipes = simulation._runtime.pipes
    assert isinstance(pipes, SealedPipes)
    assert not pipes.open_at(simulation.processes["a"])
    assert not pipes.open_at(simulation.processes["b"])


def test_a_refusal_that_comes_before_the_key_waits_for_it() -> None:
    """An engine that takes no more streams says so at once, before the prefaces have crossed."""
    simulation, _ = two()
    process = simulation.processes["a"]
    engine = process.engine
    engine.exchange_accepted = _refusing(engine.exchange_accepted, engine)
    (token,) = simulation.join("b", "a")
    simulation.run(5.0)
    assert "no more" in str(simulation.processes["b"].results[token].error)
    assert not simulation._runtime.pipes.open_at(process)


def _refusing(accepted, engine):
    from trio_gossip.codec.messages import Refusal
    from trio_gossip.engine import CloseExchange, SendFrame

    def refuse(exchange: int, source: Address, names: tuple[str, ...] = (), *, now: float):
        accepted(exchange, source, names, now=now)
        engine.exchange_failed(exchange, DialFailure.RESET, now=now)
        frame = engine._node.codec.encode_frame(Refusal(RefusalReason.BUSY, "no more"))
        return [SendFrame(exchange, frame), CloseExchange(exchange, drain=True)]

    return refuse


def test_equal_seeds_give_equal_runs_and_a_sealed_one_is_another() -> None:
    steps = (
        Step(at=2.0, kind="rotate-keys", names=("n01",), amount=0.5, seconds=20.0),
        Step(at=3.0, kind="restart", names=("n02",), seconds=5.0),
    )
    scenario = Scenario(seed=4, nodes=5, sealed=True, steps=steps)
    first, again = play(scenario), play(Scenario.from_json(scenario.to_json()))
    assert not first.violations
    assert first.digest == again.digest
    assert first.applied == {"rotate-keys": 1, "restart": 1}
    plain = play(Scenario(seed=4, nodes=5, steps=steps))
    assert plain.digest != first.digest
    assert plain.skipped == {"rotate-keys": 1}
