"""The demo as a newcomer starts it, with real processes."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress

import pytest
import trio

from tests.cli.processes import PATIENCE, environment, run_to_end, running

pytestmark = pytest.mark.sockets


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_the_demo_really_works_and_leaves_nothing_running():
    done = run_to_end("demo", "--profile", "local", "--json")
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, objects[-1]
    assert done.stderr == ""
    summary = objects[-1]
    assert (summary["step"], summary["passed"], summary["nodes"]) == ("summary", True, 3)
    measured = summary["measured"]
    assert measured["kill until first suspicion"] > 0
    assert (
        measured["kill until first suspicion"]
        < measured["kill until first declared failed"]
        <= measured["kill until failed for every survivor"]
    )
    pids = [each["seen"]["pid"] for each in objects if each["step"] == "started"]
    assert len(set(pids)) == 4  # three, and one of them twice
    assert all(is_gone(pid) for pid in pids)


STARTS_ONE_AND_DIES = """
import math, os, signal, trio
from trio_gossip.cli.children import Children

async def main():
    send, receive = trio.open_memory_channel(math.inf)
    async with trio.open_nursery() as nursery:
        children = Children(nursery, "lan", lambda name, event: send.send_nowait(event))
        await children.start("lonely")
        print((await receive.receive())["pid"], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

trio.run(main)
"""


async def started_pids(demo) -> list[int]:
    return [(await demo.event("started", key="step"))["seen"]["pid"] for _ in range(3)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_demo_ends_its_agents_and_exits_with_1(number):
    async with running("demo", "--json") as demo:
        pids = await started_pids(demo)
        demo.process.send_signal(number)
        assert await demo.end() == 1
        assert all(is_gone(pid) for pid in pids)
        summary = (await demo.rest())[-1]
        assert summary["passed"] is False
        assert summary["problems"] == ["interrupted; all agents were ended"]
        assert demo.errors == b""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for a process of somebody else")
async def test_an_agent_does_not_outlive_a_demo_that_is_killed():
    """Alone, it has nothing to print, so that no broken pipe tells it."""
    command = [sys.executable, "-c", STARTS_ONE_AND_DIES]
    async with trio.open_nursery() as nursery:
        options = {"capture_stdout": True, "check": False, "env": environment()}
        done = await trio.run_process(command, **options)
        assert done.returncode == -signal.SIGKILL
        with suppress(ProcessLookupError):  # it may be gone already
            descriptor = os.pidfd_open(int(done.stdout))
            nursery.start_soon(trio.lowlevel.wait_readable, descriptor)  # when it has ended
            nursery.cancel_scope.deadline = trio.current_time() + PATIENCE
    assert not nursery.cancel_scope.cancelled_caught


async def test_a_demo_whose_reader_goes_away_ends_quietly():
    async with running("demo", "--profile", "local") as demo:
        assert await demo.line() == "A cluster forms"
        assert demo.process.stdout is not None
        await demo.process.stdout.aclose()
        assert await demo.end() == 1
        assert demo.errors == b""


def test_agents_that_cannot_start_fail_the_demo_with_their_own_words(tmp_path):
    """The agents find a broken package first: as after an interrupted installation."""
    broken = tmp_path / "sitecustomize.py"
    broken.write_text(
        "import sys\n"
        "if 'agent' in sys.orig_argv:\n"
        "    raise SystemExit('this installation is broken')\n"
    )
    env = environment()
    env["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{env['PYTHONPATH']}"
    done = run_to_end("demo", "--json", env=env)
    assert done.returncode == 1
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert objects[-1]["passed"] is False
    assert "node-1 ended by itself" in objects[-1]["problems"][0]
    assert "this installation is broken" in done.stdout
