"""The benchmark of failure detection runs with real processes, and says what it measured."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "bench_detection.py"
PATIENCE = 300
"""Seconds; a run takes some twenty on a quiet machine. Never part of a result."""

HAS_MEMBERLIST = (
    shutil.which("go") is not None
    and Path("/usr/share/gocode/src/github.com/hashicorp/memberlist").is_dir()
)

pytestmark = [
    pytest.mark.sockets,
    pytest.mark.skipif(
        not Path("/proc/self/status").exists(), reason="the benchmarks read what Linux tells"
    ),
]


def run(*options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """One part with few members."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", "--nodes", "4", *options],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def figures(text: str, line: str) -> list[float]:
    """The numbers in a line of a table, from the least to the most."""
    (found,) = re.findall(rf"^{re.escape(line)} (.*)$", text, re.MULTILINE)
    return [float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", found)]


def test_a_killed_process_is_timed_from_the_first_suspicion_until_all_know(tmp_path: Path) -> None:
    written = tmp_path / "found.json"
    shown = run("--profile", "lan", "--kills", "1", "--json", str(written)).stdout
    suspected = figures(shown, "lan: first suspicion anywhere")[0]
    first = figures(shown, "lan: first declares it failed")[0]
    known = figures(shown, "lan: all others know")[0]
    assert 0.0 < suspected <= first <= known
    assert figures(shown, "lan: back, all see it again")[0] > 0.0
    assert "lan: accusations of members that were up: " in shown
    assert "load before" in shown
    assert "load after" in shown
    assert len(json.loads(written.read_text())["kills"]["lan"]["known"]) == 1


@pytest.mark.skipif(not HAS_MEMBERLIST, reason="there is no Go or no memberlist")
def test_memberlist_itself_is_measured_beside_us() -> None:
    shown = run("--profile", "lan,go", "--kills", "1").stdout
    for side in ("lan", "go"):
        assert figures(shown, f"{side}: all others know")[0] > 0.0
        assert f"{side}: accusations of members that were up: " in shown


def test_without_go_memberlist_is_left_out_with_a_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", "--nodes", "3", "--returns"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={"PATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert "memberlist is skipped: there is no Go (Debian: golang-go)" in done.stdout
    assert "go: " not in done.stdout
    assert figures(done.stdout, "lan: at once, other port")[0] > 0.0


def test_stopped_processes_are_counted_by_the_length_of_the_stop() -> None:
    shown = run("--profile", "lan", "--stop").stdout
    (line,) = re.findall(r"^1 s +lan (.*)$", shown, re.MULTILINE)
    assert line.split()[0] == "1"
    assert line.split()[-1] in ("ok", "MISSED")


def test_starved_members_are_watched_for_false_verdicts() -> None:
    shown = run("--profile", "lan", "--starve", "--seconds", "2", "--hogs", "1").stdout
    (line,) = re.findall(r"^lan +1 a core, nice 0 (.*)$", shown, re.MULTILINE)
    assert line.split()[-1] in ("ok", "MISSED")


def test_members_at_rest_are_weighed() -> None:
    shown = run("--profile", "lan", "--idle", "--seconds", "3").stdout
    for what in ("packets", "bytes of packets", "CPU"):
        assert figures(shown, f"lan: {what}")[0] > 0.0


def namespaces() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout


def test_hosts_in_namespaces_are_cut_off_and_leave_nothing_behind() -> None:
    done = run("--profile", "lan", "--netns", "--times", "1")
    shown = done.stdout
    if "--netns is skipped: " in shown:
        pytest.skip(shown.strip())
    assert "gossip" not in namespaces()
    for fault in ("blackout of one host", "blackout of all", "host gone", "5% loss"):
        (line,) = re.findall(rf"^{fault}.* lan +(.*)$", shown, re.MULTILINE)
        assert line.split()[-1] in ("ok", "MISSED")
    (known,) = re.findall(
        r"^host gone.* lan .* ([\d.]+)/[\d.]+/[\d.]+ +\S+ +\w+$", shown, re.MULTILINE
    )
    assert float(known) > 0.5


def test_a_profile_that_does_not_exist_is_named() -> None:
    done = run("--profile", "slowest", check=False)
    assert done.returncode == 1
    assert "there is no profile 'slowest' in this version" in done.stderr
