"""Accepting on real sockets: failed connections, and too many open files."""

from __future__ import annotations

import errno

import pytest
import trio
import trio.testing

from tests.transports.socket_helpers import LOOPBACK, make_flaky
from trio_gossip_transports import open_socket_transport


@pytest.mark.parametrize("name", ["ECONNABORTED", "EPROTO", "EHOSTUNREACH", "EPERM"])
async def test_a_connection_that_failed_in_the_queue_is_skipped_and_counted(name: str) -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        make_flaky(transport._accepter, "_tcp", accept=[getattr(errno, name)])
        ours = await transport.open_stream(transport.local_address)
        with trio.fail_after(5):
            theirs, _ = await transport.accept_stream()
        await ours.aclose()
        await theirs.aclose()
        assert transport.statistics().accept_errors == {name: 1}
        assert transport.statistics().streams_accepted == 1


async def test_out_of_files_accepting_waits_longer_each_time(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    autojump_clock.autojump_threshold = 0.05  # the sockets are real and need a moment
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        lacking = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM] * 3
        make_flaky(transport._accepter, "_tcp", accept=list(lacking))
        ours = await transport.open_stream(transport.local_address)
        started = trio.current_time()
        theirs, _ = await transport.accept_stream()
        waited = 0.005 * (2**8 - 1) + 4 * 1.0
        assert trio.current_time() - started == pytest.approx(waited)
        await ours.aclose()
        await theirs.aclose()
        assert sum(transport.statistics().accept_errors.values()) == len(lacking)
        assert "cannot accept a stream" in caplog.text


async def test_an_accepter_that_waits_for_files_is_still_the_only_one(
    mock_clock: trio.testing.MockClock,  # stands still, so that the wait goes on
) -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        make_flaky(transport._accepter, "_tcp", accept=[errno.EMFILE] * 1000)
        ours = await transport.open_stream(transport.local_address)
        refused: list[bool] = []

        async def accept_too() -> None:
            with pytest.raises(trio.BusyResourceError):
                await transport.accept_stream()
            refused.append(True)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.accept_stream)
            while not transport.statistics().accept_errors:
                await trio.lowlevel.checkpoint()
            nursery.start_soon(accept_too)
            await trio.testing.wait_all_tasks_blocked(0.01)
            nursery.cancel_scope.cancel()
        assert refused
        await ours.aclose()


async def test_closing_ends_the_wait_of_an_accepter_that_lacks_files() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        make_flaky(transport._accepter, "_tcp", accept=[errno.EMFILE] * 1000)
        ours = await transport.open_stream(transport.local_address)
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def _() -> None:
                    with pytest.raises(trio.ClosedResourceError):
                        await transport.accept_stream()

                while not transport.statistics().accept_errors:
                    await trio.lowlevel.checkpoint()
                await transport.aclose()
        await ours.aclose()


async def test_an_error_of_the_listener_itself_escapes() -> None:
    async with await open_socket_transport(LOOPBACK, 0) as transport:
        make_flaky(transport._accepter, "_tcp", accept=[errno.EINVAL])
        ours = await transport.open_stream(transport.local_address)
        with pytest.raises(OSError, match="made up"):
            await transport.accept_stream()
        await ours.aclose()
