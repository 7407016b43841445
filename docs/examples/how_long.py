"""How much later than the others does a member that is cut off know that it is?"""

import random

from trio_gossip import MemberFailed, MemberState
from trio_gossip.testing import Simulation

SEEDS = 25


def lateness(size: int, seed: int) -> float:
    """Seconds from when the first of the others gives ``n0`` up until ``n0`` misses a majority."""
    simulation = Simulation(seed)
    names = [f"n{number}" for number in range(size)]
    lost, *others = simulation.start_converged(names)
    simulation.run(10 + random.Random(seed).random())  # not always at the same point of a probe

    pairs = [pair for other in names[1:] for pair in (("n0", other), (other, "n0"))]
    simulation.links.cut(pairs)

    def misses_majority() -> bool:
        if lost.engine.is_isolated:
            return True
        alive = [each for each in lost.engine.members() if each.state is MemberState.ALIVE]
        return len(alive) * 2 <= size

    simulation.run_until(misses_majority, limit=300)
    noticed = simulation.now
    simulation.run(30)
    failed = [
        time
        for other in others
        for time, event in other.events
        if isinstance(event, MemberFailed) and event.member.name == "n0"
    ]
    return noticed - min(failed)


def main() -> list[str]:
    """Measure two sizes of clusters."""
    lines = []
    for size in (3, 5):
        seconds = sorted(lateness(size, seed) for seed in range(SEEDS))
        lines.append(f"{size} members: from {seconds[0]:+5.1f} s to {seconds[-1]:+5.1f} s")
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
