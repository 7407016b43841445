"""SIGINT, SIGTERM and SIGHUP: the first one asks to end, the second one ends."""

from __future__ import annotations

import signal
import sys
from typing import Final

import trio

TOGETHER_SECONDS: Final = 0.2
"""Signals that come this soon after the wish to end belong to it: ``timeout -s INT`` signals its
child and then the whole group, and nobody presses Ctrl-C twice so fast on purpose."""


class Stop:
    """The wish to end, and what is interrupted by it.

    Attributes:
        asked: set by the first signal, or by whoever else finds that it is time to end.
        forced: a second signal came, more than :data:`TOGETHER_SECONDS` after the wish.
    """

    def __init__(self) -> None:
        self.asked = trio.Event()
        self.forced = False
        self._asked_at: float | None = None
        self._scopes: set[trio.CancelScope] = set()

    def ask(self) -> None:
        """Wish to end: set :attr:`asked` and interrupt what may be interrupted."""
        if self._asked_at is None:
            self._asked_at = trio.current_time()
        self.asked.set()
        for scope in self._scopes:
            scope.cancel()

    def interruptible(self) -> trio.CancelScope:
        """A scope, to be entered at once, that the wish to end cancels."""
        scope = trio.CancelScope()
        self._scopes.add(scope)
        if self.asked.is_set():
            scope.cancel()
        return scope

    async def watch_signals(
        self,
        everything: trio.CancelScope,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Watch for signals until cancelled.

        Args:
            everything: cancelled by the second signal.
            task_status: started when signals do not kill the process any more.
        """
        with trio.open_signal_receiver(*_watched()) as signals:
            task_status.started()
            async for _ in signals:
                if self._asked_at is None:
                    self.ask()
                elif trio.current_time() - self._asked_at > TOGETHER_SECONDS:
                    self.forced = True
                    everything.cancel()


def _watched() -> list[signal.Signals]:
    """SIGHUP is watched unless it is ignored: whoever starts us with ``nohup`` wants that."""
    watched = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        watched.append(signal.SIGHUP)
    return watched
