"""Kinds of steps that reach what chance hardly ever does, each with a planted bug that it shows."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import CATALOGUE
from tests.simulation.test_checkers_proofs import BY_NAME, breaking, notices
from trio_gossip.engine.merge import Merge
from trio_gossip.testing.scenarios.drawing import random_scenario
from trio_gossip.testing.scenarios.kind import Step
from trio_gossip.testing.scenarios.player import play
from trio_gossip.testing.scenarios.plots import GENTLE_PLOTS, PLOTS, plot_of
from trio_gossip.testing.scenarios.scenario import Scenario

MUTANTS = {mutant.name: mutant for mutant in CATALOGUE}
SMALL_TABLES = {"members_max": 128}
SMALL_QUEUE = {"broadcast_queue_max": 5}
SCHISM = {"gossip_to_dead_time": 6.0, "reap_time": 120.0, "rejoin_interval": 8.0}

TOO_LATE = (Step(at=1.0, kind="too-late", names=("n01", "n02")),)
APART = (Step(at=1.0, kind="halves", names=("n00", "n01", "n02"), seconds=60.0),)
TWICE = (
    Step(at=1.0, kind="chatter", names=("n01",), amount=9.0, seconds=0.5),
    Step(at=2.0, kind="restart", names=("n01",), seconds=1.0),
    Step(at=9.0, kind="chatter", names=("n01",), amount=5.0, seconds=0.5),
)

MISFITS = (Step(at=1.0, kind="misfits", names=("n01",), amount=2.0, seconds=5.0),)
TWIN = (Step(at=1.0, kind="twin", names=("n01", "n02"), amount=9.0, seconds=9.0),)
IMPOSTOR = (Step(at=1.0, kind="impostor", names=("n01",), amount=3.0, seconds=8.0),)
QUICK = (Step(at=1.0, kind="restart", names=("n01",), seconds=0.2),)

breaks, CASES = breaking()


def repeated(kind):
    return (Step(at=1.0, kind=kind, names=("n01",), amount=20.0, seconds=5.0),)


@breaks("contradiction-followed")
def two_views_are_left_alone(monkeypatch):
    monkeypatch.setattr(Merge, "_contradicts", lambda self, record: False)
    return "form split wait"


@pytest.mark.parametrize(("name", "break_it"), CASES)
def test_a_checker_notices_what_it_is_there_for(name, break_it, monkeypatch: pytest.MonkeyPatch):
    assert notices(name, break_it, monkeypatch)


SHOWN = (
    ("a-ping-never-ends-in-vain", "commands-complete", TOO_LATE, {}),
    ("a-broken-reliable-message-never-ends", "commands-complete", TOO_LATE, {}),
    ("a-failed-join-never-ends", "commands-complete", TOO_LATE, {}),
    ("half-a-table-is-a-table", "join-outcome", TOO_LATE, {}),
    ("refused-packets-are-not-counted", "statistics-match-trace", TOO_LATE, {}),
    (
        "a-refused-join-is-a-join",
        "join-outcome",
        MISFITS,
        {},
    ),
    (
        "a-refused-join-is-a-join",
        "join-outcome",
        (Step(at=1.0, kind="join-leaver", names=("n01", "n02")),),
        {},
    ),
    (
        "a-double-record-is-taken",
        "own-incarnation",
        (Step(at=1.0, kind="forged-streams", names=("n01",), amount=20.0, seconds=2.0),),
        {},
    ),
    (
        "held-tables-have-no-bound",
        "memory-bounds",
        (Step(at=1.0, kind="held-tables", names=("n01",)),),
        SMALL_TABLES,
    ),
    (
        "held-messages-have-no-bound",
        "memory-bounds",
        (Step(at=1.0, kind="held-messages", names=("n01",)),),
        {"message_bytes_max": 300_000},
    ),
    ("versions-are-not-compared", "join-outcome", MISFITS, {}),
    ("trailing-bytes-are-smuggled-in", "statistics-match-trace", repeated("malformed"), {}),
    ("incarnation-zero-is-read", "statistics-match-trace", repeated("malformed"), {}),
    ("any-conflict-is-believed", "statistics-match-trace", repeated("false-conflicts"), {}),
    ("frames-of-any-length", "statistics-match-trace", repeated("long-frames"), {}),
    ("a-conflict-is-settled-in-silence", "statistics-match-trace", TWIN, {}),
    ("a-conflict-is-told-again-and-again", "statistics-match-trace", TWIN, {}),
    ("an-answer-of-the-old-address-is-ignored", "moved-was-asked", TWIN, {}),
    ("anybody-may-vouch", "moved-was-asked", TWIN, {}),
    ("an-unknown-origin-silences-a-member", "arrived-is-delivered", IMPOSTOR, {}),
    ("outbids-any-accusation", "own-incarnation", repeated("implausible"), {}),
    ("an-unchanged-member-is-told-as-updated", "events-match-table", QUICK, {}),
    ("a-hung-exchange-stays", "timers-kept", (), {}),
    ("a-restarted-origin-repeats-itself", "arrived-is-delivered", TWICE, {}),
    (
        "a-full-queue-takes-more",
        "queue-bounds",
        (Step(at=1.0, kind="flood", names=("n01",), amount=200.0),),
        SMALL_QUEUE,
    ),
    ("lost-members-are-never-tried", "lost-are-tried", APART, SCHISM),
    ("only-seeds-are-tried", "lost-are-tried", APART, SCHISM),
    ("a-contradiction-is-not-followed-up", "contradiction-followed", APART, SCHISM),
)


@pytest.mark.parametrize(
    ("bug", "rule", "steps", "config"), SHOWN, ids=[f"{case[0]}-{case[1]}" for case in SHOWN]
)
def test_a_kind_of_step_shows_a_planted_bug_to_a_checker_that_is_else_content(
    bug: str, rule: str, steps: tuple[Step, ...], config: dict[str, float]
) -> None:
    seconds = 70.0 if steps is APART else 15.0
    scenario = Scenario(seed=1, nodes=8, seconds=seconds, steps=steps, config=config)
    sound = play(scenario, checkers=(BY_NAME[rule],))
    assert sound.broken == ()
    assert not sound.skipped
    with MUTANTS[bug].applied():
        assert rule in play(scenario, checkers=(BY_NAME[rule],)).broken


def test_a_refused_call_that_has_an_effect_ends_the_run() -> None:
    step = Step(at=1.0, kind="meta-too-long", names=("n01",), amount=600.0)
    scenario = Scenario(seed=1, nodes=5, seconds=5.0, steps=(step,))
    assert play(scenario).broken == ()
    with MUTANTS["a-refused-command-has-an-effect"].applied():
        assert "no-crash" in play(scenario).broken


def test_a_forged_stream_is_refused_and_leaves_no_trace() -> None:
    step = Step(at=1.0, kind="forged-streams", names=("n01",), amount=60.0, seconds=5.0)
    half = Step(at=2.0, kind="half-streams", names=("n01",), amount=20.0, seconds=5.0)
    report = play(Scenario(seed=1, nodes=6, seconds=10.0, steps=(step, half)))
    assert report.broken == ()
    assert report.injected["stream_forged"] == 80
    assert not report.injected["hostile"], "all rules go on to bind"


def test_a_plot_follows_from_the_seed_and_gentle_ones_are_gentle() -> None:
    names = tuple(f"n{number:02}" for number in range(8))
    assert plot_of(7, names, gentle=True) == plot_of(7, names, gentle=True)
    plots = [plot_of(seed, names, gentle=False) for seed in range(300)]
    steps = [step for plot in plots if plot is not None for step in plot.steps]
    assert 80 < sum(plot is not None for plot in plots) < 160
    assert {"halves", "restart-high", "held-tables", "come-back"} <= {step.kind for step in steps}
    assert set(GENTLE_PLOTS) < set(PLOTS)
    for seed in range(200):
        assert random_scenario(seed, gentle=True, nodes=(3, 4)).is_gentle
