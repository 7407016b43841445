"""Where the results of a simulation go: files, standard output, and a bar while it runs."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trio_gossip.cli.problems import BadInputError, visible
from trio_gossip.testing.page import make_page

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from trio_gossip.testing.trace import Trace


def write_trace(records: Trace, target: str) -> None:
    """Write a trace as lines to a file, or to standard output for ``-``."""
    if target == "-":
        for line in records.lines():
            click.echo(visible(line))
        return
    with Path(target).open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(f"{visible(line)}\n" for line in records.lines())


def write_page(records: Trace, target: str, facts: list[tuple[str, str]]) -> None:
    """Write the page to a file.

    Raises:
        BadInputError: the page has no room for the members of the run.
    """
    try:
        page = make_page(records, title="trio-gossip simulation", facts=facts)
    except ValueError as error:
        raise BadInputError(f"--html: {error}") from None
    Path(target).write_text(page, encoding="utf-8")


@contextlib.contextmanager
def progress_bar() -> Generator[Callable[[str, float], None]]:
    """A bar on standard error where that is a terminal; else nothing at all."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _, __: None
        return
    # Lazily: nobody looks at it otherwise.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns: Any = (TextColumn("{task.description:12}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda phase, share: bar.update(task, description=phase, completed=share)
