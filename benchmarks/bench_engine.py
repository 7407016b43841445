"""How much time codec and engine take for a packet and an exchange, and how much memory a member.

No socket, no trio, one core: bytes go into an engine, and the time until its outputs are
complete, encoded packets among them, is measured as CPU time of this thread.
"""

from __future__ import annotations

import argparse
import gc
import time

import harness
from engine_footprint import imports, memory
from engine_packets import FULL, META, packets, profile
from engine_world import Bench, Pipe
from harness import Measure, print_measures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--members", type=int, default=30, help="members known (default 30)")
    parser.add_argument("--rounds", type=int, default=None, help="samples of each measure")
    parser.add_argument("--turns", type=int, default=None, help="turns in each sample")
    parser.add_argument("--profile", action="store_true", help="profile the packets instead")
    options = parser.parse_args()
    members = max(options.members, FULL)
    rounds = options.rounds or (3 if options.quick else 15)
    turns = options.turns or (300 if options.quick else 2000)
    if options.profile:
        profile(members, turns)
        return
    parameters = {"members": members, "rounds": rounds, "turns": turns, "name_bytes": 16}
    harness.describe_run("Engine and codec, without a network", parameters)
    small_and_full = packets(members, rounds, turns)
    print_measures("One packet (CPU time)", small_and_full)
    print_measures("The same as turns a second, on one core", harness.as_rates(small_and_full))
    print_measures("One push/pull, both ends (CPU time)", exchanges(3 if options.quick else 9))
    print_measures("Memory of the engine for each known member", memory(quick=options.quick))
    print_measures("Import, in a new process (wall time)", imports(3 if options.quick else 11))
    harness.finish()


def exchanges(rounds: int) -> list[Measure]:
    """Whole exchanges of tables, in milliseconds."""
    measures = []
    for members in (100, 1000):
        go = "Go codec alone: encode 0.1 (0.2-0.3 LZW), decode 0.1-0.2" if members == 100 else ""
        fresh, equal = [], []
        for _ in range(rounds):
            asking, answering = Bench(members + 1), Bench()
            answering.learn(range(1, members + 1), META)
            pipe = Pipe(asking, answering)
            fresh.append(_exchange(pipe))
            assert asking.engine.statistics().active == members + 2
            equal.append(_exchange(pipe))
        measures += [
            Measure(f"{members} members, one table fresh", "ms", fresh, memberlist=go),
            Measure(f"{members} members, tables equal", "ms", equal, memberlist=go),
            Measure(
                f"{members} members, equal, turns of an engine",
                "turns/s",
                [_turns_per_second(pipe) for _ in range(rounds)],
            ),
        ]
    return measures


def _exchange(pipe: Pipe) -> float:
    gc.collect()  # else the garbage of the rounds before is paid for here
    return harness.cpu_microseconds(pipe.push_pull, 1) / 1000


def _turns_per_second(pipe: Pipe) -> float:
    before = time.thread_time()
    turns = pipe.push_pull()
    return turns / (time.thread_time() - before)


if __name__ == "__main__":
    main()
