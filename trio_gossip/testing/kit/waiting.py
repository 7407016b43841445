"""Where the code of a test waits: for the message when a wait takes too long."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

PLACES: Final = 3
"""Places that a message names."""

_MACHINERY: Final = (
    "anyio",
    "contextlib",
    "outcome",
    "pytest_trio",
    "trio",
    "trio_gossip",
    "trio_gossip_transports",
)
"""Packages between the code of a test and what it waits for."""


def waiting_places(owner: trio.lowlevel.Task, own: trio.Nursery) -> str:
    """Where tests and their programs wait now, as ``file:line in function``; "" for nowhere.

    The task that has opened a block counts before the others. Where that is a fixture, which has
    nothing to wait for, the test is in another task: so all tasks of the run are looked at, those
    near the root first.

    Args:
        owner: the task that has opened the block.
        own: the nursery of the block, whose tasks are those of members.
    """
    place = _place(owner)
    if place is not None:
        return place
    root = trio.lowlevel.current_root_task()
    places: dict[str, None] = {}
    level = [] if root is None else [root]
    while level:
        # trio keeps tasks in sets, so that their order has to be made.
        places |= dict.fromkeys(sorted(filter(None, map(_place, level))))
        level = [child for task in level for child in _children(task, own)]
    return ", ".join(list(places)[:PLACES])


def _children(task: trio.lowlevel.Task, own: trio.Nursery) -> Iterator[trio.lowlevel.Task]:
    for nursery in task.child_nurseries:
        if nursery is not own:
            yield from nursery.child_tasks


def _place(task: trio.lowlevel.Task) -> str | None:
    """The innermost line of a task that is not of the machinery."""
    found: tuple[FrameType, int] | None = None
    for frame, line in task.iter_await_frames():
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in _MACHINERY:
            found = frame, line
    if found is None:
        return None
    frame, line = found
    return f"{_short(frame.f_code.co_filename)}:{line} in {frame.f_code.co_name}"


def _short(filename: str) -> str:
    """A path as pytest shows it: from the working directory on, if it is inside."""
    path = Path(filename)
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
