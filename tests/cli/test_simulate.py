"""``trio-gossip simulate``: the same run from the same options, and a report that is true of it."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner

from tests.cli.processes import environment, run_to_end
from trio_gossip.cli import simulation_results as module
from trio_gossip.cli.commands import commands
from trio_gossip.cli.simulated import Plan, Scene
from trio_gossip.cli.simulation_report import json_record, text_lines
from trio_gossip.events import MemberFailed, MemberJoined, MemberSuspected
from trio_gossip.testing import Trace
from trio_gossip.testing.page.beliefs import State

SMALL = ("--nodes", "6", "--kill", "2", "--loss", "0.05", "--seed", "7")
SAMPLE = "simulate --nodes 100 --kill 3 --loss 0.05 --seed 7 --html out.html"
PLAN = Plan(nodes=12, kill=3, loss=0.1, seed=11, profile="lan", seconds=300.0)


def run(*options: str):
    return CliRunner().invoke(commands, ["simulate", *options])


# -- the same run -----------------------------------------------------------------------


@pytest.mark.sockets
def test_the_digest_is_the_same_in_two_processes_under_two_hash_seeds():
    first, second = (
        run_to_end("simulate", *SMALL, "--trace", "-", env=environment() | {"PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    )
    assert first.returncode == second.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert re.fullmatch(r"digest: [0-9a-f]{32}", first.stdout.splitlines()[-1])


def test_recording_and_slices_of_time_do_not_change_the_run(monkeypatch):
    plain = Scene(PLAN).play()
    kept = Scene(PLAN, Trace(), lambda phase, share: None).play()
    assert plain.digest == kept.digest
    monkeypatch.setattr("trio_gossip.cli.simulated.SLICE_SECONDS", 0.013)
    finer = Scene(attrs.evolve(PLAN, kill=0, seconds=3.0)).play()
    monkeypatch.undo()
    assert finer.digest == Scene(attrs.evolve(PLAN, kill=0, seconds=3.0)).play().digest


def test_another_seed_is_another_run():
    digests = {Scene(attrs.evolve(PLAN, seed=seed)).play().digest for seed in range(4)}
    assert len(digests) == 4


def test_the_seed_also_chooses_who_dies():
    chosen = set()
    for seed in range(4):
        outcome = Scene(attrs.evolve(PLAN, seed=seed, kill=1)).play()
        chosen |= {rumour.subject for rumour in outcome.deaths}
    assert len(chosen) > 1


# -- the report -------------------------------------------------------------------------


def test_the_figures_are_those_of_the_events():
    """Each against what the applications of the processes were told, and in plain words."""
    scene = Scene(PLAN)
    outcome = scene.play()
    processes = [*scene.simulation.graves, *scene.simulation.processes.values()]
    events = [
        (time, process.name, event) for process in processes for time, event in process.events
    ]
    victims = {process.name: process.ended_at for process in scene.simulation.graves}
    assert len(outcome.deaths) == len(victims) == 3
    for rumour in outcome.deaths:
        assert rumour.ended_at == victims[rumour.subject]
        heard = {
            kind: [
                time
                for time, _, event in events
                if isinstance(event, kind) and event.member.name == rumour.subject
            ]
            for kind in (MemberSuspected, MemberFailed)
        }
        assert rumour.suspected_at == min(heard[MemberSuspected]) > rumour.ended_at
        assert rumour.failed_at == min(heard[MemberFailed]) > rumour.suspected_at
        survivors = set(scene.simulation.processes)
        told = {
            name: time
            for time, name, event in events
            if isinstance(event, MemberFailed) and event.member.name == rumour.subject
        }
        assert survivors <= set(told)
        assert rumour.known_at == max(told[name] for name in survivors)
        for name in survivors:
            assert scene.watch.spread.view(name, rumour.subject) is State.FAILED
    # It ends after some calm seconds, and not before the last one knew.
    assert outcome.seconds >= max(rumour.known_at for rumour in outcome.deaths) + 5.0
    joins = [time for time, _, event in events if isinstance(event, MemberJoined)]
    assert outcome.formed_at == max(joins)
    assert outcome.started_at == max(process.started_at for process in processes)
    wrong = [
        event
        for time, _, event in events
        if isinstance(event, MemberSuspected) and time < victims.get(event.member.name, 1e9)
    ]
    assert outcome.suspicions == len(wrong)


def test_traffic_is_that_of_the_trace():
    trace = Trace()
    outcome = Scene(PLAN, trace).play()
    sent = [len(data) for _, kind, _, _, data in trace if kind == "send"]
    assert (outcome.packets, outcome.bytes) == (len(sent), sum(sent))
    assert outcome.lost == sum(kind == "lose" and data == "loss" for _, kind, _, _, data in trace)
    assert 0.05 < outcome.lost / outcome.packets < 0.15
    assert outcome.seconds * 9 < outcome.node_seconds < outcome.seconds * 12


def test_text_and_json_say_the_same():
    outcome = Scene(PLAN).play()
    text = "\n".join(text_lines(outcome))
    record = json_record(outcome)
    assert record["digest"] in text
    for rumour, crash in zip(outcome.deaths, record["crashes"], strict=True):
        assert crash["member"] == rumour.subject
        assert crash["failed_after"] == pytest.approx(rumour.failed_at - rumour.ended_at)
        row = next(line for line in text.splitlines() if line.startswith(f"{crash['member']} "))
        assert f"+{crash['suspected_after']:.2f} s" in row
        assert f"+{crash['failed_after']:.2f} s" in row
        assert f"+{crash['known_to_all_after']:.2f} s" in row
    assert f"all agreed after {record['agreed_after']:.2f} s" in text
    assert f"{record['packets_per_member_second']:.2f} packets" in text


def test_a_run_without_deaths_ends_well():
    result = run("--nodes", "3", "--kill", "0")
    assert result.exit_code == 0
    assert "crashed at" not in result.stdout
    assert "all survivors see the 3 members that run" in result.stdout


def test_all_but_one_may_die():
    result = run("--nodes", "3", "--kill", "2")
    assert result.exit_code == 0, result.stdout
    assert "the survivor sees the 1 members" not in result.stdout
    assert "passed: the survivor sees itself alone" in result.stdout


@pytest.mark.parametrize("profile", ["wan", "local"])
def test_other_profiles_pass_too(profile):
    result = run("--nodes", "4", "--kill", "1", "--profile", profile)
    assert result.exit_code == 0, result.stdout


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--seconds", "0.01"), "never: not all agreed within 0.0 s"),
        (("--seconds", "2.5", "--kill", "1"), "do not agree who runs"),
    ],
)
def test_a_cluster_that_does_not_agree_is_exit_code_1(options, part):
    result = run("--nodes", "3", "--kill", "0", *options)
    assert result.exit_code == 1
    assert part in result.stdout
    assert "failed: after" in result.stdout


def test_what_never_happened_is_said_so():
    result = run("--nodes", "3", "--kill", "1", "--seconds", "2.5")
    assert result.exit_code == 1
    assert result.stdout.count("never") >= 1


def test_json_is_one_object_with_the_digest_and_no_real_time():
    result = run(*SMALL, "--json")
    assert result.exit_code == 0
    record = json.loads(result.stdout)
    assert record["passed"] is True
    assert (record["nodes"], record["kill"], record["seed"]) == (6, 2, 7)
    again = run(*SMALL, "--json")
    assert again.stdout == result.stdout


def test_how_long_it_really_took_is_beside_the_result():
    result = run(*SMALL)
    assert "real time" in result.stderr
    assert "real time" not in result.stdout


# -- files ------------------------------------------------------------------------------


def test_the_page_and_the_trace_are_written(tmp_path: Path):
    page, trace = tmp_path / "out.html", tmp_path / "out.trace"
    result = run(*SMALL, "--html", str(page), "--trace", str(trace))
    assert result.exit_code == 0, result.output
    digest = result.stdout.splitlines()[-1].removeprefix("digest: ")
    assert digest in page.read_text()
    lines = trace.read_text().splitlines()
    assert lines[0].split()[1:3] == ["start", "n000"]
    assert any(" MemberFailed " in line for line in lines)


def test_a_trace_on_standard_output_comes_before_the_report(tmp_path: Path):
    result = run(*SMALL, "--trace", "-")
    lines = result.stdout.splitlines()
    assert lines[0].split()[1:3] == ["start", "n000"]
    assert lines[-1].startswith("digest: ")


def test_records_that_were_not_kept_are_told(monkeypatch):
    monkeypatch.setattr("trio_gossip.testing.trace.RECORDS_MAX", 100)
    result = run(*SMALL, "--trace", "-")
    assert re.search(r"the first \d+ records of the trace were not kept", result.stderr)


def test_a_bar_is_drawn_on_a_terminal_only(monkeypatch, capsys):
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True, raising=False)
    with module.progress_bar() as progress:
        progress("joining", 0.5)
    assert "joining" in capsys.readouterr().err
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: False, raising=False)
    with module.progress_bar() as progress:
        progress("joining", 0.5)
    assert capsys.readouterr().err == ""


def test_the_sample_in_the_pages_is_what_is_printed():
    """Nothing in it depends on the machine: rules, members and digest are those of the version."""
    page = (Path(__file__).parents[2] / "docs" / "cli.rst").read_text()
    shown = page.partition(f"$ trio-gossip {SAMPLE}\n")[2].partition("\n\n``--nodes")[0]
    printed = run(*SAMPLE.replace(" --html out.html", "").split()[1:]).stdout
    assert textwrap.dedent(shown).rstrip() == printed.rstrip()
