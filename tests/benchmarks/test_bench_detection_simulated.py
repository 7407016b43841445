"""The simulated part of the benchmark of failure detection: every case runs, and counts right."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "bench_detection.py"
PATIENCE = 300
"""Seconds; a case takes up to four on a quiet machine. Never part of a result."""

TIMED = ("killed", "host-gone", "killed-in-loss", "hung", "mass", "small", "distances", "liar")
"""Cases with deaths."""

QUIET = (
    *("loss", "rest", "pause", "silence", "stalls", "no-streams", "one-way", "bad-link", "deaf"),
    *("slow", "rejected", "restarts", "bursts", "lone", "churn", "grid-io", "grid-pause"),
)
"""Cases in which nobody dies, or not for long."""

SIZED = ("killed-128", "host-gone-128", "killed-1000", "host-gone-1000")
"""The same as others, with more members."""


def run(case: str, *options: str) -> str:
    """What one case prints, with few members."""
    command = [sys.executable, str(SCRIPT), "--sim", "--case", case, "--runs", "1", *options]
    done = subprocess.run(
        [*command, "--nodes", "6"], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module that runs cases."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from detection.simulated import running

    yield running
    for name in [name for name in sys.modules if name.partition(".")[0] == "detection"]:
        del sys.modules[name]


def tally(running: ModuleType, **values: Any) -> Any:
    return running.Tally(runs=1, node_seconds=60.0, **values)


@pytest.mark.parametrize("case", TIMED)
def test_a_death_is_suspected_declared_and_known_in_this_order(case: str, tmp_path: Path) -> None:
    written = tmp_path / "samples.json"
    run(case, "--profile", "lan", "--json", str(written))
    lines = json.loads(written.read_text())["cases"][case]
    died = [profiles["lan"] for profiles in lines.values() if profiles["lan"]["known"]]
    assert died
    for found in died:
        assert len(found["suspicion"]) == len(found["dead"]) == len(found["known"])
        for suspicion, dead, known in zip(
            found["suspicion"], found["dead"], found["known"], strict=True
        ):
            # A liar accuses in the very moment of the death.
            assert 0.0 <= suspicion <= dead
            assert case == "liar" or suspicion > 0.0
            assert known is None or dead <= known


@pytest.mark.parametrize("case", QUIET)
def test_a_case_without_deaths_weighs_traffic_and_counts_verdicts(case: str) -> None:
    shown = run(case, "--profile", "lan")
    assert "false deaths" in shown
    assert "packets/s" in shown
    assert "load after" in shown


def test_every_case_is_tried_here(running: ModuleType) -> None:
    assert set(running.CASES) == {*TIMED, *QUIET, *SIZED}


def test_all_profiles_get_the_same_seeds(tmp_path: Path) -> None:
    written = tmp_path / "samples.json"
    # A profile that is named twice runs twice: its samples come in pairs.
    run("killed", "--profile", "lan,memberlist,lan", "--json", str(written))
    (lines,) = json.loads(written.read_text())["cases"]["killed"].values()
    assert lines.keys() == {"lan", "memberlist"}
    first, again = lines["lan"]["known"][::2], lines["lan"]["known"][1::2]
    assert first == again


def test_samples_are_drawn_as_distributions(tmp_path: Path) -> None:
    written, picture = tmp_path / "samples.json", tmp_path / "plot.svg"
    run("small", "--profile", "lan,memberlist", "--json", str(written))
    command = [sys.executable, str(SCRIPT), "--draw", str(written), "--svg", str(picture)]
    subprocess.run(command, check=True, timeout=PATIENCE)
    drawn = ET.parse(picture).getroot()
    curves = drawn.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(curves) == 12  # three sizes, two ways to die, two profiles
    for curve in curves:
        corners = [tuple(map(float, point.split(","))) for point in curve.get("points").split()]
        assert corners == sorted(corners, key=lambda corner: (corner[0], -corner[1]))


def test_a_verdict_of_a_sick_member_on_a_healthy_one_is_false_and_told_apart(
    running: ModuleType,
) -> None:
    from detection.simulated.world import Verdict, World

    world = World("lan", 1, 4)
    healthy, other, sick, _ = world.names
    world.sick.add(sick)
    for observer, subject in ((healthy, other), (sick, other), (healthy, sick)):
        world.watch.failed.append(Verdict(world.now, observer, subject))
    found = world.tally()
    assert (found.false_deaths, found.false_both, found.false_subjects) == (2, 1, 1)
    assert world.was_declared(sick, world.now)
    assert not world.was_declared(healthy, world.now)


def test_who_is_taken_away_answers_nothing_and_who_is_killed_is_refused(
    running: ModuleType,
) -> None:
    from detection.simulated.world import World

    world = World("lan", 1, 4)
    first, second = world.names[:2]
    world.kill(first)
    world.take_away(second)
    assert first not in world.simulation.processes
    assert world.simulation.links.is_severed(world.names[2], second)
    assert not world.simulation.links.is_severed(world.names[2], first)


def test_a_blocked_member_neither_sends_nor_receives_until_the_end(running: ModuleType) -> None:
    from detection.simulated.world import World

    world = World("lan", 1, 4, tail=0.0)
    links, name = world.simulation.links, world.names[0]
    world.block([name], 2.0)
    for pair in ((name, world.names[1]), (world.names[1], name)):
        ((arrival, _),) = links.fate(*pair, b"x", world.now)
        assert arrival == world.now + 2.0
    ((arrival, _),) = links.fate(world.names[1], world.names[2], b"x", world.now + 0.1)
    assert arrival < world.now + 0.2


@pytest.mark.parametrize(
    ("known", "deaths", "expected"),
    [
        ([1.0, 1.4] * 50, 0, "ok"),
        ([1.0, 1.4], 0, "ok, only 2 deaths"),
        ([1.0, 9.0], 0, "MISSED aim 1.5/2.2"),
        ([1.0] * 50 + [5.0] * 2, 0, "MISSED aim 1.5/2.2"),
        ([1.9] * 100, 0, "MISSED aim 1.5/2.2"),
        ([1.0, 1.4], 1, "MISSED false deaths"),
        ([1.0, math.inf], 0, "MISSED aim 1.5/2.2"),
    ],
)
def test_an_aim_is_missed_by_mean_by_tail_and_by_any_false_death(
    running: ModuleType, known: list[float], deaths: int, expected: str
) -> None:
    found = tally(running, known=known, false_deaths=deaths)
    assert running.verdict(running.CASES["killed"], "lan", found) == expected
    assert running.verdict(running.CASES["killed"], "memberlist", found) == ""


def test_tallies_of_several_seeds_add_up(running: ModuleType) -> None:
    total = tally(running, known=[1.0], packets=60, seconds={"back": [1.0]})
    total += tally(running, known=[2.0], packets=180, suspicions=3, seconds={"back": [2.0]})
    assert total.known == [1.0, 2.0]
    assert total.seconds == {"back": [1.0, 2.0]}
    assert total.packet_rate == 2.0
    assert total.suspicion_rate == 1.5
    assert total.runs == 2


def test_who_never_heard_of_a_death_is_told_apart_and_not_averaged(running: ModuleType) -> None:
    assert running.spread([1.0, math.inf, 3.0]) == "2.00/2.00/3.00, never 1"
    assert running.spread([math.inf]) == "never (1)"
