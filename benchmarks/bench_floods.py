"""Floods from a second process: what they cost a member, and that nobody is accused for them.

For each kind of flood a cluster of its own is started on loopback: the flooded member in a process
of its own, three others in another. A calm while, in which all datagrams are recorded, is followed
by the flood and by a moment of rest. On two cores and more the flooder and its victim have one
core each; with one core they share it.

    python benchmarks/bench_floods.py [--quick] [--only KIND] [--plain | --sealed]
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import harness
from flood_report import Result, report
from harness import percentile, print_note
from processes import Child, Children

KINDS = {
    "random": "random bytes",
    "headed": "random bytes behind a true first byte and key id",
    "altered": "recorded datagrams with a changed byte and a new number",
    "replayed": "recorded datagrams, in order",
    "shuffled": "recorded datagrams, out of order",
    "to-others": "datagrams recorded on the way to and from others",
    "half-open": "streams that say nothing",
    "slow": "streams that say one byte a second",
    "joins": "joins under random names, by stream",
    "names": "alive messages of random names, by datagram",
    "mix": "all of these at once, from four hosts",
}
VICTIM = "victim"
OTHERS = ("one", "two", "three")
FOLDER = Path(__file__).resolve().parent


class FloodChildren(Children):
    """Processes of this benchmark's own programs."""

    def program(self, script: str, name: str, *arguments: str) -> Child:
        """Start one of the scripts beside this one."""
        return self.start(name, [sys.executable, str(FOLDER / script), *arguments])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--only", choices=KINDS, action="append", help="one kind, or several")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--plain", action="store_true", help="only the cluster in plain")
    which.add_argument("--sealed", action="store_true", help="only the sealed cluster")
    parser.add_argument("--seconds", type=float, help="of each flood (default 8)")
    parser.add_argument("--calm", type=float, help="seconds before it (default 3)")
    parser.add_argument("--rate", type=float, default=500.0, help="messages a second to record")
    parser.add_argument("--held", type=int, default=1000, help="streams the flooder tries to hold")
    options = parser.parse_args()
    options.seconds = options.seconds or (1.0 if options.quick else 8.0)
    options.calm = options.calm or (1.0 if options.quick else 3.0)
    options.only = options.only or list(KINDS)
    cores = sorted(os.sched_getaffinity(0))
    parameters = {
        name: value for name, value in vars(options).items() if value not in (None, False)
    }
    harness.describe_run("Floods from a second process", parameters)
    print(
        f"flooder on core {cores[-1]}, flooded member on core {cores[0]}, three members on all "
        f"{len(cores)}; SO_RCVBUF of a member as in bench_loopback"
    )
    for is_sealed in (True, False):
        if (options.plain and is_sealed) or (options.sealed and not is_sealed):
            continue
        results = []
        for kind in options.only:
            print_note(f"{'sealed' if is_sealed else 'plain'}: {KINDS[kind]}")
            results.append(flood(kind, is_sealed, cores, options))
        report("sealed" if is_sealed else "plain", results, is_sealed=is_sealed)
    harness.finish()


# -- one flood --------------------------------------------------------------------------


def flood(kind: str, is_sealed: bool, cores: list[int], options: argparse.Namespace) -> Result:
    """Start a cluster, let it talk, flood one member, and compare before with after."""
    names = [VICTIM, *OTHERS]
    with FloodChildren() as children, tempfile.TemporaryDirectory() as folder:
        victim = children.program("flood_member.py", VICTIM)
        others = children.program("flood_member.py", "others")
        os.sched_setaffinity(victim.process.pid, cores[:1])
        hosts = {name: f"127.0.0.{number + 2}" for number, name in enumerate(OTHERS)}
        key = secrets.token_hex(32) if is_sealed else ""
        opened = children.ask(victim, "open", hosts={VICTIM: "127.0.0.1"}, key=key)
        target = opened["addresses"][VICTIM]
        children.ask(others, "open", hosts=hosts, key=key)
        children.ask(others, "join", seed=target, expect=names)
        children.ask(victim, "join", seed=target, expect=names)
        children.ask(victim, "talk", names=names, rate=options.rate, ping="")
        children.ask(others, "talk", names=names, rate=options.rate, ping=VICTIM)
        time.sleep(options.calm)
        recorded = [f"{folder}/{child.name}" for child in (victim, others)]
        for child, path in zip((victim, others), recorded, strict=True):
            children.ask(child, "save", path=path)
        plan = {"kind": kind, "to": target, "seconds": options.seconds, "recorded": recorded}
        plan |= {"held": options.held, "hosts": 4 if kind == "mix" else 1}
        plan |= {"sealed": is_sealed, "seed": 1}
        flooder = children.program("flooder.py", "flooder", json.dumps(plan))
        os.sched_setaffinity(flooder.process.pid, cores[-1:])
        children.collect(lambda who, line: who is flooder and line["done"] == "ready", 1)
        before = _look(children, victim, others, target)
        flooder.tell("go")
        time.sleep(options.seconds / 2)
        half = victim.resident_megabytes()
        ((_, sent),) = children.collect(
            lambda who, line: who is flooder and line["done"] == "flood", 1
        )
        flooded = _look(children, victim, others, target)
        flooder.tell("close")
        time.sleep(options.calm / 2)
        after = _look(children, victim, others, target)
    return _compared(kind, sent, before, half, flooded, after)


def _look(children: Children, victim: Child, others: Child, target: str) -> dict[str, Any]:
    """What everybody has counted, and what the kernel says of the victim."""
    here = children.ask(victim, "look")
    there = children.ask(others, "look")
    return {
        "victim": here["members"][VICTIM],
        "all": {**here["members"], **there["members"]},
        "ticks": here["ticks"],
        "pings": there["pings"],
        "pings_lost": there["pings_lost"],
        "at": here["at"],
        "cpu": victim.cpu_seconds(),
        "memory": victim.resident_megabytes(),
        "unheard": _dropped_by_kernel(target),
    }


def _dropped_by_kernel(target: str) -> int:
    """Datagrams to an IPv4 address of this host that found its socket's buffer full."""
    host, _, port = target.rpartition(":")
    wanted = "".join(f"{int(part):02X}" for part in reversed(host.split(".")))
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        columns = line.split()
        if columns[1] == f"{wanted}:{int(port):04X}":
            return int(columns[-1])
    return 0


def _compared(
    kind: str,
    sent: dict[str, Any],
    before: dict[str, Any],
    half: float,
    flooded: dict[str, Any],
    after: dict[str, Any],
) -> Result:
    passed = flooded["at"] - before["at"]
    cpu = flooded["cpu"] - before["cpu"]
    was, now = before["victim"], flooded["victim"]
    received = now["received"] - was["received"]
    told: Counter[str] = Counter()
    probes: Counter[str] = Counter()
    for part in ("counters", "sealed"):
        for name, count in after["victim"][part].items():
            told[name] += count - was[part].get(name, 0)
    for name, seen in after["all"].items():
        for counter, count in seen["counters"].items():
            if counter.startswith("probe_"):
                probes[counter] += count - before["all"][name]["counters"].get(counter, 0)
    told["events_lagged"] = after["victim"]["lagged"] - was["lagged"]
    told["streams_rejected"] = after["victim"]["rejected"] - was["rejected"]
    ours = {VICTIM, *OTHERS}
    accused = [each for seen in after["all"].values() for each in seen["accused"]]
    return Result(
        kind=kind,
        sent=sent["sent"] / sent["seconds"],
        arrived=received,
        received=received / passed,
        unheard=(flooded["unheard"] - before["unheard"]) / passed,
        per_core=received / cpu,
        streams=sent["opened"] / sent["seconds"],
        held=now["streams"],
        passed=sum(
            count - was["heard"].get(host, 0)
            for host, count in after["victim"]["heard"].items()
            if host.startswith("127.1.")
        ),
        cpu=100 * cpu / passed,
        memory_before=before["memory"],
        memory_half=half,
        memory_after=after["memory"],
        tick=1000 * max(flooded["ticks"], default=0.0),
        tick_p99=1000 * percentile(flooded["ticks"] or [0.0], 0.99),
        lateness=1000 * after["victim"]["lateness"],
        stalls=after["victim"]["stalls"] - was["stalls"],
        probes=+probes,
        pings=[1000 * each for each in flooded["pings"]],
        pings_lost=flooded["pings_lost"],
        suspected=[gone for name, gone in accused if name in ours].count(False),
        failed=[gone for name, gone in accused if name in ours].count(True),
        invented=after["victim"]["members"] - len(ours),
        told=+told,
    )


if __name__ == "__main__":
    main()
