"""Helpers of the tests around the control socket: a server with a made-up agent behind it."""

from __future__ import annotations

import socket
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import trio

from trio_gossip.cli.control_client import ask
from trio_gossip.cli.control_server import ControlServer
from trio_gossip.cli.control_socket import control_socket
from trio_gossip.cli.control_wire import Frames


async def echo(command: str, arguments: list[Any]) -> list[tuple[Any, ...]]:
    """An agent that answers with what it was asked."""
    await trio.lowlevel.checkpoint()
    return [(command, *arguments)]


@asynccontextmanager
async def serving(path, answer=echo):
    """A server at a path for the length of a block; yields it."""
    with control_socket(str(path)) as listening:
        server = ControlServer(listening, answer)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run)
            yield server
            nursery.cancel_scope.cancel()


async def ask_it(path, *request):
    """Ask as a command does, from a thread of its own."""
    with trio.fail_after(60):
        return await trio.to_thread.run_sync(ask, str(path), *request)


async def connect(path):
    return await trio.open_unix_socket(str(path))


async def read_all(stream) -> list[list[Any]]:
    """Every array up to the end of the connection."""
    frames = Frames()
    with trio.fail_after(60):
        async for data in stream:
            frames.feed_untrusted(bytes(data))
    return list(iter(frames.next_untrusted, None))


async def wait_until(predicate):
    with trio.fail_after(60):
        while not predicate():
            await trio.lowlevel.checkpoint()


@contextmanager
def impostor(path, reply: bytes):
    """Something at a path that reads once, says these bytes to whoever comes, and hangs up."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)
        listening.close()
