"""The demo's words: sentences and a table for people, or an object a step."""

from __future__ import annotations

import io
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from rich.box import ASCII, SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trio_gossip.cli.output import LineOutput
from trio_gossip.cli.phases import Remark, Seen
from trio_gossip.cli.printing import to_json
from trio_gossip.cli.problems import visible

_STYLES: Final = {
    "started": "cyan",
    "sees_all": "green",
    "suspected": "yellow",
    "failed": "bold red",
    "returned": "green",
    "left": "magenta",
    "ended": "magenta",
}
_WIDTH_MAX: Final = 100


class Report(ABC):
    """Where the demo says what it does and sees. Keeps what was measured for the end."""

    def __init__(self, output: LineOutput, elapsed: Callable[[], float]) -> None:
        """Args:
        output: where to.
        elapsed: seconds since the demo began.
        """
        self._output = output
        self._elapsed = elapsed
        self._measured: list[tuple[str, float]] = []
        self._problems: list[str] = []

    @abstractmethod
    async def chapter(self, title: str, text: str) -> None:
        """A phase begins."""

    @abstractmethod
    async def remark(self, remark: Remark) -> None:
        """Something was observed."""

    @abstractmethod
    async def note(self, seen: Seen) -> None:
        """An agent wrote to standard error."""

    async def problem(self, text: str) -> None:
        """Something is wrong or was not observed."""
        self._problems.append(text)

    async def measured(self, what: str, seconds: float) -> None:
        """A time for the table at the end."""
        self._measured.append((what, seconds))

    @abstractmethod
    async def end(self, *, passed: bool, nodes: int, profile: str) -> None:
        """The verdict and what was measured."""


class JsonReport(Report):
    """One object a line; the last one has ``"step": "summary"``."""

    async def chapter(self, title: str, text: str) -> None:
        """A ``phase`` object."""
        await self._step("phase", title=title, text=text)

    async def remark(self, remark: Remark) -> None:
        """An object named after the step, with the line it was seen in."""
        seen = remark.seen
        await self._step(
            remark.step, at=seen.at, observer=seen.observer, text=remark.text, seen=dict(seen.event)
        )

    async def note(self, seen: Seen) -> None:
        """A ``note`` object."""
        await self._step("note", at=seen.at, observer=seen.observer, text=seen.event["text"])

    async def problem(self, text: str) -> None:
        """A ``problem`` object."""
        await super().problem(text)
        await self._step("problem", text=text)

    async def measured(self, what: str, seconds: float) -> None:
        """A ``measured`` object."""
        await super().measured(what, seconds)
        await self._step("measured", what=what, seconds=round(seconds, 3))

    async def end(self, *, passed: bool, nodes: int, profile: str) -> None:
        """The ``summary`` object."""
        await self._step(
            "summary",
            passed=passed,
            nodes=nodes,
            profile=profile,
            measured={what: round(seconds, 3) for what, seconds in self._measured},
            problems=self._problems,
        )

    async def _step(self, step: str, *, at: float | None = None, **fields: Any) -> None:
        elapsed = self._elapsed() if at is None else at
        base = {"time": round(time.time(), 6), "elapsed": round(elapsed, 3), "step": step}
        await self._output.write_line(to_json(base | fields))


class TextReport(Report):
    """Lines in the order of what happens, with colour where standard output is a terminal."""

    def __init__(self, output: LineOutput, elapsed: Callable[[], float]) -> None:
        super().__init__(output, elapsed)
        terminal = sys.stdout is not None and sys.stdout.isatty()
        self._begun = False
        self._unicode = _can_encode("\u2500\u2714")
        # Rendered to memory and written by the output, which never blocks the trio thread.
        self._console = Console(
            file=io.StringIO(),
            force_terminal=terminal,
            width=min(shutil.get_terminal_size((_WIDTH_MAX, 24)).columns, _WIDTH_MAX),
            highlight=False,
            emoji=False,
        )

    async def chapter(self, title: str, text: str) -> None:
        """A title and a sentence or two on what happens now."""
        if self._begun:
            await self._line(Text())
        self._begun = True
        await self._line(Text(title, style="bold"))
        await self._line(Padding(Text(text), (0, 0, 0, 2)))

    async def remark(self, remark: Remark) -> None:
        """One line with its time."""
        await self._stamped(remark.seen.at, remark.text, _STYLES.get(remark.step, ""))

    async def note(self, seen: Seen) -> None:
        """One dim line."""
        await self._stamped(seen.at, f"{seen.observer} writes: {seen.event['text']}", "dim")

    async def problem(self, text: str) -> None:
        """One red line."""
        await super().problem(text)
        await self._stamped(self._elapsed(), text, "bold red")

    async def end(self, *, passed: bool, nodes: int, profile: str) -> None:
        """The table and the verdict."""
        await self._line(Text())
        if self._measured:
            table = Table(
                title=f"{nodes} agents, profile {profile}",
                title_justify="left",
                box=SIMPLE_HEAD if self._unicode else ASCII,
            )
            table.add_column("measured")
            table.add_column("seconds", justify="right")
            for what, seconds in self._measured:
                table.add_row(what, f"{seconds:.3f}")
            await self._line(table)
        if passed:
            await self._line(Text("Every step was observed.", style="bold green"))
        else:
            await self._line(Text("The demo did not succeed; see above.", style="bold red"))

    async def _stamped(self, at: float, text: str, style: str) -> None:
        line = Text.assemble((f"{at:7.2f} s  ", "dim"), (visible(text), style))
        await self._line(line, soft_wrap=True)

    async def _line(self, what: RenderableType, *, soft_wrap: bool = False) -> None:
        with self._console.capture() as capture:
            self._console.print(what, soft_wrap=soft_wrap)
        text = capture.get().removesuffix("\n")
        await self._output.write_line("\n".join(each.rstrip() for each in text.split("\n")))


def _can_encode(text: str) -> bool:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
