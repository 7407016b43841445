"""Simulated clusters that have formed."""

from __future__ import annotations

from trio_gossip.testing import ALL_CHECKERS, Simulation
from trio_gossip.testing.checkers import rotating, secrecy

OF_SEALED = {
    checker.name
    for checker in ALL_CHECKERS
    if checker.__module__ in (secrecy.__name__, rotating.__name__)
}
"""Checkers that have nothing to check in a plain cluster."""


OF_MEMBERLIST = {"suspicion-duration", "probe-rate", "helpers-asked", "health-score"}
"""Checkers of rules that only memberlist's detector has."""

OF_EVIDENCE = {
    "scan-rate",
    "ring-kept",
    "suspects-are-asked",
    "stages-kept",
    "health-weighed",
    "verdict-time",
    "final-ping",
    "testimony-heard",
    "quiet-kept",
    "gone-is-known",
    "buried-comes-back",
}
"""Checkers of rules that only the detector that weighs evidence has."""


def cluster(
    *names: str, seed: int = 1, detector: str = "evidence", **options: object
) -> Simulation:
    """A cluster whose members all know each other."""
    simulation = Simulation(seed, **options)
    for name in names:
        simulation.start(name, detector=detector)
        if name != names[0]:
            simulation.join(name, names[0])
    assert simulation.run_until(simulation.agree, 30.0), "the cluster never formed"
    return simulation
