"""Makes a failing scenario small enough to be understood: :func:`shrink`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

from trio_gossip.testing.scenarios.catalogue import KINDS
from trio_gossip.testing.scenarios.reading import ScenarioError
from trio_gossip.testing.scenarios.scenario import AUTOMATIC, Scenario
from trio_gossip.testing.simulation.links import LinkFaults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trio_gossip.testing.scenarios.kind import Step

TRIALS_MAX: Final = 300
"""Runs that one shrinking may take; then the smallest scenario so far is the result."""

NODES_LEAST: Final = 2
"""Fewest members that are tried."""

OTHER_SEEDS: Final = 3
"""Other seeds that are tried with fewer steps or members: to take something away shifts all chance
after it, and a failure that needs some luck would seem to be gone."""

_LITTLE: Final = 0.1
"""Seconds below which times are not halved any more."""


def shrink(
    scenario: Scenario, fails: Callable[[Scenario], bool], *, trials: int = TRIALS_MAX
) -> Scenario:
    """Take away from a scenario whatever its failure does not need.

    Fewer steps first (the minimizing delta debugging of Zeller and Hildebrandt), then no faults
    of links, no changed settings, fewer members, shorter times; all over again while something
    helps. A function of its arguments alone if ``fails`` is one.

    Args:
        scenario: fails.
        fails: plays a scenario and says if it fails in the same way.
        trials: how often ``fails`` may be called.
    """
    work = _Work(scenario, fails, trials)
    while work.left > 0:
        before = work.best
        work.fewer_steps()
        for candidates in (_plainer, _fewer_nodes, _shorter, _smaller):
            work.all_that_fail(candidates)
        if work.best == before:
            break
    return work.best


class _Work:
    """The smallest scenario so far, and the trials that are left."""

    def __init__(self, scenario: Scenario, fails: Callable[[Scenario], bool], trials: int) -> None:
        self.best = scenario
        self.left = trials
        self._fails = fails
        self._tried: set[str] = set()

    def accepts(self, candidate: Scenario) -> bool:
        """Take a candidate if it fails as well."""
        text = candidate.to_json()
        if self.left <= 0 or candidate == self.best or text in self._tried:
            return False
        self._tried.add(text)
        self.left -= 1
        if not self._fails(candidate):
            return False
        self.best = candidate
        return True

    def accepts_any(self, candidates: Iterator[Scenario | None]) -> bool:
        """Take the first candidate that fails as well."""
        return any(candidate is not None and self.accepts(candidate) for candidate in candidates)

    def fewer_steps(self) -> None:
        """Leave out parts of the steps, smaller and smaller ones."""
        parts = 1
        while self.best.steps and self.left > 0:
            steps = self.best.steps
            size = -(-len(steps) // parts)
            for start in range(0, len(steps), size):
                rest = steps[:start] + steps[start + size :]
                if self.accepts_any(_reseeded(self.best, steps=rest)):
                    parts = max(parts - 1, 1)
                    break
            else:
                if size == 1:
                    return
                parts = min(2 * parts, len(steps))

    def all_that_fail(self, candidates: Callable[[Scenario], Iterator[Scenario | None]]) -> None:
        """Take one candidate after the other, and begin again at each that fails."""
        found = True
        while found and self.left > 0:
            found = self.accepts_any(candidates(self.best))


def _changed(scenario: Scenario, **changes: Any) -> Scenario | None:
    """Another scenario, None if it cannot be played. The calm stays what the scenario needs: with
    less, a cluster that is merely not ready yet would look like a failure.
    """
    if scenario.calm == scenario.calm_needed():
        changes["calm"] = AUTOMATIC
    try:
        return attrs.evolve(scenario, **changes)
    except ScenarioError:
        return None


def _reseeded(scenario: Scenario, **changes: Any) -> Iterator[Scenario | None]:
    """The same change with the scenario's own seed and with some others."""
    for more in range(OTHER_SEEDS + 1):
        yield _changed(scenario, seed=scenario.seed + more, **changes)


def _plainer(scenario: Scenario) -> Iterator[Scenario | None]:
    """Links without faults, settings of the profile, the usual profile."""
    plain = LinkFaults()
    yield _changed(scenario, links=plain)
    for field in attrs.fields(LinkFaults):
        links = attrs.evolve(scenario.links, **{field.name: getattr(plain, field.name)})
        yield _changed(scenario, links=links)
    yield _changed(scenario, config={})
    for name in scenario.config:
        rest = {key: value for key, value in scenario.config.items() if key != name}
        yield _changed(scenario, config=rest)
    yield _changed(scenario, profile="lan")


def _fewer_nodes(scenario: Scenario) -> Iterator[Scenario | None]:
    """Only as many as are named, half of them, one less. Names are given out anew from the first,
    in their old order.
    """
    used = sorted({name for step in scenario.steps for name in step.names})
    for nodes in sorted({len(used), len(used) + 1, scenario.nodes // 2, scenario.nodes - 1}):
        if max(NODES_LEAST, len(used)) <= nodes < scenario.nodes:
            yield from _reseeded(scenario, nodes=nodes)
            names = dict(zip(used, scenario.names, strict=False))
            steps = tuple(
                attrs.evolve(step, names=tuple(names[name] for name in step.names))
                for step in scenario.steps
            )
            yield from _reseeded(scenario, nodes=nodes, steps=steps)


def _shorter(scenario: Scenario) -> Iterator[Scenario | None]:
    """End after the last step, and have all of it sooner."""
    ends = [step.at + step.seconds for step in scenario.steps]
    for end in (max((step.at for step in scenario.steps), default=0.0), max(ends, default=0.0)):
        if end < scenario.seconds:
            yield _changed(scenario, seconds=end)
    if scenario.seconds > _LITTLE:
        steps = tuple(attrs.evolve(step, at=step.at / 2.0) for step in scenario.steps)
        yield _changed(scenario, seconds=scenario.seconds / 2.0, steps=steps)


def _smaller(scenario: Scenario) -> Iterator[Scenario | None]:
    """Each step for half as long, with half as much, on fewer members."""
    for at, step in enumerate(scenario.steps):
        for less in _less(step):
            steps = (*scenario.steps[:at], less, *scenario.steps[at + 1 :])
            yield _changed(scenario, steps=steps)


def _less(step: Step) -> Iterator[Step]:
    if step.seconds > _LITTLE:
        yield attrs.evolve(step, seconds=round(step.seconds / 2.0, 3))
    if KINDS[step.kind].counts and step.amount > 1.0:
        yield attrs.evolve(step, amount=step.amount // 2)
    if len(step.names) > 1:
        yield attrs.evolve(step, names=step.names[:-1])
