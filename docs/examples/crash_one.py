"""A hundred members, and one of them crashes: how long until all others know?"""

from trio_gossip import MemberFailed
from trio_gossip.testing import Simulation


def main() -> list[str]:
    """Run it, and return what was measured."""
    simulation = Simulation(seed=1, loss=0.05)
    simulation.start_converged([f"n{number:02}" for number in range(100)])
    simulation.run(10)
    simulation.crash("n42")
    crashed = simulation.now
    simulation.run(60)
    heard = sorted(
        time - crashed
        for process in simulation.processes.values()
        for time, event in process.events
        if isinstance(event, MemberFailed) and event.member.name == "n42"
    )
    return [
        f"{len(heard)} members know: the first after {heard[0]:.3f} s, the last {heard[-1]:.3f} s",
        f"packets lost: {simulation.injected['loss']}, steps: {simulation.steps}",
        f"digest: {simulation.digest()}",
    ]


if __name__ == "__main__":
    print("\n".join(main()))
