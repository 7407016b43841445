"""Run many seeds on all cores: ``python -m tests.simulation.run --seeds 1000``."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter

from tests.simulation.chaos import Report, run_seed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    options = parser.parse_args()
    began = time.perf_counter()
    faults: Counter[str] = Counter()
    failing: list[Report] = []
    steps = 0
    node_hours = 0.0
    seeds = range(options.first, options.first + options.seeds)
    with multiprocessing.Pool(options.jobs) as pool:
        for report in pool.imap_unordered(run_seed, seeds, chunksize=4):
            faults.update(report.faults)
            steps += report.steps
            node_hours += report.node_seconds / 3600
            if report.violations:
                failing.append(report)
                print(f"seed {report.seed} ({report.nodes} nodes) fails:")
                for violation in report.violations[:8]:
                    print(f"    {violation}")
                sys.stdout.flush()
    seconds = time.perf_counter() - began
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items()))
    print(f"{len(seeds)} seeds, {steps} steps, {node_hours:.1f} node-hours in {seconds:.0f} s")
    print(f"faults injected: {kinds}")
    print(f"failing seeds: {sorted(report.seed for report in failing) or 'none'}")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
