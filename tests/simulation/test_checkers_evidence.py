"""Checkers of the detector that weighs evidence notice a broken one: by the seeded bugs of it."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import CATALOGUE
from tests.simulation.mutants.scenarios import pack
from tests.simulation.test_checkers import Story
from tests.simulation.test_checkers_proofs import BY_NAME, nothing
from trio_gossip.codec.messages import Suspect
from trio_gossip.engine.refutation import Refutation
from trio_gossip.testing.scenarios.kind import Step
from trio_gossip.testing.scenarios.player import play
from trio_gossip.testing.scenarios.scenario import Scenario

MUTANTS = {mutant.name: mutant for mutant in CATALOGUE}

JUDGE = "n06"
"""The member before ``n03`` in the ring, which finds out first."""

KILLED = (Step(at=6.0, kind="crash", names=("n03",)),)
HOST_GONE = (Step(at=6.0, kind="host-gone", names=("n03",)),)
STALL = (Step(at=1.0, kind="stall", names=("n02",), seconds=8.5),)
SHORT = (Step(at=1.0, kind="nic-stall", names=("n02",), seconds=1.2),)
CUT_OFF = (Step(at=1.0, kind="isolated", names=("n02",), seconds=30.0),)
DEAF = (Step(at=1.0, kind="deaf", names=("n02",), seconds=40.0),)
HALVES = (Step(at=1.0, kind="halves", names=("n00", "n01", "n02"), seconds=40.0),)
LIES = (Step(at=1.0, kind="false-words", names=("n02",), amount=40.0, seconds=20.0),)
LIES_OF_THE_DEAD = (
    Step(at=1.0, kind="crash", names=("n03",)),
    Step(at=6.0, kind="false-words", names=("n02",), amount=60.0, seconds=20.0),
)
HOSTS_GONE = (
    Step(at=6.0, kind="host-gone", names=("n03",)),
    Step(at=20.0, kind="host-gone", names=("n05",)),
)
PAUSED_JUDGES = (
    Step(at=6.0, kind="host-gone", names=("n03",)),
    *(
        Step(at=9.95, kind="pause", names=(f"n0{n}",), seconds=1.5)
        for n in (0, 1, 2, 4, 5, 6, 7, 8)
    ),
)
CUT_OFF_JUDGE = (
    Step(at=6.0, kind="host-gone", names=("n03",)),
    Step(at=9.2, kind="isolated", names=(JUDGE,), seconds=20.0),
)
CUT_OFF_EARLY = (
    Step(at=6.0, kind="host-gone", names=("n03",)),
    Step(at=7.4, kind="isolated", names=(JUDGE,), seconds=20.0),
)
LONG_CUT_OFF = (Step(at=1.0, kind="isolated", names=("n02",), seconds=90.0),)
"""What happens to a cluster of nine, each by a name that the table below uses."""

SHOWN = (
    ("the-ring-does-not-turn", "ring-kept", KILLED),
    ("the-ring-does-not-turn", "scan-rate", KILLED),
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
    ("no-helper-is-found", "stages-kept", HOSTS_GONE),
    ("the-same-helpers-again", "stages-kept", CUT_OFF),
    ("a-nack-confirms-nothing", "testimony-heard", HOST_GONE),
    ("a-bad-ear-does-not-wait", "verdict-time", LONG_CUT_OFF),
    ("the-dead-accuse", "claims-weighed", LIES_OF_THE_DEAD),
    ("who-stood-still-judges-at-once", "final-ping", PAUSED_JUDGES),
    ("unconfirmed-suspicions-are-told", "quiet-kept", CUT_OFF_EARLY),
    ("private-suspects-are-forgotten", "timers-kept", CUT_OFF_EARLY),
    ("a-public-suspect-is-let-go", "claim-order", STALL),
    ("further-findings-say-nothing", "gone-is-known", KILLED),
)

WITH_SETTINGS = (
    ("one-refusal-is-enough", "quiet-kept", KILLED, {"helpers": 0}),
    ("who-is-cut-off-judges-others", "final-ping", CUT_OFF_JUDGE, {"awareness_max": 1}),
)
"""What shows only with these: otherwise bad health is as good as the guard."""

PROVED = {checker for _, checker, _ in SHOWN} | {"buried-comes-back"}


ROWS = [
    pytest.param(bug, checker, steps, *settings, id=f"{checker}-{bug}")
    for bug, checker, steps, *settings in (*((*row, {}) for row in SHOWN), *WITH_SETTINGS)
]


@pytest.mark.parametrize(("bug", "checker", "steps", "config"), ROWS)
def test_a_seeded_bug_of_the_detector_is_noticed(bug, checker, steps, config):
    seconds = max(45.0, *(step.at + step.seconds for step in steps))
    scenario = Scenario(seed=3, nodes=9, seconds=seconds, steps=steps, config=config)
    checkers = [BY_NAME[checker]]
    assert not play(scenario, checkers=checkers).violations
    with MUTANTS[bug].applied():
        counts = play(scenario, checkers=checkers).findings.counts
    assert counts[checker] or counts["no-crash"]


def accused_by_liars(age):
    """What the checker says of an accusation of that age, of a member that cannot answer."""
    story = Story(BY_NAME["verdict-time"])
    story.form()
    simulation = story.simulation
    simulation.run(3.0)
    simulation.pause("d")
    held = simulation.processes["a"].engine.member("d")
    claim = Suspect(held.incarnation, "d", "b", 2, age, (("c", 2),))
    simulation.inject("a", pack(claim), simulation.processes["b"].address)
    simulation.run(3.0)
    assert story.findings.checked["verdict-time"]
    return story.findings.counts["verdict-time"]


@pytest.mark.parametrize("bug", ["any-age-is-believed", "no-time-to-refute"])
def test_an_old_accusation_leaves_time_to_refute(bug: str):
    assert not accused_by_liars(600_000)
    with MUTANTS[bug].applied():
        assert accused_by_liars(600_000)


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
