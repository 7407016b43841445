"""The parts of ``bench_crypto`` with a network: streams, rest, and floods, plain and sealed.

Plain and sealed take turns, or run side by side: a busy machine then slows both.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import trio
from harness import Measure, print_note
from processes import Child, Children

from trio_gossip.transport import Transport
from trio_gossip_transports import EncryptedTransport, Keyring, open_socket_transport

FORMATS = ("plain", "native", "memberlist")
IDLE_AIM_PERCENT = 10.0
SEND_AIM_PERCENT = -30.0
PIECE = bytes(65_536)
MEMBERS = 4
"""Processes of each cluster at rest."""

SETTLE_SECONDS = 6.0
"""After a join: until gossip is silent."""

Tables = list[tuple[str, list[Measure]]]


# -- streams ----------------------------------------------------------------------------


def streams(options: argparse.Namespace) -> Tables:
    """One stream over loopback sockets, both ends in one process."""
    megabytes = 4 if options.quick else 64
    rates: dict[str, list[float]] = {name: [] for name in FORMATS}
    costs: dict[str, list[float]] = {name: [] for name in FORMATS}
    for at in range(max(options.rounds // 3, 1)):
        print_note(f"streams {at + 1}")
        for name in FORMATS:
            seconds, cpu = trio.run(_pour, name, megabytes)
            rates[name].append(megabytes / seconds)
            costs[name].append(1000 * cpu / megabytes)
    measures = [Measure(f"{name}: throughput", "MB/s", rates[name]) for name in FORMATS]
    measures += [Measure(f"{name}: CPU of both ends", "ms/MB", costs[name]) for name in FORMATS]
    for name in FORMATS[1:]:
        ratio = [one / base for one, base in zip(rates[name], rates["plain"], strict=True)]
        measures.append(Measure(f"{name}: throughput, share of plain", "x", ratio))
    return [(f"A stream of {megabytes} MB in pieces of 64 KiB, one process", measures)]


async def _transport(name: str) -> Transport:
    inner = await open_socket_transport("127.0.0.1", 0)
    if name == "plain":
        return inner
    sealing = "native" if name == "native" else "memberlist"
    return EncryptedTransport(inner, Keyring([bytes(32)]), b"bench", sealing)


async def _pour(name: str, megabytes: int) -> tuple[float, float]:
    """Seconds and CPU seconds until the reader has all."""
    total = megabytes << 20
    async with await _transport(name) as one, await _transport(name) as other:
        began, cpu = 0.0, 0.0

        async def write() -> None:
            nonlocal began, cpu
            stream = await one.open_stream(other.local_address)
            began, cpu = time.monotonic(), time.process_time()
            for _ in range(total // len(PIECE)):
                await stream.send_all(PIECE)
            await stream.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            stream, _ = await other.accept_stream()
            got = 0
            while data := await stream.receive_some(len(PIECE)):
                got += len(data)
            assert got == total
            await stream.aclose()
        return time.monotonic() - began, time.process_time() - cpu


# -- clusters of processes --------------------------------------------------------------


def _worker(children: Children, name: str, sealing: str) -> Child:
    path = Path(__file__).resolve().parent / "sealed_worker.py"
    return children.start(name, [sys.executable, str(path), sealing])


def _cluster(children: Children, sealing: str, count: int) -> list[Child]:
    """Processes that are one cluster."""
    names = [f"{sealing}-{at}-16-chars"[:16] for at in range(count)]
    members = [_worker(children, name, sealing) for name in names]
    addresses = [
        children.ask(child, "open", names=[child.name])["addresses"][child.name]
        for child in members
    ]
    children.ask_all(members, "join", seed=addresses[0], expect=count)
    return members


def idle(options: argparse.Namespace) -> Tables:
    """Three clusters at rest, side by side, one for each format."""
    with Children() as children:
        clusters = {name: _cluster(children, name, MEMBERS) for name in FORMATS}
        print_note(f"{options.idle_seconds:g} s of rest")
        time.sleep(1.0 if options.quick else SETTLE_SECONDS)
        processes = [child for members in clusters.values() for child in members]
        before = {child.name: child.cpu_seconds() for child in processes}
        began = time.monotonic()
        time.sleep(options.idle_seconds)
        passed = time.monotonic() - began
        spent = {
            name: [1000 * (child.cpu_seconds() - before[child.name]) / passed for child in members]
            for name, members in clusters.items()
        }
    measures = [Measure(f"{name}: CPU of a member", "ms/s", spent[name]) for name in FORMATS]
    plain = statistics.fmean(spent["plain"])
    for name in FORMATS[1:]:
        more = [100 * (statistics.fmean(spent[name]) / plain - 1)]
        measures.append(Measure(f"{name}: more than plain", "%", more, IDLE_AIM_PERCENT))
    return [(f"Rest: clusters of {MEMBERS} processes for {passed:.0f} s", measures)]


def send(options: argparse.Namespace) -> Tables:
    """Floods of messages of 100 bytes from one process to another, the formats in turn."""
    rounds = max(options.rounds // 3, 1)
    delivered: dict[str, list[float]] = {name: [] for name in FORMATS}
    sent: dict[str, list[float]] = {name: [] for name in FORMATS}
    costs: dict[str, list[float]] = {name: [] for name in FORMATS}
    costs_in: dict[str, list[float]] = {name: [] for name in FORMATS}
    with Children() as children:
        pairs = {name: _cluster(children, name, 2) for name in FORMATS}
        for _, receiver in pairs.values():
            children.ask(receiver, "count")
        for at in range(rounds):
            print_note(f"flood {at + 1} of {rounds}")
            for name, (sender, receiver) in pairs.items():
                values = {"to": receiver.name, "seconds": options.seconds, "size": 100, "rate": 0.0}
                cpu = receiver.cpu_seconds()
                flood = children.ask(sender, "flood", **values)
                count, seconds = _settled(children, receiver)
                delivered[name].append(count / seconds)
                sent[name].append(flood["sent"] / flood["seconds"])
                costs[name].append(1e6 * flood["cpu"] / flood["sent"])
                costs_in[name].append(1e6 * (receiver.cpu_seconds() - cpu) / max(count, 1))
    measures = []
    for name in FORMATS:
        measures.append(Measure(f"{name}: delivered to the application", "1/s", delivered[name]))
        measures.append(Measure(f"{name}: sent, flat out", "1/s", sent[name]))
        measures.append(Measure(f"{name}: CPU of the sender a message", "us", costs[name]))
        measures.append(Measure(f"{name}: CPU of the receiver a message", "us", costs_in[name]))
    for name in FORMATS[1:]:
        for what, rates in (("delivered", delivered), ("sent", sent)):
            less = [
                100 * (one / base - 1)
                for one, base in zip(rates[name], rates["plain"], strict=True)
            ]
            measures.append(
                Measure(f"{name}: {what}, beside plain", "%", less, SEND_AIM_PERCENT, at_least=True)
            )
    return [(f"send at full rate, {rounds} floods of {options.seconds:g} s", measures)]


def _settled(children: Children, receiver: Child) -> tuple[int, float]:
    """How many messages the application got, in how many seconds, once no more come."""
    count, first, last = 0, float("inf"), 0.0
    while True:
        time.sleep(0.5)
        counted = children.ask(receiver, "counted")
        if not counted["received"]:
            return count, max(last - first, 1e-9)
        count += counted["received"]
        first, last = min(first, counted["first"]), max(last, counted["last"])
