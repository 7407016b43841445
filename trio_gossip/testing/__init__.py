"""What you need to test programs that run on trio-gossip, and what we test it with ourselves.

Two kinds of deterministic test: :class:`Simulation` drives engines only, thousands of them, bit by
bit repeatable from a seed; :class:`GossipNetwork` (and the pytest fixture ``gossip_network``)
runs your own trio code on real clusters in one process, with virtual time.

Names are loaded on first use: none of pytest, hypothesis and ``trio_gossip_transports`` is
imported before something needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trio_gossip.testing.checkers.base import Checker, Findings, Violation
    from trio_gossip.testing.kit.faults import Fault
    from trio_gossip.testing.kit.network import GossipNetwork, RealTimeWarning
    from trio_gossip.testing.page.document import make_page
    from trio_gossip.testing.scheduling import (
        SchedulingWarning,
        make_scheduling_repeatable,
        repeatable_scheduling,
    )
    from trio_gossip.testing.simulation.links import LinkFaults
    from trio_gossip.testing.simulation.observers import Observer
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation
    from trio_gossip.testing.trace import Trace

__all__ = [
    "Checker",
    "Fault",
    "Findings",
    "GossipNetwork",
    "LinkFaults",
    "Observer",
    "Process",
    "RealTimeWarning",
    "SchedulingWarning",
    "Simulation",
    "Trace",
    "Violation",
    "make_page",
    "make_scheduling_repeatable",
    "repeatable_scheduling",
]

_MODULES = {
    "checkers.base": ("Checker", "Findings", "Violation"),
    "kit.faults": ("Fault",),
    "kit.network": ("GossipNetwork", "RealTimeWarning"),
    "page.document": ("make_page",),
    "scheduling": ("SchedulingWarning", "make_scheduling_repeatable", "repeatable_scheduling"),
    "simulation.links": ("LinkFaults",),
    "simulation.observers": ("Observer",),
    "simulation.process": ("Process",),
    "simulation.simulation": ("Simulation",),
    "trace": ("Trace",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
