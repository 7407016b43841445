"""How long a healed partition takes to be one view again, in the simulator.

A cluster at rest is cut in two for ten minutes: each side holds the other failed and has reaped it.
Then the cut ends. What is measured is virtual time and traffic from that moment on, so the load
of the machine does not matter. Bytes are those of datagrams; exchanges over streams are counted
apart.
"""

from __future__ import annotations

import argparse
from collections import Counter

import attrs
import harness
from harness import Measure, print_measures, print_note

from trio_gossip.addresses import Address
from trio_gossip.testing import Observer, Process, Simulation

SIZES = (10, 30, 100)
AIM_N = 100
AIM_SECONDS = 10.0
LOSS = 0.05
CUT_SECONDS = 600.0
WATCHED_SECONDS = 12.0
"""For how long traffic is counted, also when one view came sooner: what follows costs, too."""

GIVE_UP_SECONDS = 300.0
LOOK_SECONDS = 0.05
BURST_SECONDS = 0.1


class Traffic(Observer):
    """Packets and bytes that each member sends, and how many in one tenth of a second."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.reset()

    def reset(self) -> None:
        """Count from now on."""
        self.packets: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.bursts: Counter[tuple[str, int]] = Counter()

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        self.packets[process.name] += 1
        self.bytes[process.name] += len(data)
        self.bursts[process.name, int(self._simulation.now / BURST_SECONDS)] += 1


@attrs.frozen
class Heal:
    """One run. ``seconds`` is infinite when there was no one view in time."""

    seconds: float
    contact: float
    packets: float
    kilobytes: float
    burst: int
    exchanges: float


def heal(n: int, seed: int, loss: float, cut: float) -> Heal:
    """Cut a cluster in two halves, mend it and watch."""
    simulation = Simulation(seed, loss=loss)
    names = [f"n{number:04}" for number in range(n)]
    simulation.start_converged(names)
    ours, theirs = names[: n // 2], names[n // 2 :]
    pairs = [pair for one in ours for other in theirs for pair in ((one, other), (other, one))]
    simulation.run(2.0)
    simulation.links.cut(pairs)
    simulation.run(cut)
    for process in simulation.processes.values():
        half = n // 2 if process.name in ours else n - n // 2
        assert len(process.engine.members()) == half, "the halves still know each other"
    traffic = Traffic(simulation)
    simulation.observe(traffic)
    before = exchanges(simulation)
    simulation.links.mend(pairs)
    began = simulation.now
    contact, seconds = float("inf"), float("inf")
    while simulation.now - began < (
        GIVE_UP_SECONDS if seconds == float("inf") else WATCHED_SECONDS
    ):
        simulation.run(LOOK_SECONDS)
        passed = simulation.now - began
        if contact == float("inf") and any(
            len(process.engine.members()) > (n + 1) // 2
            for process in simulation.processes.values()
        ):
            contact = passed
        if seconds == float("inf") and simulation.agree():
            seconds = passed
    return Heal(
        seconds,
        contact,
        sum(traffic.packets.values()) / n,
        sum(traffic.bytes.values()) / n / 1000,
        max(traffic.bursts.values()),
        (exchanges(simulation) - before) / n,
    )


def exchanges(simulation: Simulation) -> int:
    """Exchanges of tables that were opened and done until now."""
    return sum(
        process.engine.statistics().counters.get("sync_done", 0)
        for process in simulation.processes.values()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--runs", type=int, default=None, help="of each size (default 8)")
    parser.add_argument("--nodes", type=int, default=None, help="this size only")
    parser.add_argument("--loss", type=float, default=LOSS, help=f"of packets (default {LOSS})")
    parser.add_argument("--cut", type=float, default=CUT_SECONDS, help="seconds (default 600)")
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    options = parser.parse_args()
    runs = options.runs or (2 if options.quick else 8)
    sizes = (options.nodes,) if options.nodes else SIZES[:2] if options.quick else SIZES
    parameters = {"runs": runs, "loss": options.loss, "cut": options.cut, "seed": options.seed}
    harness.describe_run("One view again after a 50/50 partition (simulated)", parameters)
    times, costs = [], []
    for n in sizes:
        found = [
            heal(n, seed, options.loss, options.cut)
            for seed in range(options.seed, options.seed + runs)
        ]
        worst = max(found, key=lambda each: each.seconds)
        print_note(f"{n} members: worst {worst.seconds:.2f} s, run {found.index(worst) + 1}")
        aim = AIM_SECONDS if n == AIM_N else None
        times += [
            Measure(f"N={n}: first member of the other half", "s", [h.contact for h in found]),
            Measure(
                f"N={n}: one view everywhere",
                "s",
                [h.seconds for h in found],
                memberlist="never",
            ),
            Measure(f"N={n}: worst run", "s", [worst.seconds], aim, memberlist="never"),
        ]
        costs += [
            Measure(f"N={n}: packets per member", "", [h.packets for h in found]),
            Measure(f"N={n}: bytes of packets per member", "KB", [h.kilobytes for h in found]),
            Measure(f"N={n}: exchanges per member", "", [h.exchanges for h in found]),
            Measure(f"N={n}: most packets of a member in 0.1 s", "", [h.burst for h in found]),
        ]
    print_measures("Time from the end of the cut", times)
    print_measures(f"Traffic in the first {WATCHED_SECONDS:g} s, probes included", costs)
    harness.finish()


if __name__ == "__main__":
    main()
