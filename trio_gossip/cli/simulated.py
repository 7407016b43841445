"""The run behind ``trio-gossip simulate``: a cluster forms, some die, the others find out."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.cli.agent import PROFILES
from trio_gossip.testing.checkers.base import Findings
from trio_gossip.testing.checkers.catalogue import attach
from trio_gossip.testing.page.beliefs import STATE_OF_EVENT
from trio_gossip.testing.page.spread import Spread
from trio_gossip.testing.simulation.observers import Observer
from trio_gossip.testing.simulation.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.events import Event
    from trio_gossip.testing.page.spread import Rumour
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.trace import Trace

SEEDS: Final = 3
"""Members through which all others join."""

SLICE_SECONDS: Final = 0.1
"""Virtual seconds between two looks at whether a phase is over. Has no influence on what happens
in them: times in the report are those of the events."""

_START_SECONDS: Final = 0.05
_STARTS_SECONDS: Final = 10.0
_BEFORE_SECONDS: Final = 2.0
_CRASHES_SECONDS: Final = 2.0
_CALM_SECONDS: Final = 5.0


@attrs.frozen(kw_only=True)
class Plan:
    """What to simulate. All else follows from it.

    Attributes:
        nodes: members, at least 2.
        kill: how many of them crash; less than ``nodes``.
        loss: probability that a packet is lost.
        seed: of all chance.
        profile: of every member's timing.
        seconds: virtual seconds after which the run ends at the latest.
    """

    nodes: int
    kill: int
    loss: float
    seed: int
    profile: str
    seconds: float


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of a plan. Times are virtual seconds.

    Attributes:
        plan: what was asked for.
        formed_at: when all agreed for the first time after the last had started; None if never.
        started_at: when the last one started.
        deaths: the news of each member that crashed, in the order of the crashes.
        suspicions: times that a member began to suspect one that ran.
        declarations: times that a member declared one failed that ran.
        packets: packets that were sent.
        lost: of them, lost on a link.
        bytes: bytes that were sent, without headers of lower layers.
        node_seconds: virtual seconds that members ran, summed up.
        seconds: virtual seconds that were simulated.
        steps: things that happened in them.
        survivors: members that run at the end.
        agreed: at the end every survivor sees exactly the survivors.
        findings: what the checkers found, None if none were set.
        digest: of the trace of all that happened.
    """

    plan: Plan
    formed_at: float | None
    started_at: float
    deaths: tuple[Rumour, ...]
    suspicions: int
    declarations: int
    packets: int
    lost: int
    bytes: int
    node_seconds: float
    seconds: float
    steps: int
    survivors: int
    agreed: bool
    findings: Findings | None
    digest: str

    @property
    def passed(self) -> bool:
        """True when all survivors agree and no rule was broken."""
        return self.agreed and not (self.findings and self.findings.violations)


class Watch(Observer):
    """Follows who believes what, and since when all are right."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.spread = Spread()
        self.settled_at: float | None = None

    def started(self, process: Process) -> None:
        """Somebody more to know."""
        self.spread.up(self._simulation.now, process.name)
        self._look()

    def ended(self, process: Process, how: str) -> None:
        """Somebody whose end has to be known."""
        self.spread.down(self._simulation.now, process.name)
        self._look()

    def event(self, process: Process, event: Event) -> None:
        """Somebody believes something else."""
        state = STATE_OF_EVENT.get(type(event).__name__)
        member = getattr(event, "member", None)
        if state is not None and member is not None:
            self.spread.believe(self._simulation.now, process.name, member.name, state)
            self._look()

    def _look(self) -> None:
        if not self.spread.is_settled:
            self.settled_at = None
        elif self.settled_at is None:
            self.settled_at = self._simulation.now


class Scene:
    """Plays a plan.

    Args:
        plan: what happens.
        trace: where to record it; by default only a digest is made.
        progress: told now and then the name of the phase and how much of it is done, 0 to 1.
        check: let every rule of the protocol be checked at every step.
    """

    def __init__(
        self,
        plan: Plan,
        trace: Trace | None = None,
        progress: Callable[[str, float], None] = lambda _, __: None,
        *,
        check: bool = False,
    ) -> None:
        self.plan = plan
        self.simulation = Simulation(plan.seed, trace=trace, loss=plan.loss)
        self.watch = Watch(self.simulation)
        self.simulation.observe(self.watch)
        self.findings = Findings() if check else None
        self._checkers = attach(self.simulation, self.findings) if self.findings else None
        self._rng = random.Random(f"{plan.seed} plan")
        self._progress = progress
        width = max(3, len(str(plan.nodes - 1)))
        self.names = [f"n{number:0{width}}" for number in range(plan.nodes)]
        self._victims: list[str] = []
        self._last_start = 0.0

    def play(self) -> Outcome:
        """Run it to its end, or to its limit."""
        formed = self._form()
        formed_at = self.watch.settled_at if formed else None
        if formed:
            self._wait(_BEFORE_SECONDS)
            self._kill()
            self._until("finding out", self._all_known, self._share_known)
            self._wait(_CALM_SECONDS)
            self._until("settling", self.simulation.agree)
        if self._checkers is not None:
            self._checkers.finish()
        return self._outcome(formed_at)

    def _form(self) -> bool:
        """Start all, not in one instant; True when all agree."""
        span = min(_STARTS_SECONDS, _START_SECONDS * self.plan.nodes)
        starts = [0.0, *sorted(span * self._rng.random() for _ in self.names[1:])]
        self._last_start = starts[-1]
        for at, name in zip(starts, self.names, strict=True):
            self.simulation.at(at, partial(self._start, name))
        count = len(self.names)

        def formed() -> bool:
            running = len(self.simulation.processes) == count
            return running and self.watch.spread.is_settled and self.simulation.agree()

        def share() -> float:
            return len(self.simulation.processes) / count * self.watch.spread.share

        return self._until("joining", formed, share)

    def _start(self, name: str) -> None:
        before = [*self.simulation.processes][:SEEDS]
        self.simulation.start(name, config=PROFILES[self.plan.profile](name=name))
        self.simulation.join(name, *before)

    def _kill(self) -> None:
        """Crash some, the first now and the others soon after it."""
        self._victims = self._rng.sample(self.names, self.plan.kill)
        delays = [0.0] + [_CRASHES_SECONDS * self._rng.random() for _ in self._victims[1:]]
        for delay, name in zip(sorted(delays), self._victims, strict=False):
            self.simulation.at(delay, partial(self._crash, name))

    def _crash(self, name: str) -> None:
        self.simulation.crash(name)

    def _deaths(self) -> list[Rumour]:
        return [each for each in self.watch.spread.rumours if each.ended_at is not None]

    def _all_known(self) -> bool:
        known = [each for each in self._deaths() if each.known_at is not None]
        return len(known) == len(self._victims)

    def _share_known(self) -> float:
        shares = [
            knowing / others if others else 1.0
            for _, _, knowing, others in (each.curve[-1] for each in self._deaths())
        ]
        return sum(shares) / len(self._victims) if self._victims else 1.0

    def _wait(self, seconds: float) -> None:
        end = self.simulation.now + seconds
        self._until("waiting", lambda: self.simulation.now >= end)

    def _until(
        self, phase: str, done: Callable[[], bool], share: Callable[[], float] = lambda: 1.0
    ) -> bool:
        """Let time pass until something holds, or to the limit of the plan."""
        while not done():
            left = self.plan.seconds - self.simulation.now
            if left <= 0.0:
                return False
            self.simulation.run(min(SLICE_SECONDS, left))
            self._progress(phase, share())
        return True

    def _outcome(self, formed_at: float | None) -> Outcome:
        simulation = self.simulation
        everybody = [*simulation.graves, *simulation.processes.values()]
        spread = self.watch.spread
        return Outcome(
            plan=self.plan,
            formed_at=formed_at,
            started_at=self._last_start,
            deaths=tuple(sorted(self._deaths(), key=lambda each: each.ended_at or 0.0)),
            suspicions=spread.suspicions,
            declarations=spread.declarations,
            packets=sum(process.packets_sent for process in everybody),
            lost=simulation.injected["loss"],
            bytes=sum(process.bytes_sent for process in everybody),
            node_seconds=sum(
                min(process.ended_at, simulation.now) - process.started_at for process in everybody
            ),
            seconds=simulation.now,
            steps=simulation.steps,
            survivors=len(simulation.processes),
            agreed=formed_at is not None and simulation.agree(),
            findings=self.findings,
            digest=simulation.digest(),
        )
