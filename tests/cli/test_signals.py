"""What counts as a second signal."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.cli.processes import environment
from trio_gossip.cli.signals import TOGETHER_SECONDS, Stop

PAUSES = [(0.0, False), (TOGETHER_SECONDS / 2, False), (TOGETHER_SECONDS * 2, True)]


@pytest.mark.parametrize(("pause", "forced"), PAUSES)
async def test_a_signal_that_is_delivered_twice_at_once_is_one(mock_clock, pause, forced):
    """``timeout -s INT`` signals its child and then the group, and an agent once exited with 1."""
    stop = Stop()
    async with trio.open_nursery() as nursery:
        everything = trio.CancelScope()
        await nursery.start(stop.watch_signals, everything)
        signal.raise_signal(signal.SIGTERM)
        await stop.asked.wait()
        assert not stop.forced
        mock_clock.jump(pause)
        signal.raise_signal(signal.SIGINT)
        await wait_all_tasks_blocked()
        assert (stop.forced, everything.cancel_called) == (forced, forced)
        nursery.cancel_scope.cancel()


async def test_a_signal_long_after_another_reason_to_end_is_the_second(mock_clock):
    stop = Stop()
    async with trio.open_nursery() as nursery:
        everything = trio.CancelScope()
        await nursery.start(stop.watch_signals, everything)
        stop.ask()
        mock_clock.jump(TOGETHER_SECONDS * 2)
        stop.ask()  # to ask again does not begin anew
        signal.raise_signal(signal.SIGINT)
        await wait_all_tasks_blocked()
        assert (stop.forced, everything.cancel_called) == (True, True)
        nursery.cancel_scope.cancel()


INTERRUPTED_IMPORT = """
import signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
"""
INTERRUPTED_RUN = """
import signal, trio

def run(*_):
    signal.raise_signal(signal.SIGINT)

trio.run = run
"""


INTERRUPTED_END = """
import atexit, signal, sys

atexit.register(signal.raise_signal, signal.SIGINT)
sys.argv = ["trio-gossip", "--loud"]
"""


def run_main(code: str) -> subprocess.CompletedProcess[str]:
    code += "from trio_gossip.cli import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", code, "agent", "--name", "a", "--bind", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("code", [INTERRUPTED_IMPORT, INTERRUPTED_RUN], ids=["import", "run"])
def test_an_early_interrupt_is_one_line(code):
    """In the first fifth of a second it once was a traceback through the imports."""
    done = run_main(code)
    assert (done.returncode, done.stderr) == (130, "trio-gossip: interrupted\n")


def test_an_interrupt_while_the_process_ends_does_not_change_how_it_ends():
    done = run_main(INTERRUPTED_END)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
