"""A catalogue of seeded bugs. Importing the themes enters their bugs into it."""

from __future__ import annotations

from tests.simulation.mutants import (
    broadcasts,
    counting,
    exchanges,
    healing,
    incarnations,
    machinery,
    presence,
    probing,
    queues,
    refutation,
    relaying,
    reporting,
    scanning,
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
    broadcasts,
    exchanges,
    healing,
    table,
    presence,
    takeover,
    machinery,
    reporting,
    counting,
    wire,
    trust,
)

__all__ = ["CATALOGUE", "NEEDS", "POINTS", "THEMES", "Mutant", "Patch", "PatchError"]
