"""Real agents for tests: started as a user starts them, followed line by line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "trio_gossip"]
ANY_PORT = "127.0.0.1:0"
PATIENCE = 60
"""Seconds after which a test that waits for a line fails; never part of a result."""


def environment() -> dict[str, str]:
    paths = [str(ROOT), str(ROOT / "transports"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def run_to_end(*options: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a command that is expected to end by itself."""
    more = {"stdin": subprocess.DEVNULL, "env": environment()} | more
    return subprocess.run(
        [*COMMAND, *options],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
        **more,
    )


class Running:
    """A process whose lines are read as the test asks for them."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._rest = b""
        self.errors = b""
        self._more = trio.Event()

    async def line(self) -> str:
        """The next line of standard output; fails at its end."""
        stdout = self.process.stdout
        assert stdout is not None
        with trio.fail_after(PATIENCE):
            while b"\n" not in self._rest:
                data = await stdout.receive_some()
                assert data, f"standard output ended after {self.lines}; stderr: {self.errors!r}"
                self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        self.lines.append(line.decode())
        return self.lines[-1]

    async def event(self, name: str, key: str = "event", **fields: Any) -> dict[str, Any]:
        """The next object of that name whose fields have these values; skips others."""
        while True:
            found = json.loads(await self.line())
            if found[key] == name and all(found[each] == fields[each] for each in fields):
                return found

    async def member_event(self, name: str, member: str) -> dict[str, Any]:
        """The next event of that name about that member."""
        while True:
            found = await self.event(name)
            if found["member"]["name"] == member:
                return found

    async def rest(self) -> list[dict[str, Any]]:
        """Every object up to the end."""
        stdout = self.process.stdout
        assert stdout is not None
        with trio.fail_after(PATIENCE):
            async for data in stdout:
                self._rest += data
        return [json.loads(line) for line in self._rest.splitlines()]

    async def type(self, text: bytes) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send_all(text)

    async def end(self) -> int:
        """Its exit code, once it has ended."""
        with trio.fail_after(PATIENCE):
            return await self.process.wait()

    async def error_line(self, part: bytes) -> None:
        """Wait until standard error has a line with this in it."""
        with trio.fail_after(PATIENCE):
            while part not in self.errors:
                await self._more.wait()

    async def read_errors(self) -> None:
        assert self.process.stderr is not None
        async for data in self.process.stderr:
            self.errors += data
            self._more.set()
            self._more = trio.Event()


@asynccontextmanager
async def running(*options: str, **more: Any) -> AsyncIterator[Running]:
    """Start a command; it is killed at the end of the block if it still runs."""

    async def kill(process: trio.Process) -> None:
        process.kill()

    async with trio.open_nursery() as nursery:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        start = partial(
            trio.run_process,
            [*COMMAND, *options],
            env=environment(),
            check=False,
            deliver_cancel=kill,
            **(pipes | more),
        )
        process = await nursery.start(start)
        run = Running(process)
        nursery.start_soon(run.read_errors)
        yield run
        nursery.cancel_scope.cancel()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def agent(name: str, *options: str, **more: Any) -> AsyncIterator[tuple[Running, str]]:
    """An agent that listens; yields it and its address."""
    base = ["agent", "--json", "--profile", "local", "--name", name, "--bind", ANY_PORT]
    async with running(*base, *options, **more) as run:
        started = await run.event("started")
        yield run, started["address"]
