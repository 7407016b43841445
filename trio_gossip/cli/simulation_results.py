"""Where the results of a simulation go: files, standard output, and a bar while it runs."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trio_gossip.cli.problems import BadInputError, visible
from trio_gossip.cli.simulation_options import STANDARD_OUTPUT, cannot_write
from trio_gossip.testing.page import make_page

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from trio_gossip.cli.simulation_report import Told
    from trio_gossip.testing.trace import Trace


def write_trace(records: Trace, target: str) -> None:
    """Write a trace as lines to a file, or to standard output for ``-``.

    Raises:
        BadInputError: it cannot be written.
    """
    with _told(target):
        if target == STANDARD_OUTPUT:
            for line in records.lines():
                click.echo(visible(line))
            return
        with Path(target).open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(f"{visible(line)}\n" for line in records.lines())


def write_page(records: Trace, target: str, told: Told) -> None:
    """Write the page to a file.

    Raises:
        BadInputError: it cannot be written, or has no room for the members of the run.
    """
    try:
        page = make_page(
            records,
            title="trio-gossip simulation",
            facts=told.facts,
            about=told.about,
            findings=told.findings,
        )
    except ValueError as error:
        raise BadInputError(f"--html: {error}") from None
    with _told(target):
        Path(target).write_text(page, encoding="utf-8")


@contextlib.contextmanager
def _told(target: str) -> Generator[None]:
    """Name the file that could not be written; a reader that went away needs no word."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_write(target, error) from None


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
