"""What a member costs while nothing happens: packets, bytes and CPU time."""

from __future__ import annotations

from collections.abc import Sequence

from harness import Measure, print_measures, print_note

from detection.arena import Arena, pump_all

SETTLE_SECONDS = 25.0
"""Until nobody has news to tell any more; the first exchanges of tables are over, too."""

AIM_PACKETS, AIM_BYTES, AIM_CPU = 4.1, 110.0, 2.0


def rest(arenas: Sequence[Arena], seconds: float, settle: float = SETTLE_SECONDS) -> list[Measure]:
    """Measure for so long; samples are members."""
    print_note(f"settling for {settle:g} s, then measuring for {seconds:g} s")
    pump_all(arenas, settle)
    before = [_look(arena) for arena in arenas]
    pump_all(arenas, seconds)
    after = [_look(arena) for arena in arenas]
    measures = []
    for arena, first, last in zip(arenas, before, after, strict=True):
        name = arena.side.name
        rates = [
            [
                (last[member][at] - first[member][at]) / (last[member][0] - first[member][0])
                for member in first
            ]
            for at in range(1, 5)
        ]
        packets, size, streams, cpu = rates
        aims = (AIM_PACKETS, AIM_BYTES, AIM_CPU) if name == "lan" else (None, None, None)
        measures += [
            Measure(f"{name}: packets", "1/s", packets, aims[0], by_mean=True),
            Measure(f"{name}: bytes of packets", "1/s", size, aims[1], by_mean=True),
            Measure(f"{name}: streams opened", "1/s", streams),
            Measure(f"{name}: CPU", "ms/s", [1000 * each for each in cpu], aims[2], by_mean=True),
        ]
    return measures


def _look(arena: Arena) -> dict[str, tuple[float, ...]]:
    """By member the time, packets, bytes, streams and CPU seconds until now."""
    answers = arena.ask()
    return {
        name: (
            *(answer["time"], answer["packets"], answer["bytes"], answer["streams"]),
            arena.agents[name].cpu_seconds(),
        )
        for name, answer in answers.items()
    }


def report_rest(n: int, measures: Sequence[Measure]) -> None:
    """Print what each member costs."""
    print_measures(f"A member of a cluster of {n} at rest (aims hold for the mean)", measures)
