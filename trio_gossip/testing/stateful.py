"""Hypothesis over the simulator: :class:`ClusterMachine` finds a schedule of faults and shrinks it.

Needs Hypothesis (``pip install hypothesis``). See ``docs/testing``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

try:
    from hypothesis import note
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
except ModuleNotFoundError as error:
    if error.name != "hypothesis":
        raise  # it is there, and lacks something itself
    raise ModuleNotFoundError(
        "ClusterMachine needs Hypothesis: pip install hypothesis", name="hypothesis"
    ) from None

from trio_gossip.testing.checkers.catalogue import ALL
from trio_gossip.testing.scenarios.catalogue import KINDS
from trio_gossip.testing.scenarios.kind import Step
from trio_gossip.testing.scenarios.player import Playing
from trio_gossip.testing.scenarios.reading import ScenarioError
from trio_gossip.testing.scenarios.scenario import STEPS_MAX, Scenario
from trio_gossip.testing.simulation.observers import Observer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.events import Event
    from trio_gossip.testing.checkers.base import Checker
    from trio_gossip.testing.scenarios.kind import Kind, Span
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

PAUSE_LONGEST: Final = 60.0
"""Most virtual seconds between two steps."""

PLAYED: Final = "the scenario, for --replay:"
"""Stands before the JSON."""

_SHARES: Final = st.floats(0.0, 1.0, allow_nan=False).map(lambda share: round(share, 3))


class ClusterMachine(RuleBasedStateMachine):
    """A cluster to which Hypothesis does things, looking for a schedule that breaks a rule.

    Subclass it, say what your code makes of the events of each member, and add invariants::

        class Leaders(ClusterMachine):
            nodes = 3

            def member_event(self, process, event):
                self.views[process].update(event)

            @invariant()
            def one_leader(self): ...

        TestLeaders = Leaders.TestCase

    What the library itself promises is checked at every step, with ``checkers``. At the end of
    each example all faults are undone, the cluster has time to settle, and :meth:`settled` is
    called. Whatever fails, the report names the steps and has the scenario that was played, as
    JSON for ``trio-gossip simulate --replay``.

    Attributes:
        nodes: members at the start.
        kinds: the kinds of steps that may happen; by default all there are.
        checkers: the rules of the library that are checked; by default all.
        profile: ``lan``, ``wan`` or ``local``.
        settings_of_members: changes of the profile: numbers and truth values.
    """

    nodes: ClassVar[int] = 5
    kinds: ClassVar[Sequence[str]] = tuple(KINDS)
    checkers: ClassVar[Sequence[type[Checker]]] = ALL
    profile: ClassVar[str] = "lan"
    settings_of_members: ClassVar[dict[str, bool | int | float]] = {}

    _playing: Playing | None = None
    _around: BaseException | None = None

    # -- what a subclass may override ---------------------------------------------------

    def member_started(self, process: Process) -> None:
        """A process began, at first or again; nothing is kept of a former one of its name."""

    def member_event(self, process: Process, event: Event) -> None:
        """The application of a process is told something, in the middle of a step."""

    def member_ended(self, process: Process) -> None:
        """A process is gone."""

    def settled(self) -> None:
        """All faults are undone and the members agree: what must hold now?"""

    # -- what a subclass may look at ----------------------------------------------------

    @property
    def simulation(self) -> Simulation:
        """The cluster."""
        return self._play.simulation

    @property
    def scenario(self) -> Scenario:
        """What has been done up to now, as data."""
        return attrs.evolve(
            self._play.scenario, steps=tuple(self._steps), seconds=self._play.elapsed
        )

    @property
    def _play(self) -> Playing:
        assert self._playing is not None, "the cluster is formed by the first rule"
        return self._playing

    # -- what Hypothesis does -----------------------------------------------------------

    @initialize(seed=st.integers(0, 2**32 - 1))
    def form(self, seed: int) -> None:
        """Start the members and let them find each other."""
        unknown = [name for name in self.kinds if name not in KINDS]
        if unknown or not self.kinds:
            raise ScenarioError(f"{unknown[0]!r} is no kind of step" if unknown else "no kinds")
        scenario = Scenario(
            seed=seed, nodes=self.nodes, profile=self.profile, config=self.settings_of_members
        )
        self._around = sys.exception()
        self._steps: list[Step] = []
        self._playing = Playing(scenario, self.checkers, hostile=True)
        self.simulation.observe(_Follower(self))
        self._play.form()

    @rule(seconds=_SHARES)
    def pass_time(self, seconds: float) -> None:
        """Let up to a minute pass; short times more often."""
        self._play.advance(round(PAUSE_LONGEST * seconds**3, 3))

    @rule(
        which=st.integers(0, 63),
        members=st.lists(st.integers(0, 15), max_size=4),
        amount=_SHARES,
        seconds=_SHARES,
    )
    def do(self, which: int, members: list[int], amount: float, seconds: float) -> None:
        """Do something to the cluster."""
        if len(self._steps) == STEPS_MAX:
            return
        kind = KINDS[self.kinds[which % len(self.kinds)]]
        much = _within(kind.amounts or kind.amount, amount)
        step = Step(
            at=self._play.elapsed,
            kind=kind.name,
            names=_names_of(kind, members, self._play.scenario.names),
            amount=float(round(much)) if kind.counts else much,
            seconds=_within(kind.durations or kind.seconds, seconds),
        )
        if kind.fault_of(step) is None:
            self._steps.append(step)
            note(str(step))
            self._play.begin(step)

    @invariant()
    def nothing_is_violated(self) -> None:
        """The library keeps its promises."""
        if self._playing is not None:
            violations = self._play.report.violations
            if violations:  # no assert: pytest would add its own words to the scenario
                raise AssertionError(self._story([str(each) for each in violations[:5]]))

    def teardown(self) -> None:
        """Undo all faults, let the cluster settle, and look once more."""
        if self._playing is None or self._play.report.violations:
            return  # told already
        told = f"{PLAYED}\n{self.scenario.to_json()}"
        if sys.exception() is not self._around:  # a rule or an invariant of a subclass has failed
            note(told)
            return
        self._play.settle()
        self.nothing_is_violated()
        try:
            self.settled()
        except Exception:
            note(told)
            raise

    def _story(self, violations: list[str]) -> str:
        return "\n".join([*violations, PLAYED, self.scenario.to_json()])


class _Follower(Observer):
    """Tells a machine what its members see."""

    def __init__(self, machine: ClusterMachine) -> None:
        self._machine = machine

    def started(self, process: Process) -> None:
        self._machine.member_started(process)

    def event(self, process: Process, event: Event) -> None:
        self._machine.member_event(process, event)

    def ended(self, process: Process, how: str) -> None:
        self._machine.member_ended(process)


def _names_of(kind: Kind, members: list[int], names: tuple[str, ...]) -> tuple[str, ...]:
    """As many different members as the kind needs, chosen by numbers that shrink to the first."""
    least, most = kind.names
    chosen = dict.fromkeys(names[number % len(names)] for number in members[:most])
    for name in names:
        if len(chosen) >= least:
            break
        chosen.setdefault(name)
    return tuple(chosen)


def _within(span: Span, share: float) -> float:
    return round(span.low + (span.high - span.low) * share, 3)
