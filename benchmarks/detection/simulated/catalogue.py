"""All cases by name: what runs them, with how many members and how often."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

import attrs

from detection.simulated import churn, crashes, distances, grid, liars, losses, onesided, pauses
from detection.simulated.tally import Tally

Run: TypeAlias = Callable[[str, int, int], Iterator[tuple[str, Tally]]]
"""Profile, seed and members; yields what was done and what came of it."""


@attrs.frozen
class Aim:
    """Seconds until all know."""

    mean: float
    p99: float


@attrs.frozen
class Case:
    """One case.

    Attributes:
        run: what does it.
        nodes: members, unless ``--nodes`` says otherwise.
        runs: seeds, unless ``--runs`` does.
        aims: until all know, by profile.
        must_be_clean: the default profile may declare no healthy member failed.
    """

    run: Run
    nodes: int
    runs: int
    aims: Mapping[str, Aim] = attrs.Factory(dict)
    must_be_clean: bool = True

    @property
    def about(self) -> str:
        """The first line of what the function says of itself."""
        return (self.run.__doc__ or "").strip().splitlines()[0]


CASES: Final[Mapping[str, Case]] = {
    "killed": Case(crashes.killed, 30, 300, {"lan": Aim(1.5, 2.2)}),
    "host-gone": Case(crashes.host_gone, 30, 300, {"lan": Aim(4.8, 5.4), "fast": Aim(2.3, 3.0)}),
    "killed-128": Case(crashes.killed, 128, 40, {"lan": Aim(1.6, 2.0)}),
    "host-gone-128": Case(crashes.host_gone, 128, 40),
    "killed-1000": Case(crashes.killed, 1000, 8, {"lan": Aim(1.6, 2.0)}),
    "host-gone-1000": Case(crashes.host_gone, 1000, 4),
    "grid-io": Case(grid.grid_io, 128, 3),
    "grid-pause": Case(grid.grid_pause, 128, 3),
    "loss": Case(losses.loss, 30, 3),
    "killed-in-loss": Case(losses.killed_in_loss, 30, 100),
    "rest": Case(losses.rest, 128, 1),
    "pause": Case(pauses.pause, 30, 12),
    "silence": Case(pauses.silence, 30, 12),
    "stalls": Case(pauses.stalls, 128, 1),
    "no-streams": Case(pauses.no_streams, 30, 12),
    "hung": Case(crashes.hung, 30, 50),
    "one-way": Case(onesided.one_way, 30, 3),
    "bad-link": Case(onesided.bad_link, 30, 3),
    "deaf": Case(onesided.deaf, 30, 3, must_be_clean=False),
    "slow": Case(onesided.slow, 30, 3),
    "rejected": Case(onesided.rejected, 30, 3),
    "mass": Case(crashes.mass, 128, 3),
    "small": Case(crashes.small, 5, 100),
    "restarts": Case(churn.restarts, 30, 12),
    "bursts": Case(losses.bursts, 30, 3),
    "distances": Case(distances.distances, 30, 10),
    "lone": Case(distances.lone, 30, 3),
    "churn": Case(churn.churn, 64, 3),
    "liar": Case(liars.liar, 30, 5),
}
