"""The one table of all kinds of steps."""

from __future__ import annotations

from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from trio_gossip.testing.scenarios import (
    clocks,
    cuts,
    forged,
    hostile,
    keys,
    letters,
    lies,
    lives,
    outages,
    packets,
    refused,
    streams,
    vain,
    work,
    writing,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trio_gossip.testing.scenarios.kind import Kind

_THEMES: Final = (
    packets,
    cuts,
    lives,
    clocks,
    outages,
    streams,
    hostile,
    lies,
    work,
    keys,
    forged,
    refused,
    vain,
    writing,
    letters,
)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {kind.name: kind for kind in chain.from_iterable(theme.KINDS for theme in _THEMES)}
)
"""Every kind of step by its name."""

GENTLE: Final = tuple(name for name, kind in KINDS.items() if kind.is_mild)
"""The kinds in spite of which a detector has to be right."""
