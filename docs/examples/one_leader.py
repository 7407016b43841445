"""Who leads? The member with the lowest name that one can see. Hypothesis finds out when two do."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant

from trio_gossip.testing import ClusterMachine


class OneLeader(ClusterMachine):
    """Every member takes the lowest name among those that it counts for the leader."""

    nodes = 5
    kinds = ("crash", "restart", "pause", "isolated", "halves")

    def leaders(self) -> set[str]:
        """The members that take themselves for the leader."""
        running = self.simulation.processes
        return {name for name, process in running.items() if name == min(process.active_names())}

    @invariant()
    def there_is_one(self) -> None:
        """Looked at between any two steps."""
        if self.simulation.processes:
            leaders = self.leaders()
            assert len(leaders) <= 1, f"{sorted(leaders)} lead"


TestOneLeader = OneLeader.TestCase
TestOneLeader.settings = settings(
    max_examples=100,
    stateful_step_count=15,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
