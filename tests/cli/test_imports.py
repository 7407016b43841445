"""The library works without the command line's extra, and the command says what it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.processes import environment


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )


def test_the_library_imports_neither_click_nor_rich():
    done = run_python(
        "import sys, trio_gossip, trio_gossip.cli\n"
        "trio_gossip.open_cluster\n"
        "print(sorted({'click', 'rich', 'trio_gossip_transports'} & {*sys.modules}))"
    )
    assert done.stdout == "[]\n", done.stderr


def test_the_agent_does_not_load_rich():
    done = run_python(
        "import sys\n"
        "from trio_gossip.cli import commands, agent\n"
        "print(sorted({'rich', 'trio_gossip_transports'} & {*sys.modules}))"
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize(
    ("missing", "options"), [("click", "'agent'"), ("rich", "'demo'"), ("click", "'--help'")]
)
def test_a_missing_extra_is_one_line_that_says_what_to_install(missing, options):
    done = run_python(
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        f"sys.argv = ['trio-gossip', {options}]\n"
        "from trio_gossip.cli import main\n"
        "main()"
    )
    assert done.returncode == 2
    assert done.stdout == ""
    line = f"trio-gossip: {missing} is not installed; run: pip install 'trio-gossip[cli]'\n"
    assert done.stderr == line


def test_another_missing_module_is_not_mistaken_for_the_extra():
    done = run_python(
        "import sys\nsys.modules['trio'] = None\nfrom trio_gossip.cli import main\nmain()"
    )
    assert done.returncode == 1
    assert "import of trio halted" in done.stderr
