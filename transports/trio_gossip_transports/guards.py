"""One task at a time: the guard around calls that two tasks must not make at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from types import TracebackType


class OneAtATime:
    """Refuses a second task inside a ``with`` block, as trio's own resources do.

    Raises:
        trio.BusyResourceError: from ``with``, with ``message``, while another task is inside.
    """

    __slots__ = ("_busy", "_message")

    def __init__(self, message: str) -> None:
        self._busy = False
        self._message = message

    def __enter__(self) -> None:
        if self._busy:
            raise trio.BusyResourceError(self._message)
        self._busy = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._busy = False
