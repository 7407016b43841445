"""The demo's agents: real processes, whose lines are read as they come. None outlives the demo."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeAlias, cast

import attrs
import trio

from trio_gossip.cli.lines import LineSplitter
from trio_gossip.cli.phases import ENDED

Notice: TypeAlias = Callable[[str, dict[str, Any]], None]
"""Takes an agent's name and one of its events."""

NOTE: Final = "note"
"""The event for a line that an agent wrote to standard error; it carries ``text``."""


@attrs.define(eq=False)
class _Child:
    process: trio.Process
    ended: trio.Event = attrs.field(factory=trio.Event)


class Children:
    """Starts agents on loopback and ends them, by name. Cancelling the nursery kills them all."""

    def __init__(self, nursery: trio.Nursery, profile: str, notice: Notice) -> None:
        """Args:
        nursery: where the processes live.
        profile: of every agent.
        notice: told of every event, also :data:`~trio_gossip.cli.phases.ENDED`.
        """
        self._nursery = nursery
        self._profile = profile
        self._notice = notice
        self._children: dict[str, _Child] = {}

    async def start(self, name: str, seeds: Sequence[str] = ()) -> None:
        """Start an agent; returns when its process exists, before its first line."""
        command = [sys.executable, "-m", "trio_gossip", "agent", "--json", "--leave-at-eof"]
        command += ["--name", name, "--bind", "127.0.0.1:0", "--profile", self._profile]
        for seed in seeds:
            command += ["--join", seed]
        self._children[name] = await self._nursery.start(self._run, name, command)

    async def kill(self, name: str) -> None:
        """End it with SIGKILL; returns when it is gone and its last line was read."""
        child = self._children[name]
        child.process.kill()
        await child.ended.wait()

    def terminate(self, name: str) -> None:
        """Ask it with SIGTERM to leave."""
        self._children[name].process.terminate()

    async def _run(
        self, name: str, command: list[str], *, task_status: trio.TaskStatus[_Child]
    ) -> None:
        async with trio.open_nursery() as nursery:
            # The pipe to its standard input stays open as long as this process lives: should
            # this one be killed, the agents see the end of it and leave. A session of its own
            # keeps Ctrl-C from reaching them before us.
            start = partial(
                trio.run_process,
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                check=False,
                deliver_cancel=_kill,
            )
            process: trio.Process = await nursery.start(start)
            child = _Child(process)
            task_status.started(child)
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            async with process.stdin:
                async with trio.open_nursery() as reading:
                    reading.start_soon(self._read_events, name, process.stdout)
                    reading.start_soon(self._read_notes, name, process.stderr)
                code = await process.wait()
        self._notice(name, {"event": ENDED, "code": code})
        child.ended.set()

    async def _read_events(self, name: str, stream: trio.abc.ReceiveStream) -> None:
        splitter = LineSplitter(limit=1 << 20)
        async with stream:
            async for data in stream:
                for line in splitter.feed(bytes(data)):
                    self._notice(name, _parse(line))

    async def _read_notes(self, name: str, stream: trio.abc.ReceiveStream) -> None:
        splitter = LineSplitter()
        async with stream:
            async for data in stream:
                for line in splitter.feed(bytes(data)):
                    if line:
                        text = line.decode(errors="backslashreplace")
                        self._notice(name, {"event": NOTE, "text": text})


def _parse(line: bytes | None) -> dict[str, Any]:
    with suppress(ValueError):
        event: Any = json.loads(line or b"")
        if isinstance(event, dict):
            return cast("dict[str, Any]", event)
    return {"event": NOTE, "text": f"printed a line that is no JSON object: {line!r}"}


async def _kill(process: trio.Process) -> None:
    process.kill()
