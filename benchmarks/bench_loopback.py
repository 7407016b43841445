"""Real processes on loopback sockets: messages a second, what rest costs, joining, memory."""

from __future__ import annotations

import argparse
import math
import time

import harness
from harness import Measure, print_measures, print_note
from processes import ENDED, Child, Children

SEND_GO = "11,800 default, 20,000 loss-free without LZW, 34,000 in a flood"
RELIABLE_GO = "6,300 default, 13,900 without LZW"
SETTLE_SECONDS = 6.0
"""After a join: until gossip is silent, and what was allocated for it is used again."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--only", choices=[name for name, _ in PARTS], help="one part only")
    parser.add_argument("--size", type=int, default=100, help="bytes of a message (default 100)")
    parser.add_argument("--rounds", type=int, default=None, help="rounds of messages and joins")
    parser.add_argument("--seconds", type=float, default=None, help="of each round of messages")
    parser.add_argument("--idle-seconds", type=float, default=None, help="of rest (default 25)")
    parser.add_argument("--nodes", type=int, default=None, help="members that join (default 30)")
    options = parser.parse_args()
    quick = options.quick
    options.rounds = options.rounds or (2 if quick else 4)
    options.seconds = options.seconds or (0.7 if quick else 2.0)
    options.idle_seconds = options.idle_seconds or (4.0 if quick else 25.0)
    options.nodes = options.nodes or (10 if quick else 30)
    parameters = {name: value for name, value in vars(options).items() if value is not None}
    harness.describe_run("Processes on loopback sockets", parameters)
    for name, part in PARTS:
        if options.only in (None, name):
            part(options)
    harness.finish()


# -- messages ---------------------------------------------------------------------------


def messages(options: argparse.Namespace) -> None:
    """One process sends to another, which counts what its application gets."""
    with Children() as children:
        sender, receiver = children.worker("sender"), children.worker("receiver")
        children.ask(sender, "open", names=["sender"])
        at = children.ask(receiver, "open", names=["receiver"])["addresses"]["receiver"]
        children.ask_all([sender, receiver], "join", seed=at, expect=2)
        children.ask(receiver, "count")
        buffer = children.ask(receiver, "statistics")["nodes"]["receiver"]["receive_buffer"]
        measures = _datagrams(children, sender, receiver, options)
        measures += _paced(children, sender, receiver, options)
        measures += _reliable(children, sender, options)
    print_measures(
        f"Messages of {options.size} bytes, two processes (SO_RCVBUF {buffer:,} bytes)", measures
    )


def _datagrams(
    children: Children, sender: Child, receiver: Child, options: argparse.Namespace
) -> list[Measure]:
    sent, delivered, lost, costs_out, costs_in = [], [], [], [], []
    for at in range(options.rounds):
        print_note(f"flood {at + 1} of {options.rounds}")
        cpu = receiver.cpu_seconds()
        flood = _flood(children, sender, options, rate=0.0)
        count, seconds = _settled(children, receiver)
        sent.append(flood["sent"] / flood["seconds"])
        delivered.append(count / seconds)
        lost.append(100 * (1 - count / flood["sent"]))
        costs_out.append(1e6 * flood["cpu"] / flood["sent"])
        costs_in.append(1e6 * (receiver.cpu_seconds() - cpu) / max(count, 1))
    return [
        Measure("send: delivered to the application", "1/s", delivered, 25_000, True, SEND_GO),
        Measure("send: sent, flat out", "1/s", sent, memberlist="71,000-147,000 without LZW"),
        Measure("send: lost", "%", lost, memberlist="76-81 in a flood without LZW"),
        Measure("send: CPU of the sender a message", "us", costs_out, memberlist="11-165"),
        Measure("send: CPU of the receiver a message", "us", costs_in),
    ]


def _paced(
    children: Children, sender: Child, receiver: Child, options: argparse.Namespace
) -> list[Measure]:
    measures = []
    for rate, go in ((10_000, "100 % at 10,000"), (25_000, "100 % at 20,000, 73-87 % at 30,000")):
        shares = []
        for _ in range(max(options.rounds // 2, 1)):
            print_note(f"sending {rate:,} a second")
            flood = _flood(children, sender, options, rate=rate)
            count, _ = _settled(children, receiver)
            shares.append(100 * count / flood["sent"])
        measures.append(
            Measure(f"send: delivered when paced at {rate:,}/s", "%", shares, None, True, go)
        )
    return measures


def _flood(
    children: Children, sender: Child, options: argparse.Namespace, *, rate: float
) -> dict[str, float]:
    values = {"to": "receiver", "seconds": options.seconds, "size": options.size, "rate": rate}
    return children.ask(sender, "flood", **values)


def _settled(children: Children, receiver: Child) -> tuple[int, float]:
    """How many messages the application got and in how many seconds, once no more come: a
    backlog that is still being read must not count for the next run."""
    count, first, last = 0, math.inf, 0.0
    while True:
        time.sleep(0.5)
        counted = children.ask(receiver, "counted")
        if not counted["received"]:
            return count, max(last - first, 1e-9)
        count += counted["received"]
        first = min(first, counted["first"])
        last = max(last, counted["last"])


def _reliable(children: Children, sender: Child, options: argparse.Namespace) -> list[Measure]:
    measures = []
    for at_once in (1, 16):
        rates = []
        for _ in range(max(options.rounds // 2, 1)):
            print_note(f"reliable messages, {at_once} at once")
            values = {"to": "receiver", "seconds": options.seconds, "size": options.size}
            answer = children.ask(sender, "reliably", **values, at_once=at_once)
            rates.append(answer["sent"] / answer["seconds"])
        what = f"send_reliable: acknowledged, {at_once} at once"
        measures.append(Measure(what, "1/s", rates, None, True, RELIABLE_GO))
    return measures


# -- rest -------------------------------------------------------------------------------


def idle(options: argparse.Namespace) -> None:
    """Ten processes that have nothing to tell: five agents, and five that count packets."""
    with Children() as children:
        workers = [children.worker(f"worker-{at}") for at in range(5)]
        for worker in workers:
            answer = children.ask(worker, "open", names=[f"{worker.name}-16-chars"[:16]])
        seed = next(iter(answer["addresses"].values()))
        agents = [children.agent(f"agent-{at}-16-chars"[:16], "--join", seed) for at in range(5)]
        children.ask_all(workers, "join", seed=seed, expect=10)
        print_note(f"ten processes are one cluster; {options.idle_seconds:g} s of rest follow")
        time.sleep(SETTLE_SECONDS)
        processes = [*agents, *workers]
        before = _counted(children, workers)
        cpu = [child.cpu_seconds() for child in processes]
        wakes = [child.wake_ups() for child in processes]
        started = time.monotonic()
        time.sleep(options.idle_seconds)
        passed = time.monotonic() - started
        spent = [
            1000 * (child.cpu_seconds() - was) / passed
            for child, was in zip(processes, cpu, strict=True)
        ]
        woken = [
            (child.wake_ups() - was) / passed for child, was in zip(processes, wakes, strict=True)
        ]
        after = _counted(children, workers)
        memory = [child.resident_megabytes() for child in agents]
    packets, sizes = _traffic(before, after)
    total = [sum(packets) and sum(sizes) / sum(packets)]
    go = "2.1-2.4 mean, 1.7-2.8"
    print_measures(
        f"Rest: a cluster of 10 processes, {passed:.0f} s, one sample a process",
        [
            Measure("CPU of an agent", "ms/s", spent[:5], 2.0, memberlist=go, by_mean=True),
            Measure("CPU of a process with the library only", "ms/s", spent[5:], memberlist=go),
            Measure("wake-ups of a process", "1/s", woken),
            Measure(
                "datagrams sent by a node", "1/s", packets, 2.1, memberlist="2.0", by_mean=True
            ),
            Measure(
                "bytes of datagrams sent by a node",
                "B/s",
                sizes,
                80.0,
                memberlist="106",
                by_mean=True,
            ),
            Measure("mean size of a datagram", "B", total, memberlist="53"),
            Measure("RSS of an agent, 10 members", "MB", memory, memberlist="12.5-14.3"),
        ],
    )


def _counted(children: Children, workers: list[Child]) -> list[dict[str, float]]:
    """One snapshot for each worker."""
    counted = []
    for worker in workers:
        answer = children.ask(worker, "statistics")
        (node,) = answer["nodes"].values()
        counted.append({"time": answer["time"], **node})
    return counted


def _traffic(
    before: list[dict[str, float]], after: list[dict[str, float]]
) -> tuple[list[float], list[float]]:
    packets, sizes = [], []
    for old, new in zip(before, after, strict=True):
        passed = new["time"] - old["time"]
        packets.append((new["packets"] - old["packets"]) / passed)
        sizes.append((new["bytes"] - old["bytes"]) / passed)
    return packets, sizes


# -- joining ----------------------------------------------------------------------------


def joining(options: argparse.Namespace) -> None:
    """All members are up and alone; all join one of them at the same moment."""
    n = options.nodes
    rounds = max(options.rounds - 1, 1)
    with Children() as children:
        one = [children.worker("all")]
        together = [_join(children, one, n) for _ in range(rounds + 1)]
    with Children() as children:
        many = [children.worker(f"node-{at}") for at in range(n)]
        apart = [_join(children, many, n) for _ in range(rounds)]
    go = "0.6-1.0 (30 in one process)"
    print_measures(
        f"Joining: {n} members join one of them at once, until all see all",
        [
            Measure(f"{n} members in one process, the last one", "s", together, 0.6, memberlist=go),
            Measure(f"{n} processes, the last one", "s", apart, 0.6, memberlist=go),
        ],
    )


def _join(children: Children, workers: list[Child], n: int) -> float:
    """Seconds from the first word to join until the last member sees all."""
    print_note(f"{n} members join in {len(workers)} process(es)")
    share = n // len(workers)
    addresses: dict[str, str] = {}
    for at, worker in enumerate(workers):
        names = [f"member-{at * share + number:09}" for number in range(share)]
        addresses |= children.ask(worker, "open", names=names)["addresses"]
    seed = addresses["member-000000000"]
    started = time.monotonic()
    answers = children.ask_all(workers, "join", seed=seed, expect=n)
    children.ask_all(workers, "close")
    last: float = max(max(line["times"].values()) for line in answers)
    return last - started


# -- memory -----------------------------------------------------------------------------


def memory(options: argparse.Namespace) -> None:
    """One agent among a hundred members; the others share a process."""
    with Children() as children:
        others = children.worker("others")
        names = [f"member-{number:09}" for number in range(99)]
        addresses = children.ask(others, "open", names=names)["addresses"]
        seed = addresses[names[0]]
        children.ask(others, "join", seed=seed, expect=99)
        agent = children.agent("agent", "--join", seed)
        known: set[str] = set()
        alone = 0.0
        for child, line in children.read(30.0):
            if ENDED in line:
                raise RuntimeError(f"{child.name} ended with code {child.process.wait()}")
            if child is agent and line.get("event") == "started":
                alone = agent.resident_megabytes()
            if child is agent and line.get("event") == "member_joined":
                known.add(line["member"]["name"])
            if len(known - {"agent"}) == 99:
                break
        else:
            raise RuntimeError(f"the agent has seen {len(known)} of 99 members")
        print_note("one hundred members are one cluster")
        time.sleep(1.0 if options.quick else SETTLE_SECONDS)
        resident = agent.resident_megabytes()
    print_measures(
        "Memory of one agent",
        [
            Measure("RSS when started", "MB", [alone], memberlist="7.5-9.2 (library alone)"),
            Measure("RSS at 100 members", "MB", [resident], 45.0, memberlist="12.5-14.3 at 10"),
        ],
    )


PARTS = (("messages", messages), ("idle", idle), ("join", joining), ("memory", memory))

if __name__ == "__main__":
    main()
