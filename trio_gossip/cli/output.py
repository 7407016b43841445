"""Lines on standard output that never make the protocol wait."""

from __future__ import annotations

import errno
import logging
import os
import select
import sys
import threading
from collections.abc import Callable

import trio

from trio_gossip.cli.problems import describe_os_error

logger = logging.getLogger(__name__)


class LineOutput:
    """Writes whole lines to a file descriptor, each at once, from a thread.

    A reader that does not read blocks a write; in trio's own thread that would keep the agent
    from answering probes, and the others would declare it failed. Events that pile up meanwhile
    are bounded by the subscription.

    Attributes:
        failure: why nothing is written any more; ``BrokenPipeError`` when nobody reads.
    """

    def __init__(self, descriptor: int | None, on_failure: Callable[[], None]) -> None:
        """Args:
        descriptor: where to write; None when standard output was closed from the start.
        on_failure: called once, when the first write fails.
        """
        self._descriptor = descriptor
        self._on_failure = on_failure
        self._turn = trio.Lock()
        self._writing = threading.Lock()
        self.failure: OSError | None = None

    async def write_line(self, line: str) -> None:
        """Write a line; does nothing after a failure. A checkpoint.

        State: a cancelled write goes on in its thread, and the next one comes after it, so that
        a line is whole or, when the process ends first, cut off.
        """
        async with self._turn:
            if self.failure is not None:
                return
            data = f"{line}\n".encode(errors="backslashreplace")
            try:
                await trio.to_thread.run_sync(self._write, data, abandon_on_cancel=True)
            except OSError as error:
                self.failure = error
                self._on_failure()

    def log_failure(self) -> None:
        """Say why writing ended, if it did; a reader that went away knows it, and is no news."""
        if self.failure is not None and not isinstance(self.failure, BrokenPipeError):
            logger.error("cannot write to standard output: %s", describe_os_error(self.failure))

    def _write(self, data: bytes) -> None:
        # os.write and not sys.stdout: a thread that is stuck in the buffered writer holds its
        # lock, and the interpreter then aborts at exit.
        if self._descriptor is None:
            raise OSError(errno.EBADF, "it is closed")
        with self._writing:
            while data:
                try:
                    data = data[os.write(self._descriptor, data) :]
                except BlockingIOError:  # whoever shares it made it non-blocking
                    select.select((), (self._descriptor,), ())


def standard_descriptor(number: int) -> int | None:
    """0 or 1, or None when it was closed before this process began: the number may by now be
    that of a socket.
    """
    stream = (sys.stdin, sys.stdout)[number]
    return number if stream is not None else None
