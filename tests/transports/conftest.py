"""No test of this folder hangs without limit, and none asks a name server."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import MockClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

pytest.register_assert_rewrite("tests.transports.contract", "tests.transports.rules")

HERE = Path(__file__).parent

REAL_SECONDS_MAX = 30.0
"""For one test on real sockets. The longest takes about two."""

VIRTUAL_SECONDS_MAX = 100_000.0
"""For one test on a clock that jumps: more than any waits on purpose, and it costs no time."""

ALARM_SECONDS = 60
"""For what no clock of trio ends: a task that spins, a clock that stands still."""


class LocalNames(trio.abc.HostnameResolver):
    """Knows this host only. Literals never get here."""

    async def getaddrinfo(
        self, host: bytes | None, port: Any, *kind: int, **options: int
    ) -> list[Any]:
        await trio.lowlevel.checkpoint()
        if host != b"localhost":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return socket.getaddrinfo("127.0.0.1", port, *kind, **options)

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        raise AssertionError("nobody asks for the name of an address")


def run_bounded(function: Callable[[], Awaitable[None]], *, clock: Any, instruments: Any) -> None:
    """Run a test, with its fixtures, as pytest-trio does, and end it when it takes too long."""
    limit = VIRTUAL_SECONDS_MAX if isinstance(clock, MockClock) else REAL_SECONDS_MAX

    async def main() -> None:
        trio.socket.set_custom_hostname_resolver(LocalNames())
        with trio.fail_after(limit):
            await function()

    trio.run(main, clock=clock, instruments=instruments)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Replace the runner of this folder's tests: pytest-trio's own mark names one already, so
    that this one has to stand before it.
    """
    for item in items:
        if item.path.parent == HERE and item.get_closest_marker("trio") is not None:
            item.add_marker(pytest.mark.trio(run=run_bounded), append=False)


@pytest.fixture(autouse=True)
def alarm() -> Generator[None]:
    """End a test from outside of trio, where the system can."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def ring(number: int, frame: object) -> None:
        raise TimeoutError(f"the test was still running after {ALARM_SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(ALARM_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
