"""Child processes that end with the benchmark, and what the kernel says of each.

Children speak lines of JSON on standard output: the agents of ``trio-gossip agent --json`` and
the workers of ``worker.py`` alike. Each one's lines are read by a thread, so that no child ever
waits for us, and land in one queue.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import harness

Line: TypeAlias = dict[str, Any]

ENDED = "ended"
"""The key of the last line of a child, put there by its reader."""

PATIENCE = 60.0
"""Seconds after which a child that should have spoken is a failure of the benchmark."""

_PATH = os.pathsep.join([str(harness.ROOT), str(harness.ROOT / "transports")])


class Child:
    """One process. ``name`` is ours; the process need not know it."""

    def __init__(
        self, name: str, command: list[str], lines: queue.Queue[tuple[Child, Line]]
    ) -> None:
        self.name = name
        self.launched = time.monotonic()
        self._lines = lines
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": _PATH},
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put((self, json.loads(line)))
        self._lines.put((self, {ENDED: self.name}))

    def tell(self, do: str, **values: object) -> None:
        """Write one command to the child's standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **values}) + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it with SIGKILL; returns when it is gone."""
        self.process.kill()
        self.process.wait()

    # -- what the kernel says -----------------------------------------------------------

    def cpu_seconds(self) -> float:
        """CPU time of all its threads since it was started, in seconds, to the nanosecond."""
        # The clock that clock_getcpuclockid(3) names; /proc/PID/stat counts in steps of 10 ms.
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def resident_megabytes(self) -> float:
        """Resident memory (RSS) now, shared pages included."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kilobytes = status.partition("VmRSS:")[2].split()[0]
        return int(kilobytes) * 1024 / 1e6

    def wake_ups(self) -> int:
        """How often its main thread has gone to sleep by itself."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


class Children:
    """All processes of a benchmark. A context manager: none outlives its block."""

    def __init__(self) -> None:
        self.lines: queue.Queue[tuple[Child, Line]] = queue.Queue()
        self._open: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill_all()

    def kill_all(self) -> None:
        """End every process at once."""
        for child in self._open:
            child.process.kill()
        for child in self._open:
            child.process.wait()
        self._open.clear()

    def worker(self, name: str) -> Child:
        """Start a process that hosts clusters and does what it is told; see ``worker.py``.

        It ends by itself when its standard input does, should this process be killed.
        """
        path = Path(__file__).resolve().parent / "worker.py"
        return self.start(name, [sys.executable, str(path)])

    def agent(self, name: str, *options: str, port: int = 0) -> Child:
        """Start ``trio-gossip agent``; it leaves when this process is gone."""
        command = [sys.executable, "-m", "trio_gossip", "--log-level", "error", "agent", "--json"]
        command += ["--leave-at-eof", "--name", name, "--bind", f"127.0.0.1:{port}", *options]
        return self.start(name, command)

    def start(self, name: str, command: list[str]) -> Child:
        """Start any program that speaks lines of JSON."""
        child = Child(name, command, self.lines)
        self._open.append(child)
        return child

    # -- what they say ------------------------------------------------------------------

    def read(self, seconds: float) -> Iterator[tuple[Child, Line]]:
        """Lines as they come, for so many seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                yield self.lines.get(timeout=left)
            except queue.Empty:
                return

    def collect(
        self, wanted: Callable[[Child, Line], bool], count: int
    ) -> list[tuple[Child, Line]]:
        """Wait for ``count`` lines of one kind; others are thrown away.

        Raises:
            RuntimeError: they did not come in time, or a process has ended.
        """
        found: list[tuple[Child, Line]] = []
        for child, line in self.read(PATIENCE):
            if ENDED in line:
                raise RuntimeError(f"{child.name} ended with code {child.process.wait()}")
            if wanted(child, line):
                found.append((child, line))
                if len(found) == count:
                    return found
        raise RuntimeError(f"{len(found)} of {count} answers within {PATIENCE:g} s")

    def ask(self, child: Child, do: str, **values: object) -> Line:
        """Give a worker a command and wait for its answer."""
        child.tell(do, **values)
        ((_, line),) = self.collect(lambda who, line: who is child and line.get("done") == do, 1)
        return line

    def ask_all(self, workers: list[Child], do: str, **values: object) -> list[Line]:
        """Give several workers one command at once and wait for all answers."""
        for worker in workers:
            worker.tell(do, **values)
        answers = self.collect(
            lambda who, line: who in workers and line.get("done") == do, len(workers)
        )
        return [line for _, line in answers]
