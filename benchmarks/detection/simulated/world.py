"""A simulated cluster under watch: what befalls its members, and who is declared dead for it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Any

import attrs

from detection.profiles import changes_of
from detection.simulated.tally import Tally
from trio_gossip import MemberFailed, MemberSuspected
from trio_gossip.events import Event
from trio_gossip.testing import Observer, Process, Simulation

LATENCY = (0.0001, 0.001)
"""Seconds one way."""

TAIL = 0.01
"""Share of packets that take longer, by a heavy tail: 5 ms at least, one in 17 over 50 ms."""

WARM_UP_SECONDS = 3.0
PATIENCE = 90.0
"""Virtual seconds after which a death that somebody has not heard of never will be."""


@attrs.frozen
class Verdict:
    """One member's word on another."""

    at: float
    observer: str
    subject: str


class Watch(Observer):
    """Notes verdicts. Who is sick when is said by the case that makes them so."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.suspected: list[Verdict] = []
        self.failed: list[Verdict] = []

    def event(self, process: Process, event: Event) -> None:
        kind = type(event)
        if kind is MemberSuspected or kind is MemberFailed:
            into = self.failed if kind is MemberFailed else self.suspected
            into.append(Verdict(self._simulation.now, process.name, event.member.name))


class World:
    """A cluster at rest that knows itself.

    Args:
        profile: of all members.
        seed: of all chance.
        nodes: how many members.
        changes: of the settings.
        faults: of all links; latency and tail have our own defaults.
    """

    def __init__(
        self,
        profile: str,
        seed: int,
        nodes: int,
        *,
        changes: dict[str, Any] | None = None,
        **faults: Any,
    ) -> None:
        self.rng = random.Random(f"{seed} world")
        self.names = [f"n{number:04}" for number in range(nodes)]
        self.changes = changes_of(profile) | (changes or {})
        faults = {"latency": LATENCY, "tail": TAIL} | faults
        self.simulation = Simulation(seed, **faults)
        self.watch = Watch(self.simulation)
        self.simulation.observe(self.watch)
        self.simulation.start_converged(self.names, **self.changes)
        self.sick: set[str] = set()
        """Who was ever stopped, slow or cut off: no verdict on these is a false one."""
        self.simulation.run(WARM_UP_SECONDS + self.rng.random())
        self.begin()

    # -- measuring ----------------------------------------------------------------------

    def begin(self) -> None:
        """Measure from now on; verdicts before were those of a cluster that starts."""
        self._began = self.simulation.now
        self._before = self._traffic()
        self._node_seconds = 0.0
        self.watch.suspected.clear()
        self.watch.failed.clear()

    @property
    def now(self) -> float:
        return self.simulation.now

    def run(self, seconds: float) -> None:
        """Let time pass."""
        began, members = self.now, len(self.simulation.processes)
        self.simulation.run(seconds)
        self._node_seconds += members * (self.now - began)

    def tally(self) -> Tally:
        """What was seen since :meth:`begin`, without times of deaths."""
        healthy = set(self.names) - self.sick
        false = [verdict for verdict in self.watch.failed if verdict.subject in healthy]
        packets, size = self._traffic()
        return Tally(
            false_deaths=len(false),
            false_both=sum(verdict.observer in healthy for verdict in false),
            false_subjects=len({verdict.subject for verdict in false}),
            suspicions=len(self.watch.suspected),
            packets=packets - self._before[0],
            bytes=size - self._before[1],
            node_seconds=self._node_seconds,
            runs=1,
        )

    def _traffic(self) -> tuple[int, int]:
        everybody = [*self.simulation.processes.values(), *self.simulation.graves]
        return sum(p.packets_sent for p in everybody), sum(p.bytes_sent for p in everybody)

    # -- deaths -------------------------------------------------------------------------

    def kill(self, name: str) -> None:
        """The process is gone; its host refuses what comes."""
        self.sick.add(name)
        self.simulation.crash(name)

    def take_away(self, name: str) -> None:
        """The whole host is gone: nothing comes back from it, not even a refusal."""
        self.sick.add(name)
        self.simulation.links.cut(self.pairs([name]))
        self.simulation.pause(name)

    def watch_deaths(self, victims: Iterable[str], tally: Tally) -> None:
        """Run until all others know of deaths that have happened just now, and note the times."""
        died, victims = self.now, list(victims)
        gone = set(victims)
        others = [name for name in self.names if name not in gone and self._is_up(name)]
        waiting = {victim: set(others) for victim in victims}
        seen = len(self.watch.failed)
        last = dict.fromkeys(victims, 0.0)
        first: dict[str, float] = {}
        end = died + PATIENCE
        while any(waiting.values()) and self.now < end:
            self.run(0.05)
            for verdict in self.watch.failed[seen:]:
                missing = waiting.get(verdict.subject)
                if missing is not None and verdict.observer in missing:
                    missing.discard(verdict.observer)
                    first.setdefault(verdict.subject, verdict.at - died)
                    last[verdict.subject] = verdict.at - died
            seen = len(self.watch.failed)
        suspected: dict[str, float] = {}
        for verdict in self.watch.suspected:
            if verdict.at >= died and verdict.observer not in gone:
                suspected.setdefault(verdict.subject, verdict.at - died)
        for victim in victims:
            declared = first.get(victim, math.inf)
            tally.suspicion.append(suspected.get(victim, declared))
            tally.dead.append(declared)
            tally.known.append(math.inf if waiting[victim] else last[victim])

    def _is_up(self, name: str) -> bool:
        process = self.simulation.processes.get(name)
        return process is not None and not process.paused

    # -- sickness -----------------------------------------------------------------------

    def pairs(
        self, names: Iterable[str], *, to: bool = True, out: bool = True
    ) -> list[tuple[str, str]]:
        """The directions of links that begin (``out``) or end (``to``) at these members."""
        these = list(dict.fromkeys(names))
        found: dict[tuple[str, str], None] = {}
        for name in these:
            for other in self.names:
                if other != name:
                    if out:
                        found[name, other] = None
                    if to:
                        found[other, name] = None
        return list(found)

    def block(self, names: Iterable[str], seconds: float) -> None:
        """Hold back all that these members send and all that is sent to them; timers run on."""
        these = list(names)
        self.sick.update(these)
        self.simulation.links.clog(self.pairs(these), self.now + seconds)
        self.simulation.links.forget_clogs(self.now)

    def pause(self, names: Iterable[str], seconds: float) -> None:
        """Stop these processes, timers as well, and let them go on later."""
        for name in names:
            self.sick.add(name)
            self.simulation.pause(name)
            self.simulation.at(seconds, lambda name=name: self._resume(name))

    def _resume(self, name: str) -> None:
        if name in self.simulation.processes:
            self.simulation.resume(name)

    def was_declared(self, name: str, since: float) -> bool:
        """True when a healthy member has declared this one failed since a time."""
        return any(
            verdict.subject == name and verdict.at >= since and verdict.observer not in self.sick
            for verdict in reversed(self.watch.failed)
        )
