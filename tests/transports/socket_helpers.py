"""Helpers of the tests on real sockets: errors on demand, and receiving with an end."""

from __future__ import annotations

import socket
from typing import Any

import trio
import trio.testing

from trio_gossip_transports import SocketTransport

LOOPBACK = "127.0.0.1"


class FlakySocket:
    """A socket whose chosen calls fail first, each with the next error of its list."""

    def __init__(self, real: socket.socket, **failures: list[int]) -> None:
        self._real = real
        self._failures = failures

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._real, name)
        if name not in self._failures:
            return call

        def flaky(*arguments: Any) -> Any:
            if self._failures[name]:
                number = self._failures[name].pop(0)
                raise OSError(number, "made up")
            return call(*arguments)

        return flaky


def make_flaky(owner: object, which: str, **failures: list[int]) -> None:
    setattr(owner, which, FlakySocket(getattr(owner, which), **failures))


async def receive(transport: SocketTransport, count: int = 1) -> list[bytes]:
    received: list[bytes] = []
    with trio.fail_after(5):
        while len(received) < count:
            received += [packet.data for packet in await transport.receive_packets()]
    return received
