"""SIGINT and SIGTERM: the first one asks to end, the second one ends."""

from __future__ import annotations

import signal

import trio


class Stop:
    """The wish to end, and what is interrupted by it.

    Attributes:
        asked: set by the first signal, or by whoever else finds that it is time to end.
        forced: a second signal came.
    """

    def __init__(self) -> None:
        self.asked = trio.Event()
        self.forced = False
        self._scopes: set[trio.CancelScope] = set()

    def ask(self) -> None:
        """Wish to end: set :attr:`asked` and interrupt what may be interrupted."""
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
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                if self.asked.is_set():
                    self.forced = True
                    everything.cancel()
                self.ask()
