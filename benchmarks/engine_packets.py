"""Turns of an engine for one packet each: what ``bench_engine`` runs and profiles."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable

import harness
from engine_world import Bench, ack_of, alive, member_address, member_name, packet
from harness import Measure

from trio_gossip.codec.messages import Ping
from trio_gossip.engine import SendPacket

SMALL_AIM = 12.0
FULL_AIM = 60.0
FULL = 13
"""Alive messages in a full packet, with names of 16 and metadata of 64 bytes: 1.36 KB."""

META = bytes(range(64))
GO_PING = "Go codec alone: decode 3.1-4.5 + encode 2.6-4.3"
GO_FULL = "Go codec alone: 13 x decode 3.3-6.8 = 43-89"


def packets(members: int, rounds: int, turns: int) -> list[Measure]:
    """Turns for one packet each, in microseconds."""
    bench = _ready(members)
    measures = [
        Measure(
            "ping in, ack out",
            "us",
            [ping_to_ack(bench, turns) for _ in range(rounds)],
            SMALL_AIM,
            memberlist=GO_PING,
        )
    ]
    ticks, acks = zip(*(probe_to_ack(bench, turns // 4) for _ in range(rounds)), strict=True)
    measures += [
        Measure("ack in, probe has succeeded", "us", acks, SMALL_AIM),
        Measure("probe begins, ping out", "us", ticks, SMALL_AIM),
        Measure(
            f"full packet: {FULL} alive, all known",
            "us",
            [known_alive(bench, turns // 4) for _ in range(rounds)],
            FULL_AIM,
            memberlist=GO_FULL,
        ),
    ]
    believed, gossiped = zip(
        *(newer_alive(bench, turns // 8, 2 + at * turns) for at in range(rounds)), strict=True
    )
    measures += [
        Measure(
            f"full packet: {FULL} alive, all newer", "us", believed, FULL_AIM, memberlist=GO_FULL
        ),
        Measure(
            f"full packet: {FULL} alive, all unknown",
            "us",
            [unknown_alive(turns // 8) for _ in range(rounds)],
            FULL_AIM,
            memberlist=GO_FULL,
        ),
        Measure("one packet of gossip out, full", "us", gossiped, FULL_AIM),
    ]
    return measures


def ping_to_ack(bench: Bench, turns: int) -> float:
    """A member pings; the ack goes out in the same turn."""
    engine, now = bench.engine, bench.now
    source = member_address(1)
    data = packet(Ping(123_456_789, bench.config.name, member_name(1)))
    assert engine.receive_packet(data, source, now=now), "the ping was not answered"

    def work() -> None:
        receive = engine.receive_packet
        for _ in range(turns):
            receive(data, source, now=now)

    return harness.cpu_microseconds(work, turns)


def probe_to_ack(bench: Bench, turns: int) -> tuple[float, float]:
    """A probe: the turn that sends the ping, and the turn that takes its ack."""
    engine = bench.engine
    clock = time.thread_time_ns
    empty = _clock_cost()
    ticks = acks = 0
    for _ in range(turns):
        bench.now = max(bench.now, engine.next_deadline)
        before = clock()
        outputs = engine.handle_timeout(now=bench.now)
        ticks += clock() - before
        assert len(outputs) == 1, "a turn that is more than the beginning of a probe"
        (output,) = outputs
        data = ack_of(output)
        assert isinstance(output, SendPacket)
        assert data is not None
        before = clock()
        engine.receive_packet(data, output.address, now=bench.now)
        acks += clock() - before
    assert engine.statistics().counters["probe_acked"] >= turns
    return (ticks / turns - empty) / 1000, (acks / turns - empty) / 1000


def known_alive(bench: Bench, turns: int) -> float:
    """Gossip that is no news: most packets while a cluster forms."""
    engine, now = bench.engine, bench.now
    data = packet(*(alive(number, 1, META) for number in range(1, FULL + 1)))
    source = member_address(FULL)

    def work() -> None:
        for _ in range(turns):
            engine.receive_packet(data, source, now=now)

    return harness.cpu_microseconds(work, turns)


def newer_alive(bench: Bench, turns: int, incarnation: int) -> tuple[float, float]:
    """Thirteen members have refuted: all is believed and queued. Also the gossip that follows."""
    engine = bench.engine
    clock = time.thread_time_ns
    empty = _clock_cost()
    source = member_address(FULL)
    believing = gossiping = sent = 0
    for turn in range(turns):
        data = packet(*(alive(n, incarnation + turn, META) for n in range(1, FULL + 1)))
        before = clock()
        engine.receive_packet(data, source, now=bench.now)
        believing += clock() - before
        if turn % 8 == 7:
            bench.now = max(bench.now, engine.next_deadline)
            before = clock()
            outputs = engine.handle_timeout(now=bench.now)
            took = clock() - before
            full = [out for out in outputs if isinstance(out, SendPacket) and len(out.data) > 1200]
            if len(full) == len(outputs) == bench.config.gossip_nodes:
                gossiping += took - empty
                sent += len(full)
            bench.answer(outputs)
    bench.settle()
    return (believing / turns - empty) / 1000, gossiping / max(sent, 1) / 1000


def unknown_alive(turns: int) -> float:
    """Thirteen members that nobody has heard of, in each packet."""
    turns = max(turns, 8)
    bench = Bench()
    datas = [
        packet(*(alive(FULL * turn + at, 1, META) for at in range(1, FULL + 1)))
        for turn in range(turns)
    ]

    def work() -> None:
        for data in datas:
            bench.engine.receive_packet(data, bench.address, now=bench.now)

    taken = harness.cpu_microseconds(work, turns)
    assert bench.engine.statistics().active == FULL * turns + 1
    return taken


def _clock_cost() -> float:
    """Nanoseconds between two readings of the clock with nothing between them."""
    clock = time.thread_time_ns
    costs = []
    for _ in range(200):
        before = clock()
        costs.append(clock() - before)
    return sorted(costs)[100]


def _ready(members: int) -> Bench:
    """An engine that knows so many members and has nothing to tell."""
    bench = Bench()
    bench.learn(range(1, members + 1), META)
    bench.settle()
    return bench


def profile(members: int, turns: int) -> None:
    """Where the time of the packets goes."""
    bench = _ready(members)
    cases: dict[str, Callable[[], object]] = {
        "ping in, ack out": lambda: ping_to_ack(bench, turns),
        "probe and ack": lambda: probe_to_ack(bench, turns),
        "13 known": lambda: known_alive(bench, turns),
        "13 newer": lambda: newer_alive(bench, turns, 2),
        "13 unknown": lambda: unknown_alive(turns // 8),
    }
    for name, work in cases.items():
        print(f"\n--- {name} ---")
        profiler = cProfile.Profile()
        profiler.runcall(work)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(14)
