"""A run as data: what happens to a cluster and when. Played with every rule watching."""

from trio_gossip.testing import LinkFaults, Scenario, Step, play

SCENARIO = Scenario(
    about="cut off for a while, and one that does not come back",
    seed=1,
    nodes=8,
    seconds=40.0,
    links=LinkFaults(loss=0.02, duplicate=0.01),
    steps=(
        Step(at=2.0, kind="broadcast", names=("n03",), amount=100),
        Step(at=5.0, kind="isolated", names=("n00",), seconds=15.0),
        Step(at=10.0, kind="crash", names=("n05",)),
    ),
)


def main() -> list[str]:
    """Play it, and return what is worth knowing."""
    report = play(SCENARIO)
    return [
        *report.lines(),
        f"done: {dict(report.applied)}",
        f"hit: {dict(report.injected)}",
        f"nothing to check: {', '.join(report.idle)}",
    ]


if __name__ == "__main__":
    print("\n".join(main()))
