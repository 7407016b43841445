"""The example of the pages about testing: its tests pass, and all output in the pages is real."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

ROOT = Path(__file__).resolve().parents[2]
SEED_SHOWN = 1


def load() -> ModuleType:
    """The module that writes what the pages show; it is in no package."""
    folder = str(ROOT / "docs" / "_ext")
    sys.path.insert(0, folder)
    try:
        return import_module("outputs")
    finally:
        sys.path.remove(folder)


outputs = load()
AGAIN = "make it anew: python docs/_ext/outputs.py"


def shown(name: str) -> str:
    return (ROOT / "docs" / "testing" / "output" / f"{name}.txt").read_text()


def test_the_mended_program_passes_all_of_its_tests():
    assert "5 passed" in outputs.tests("CAREFUL").splitlines()


@pytest.mark.slow
def test_the_mended_program_passes_with_a_hundred_seeds():
    assert "500 passed" in outputs.tests("CAREFUL", "--gossip-seeds=100").splitlines()


def test_a_majority_mends_the_lasting_partition():
    told = outputs.tests("MAJORITY", "-k", "in_a_partition")
    assert "1 passed, 4 deselected" in told.splitlines()


def test_some_seeds_show_the_race_and_the_page_replays_one_of_them():
    failing = re.findall(r"^FAILED .+\[seed=(\d+)\]", shown("seeds"), re.MULTILINE)
    assert 0 < len(failing) < 20
    assert failing[0] == str(SEED_SHOWN)
    assert "0" not in failing, "the page says that the test passes at first"
    assert shown("replay").count(f"--gossip-seed={SEED_SHOWN}") == 1
    assert f"seed {SEED_SHOWN}; to see it again" in shown("replay")


@pytest.mark.parametrize("name", outputs.PROGRAMS)
def test_the_pages_show_what_the_programs_print(name: str):
    assert shown(name) == outputs.program(name), AGAIN


@pytest.mark.parametrize("name", outputs.TESTS)
def test_the_pages_show_what_pytest_says(name: str):
    version, *arguments = outputs.TESTS[name]
    assert shown(name) == outputs.tests(version, *arguments), AGAIN


def test_every_output_that_is_kept_is_shown_in_a_page():
    pages = "".join(path.read_text() for path in (ROOT / "docs" / "testing").glob("*.rst"))
    kept = {path.stem for path in (ROOT / "docs" / "testing" / "output").glob("*.txt")}
    assert kept == {*outputs.PROGRAMS, *outputs.TESTS}
    assert kept == set(re.findall(r"output/(\w+)\.txt", pages))


def test_what_differs_from_run_to_run_is_not_shown():
    text = "1 passed in 0.51s\n<X object at 0x7f0a>  \n2 failed in 61.20s (0:01:01)\n"
    assert outputs.plain(text) == "1 passed\n<X object>\n2 failed\n"


def test_hypothesis_finds_two_leaders():
    sys.path.insert(0, str(ROOT / "docs" / "examples"))
    try:
        machine = import_module("one_leader").OneLeader
    finally:
        sys.path.pop(0)
    short = settings(
        max_examples=100,
        stateful_step_count=15,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(AssertionError, match="lead"):
        run_state_machine_as_test(machine, settings=short)
