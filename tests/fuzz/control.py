"""The parser of the agent's control socket, at both ends: requests, answers, trees in rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fuzz.steps import read_steps, timed
from trio_gossip.cli.control_wire import (
    FRAME_BYTES_MAX,
    ControlWireError,
    Frames,
    rows_of,
    tree_from,
)


def control(data: bytes) -> None:
    """Bytes as they come, in pieces; an even op wraps a chunk into a frame.

    What is decoded is read as rows of an answer too. A tree that comes out of them says the same
    when it is sent again.
    """
    frames = Frames()
    rows: list[list[Any]] = []
    for op, chunk in read_steps(data):
        if op % 2 == 0:
            chunk = len(chunk).to_bytes(4, "big") + chunk
        frames.feed_untrusted(chunk)
        try:
            while (items := timed(frames.next_untrusted)) is not None:
                assert type(items[0]) is int
                rows.append(items[2:])
        except ControlWireError as error:
            problem = str(error)
            break
        assert len(frames._data) <= FRAME_BYTES_MAX + 4
    else:
        problem = ""
    assert "\n" not in problem
    for few in (rows, *([row] for row in rows)):
        try:
            tree = timed(tree_from, few)
        except ControlWireError:
            continue
        again = tree_from(rows_of(tree))
        assert repr(again) == repr(tree)  # as text: NaN is not equal to itself


CONTROL: dict[str, Callable[[bytes], None]] = {"control": control}
"""By name."""
