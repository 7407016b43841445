"""``trio-gossip simulate``: defaults, wrong options, and files that cannot be written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cli.processes import environment
from trio_gossip.cli.commands import commands
from trio_gossip.cli.simulated import Scene

SMALL = ("--nodes", "4", "--kill", "1", "--no-check")


def run(*options: str):
    return CliRunner().invoke(commands, ["simulate", *options])


@pytest.mark.parametrize(("nodes", "killed"), [(2, 1), (3, 2), (4, 3), (6, 3)])
def test_without_a_word_three_die_or_all_but_one(nodes, killed):
    result = run("--nodes", str(nodes), "--no-check")
    assert result.exit_code == 0, result.output
    assert f"nodes {nodes}, kill {killed}," in result.stdout


BAD = [
    (("--nodes", "1"), "1 is out of range; write a whole number from 2 to 5000"),
    (("--nodes", "5001"), "5001 is out of range"),
    (("--nodes", "many"), "'many' is no whole number; write one from 2 to 5000"),
    (("--kill", "-1"), "-1 is out of range; write a whole number from 0 on"),
    (("--kill", "some"), "'some' is no whole number; write one from 0 on"),
    (("--nodes", "3", "--kill", "3"), "--kill 3 of --nodes 3 leaves nobody"),
    (("--nodes", "3", "--kill", "9"), "--kill 9 of --nodes 3 leaves nobody"),
    (("--loss", "1.5"), "1.5 is no probability"),
    (("--loss", "-0.1"), "-0.1 is no probability"),
    (("--loss", "nan"), "nan is no probability"),
    (("--loss", "5%"), "'5%' is no number; write one from 0 to 1"),
    (("--seed", "-1"), "-1 is out of range"),
    (("--seed", "x"), "'x' is no whole number"),
    (("--seconds", "0"), "0 is not more than 0"),
    (("--seconds", "long"), "'long' is no number; write seconds, up to 86400"),
    (("--seconds", "nan"), "nan is not more than 0"),
    (("--seconds", "inf"), "inf is not more than 0 and at most 86400"),
    (("--profile", "moon"), "'moon' is not one of"),
    (("--html", "/"), "cannot write /: is a directory"),
    (("--html", "/nowhere/out.html"), "cannot write /nowhere/out.html: no such file"),
    (("--html", "a\0b"), "cannot write"),
    (("--html", "-"), "standard output is for the report; name a file"),
    (("--trace", "/nowhere/\x1b[2J"), r"\x1b[2J"),
    (("--html",), "requires an argument"),
    (("--nodes", "301", "--html", "/dev/null"), "--html shows at most 300 members, not 301"),
    (("--json", "--trace", "-"), "both want standard output"),
    (("--html", "/dev/null", "--trace", "/dev/../dev/null"), "name the same file"),
    (("more",), "unexpected extra argument"),
]


@pytest.mark.parametrize(("options", "part"), BAD)
def test_bad_input_is_one_line_before_anything_runs(monkeypatch, options, part):
    monkeypatch.setattr(Scene, "play", lambda self: pytest.fail("it ran"))
    result = run(*options)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("trio-gossip: ")
    assert part in result.stderr


def test_a_file_that_was_only_tried_is_not_left_behind(tmp_path: Path):
    page = tmp_path / "out.html"
    assert run("--kill", "200", "--html", str(page)).exit_code == 2
    assert not page.exists()
    page.write_text("before")
    assert run("--kill", "200", "--html", str(page)).exit_code == 2
    assert page.read_text() == "before"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("option", ["--html", "--trace"])
def test_a_full_disk_costs_the_file_and_not_the_report(option):
    result = run(*SMALL, option, "/dev/full")
    assert result.exit_code == 2
    assert result.stdout.splitlines()[-1].startswith("digest: ")
    assert result.stderr == "trio-gossip: cannot write /dev/full: no space left on device\n"


@pytest.mark.sockets
@pytest.mark.parametrize("options", [(), ("--trace", "-"), ("--json",)])
def test_a_full_standard_output_is_named(options):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "trio_gossip", "simulate", *SMALL, *options],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == ("trio-gossip: cannot write standard output: no space left on device\n")
