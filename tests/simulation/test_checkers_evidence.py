"""Checkers of the detector that weighs evidence notice a broken one: by the seeded bugs of it."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import CATALOGUE
from tests.simulation.test_checkers import Story
from tests.simulation.test_checkers_proofs import BY_NAME, nothing
from trio_gossip.engine.refutation import Refutation
from trio_gossip.testing.scenarios.kind import Step
from trio_gossip.testing.scenarios.player import play
from trio_gossip.testing.scenarios.scenario import Scenario

MUTANTS = {mutant.name: mutant for mutant in CATALOGUE}

KILLED = (Step(at=6.0, kind="crash", names=("n03",)),)
HOST_GONE = (Step(at=6.0, kind="host-gone", names=("n03",)),)
STALL = (Step(at=1.0, kind="stall", names=("n02",), seconds=8.5),)
SHORT = (Step(at=1.0, kind="nic-stall", names=("n02",), seconds=1.2),)
CUT_OFF = (Step(at=1.0, kind="isolated", names=("n02",), seconds=30.0),)
DEAF = (Step(at=1.0, kind="deaf", names=("n02",), seconds=40.0),)
HALVES = (Step(at=1.0, kind="halves", names=("n00", "n01", "n02"), seconds=40.0),)
LIES = (Step(at=1.0, kind="false-words", names=("n02",), amount=40.0, seconds=20.0),)
LOSSES = (Step(at=1.0, kind="heavy-loss", amount=0.4, seconds=30.0),)
"""What happens to a cluster of nine, each by a name that the table below uses."""

SHOWN = (
    ("the-ring-does-not-turn", "ring-kept", KILLED),
    ("the-ring-asks-whom-it-finds", "ring-kept", KILLED),
    ("the-ring-does-not-close", "ring-kept", KILLED),
    ("loops-tick-twice", "scan-rate", KILLED),
    ("a-long-attempt-ends-its-loop", "timers-kept", CUT_OFF),
    ("helpers-are-asked-at-once", "stages-kept", KILLED),
    ("stages-go-on", "stages-kept", CUT_OFF),
    ("silence-all-around-is-no-sign", "health-weighed", CUT_OFF),
    ("an-answer-heals-nobody", "health-weighed", CUT_OFF),
    ("streams-say-nothing", "gone-is-known", KILLED),
    ("any-failed-stream-is-a-refusal", "testimony-heard", CUT_OFF),
    ("each-nack-is-a-refusal", "testimony-heard", HOST_GONE),
    ("suspects-are-not-asked", "suspects-are-asked", HOST_GONE),
    ("suspects-are-asked-all-the-time", "suspects-are-asked", HOST_GONE),
    ("a-stalled-process-is-a-silent-one", "verdict-time", STALL),
    ("a-stalled-process-is-a-silent-one", "outages-forgiven", STALL),
    ("half-of-each-floor", "verdict-time", KILLED),
    ("verdicts-come-late", "verdict-time", HOST_GONE),
    ("verdicts-come-late", "gone-is-known", HOST_GONE),
    ("there-is-no-last-ping", "final-ping", KILLED),
    ("the-last-ping-is-not-awaited", "final-ping", KILLED),
    ("nothing-is-private", "quiet-kept", SHORT),
    ("private-suspects-are-told", "quiet-kept", SHORT),
    ("testimony-is-told-for-ever", "sends-per-rumour", HOST_GONE),
)

PROVED = {checker for _, checker, _ in SHOWN} | {"buried-comes-back"}


@pytest.mark.parametrize(("bug", "checker", "steps"), SHOWN)
def test_a_seeded_bug_of_the_detector_is_noticed_and_nothing_without_it(bug, checker, steps):
    scenario = Scenario(seed=3, nodes=9, seconds=45.0, steps=steps)
    checkers = [BY_NAME[checker]]
    assert not play(scenario, checkers=checkers).violations
    with MUTANTS[bug].applied():
        counts = play(scenario, checkers=checkers).findings.counts
    assert counts[checker] or counts["no-crash"]


def buried(monkeypatch, *, refutes):
    """What the checker says of a member that was paused for too long."""
    if not refutes:
        monkeypatch.setattr(Refutation, "accused", nothing)
    story = Story(BY_NAME["buried-comes-back"])
    story.form()
    simulation = story.simulation
    simulation.run(6.0)
    simulation.pause("d")
    simulation.run(20.0)
    simulation.resume("d")
    simulation.run(30.0)
    assert story.findings.checked["buried-comes-back"]
    return story.findings.counts["buried-comes-back"]


def test_a_buried_member_that_does_not_come_back_is_noticed(monkeypatch: pytest.MonkeyPatch):
    assert buried(monkeypatch, refutes=True) == 0
    assert buried(monkeypatch, refutes=False) > 0
