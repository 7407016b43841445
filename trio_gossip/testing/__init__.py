"""What you need to test programs that run on trio-gossip, and what we test it with ourselves.

Two kinds of deterministic test: :class:`Simulation` drives engines only, thousands of them, bit by
bit repeatable from a seed; :class:`GossipNetwork` (and the pytest fixture ``gossip_network``)
runs your own trio code on real clusters in one process, with virtual time.

Names are loaded on first use: none of pytest, hypothesis and ``trio_gossip_transports`` is
imported before something needs it. ``ClusterMachine`` is here, too; it is not in ``__all__``,
because ``import *`` would need Hypothesis then.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trio_gossip.testing.checkers.base import Checker, Findings, Violation
    from trio_gossip.testing.checkers.catalogue import ALL as ALL_CHECKERS
    from trio_gossip.testing.checkers.catalogue import attach
    from trio_gossip.testing.kit.faults import Fault
    from trio_gossip.testing.kit.network import GossipNetwork, RealTimeWarning
    from trio_gossip.testing.page.document import make_page
    from trio_gossip.testing.scenarios.catalogue import KINDS
    from trio_gossip.testing.scenarios.drawing import random_scenario
    from trio_gossip.testing.scenarios.kind import Step
    from trio_gossip.testing.scenarios.player import Playing, Report, play
    from trio_gossip.testing.scenarios.reading import ScenarioError
    from trio_gossip.testing.scenarios.scenario import Scenario
    from trio_gossip.testing.scenarios.shrinking import shrink
    from trio_gossip.testing.scheduling import (
        SchedulingWarning,
        make_scheduling_repeatable,
        repeatable_scheduling,
    )
    from trio_gossip.testing.simulation.links import LinkFaults
    from trio_gossip.testing.simulation.observers import Observer
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation
    from trio_gossip.testing.stateful import ClusterMachine as ClusterMachine
    from trio_gossip.testing.trace import Trace

__all__ = [
    "ALL_CHECKERS",
    "KINDS",
    "Checker",
    "Fault",
    "Findings",
    "GossipNetwork",
    "LinkFaults",
    "Observer",
    "Playing",
    "Process",
    "RealTimeWarning",
    "Report",
    "Scenario",
    "ScenarioError",
    "SchedulingWarning",
    "Simulation",
    "Step",
    "Trace",
    "Violation",
    "attach",
    "make_page",
    "make_scheduling_repeatable",
    "play",
    "random_scenario",
    "repeatable_scheduling",
    "shrink",
]

_MODULES = {
    "checkers.base": ("Checker", "Findings", "Violation"),
    "checkers.catalogue": ("ALL_CHECKERS", "attach"),
    "kit.faults": ("Fault",),
    "kit.network": ("GossipNetwork", "RealTimeWarning"),
    "page.document": ("make_page",),
    "scenarios.catalogue": ("KINDS",),
    "scenarios.drawing": ("random_scenario",),
    "scenarios.kind": ("Step",),
    "scenarios.player": ("Playing", "Report", "play"),
    "scenarios.reading": ("ScenarioError",),
    "scenarios.scenario": ("Scenario",),
    "scenarios.shrinking": ("shrink",),
    "scheduling": ("SchedulingWarning", "make_scheduling_repeatable", "repeatable_scheduling"),
    "simulation.links": ("LinkFaults",),
    "simulation.observers": ("Observer",),
    "simulation.process": ("Process",),
    "simulation.simulation": ("Simulation",),
    "stateful": ("ClusterMachine",),
    "trace": ("Trace",),
}
_NAMES_THERE = {"ALL_CHECKERS": "ALL"}
"""What has a longer name here, where nobody sees what it is all of."""

_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), _NAMES_THERE.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
