"""A catalogue of seeded bugs. Importing the themes enters their bugs into it."""

from __future__ import annotations

from tests.simulation.mutants import (
    broadcasts,
    counting,
    exchanges,
    healing,
    incarnations,
    machinery,
    pacing,
    parcels,
    presence,
    probing,
    queues,
    records,
    refutation,
    relaying,
    repairing,
    reporting,
    returning,
    scanning,
    state_exchanging,
    suspicion,
    table,
    takeover,
    trust,
    verdicts,
    wire,
)
from tests.simulation.mutants.catalogue import CATALOGUE, NEEDS, POINTS, Mutant
from tests.simulation.mutants.patching import Patch, PatchError

THEMES = (
    incarnations,
    refutation,
    suspicion,
    probing,
    relaying,
    scanning,
    verdicts,
    queues,
    pacing,
    broadcasts,
    parcels,
    exchanges,
    repairing,
    healing,
    returning,
    table,
    presence,
    takeover,
    machinery,
    reporting,
    counting,
    wire,
    trust,
    records,
    state_exchanging,
)

__all__ = ["CATALOGUE", "NEEDS", "POINTS", "THEMES", "Mutant", "Patch", "PatchError"]
