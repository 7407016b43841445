"""Output that the pages show, made by running it. ``python docs/_ext/outputs.py`` writes it anew.

The pages include the files in ``docs/testing/output``. A test runs everything again and compares.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent
EXAMPLES = DOCS / "examples"
OUTPUT = DOCS / "testing" / "output"

PROGRAMS = ("crash_one", "how_long", "own_checker", "play_scenario")
"""Programs whose standard output is shown."""

WHOLE = ("FIRST", "-k", "every_key")
IN_TWO = ("FIRST", "-k", "in_a_partition")
SEEDS = ("MAJORITY", "-k", "short_outage", "--gossip-seeds=20", "--tb=no")
REPLAY = ("MAJORITY", "-k", "short_outage", "--gossip-seed=1")

TESTS = {"happy": WHOLE, "partition": IN_TWO, "seeds": SEEDS, "replay": REPLAY}
"""Runs of pytest: the version of the work distributor that is tested, and the arguments."""


def program(name: str) -> str:
    """Run a program of the examples."""
    return _run([str(EXAMPLES / f"{name}.py")], EXAMPLES)


def tests(version: str, *arguments: str) -> str:
    """Run the tests of the work distributor in a folder of their own, as a reader would."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "example"
        home.mkdir()
        for name in ("pytest.ini", "work_distributor.py"):
            shutil.copy(EXAMPLES / name, home)
        text = (EXAMPLES / "test_work_distributor.py").read_text()
        assert text.count("return CAREFUL") == 1
        text = text.replace("return CAREFUL", f"return {version}")
        (home / "test_work_distributor.py").write_text(text)
        command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
        return _run([*command, *arguments], home)


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(  # noqa: S603 - our own examples
        [sys.executable, *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"COLUMNS": "100", "PATH": "", "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"},
    )
    assert done.returncode in (0, 1), done.stderr
    return plain(done.stdout)


def plain(text: str) -> str:
    """Output without what differs from run to run: seconds of real time, addresses in memory."""
    text = re.sub(r" in \d+\.\d+s(?: \(\d+:\d+:\d+\))?", "", text)
    text = re.sub(r" at 0x[0-9a-f]+", "", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


def main() -> None:
    """Write all of it."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        (OUTPUT / f"{name}.txt").write_text(program(name))
    for name, (version, *arguments) in TESTS.items():
        (OUTPUT / f"{name}.txt").write_text(tests(version, *arguments))


if __name__ == "__main__":
    main()
