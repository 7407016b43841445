"""A rule of one's own beside those of the library, on a cluster in which one member hesitates."""

from trio_gossip import Event, MemberRecovered, MemberSuspected
from trio_gossip.testing import ALL_CHECKERS, Checker, Findings, Process, Simulation, attach


class QuickRefutation(Checker):
    """A suspect that lives has refuted everywhere within a second."""

    name = "quick-refutation"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self.suspected: dict[tuple[str, str], float] = {}

    def event(self, process: Process, event: Event) -> None:
        """An application is told something: look at how a suspicion ends."""
        if isinstance(event, MemberSuspected):
            self.suspected[process.name, event.member.name] = self.simulation.now
        elif isinstance(event, MemberRecovered):
            seconds = self.simulation.now - self.suspected.pop((process.name, event.member.name))
            if seconds > 1.0:
                self.wrong(f"{process.name} suspected {event.member.name} for {seconds:.1f} s")
            else:
                self.ok()


def main() -> list[str]:
    """Ten members; one of them stands still for four seconds."""
    simulation = Simulation(seed=4)
    findings = Findings()
    checkers = attach(simulation, findings, [*ALL_CHECKERS, QuickRefutation])
    names = [f"n{number}" for number in range(10)]
    for name in names:
        simulation.start(name)
        simulation.join(name, names[0])
    simulation.run(30)
    simulation.pause("n3")
    simulation.run(4)
    simulation.resume("n3")
    simulation.run(30)
    checkers.finish()
    return [
        *map(str, findings.violations),
        f"suspicions looked at: {findings.checked['quick-refutation']}",
        f"rules with nothing to check: {', '.join(findings.idle())}",
    ]


if __name__ == "__main__":
    print("\n".join(main()))
