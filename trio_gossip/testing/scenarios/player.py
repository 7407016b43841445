"""Plays a scenario and says what the checkers saw: :func:`play`."""

from __future__ import annotations

import random
import traceback
from collections import Counter
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.testing.checkers.base import Findings, Violation
from trio_gossip.testing.checkers.catalogue import ALL, attach
from trio_gossip.testing.scenarios.catalogue import KINDS
from trio_gossip.testing.scenarios.hostile import NEED_PACKETS
from trio_gossip.testing.scenarios.keys import hand_over_files
from trio_gossip.testing.scenarios.kind import Excused, SkipStep
from trio_gossip.testing.scenarios.scenario import REST_SECONDS
from trio_gossip.testing.scenarios.stage import Stage
from trio_gossip.testing.simulation.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trio_gossip.testing.checkers.base import Checker
    from trio_gossip.testing.scenarios.kind import Step, Undo
    from trio_gossip.testing.scenarios.scenario import Scenario
    from trio_gossip.testing.simulation.sealing import Sealing
    from trio_gossip.testing.trace import Trace

JOIN_SPREAD: Final = 0.3
"""Most seconds between the starts of two members."""

FORM_SECONDS: Final = 120.0
"""A cluster that has not formed by then never will."""

SEEDS: Final = 3
"""The first members, through which all others join."""

PATIENCE_STEP: Final = 5.0
"""Seconds between two looks whether members that had lost each other agree again."""

VIEWS_SHOWN: Final = 4
"""Members whose wrong views are put into words."""

_LOOK_EVERY: Final = 0.25
_TRACEBACK_LINES: Final = 6


@attrs.define
class Report:
    """What one run did and what was seen.

    Attributes:
        seed: of the scenario.
        nodes: members at the start.
        applied: steps that were done, by kind.
        skipped: steps that made no sense when their time came, by kind.
        injected: how often faults really hit something, by kind of hit.
        findings: of the checkers.
        node_seconds: virtual seconds, summed over the members that ran.
        steps: things that happened in the simulation.
        digest: of the whole trace: equal for equal runs.
    """

    seed: int
    nodes: int
    applied: Counter[str] = attrs.Factory(Counter[str])
    skipped: Counter[str] = attrs.Factory(Counter[str])
    injected: Counter[str] = attrs.Factory(Counter[str])
    findings: Findings = attrs.Factory(Findings)
    node_seconds: float = 0.0
    steps: int = 0
    digest: str = ""

    @property
    def violations(self) -> list[Violation]:
        """What must not have happened."""
        return self.findings.violations

    @property
    def idle(self) -> list[str]:
        """The checkers that had nothing to check: about their rules the run proves nothing."""
        return self.findings.idle()

    @property
    def broken(self) -> tuple[str, ...]:
        """The checkers that saw a violation, the first to see one first."""
        return tuple(dict.fromkeys(violation.checker for violation in self.violations))

    def add(self, time: float, checker: str, text: str) -> None:
        """Take a violation that no checker saw."""
        self.findings.add(Violation(time, checker, text))

    def lines(self, most: int = 8) -> Iterable[str]:
        """The report for people."""
        yield f"seed {self.seed}: {self.nodes} members, digest {self.digest}"
        for violation in self.violations[:most]:
            yield f"  {violation}"
        more = sum(self.findings.counts.values()) - most
        if more > 0:
            yield f"  and {more} more"


class Playing:
    """One run, a part at a time. The order of things at one instant: what ends, then what begins.

    Args:
        scenario: its steps are played by :meth:`play` alone.
        checkers: who looks at every step.
        trace: takes all that happens; by default it is only digested.
        hostile: whether steps that need recorded packets may come.
    """

    def __init__(
        self,
        scenario: Scenario,
        checkers: Iterable[type[Checker]] = ALL,
        trace: Trace | None = None,
        *,
        hostile: bool = False,
    ) -> None:
        self.scenario = scenario
        self.simulation = Simulation(
            scenario.seed,
            trace=trace,
            sealing=_sealing(scenario.seed) if scenario.sealed else None,
            **attrs.asdict(scenario.links, recurse=False),
        )
        self.report = Report(scenario.seed, scenario.nodes)
        self.stage = Stage(self.simulation, scenario.names, scenario.config_of)
        self.checkers = attach(self.simulation, self.report.findings, checkers)
        if hostile or any(step.kind in NEED_PACKETS for step in scenario.steps):
            self.simulation.observe(self.stage.recorder)
        self._ends: list[tuple[float, int, str, Undo]] = []
        self._formed_at = 0.0

    @property
    def elapsed(self) -> float:
        """Virtual seconds since the members were told to find each other."""
        return self.simulation.now - self._formed_at

    def play(self) -> Report:
        """All of it, from the start to the last look."""
        simulation = self.simulation
        try:
            self.form()
            self._steps()
            self.settle()
        except Exception as error:  # whatever an engine raises is a finding
            self.report.add(simulation.now, "no-crash", _last_lines(error))
        report = self.report
        report.injected.update(simulation.injected)
        report.steps = simulation.steps
        report.digest = simulation.digest()
        lives = (*simulation.graves, *simulation.processes.values())
        report.node_seconds = sum(
            min(process.ended_at, simulation.now) - process.started_at for process in lives
        )
        return report

    def form(self) -> None:
        """Start all members, one after the other, and let them find each other."""
        simulation, stage = self.simulation, self.stage
        rng = random.Random(f"{self.scenario.seed} forming")
        for number, name in enumerate(stage.names):
            simulation.start(name, config=stage.config_of(name))
            if number:
                seeds = stage.names[: min(number, SEEDS)]
                simulation.join(name, *rng.sample(seeds, rng.randint(1, len(seeds))))
            simulation.run(JOIN_SPREAD * rng.random())
        end = simulation.now + FORM_SECONDS
        while not simulation.agree() and simulation.now < end:
            simulation.run(_LOOK_EVERY)
        if not simulation.agree():
            self.report.add(simulation.now, "forming", "the members never found each other")
        self._formed_at = simulation.now

    def _steps(self) -> None:
        began = self.simulation.now
        end = began + self.scenario.seconds
        for step in self.scenario.steps:
            self._run_to(began + step.at)
            # What begins within the faults' time ends within it.
            longest = end - self.simulation.now
            self.begin(attrs.evolve(step, seconds=min(step.seconds, longest)))
        self._run_to(end)

    def advance(self, seconds: float) -> None:
        """Let virtual time pass; what ends meanwhile ends."""
        self._run_to(self.simulation.now + seconds)

    def _run_to(self, time: float) -> None:
        while self._ends and self._ends[0][0] <= time:
            self._wait(self._ends[0][0])
            self._end_one()
        self._wait(time)

    def _wait(self, time: float) -> None:
        if time > self.simulation.now:
            self.simulation.run(time - self.simulation.now)

    def begin(self, step: Step) -> None:
        """Do a step now, whatever its time; one that makes no sense now is skipped."""
        kind = KINDS[step.kind]
        simulation = self.simulation
        until = simulation.now + step.seconds
        try:
            undo = kind.begin(self.stage, step)
        except SkipStep as reason:
            self.report.skipped[kind.name] += 1
            simulation.note("skipped", step.names, f"{kind.name}: {reason}")
            return
        self.report.applied[kind.name] += 1
        simulation.note(kind.name, step.names, f"amount {step.amount:g} for {step.seconds:.3f} s")
        if kind.excused is not Excused.NOBODY:
            names = step.names if kind.excused is Excused.MEMBERS else None
            simulation.excuses.excuse(names, until + self.scenario.excuse_seconds())
        if undo is not None:
            order = sum(self.report.applied.values())
            heappush(self._ends, (until, order, kind.name, undo))

    def _end_one(self) -> None:
        _, _, name, undo = heappop(self._ends)
        undo()
        self.simulation.note(f"end of {name}")

    def settle(self) -> None:
        """Undo all faults, let the members find their peace, and look for the last time."""
        simulation = self.simulation
        while self._ends:
            self._end_one()
        self.stage.layers.become_plain()
        simulation.links.heal()
        hand_over_files(self.stage)
        simulation.note("calm")
        self.checkers.calm()
        simulation.run(self.scenario.calm)
        self._be_patient()
        self.checkers.finish()

    def _be_patient(self) -> None:
        """Go on while the members do not agree, as long as chance may need."""
        simulation = self.simulation
        if simulation.agree():
            return
        end = simulation.now + self.scenario.patience()
        while not simulation.agree() and simulation.now < end:
            simulation.run(PATIENCE_STEP)
        if simulation.agree():
            simulation.run(REST_SECONDS)
        else:
            self.report.add(simulation.now, "agreement", self._views())

    def _views(self) -> str:
        """Who is missing, or too many, in whose view."""
        processes = self.simulation.processes
        running = set(processes)
        views: list[str] = []
        for name, process in processes.items():
            seen = process.active_names()
            if seen != running:
                less, more = sorted(running - seen), sorted(seen - running)
                views.append(f"{name} lacks {','.join(less)} and has {','.join(more)} too many")
        return "; ".join(views[:VIEWS_SHOWN]) or "the same members in different versions"


def _sealing(seed: int) -> Sealing:
    """Loaded only now: most runs need no cipher."""
    from trio_gossip.testing.sealed import NativeSealing, key_of

    return NativeSealing([key_of(seed)])


def _last_lines(error: Exception) -> str:
    lines = traceback.format_exception(error)[-_TRACEBACK_LINES:]
    return " | ".join(" ".join(line.split()) for line in lines)


def play(
    scenario: Scenario,
    *,
    checkers: Iterable[type[Checker]] = ALL,
    trace: Trace | None = None,
) -> Report:
    """Play a scenario from beginning to end.

    The members start one after the other and join through the first ones. When they all agree,
    the steps begin. After ``scenario.seconds`` all faults are undone, and the cluster has
    ``scenario.calm`` seconds to settle. It is watched longer, for at most
    ``scenario.patience()`` seconds, if it does not agree by then.

    Beside what checkers see, three things are violations: ``no-crash``, an exception out of an
    engine, which ends the run; ``forming``, when the cluster never comes together at first; and
    ``agreement``, when it does not do so again in the end.

    Args:
        scenario: what happens.
        checkers: who looks at every step.
        trace: takes all that happens, to be read; by default it is only digested.
    """
    return Playing(scenario, checkers, trace).play()
