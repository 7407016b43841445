"""Standard input: each line is broadcast. Whatever it is, it never holds the agent up."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import trio

from trio_gossip.cli.lines import LineSplitter
from trio_gossip.cli.problems import describe_os_error

logger = logging.getLogger(__name__)

READ_BYTES: Final = 65_536


async def read_lines(descriptor: int, handle: Callable[[bytes | None], Awaitable[None]]) -> None:
    """Read a file descriptor to its end and hand over each line that is not empty.

    Args:
        descriptor: of a terminal, a pipe, a file or a device.
        handle: gets a line without its line end, or None for one that was too long to keep.

    State: a cancelled read goes on in its thread, which does not keep the process from ending.
    """
    _survive_the_background()
    splitter = LineSplitter()
    while data := await _read(descriptor):
        for line in splitter.feed(data):
            if line != b"":
                await handle(line)
    for line in splitter.flush():
        if line != b"":
            await handle(line)


async def _read(descriptor: int) -> bytes:
    """Some bytes, or none at the end.

    In a thread: a file is always "readable", and where several processes share one pipe or
    terminal, a read after "it is readable" may still block.
    """
    while True:
        try:
            return await trio.to_thread.run_sync(
                os.read, descriptor, READ_BYTES, abandon_on_cancel=True
            )
        except BlockingIOError:
            await trio.lowlevel.wait_readable(descriptor)
        except OSError as error:
            # EIO is a terminal that has gone, or one that another job owns.
            logger.info("standard input is not read any more: %s", describe_os_error(error))
            return b""


def _survive_the_background() -> None:
    """An agent started with ``&`` that reads the terminal would be stopped by the shell."""
    with suppress(ValueError, AttributeError):  # not the main thread; no such signal
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
