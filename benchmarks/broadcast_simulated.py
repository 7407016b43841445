"""The simulated parts of ``bench_broadcast``: large clusters, storms, and losses.

Virtual time: nothing here depends on the speed of the machine, and each row can be repeated.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from typing import Any

from harness import Measure, percentile, print_measures, print_note

from trio_gossip.addresses import Address
from trio_gossip.codec.messages import Broadcast
from trio_gossip.events import Event, MemberUpdated, MessageReceived
from trio_gossip.testing import Observer, Simulation
from trio_gossip.testing.simulation.by_reference import ByReferenceCodec
from trio_gossip.testing.simulation.process import Process

MODES: dict[str, dict[str, Any]] = {"eager": {}, "rounds": {"eager_copies": 0}}
LATENCY = (0.0005, 0.0015)
"""Of all links, in seconds: 1 ms on average."""

REFERENCE = {
    "single 99": "811 ms mean",
    "single 100": "1,008 ms mean, 1,321 p99",
    "joins 99": "23 s",
    "joins 100": "38 s",
    "joins KB": "1,652 KB",
    "loss": "4.9 %",
}
"""memberlist's shape, by an independent simulation."""

LOSS_BATCH = 50
"""Broadcasts of one cluster; then a fresh one begins."""

WITHIN = 3.0
"""Seconds within which a message should be everywhere in spite of losses."""


class Spread(Observer):
    """When each rumour was news to each member, and how often it was sent."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.at: dict[object, list[float]] = {}
        self.copies = 0

    def event(self, process: Process, event: Event) -> None:
        if isinstance(event, MessageReceived):
            self.at.setdefault(event.payload, []).append(self.simulation.now)
        elif isinstance(event, MemberUpdated):
            self.at.setdefault(event.member.name, []).append(self.simulation.now)


class Copies(Spread):
    """Counts the transmissions of broadcasts too."""

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        messages = getattr(data, "messages", ())
        self.copies += sum(type(message) is Broadcast for message in messages)


def _resting(
    nodes: int, seed: int, observer: type[Spread], faults: dict[str, Any], **changes: Any
) -> tuple[Simulation, Any, list[str]]:
    simulation = Simulation(seed, codec=ByReferenceCodec(), latency=LATENCY, **faults)
    names = [f"n{number:05}" for number in range(nodes)]
    simulation.start_converged(names, **changes)
    watch = observer(simulation)
    simulation.observe(watch)
    simulation.run(1.0)
    return simulation, watch, names


# -- one message ------------------------------------------------------------------------


def single(options: argparse.Namespace) -> None:
    """One broadcast at a time in a large cluster."""
    nodes = options.nodes
    measures: list[Measure] = []
    for mode, changes in MODES.items():
        print_note(f"N={nodes} {mode}: {options.runs} broadcasts")
        simulation, watch, names = _resting(nodes, 1, Copies, {}, **changes)
        most, whole, copies = [], [], []
        for run in range(options.runs):
            payload = (b"%d" % run).ljust(options.bytes, b".")
            watch.copies = 0
            began = simulation.now
            simulation.do(names[(run * 37) % nodes], "broadcast", payload)
            simulation.run(4.0)
            times = sorted(moment - began for moment in watch.at[payload])
            copies.append(watch.copies / nodes)
            most.append(1000 * times[int(0.99 * (nodes - 1)) - 1])
            if len(times) == nodes - 1:
                whole.append(1000 * times[-1])
        aims = (15.0, 250.0, 16.0) if mode == "eager" else (None, None, None)
        single_99, single_100 = REFERENCE["single 99"], REFERENCE["single 100"]
        measures += [
            Measure(f"{mode}: to 99 %", "ms", most, aims[0], False, single_99, by_mean=True),
            Measure(f"{mode}: to all", "ms", whole, aims[1], False, single_100, by_mean=True),
            Measure(f"{mode}: to all, p99", "ms", [percentile(whole, 0.99)] if whole else []),
            Measure(f"{mode}: sends a node", "1", copies, aims[2]),
        ]
    title = f"Simulated, N={nodes}, links of 1 ms: one broadcast of {options.bytes} bytes"
    print_measures(title, measures)


# -- storms -----------------------------------------------------------------------------


def storm(options: argparse.Namespace) -> None:
    """As many members as there are announce themselves within one second, as newcomers do."""
    nodes = options.storm
    measures: list[Measure] = []
    for mode, changes in MODES.items():
        print_note(f"{nodes} announcements in one second, {mode}")
        simulation, watch, names = _resting(nodes, 2, Spread, {}, **changes)
        began = simulation.now
        born: dict[str, float] = {}
        processes = list(simulation.processes.values())
        before = {each: (each.packets_sent, each.bytes_sent) for each in processes}
        for number, name in enumerate(names):
            delay = number / nodes
            born[name] = began + delay
            simulation.at(delay, partial(simulation.do, name, "update_meta", b"x" * 60))
        simulation.run_until(partial(_is_told, watch, born, nodes), options.storm_seconds)
        took = simulation.now - began
        packets = [each.packets_sent - before[each][0] for each in processes]
        sizes = [(each.bytes_sent - before[each][1]) / 1000 for each in processes]
        most, whole = [], []
        for name, moment in born.items():
            times = sorted(at - moment for at in watch.at.get(name, ()))
            if len(times) >= int(0.99 * (nodes - 1)):
                most.append(times[int(0.99 * (nodes - 1)) - 1])
            if len(times) >= nodes - 1:
                whole.append(times[-1])
        aims = (0.1, 1.5) if mode == "eager" and nodes == 1000 else (None, None)
        go = {key: f"{text} at N=1,000" for key, text in REFERENCE.items()}
        measures += [
            Measure(f"{mode}: to 99 %", "s", most, aims[0], False, go["joins 99"], by_mean=True),
            Measure(f"{mode}: to all", "s", whole, aims[1], False, go["joins 100"], by_mean=True),
            Measure(f"{mode}: told to all", "share", [len(whole) / nodes]),
            Measure(f"{mode}: until all were told", "s", [took]),
            Measure(f"{mode}: packets a node until then", "1", packets),
            Measure(f"{mode}: kilobytes a node until then", "KB", sizes, memberlist=go["joins KB"]),
        ]
    print_measures(f"Simulated, N={nodes}: each announces itself within one second", measures)


def _is_told(watch: Spread, born: dict[str, float], nodes: int) -> bool:
    if len(watch.at) < nodes:
        return False
    return all(len(watch.at[name]) >= nodes - 1 for name in born)


# -- losses -----------------------------------------------------------------------------


def losses(options: argparse.Namespace) -> None:
    """One broadcast at a time with a quarter of all packets lost."""
    rows: dict[str, dict[str, Any]] = {
        "eager": {},
        "eager, floor 12": {"transmit_floor": 12},
        "rounds": {"eager_copies": 0},
    }
    measures: list[Measure] = []
    for row, changes in rows.items():
        print_note(f"25 % loss, {row}: {options.loss_runs} broadcasts")
        missed: list[float] = []
        last: list[float] = []
        for batch in range(0, options.loss_runs, LOSS_BATCH):
            runs = min(LOSS_BATCH, options.loss_runs - batch)
            for is_whole, took in _lossy(30, batch, runs, changes):
                missed.append(0.0 if is_whole else 100.0)
                last.append(took)
        aim = 0.01 if row == "eager" else None
        what = f"{row}: missed somebody"
        measures.append(Measure(what, "%", missed, aim, False, REFERENCE["loss"], by_mean=True))
        measures.append(Measure(f"{row}: the last of those reached", "s", last))
    print_measures(f"Simulated, N=30, 25 % loss: to all within {WITHIN:g} s", measures)


def _lossy(
    nodes: int, seed: int, runs: int, changes: dict[str, Any]
) -> Iterator[tuple[bool, float]]:
    """For each broadcast whether it reached all in time, and seconds to the last it reached."""
    simulation, watch, names = _resting(nodes, seed, Spread, {"loss": 0.25}, **changes)
    for run in range(runs):
        payload = (b"%d" % run).ljust(100, b".")
        began = simulation.now
        simulation.do(names[run % nodes], "broadcast", payload)
        simulation.run(WITHIN)
        times = watch.at.pop(payload, [])
        yield len(times) == nodes - 1, max(times, default=began + WITHIN) - began
