"""What ``bench_floods.py`` found out about one kind of flood, and the tables of it."""

from __future__ import annotations

from collections import Counter

import attrs
from harness import Measure, percentile, print_measures

REPLAYS = ("replayed", "shuffled", "to-others")
"""Kinds that send what was recorded, as it was."""


@attrs.frozen
class Result:
    """One kind of flood, against one kind of cluster."""

    kind: str
    sent: float
    """Datagrams a second that the flooder sent."""
    arrived: int
    """Datagrams that the victim took from the kernel while the flood lasted."""
    received: float
    """The same, a second."""
    unheard: float
    """Datagrams a second that the kernel dropped, because the victim's buffer was full."""
    per_core: float
    """Datagrams that the victim took in each second of its own CPU time."""
    streams: float
    """Streams a second that the flooder opened."""
    held: int
    """Streams that the victim had open in the end."""
    passed: int
    """Datagrams of the flooder that the transport gave to the engine."""
    cpu: float
    """Share of one core that the victim used, in percent."""
    memory_before: float
    memory_half: float
    memory_after: float
    """Resident memory of the victim in MB: before, in the middle, and a moment after the end."""
    tick: float
    tick_p99: float
    """How late the victim's loop ran a task that was due, in milliseconds: at most, and p99."""
    lateness: float
    """The same as the engine saw it, since the start of the process, in milliseconds."""
    stalls: int
    probes: Counter[str]
    """How the probes of all members ended, the victim's and of the victim."""
    pings: list[float]
    """Round trips of an application's pings to the victim, in milliseconds."""
    pings_lost: int
    suspected: int
    failed: int
    """Suspicions and failures of members of the cluster, seen by any of them; all are false."""
    invented: int
    """Members that the victim knows beside those of the cluster."""
    told: Counter[str]
    """What the victim's counters say of it."""


def report(title: str, results: list[Result], *, is_sealed: bool) -> None:
    """A line for each kind, what the counters say, and the aims."""
    rows = [
        (
            ("flood", "sent/s", "taken/s", "full/s", "taken/core s", "to engine", "streams/s"),
            ("held", "CPU %", "MB", "MB half", "MB after", "tick ms", "p99", "engine ms"),
            ("stalls", "pings", "lost", "p90 ms", "susp", "failed", "invented"),
        ),
        *((_traffic(each), _cost(each), _harm(each)) for each in results),
    ]
    flat = [tuple(cell for part in row for cell in part) for row in rows]
    widths = [max(len(row[at]) for row in flat) for at in range(len(flat[0]))]
    print(f"\nThe {title} cluster, one line for each kind of flood")
    for row in flat:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    print()
    for each in results:
        print(f"{each.kind}: {_words(each.told)}")
        print(f"{' ' * len(each.kind)}  probes of all members: {_words(each.probes)}")
    replays = [each for each in results if each.kind in REPLAYS]
    # Members that were made up answer no probe; they are no members of this cluster.
    probed = [_probed(each) for each in results if not each.invented]
    aims = [
        Measure("false suspicions, seen by any member", "", [sum(e.suspected for e in results)], 0),
        Measure("false failures, seen by any member", "", [sum(e.failed for e in results)], 0),
        Measure("pings to the flooded member, answered", "%", [_answered(e) for e in results]),
        Measure("probes answered, by whatever way", "%", probed, 100, at_least=True),
        Measure("latest tick of its loop", "ms", [each.tick for each in results], 100),
        Measure("its memory, growth", "MB", [e.memory_after - e.memory_before for e in results]),
    ]
    if is_sealed and replays:
        aims += [
            Measure("replays accepted", "", [sum(each.passed for each in replays)], 0),
            Measure("datagrams that came meanwhile", "", [float(e.arrived) for e in replays]),
        ]
    print_measures(f"The {title} cluster, samples are kinds of flood", aims)


def _traffic(each: Result) -> tuple[str, ...]:
    figures = (each.sent, each.received, each.unheard, each.per_core, each.passed, each.streams)
    return (each.kind, *(f"{figure:,.0f}" for figure in figures))


def _cost(each: Result) -> tuple[str, ...]:
    memory = (each.memory_before, each.memory_half, each.memory_after)
    times = (each.tick, each.tick_p99, each.lateness)
    return (
        *(str(each.held), f"{each.cpu:.0f}"),
        *(f"{figure:.1f}" for figure in (*memory, *times)),
    )


def _harm(each: Result) -> tuple[str, ...]:
    slowest = f"{percentile(each.pings, 0.9):.1f}" if each.pings else "-"
    return (
        *(str(each.stalls), str(len(each.pings)), str(each.pings_lost), slowest),
        *(str(each.suspected), str(each.failed), str(each.invented)),
    )


def _answered(each: Result) -> float:
    return 100 * len(each.pings) / max(1, len(each.pings) + each.pings_lost)


def _probed(each: Result) -> float:
    good = sum(count for name, count in each.probes.items() if name.startswith("probe_acked"))
    return 100 * good / max(1, good + each.probes["probe_failed"])


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "nothing"
