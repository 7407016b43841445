"""The quick start of the README, run as a newcomer would: two processes, as it stands."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
"""Seconds after which a run that hangs is given up; it takes about one."""


@asynccontextmanager
async def member(path: Path, *arguments: str) -> AsyncIterator[trio.Process]:
    """A process that is gone at the end, whatever happened."""
    process = await trio.lowlevel.open_process(
        [sys.executable, str(path), *arguments],
        stdout=subprocess.PIPE,
        cwd=path.parent,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'transports'}", "PATH": ""},
    )
    try:
        yield process
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
        await process.stdout.aclose()


async def read_line(process: trio.Process) -> str:
    line = b""
    while not line.endswith(b"\n"):
        byte = await process.stdout.receive_some(1)
        assert byte, f"it ended after {line!r}"
        line += byte
    return line.decode().strip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The example of the README, saved as a newcomer saves it."""
    text = (ROOT / "README.md").read_text()
    path = tmp_path / "member.py"
    path.write_text(re.search(r"## Quick start.+?```python\n(.+?)```", text, re.DOTALL)[1])
    return path


@pytest.mark.sockets
async def test_two_processes_of_the_quick_start_find_each_other(path: Path):
    with trio.fail_after(PATIENCE):
        async with member(path, "a", "0") as first:
            name, address = (await read_line(first)).split(" listens at ")
            assert name == "a"
            async with member(path, "b", "0", address) as second:
                assert (await read_line(second)).startswith("b listens at 127.0.0.1:")
                assert await read_line(second) == "a is alive"
                assert await read_line(first) == "b is alive"


@pytest.mark.sockets
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
async def test_a_signal_made_the_quick_start_fail_instead_of_leave(path: Path, number: int):
    with trio.fail_after(PATIENCE):
        async with member(path, "a", "0") as first:
            address = (await read_line(first)).split(" listens at ")[1]
            async with member(path, "b", "0", address) as second:
                await read_line(second)
                assert await read_line(second) == "a is alive"
                assert await read_line(first) == "b is alive"
                second.send_signal(number)
                assert await second.wait() == 0
                assert await read_line(first) == "b is left"


@pytest.mark.sockets
async def test_the_quick_start_died_when_its_seed_was_not_up_yet(path: Path):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken and not listening: a dial is refused
        seed = f"127.0.0.1:{nobody.getsockname()[1]}"
        with trio.fail_after(PATIENCE):
            async with member(path, "a", "0", seed) as alone:
                address = (await read_line(alone)).split(" listens at ")[1]
                assert "none of 1 seeds could be joined" in await read_line(alone)
                async with member(path, "b", "0", address):
                    assert await read_line(alone) == "b is alive"
