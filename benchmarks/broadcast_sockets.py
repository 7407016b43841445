"""The part of ``bench_broadcast`` with real sockets: members on loopback, in a few processes.

Both ways of gossip run in turn, so that a busy machine slows both alike.
"""

from __future__ import annotations

import argparse
import time

from harness import Measure, percentile, print_measures, print_note
from processes import Child, Children

MODES = {"eager": {}, "rounds": {"eager_copies": 0}}
"""Settings of each way; ``rounds`` is memberlist's."""

MEMBERLIST = {30: "0.57 mean", 100: "0.70 mean"}
"""Seconds to all, of memberlist on loopback sockets."""

AIMS = {30: 0.05, 100: 0.06}
SETTLE_SECONDS = 2.5
"""From a broadcast to the next: every transmission is over by then."""

CALM_SECONDS = 5.0
"""Without a broadcast, for the packets of rest."""


def sockets(options: argparse.Namespace) -> None:
    """Time to all and packets a node, for each size of cluster."""
    for size in options.sizes:
        measures: list[Measure] = []
        reached: list[Measure] = []
        costs: list[Measure] = []
        for mode in MODES:
            times, last, packets = _measure(size, mode, options)
            aim = AIMS.get(size) if mode == "eager" else None
            go = MEMBERLIST.get(size, "")
            what = f"{mode}: the last member"
            measures.append(Measure(what, "s", last, aim, memberlist=go, by_mean=True))
            measures.append(Measure(f"{mode}: any member", "s", times))
            p99 = [percentile(last, 0.99)] if last else []
            measures.append(Measure(f"{mode}: the last member, p99", "s", p99))
            share = [len(times) / ((size - 1) * options.rounds)]
            reached.append(Measure(f"{mode}: reached", "share", share))
            costs.append(Measure(f"{mode}: packets a node", "1", packets))
        where = f"N={size} on loopback sockets, {options.processes} processes"
        print_measures(f"{where}: one broadcast of {options.bytes} bytes", measures)
        print_measures("What it took, above a cluster at rest", [*reached, *costs])


def _measure(
    size: int, mode: str, options: argparse.Namespace
) -> tuple[list[float], list[float], list[float]]:
    """Seconds to each member and to the last one, and packets a node for one broadcast."""
    times: list[float] = []
    last: list[float] = []
    packets: list[float] = []
    with Children() as children:
        workers = _start(children, size, mode, options.processes)
        rest = _packets_during(children, workers, CALM_SECONDS) / CALM_SECONDS
        for number in range(options.rounds):
            print_note(f"N={size} {mode}: broadcast {number + 1} of {options.rounds}")
            speaker = workers[number % len(workers)]
            before = _packets(children, workers)
            started = time.monotonic()
            label = f"{mode}-{number}"
            name = f"{speaker.name}-0"
            began = children.ask(speaker, "broadcast", name=name, label=label, size=options.bytes)[
                "began"
            ]
            time.sleep(SETTLE_SECONDS)
            sent = _packets(children, workers) - before
            passed = time.monotonic() - started
            arrivals = [
                moment - began
                for answer in children.ask_all(workers, "arrived", label=label)
                for moment in answer["times"]
            ]
            times += arrivals
            if len(arrivals) == size - 1:
                last.append(max(arrivals))
            packets.append((sent - rest * passed) / size)
    return times, last, packets


def _start(children: Children, size: int, mode: str, processes: int) -> list[Child]:
    """A cluster at rest; its members are spread over the processes."""
    workers = [children.worker(f"w{at}") for at in range(processes)]
    seed = ""
    for at, worker in enumerate(workers):
        count = size // processes + (at < size % processes)
        names = [f"{worker.name}-{number}" for number in range(count)]
        answer = children.ask(worker, "open", names=names, **MODES[mode])
        seed = seed or next(iter(answer["addresses"].values()))
    print_note(f"N={size} {mode}: joining")
    children.ask_all(workers, "join", seed=seed, expect=size)
    children.ask_all(workers, "listen")
    time.sleep(2 * SETTLE_SECONDS)
    return workers


def _packets(children: Children, workers: list[Child]) -> float:
    """Datagrams that all members have sent so far."""
    answers = children.ask_all(workers, "statistics")
    return sum(node["packets"] for answer in answers for node in answer["nodes"].values())


def _packets_during(children: Children, workers: list[Child], seconds: float) -> float:
    before = _packets(children, workers)
    time.sleep(seconds)
    return _packets(children, workers) - before
