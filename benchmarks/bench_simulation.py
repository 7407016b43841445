"""How fast the simulator runs, and how much memory it needs, on one core.

Idle clusters from a converged start: every packet goes through the codec unless the row says
otherwise, every step is digested. Each size runs in a process of its own, so that memory is its
own as well.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import time

import harness
from harness import Measure, print_measures

from trio_gossip.testing import Simulation
from trio_gossip.testing.simulation.by_reference import ByReferenceCodec

SIZES = (
    # nodes, by reference, virtual seconds of a round, aim in times real time
    (100, False, 30.0, 200.0),
    (1000, False, 10.0, 8.0),
    (1000, True, 10.0, None),
    (5000, True, 2.0, None),
)
MEMORY_AIM_MB = 4096.0
WARM_UP_SECONDS = 2.0
CRASH_SECONDS = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--rounds", type=int, default=None, help="samples of each measure")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_one(json.loads(options.one))))
        return
    rounds = options.rounds or (2 if options.quick else 9)
    sizes = SIZES[:2] if options.quick else SIZES
    harness.describe_run("Simulator, idle clusters on one core", {"rounds": rounds})
    speed, memory, build, crash = [], [], [], []
    for nodes, by_reference, seconds, aim in sizes:
        what = f"{nodes} nodes" + (", by reference" if by_reference else "")
        harness.print_note(what)
        found = in_a_process(nodes, by_reference, seconds, rounds)
        speed.append(Measure(what, "x real time", found["speed"], aim, at_least=True))
        speed.append(Measure(f"{what}: node-seconds", "1/s", [x * nodes for x in found["speed"]]))
        limit = MEMORY_AIM_MB if nodes == 5000 else None
        memory.append(Measure(what, "MB", [found["megabytes"]], limit))
        build.append(Measure(what, "s", [found["build"]]))
        if found["crash"]:
            crash.append(Measure(what, "s", [found["crash"]]))
    print_measures("Speed (CPU time)", speed)
    print_measures("Memory of the process at its most", memory)
    print_measures("Building the cluster", build)
    print_measures("Virtual time from a crash until all know", crash)
    harness.finish()


def in_a_process(nodes: int, by_reference: bool, seconds: float, rounds: int) -> dict:
    task = json.dumps([nodes, by_reference, seconds, rounds])
    command = [sys.executable, __file__, "--one", task]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def run_one(task: list) -> dict:
    nodes, by_reference, seconds, rounds = task
    began = time.process_time()
    simulation = Simulation(1, codec=ByReferenceCodec() if by_reference else None)
    simulation.start_converged([f"n{number:05}" for number in range(nodes)])
    build = time.process_time() - began
    simulation.run(WARM_UP_SECONDS)
    gc.collect()
    gc.freeze()  # what lives for the whole run need not be looked at by the collector
    speed = []
    for _ in range(rounds):
        began = time.process_time()
        simulation.run(seconds)
        speed.append(seconds / (time.process_time() - began))
    assert simulation.agree()
    crash = None
    if nodes <= 1000:
        simulation.crash("n00003")
        crashed = simulation.now
        while not simulation.agree() and simulation.now < crashed + CRASH_SECONDS:
            simulation.run(0.1)
        assert simulation.agree()
        crash = simulation.now - crashed
    return {
        "speed": speed,
        "build": build,
        "crash": crash,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    main()
