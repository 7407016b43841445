"""Lines leave whole and in order, whoever reads them and however slowly."""

from __future__ import annotations

import fcntl
import os

import pytest
import trio

from trio_gossip.cli.output import LineOutput

PIPE_BYTES = 4096


class Pipe:
    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def close(self) -> None:
        for descriptor in (self.reader, self.writer):
            os.close(descriptor)

    def read_lines(self, count: int) -> list[bytes]:
        data = b""
        while data.count(b"\n") < count:
            data += os.read(self.reader, 65536)
        return data.splitlines()


@pytest.fixture
def pipe():
    pipe = Pipe()
    yield pipe
    pipe.close()


def never() -> None:
    raise AssertionError("no write fails here")


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_line_that_was_interrupted_comes_out_whole_and_first(pipe, blocking):
    """An interrupted demo once fell silent: the write that its signal cut off was the last."""
    os.set_blocking(pipe.writer, blocking)
    output = LineOutput(pipe.writer, never)
    long = "x" * (3 * PIPE_BYTES)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(output.write_line, long)
        await trio.lowlevel.wait_readable(pipe.reader)  # it is under way, and cannot end
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(output.write_line, "after")
        lines = await trio.to_thread.run_sync(pipe.read_lines, 2)
    assert lines == [long.encode(), b"after"]


async def test_a_full_pipe_does_not_hold_up_other_tasks(pipe):
    output = LineOutput(pipe.writer, never)
    done = trio.Event()

    async def write() -> None:
        await output.write_line("x" * (3 * PIPE_BYTES))
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        for _ in range(100):
            await trio.lowlevel.checkpoint()  # would never return if the write held this thread
        assert not done.is_set()
        assert len(await trio.to_thread.run_sync(pipe.read_lines, 1)) == 1
    assert done.is_set()


async def test_the_first_failure_is_told_once_and_kept(pipe, caplog):
    told = []
    output = LineOutput(pipe.writer, lambda: told.append(1))
    os.close(pipe.reader)
    for _ in range(3):
        await output.write_line("nobody hears it")
    pipe.reader = os.dup(pipe.writer)  # for close()
    assert isinstance(output.failure, BrokenPipeError)
    assert told == [1]
    output.log_failure()
    assert caplog.messages == []


async def test_a_standard_output_closed_from_the_start_is_said_once(caplog):
    """As with ``>&-``: unlike a reader that went away, whoever did it may not know."""
    output = LineOutput(None, lambda: None)
    await output.write_line("nobody hears it")
    output.log_failure()
    assert caplog.messages == ["cannot write to standard output: it is closed"]


async def test_a_name_that_is_no_valid_unicode_can_be_written(pipe):
    output = LineOutput(pipe.writer, never)
    await output.write_line("a\udcffb")
    assert pipe.read_lines(1) == [rb"a\udcffb"]
