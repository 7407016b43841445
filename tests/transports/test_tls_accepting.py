"""Accepting under TLS: slow peers hold up nobody, and handshakes are bounded in time and number."""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock as Clock

from tests.transports.tls_helpers import Pair, contexts, expired, named
from trio_gossip.transport import DialError
from trio_gossip_transports import MemoryNetwork, tls_accepting
from trio_gossip_transports.tls import TLSTransport
from trio_gossip_transports.tls_stream import FAREWELL_SECONDS


async def dialled_and_silent(pair: Pair, count: int) -> list[Any]:
    inner = pair.inner[0]
    streams = [await inner.open_stream(pair.right.local_address) for _ in range(count)]
    await trio.testing.wait_all_tasks_blocked()
    return streams


async def test_a_silent_peer_holds_up_nobody(autojump_clock: Clock) -> None:
    async with Pair(named("a"), named("b")) as pair:
        await dialled_and_silent(pair, 20)
        began = trio.current_time()
        _, theirs = await pair.connect("b")
        assert trio.current_time() - began < 0.1
        assert theirs.peer_names == ("a",)
        assert pair.right.statistics().handshakes == 20


async def test_a_handshake_ends_after_its_time_even_if_the_peer_drips(
    autojump_clock: Clock,
) -> None:
    async with Pair(named("a"), named("b")) as pair:
        [drip] = await dialled_and_silent(pair, 1)
        began = trio.current_time()
        # The head of a handshake record of 16,000 bytes, of which one comes each second.
        await drip.send_all(b"\x16\x03\x01\x3e\x80")
        with suppress(trio.BrokenResourceError):
            while True:
                await trio.sleep(1)
                await drip.send_all(b"\x01")
        assert trio.current_time() - began <= tls_accepting.HANDSHAKE_SECONDS + 2
        assert pair.right.statistics().accept_faults == {"timed_out": 1}
        assert pair.right.statistics().handshakes == 0


async def test_too_many_of_one_host_end_the_oldest_of_that_host(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: Clock
) -> None:
    monkeypatch.setattr(tls_accepting, "HANDSHAKES_PER_HOST_MAX", 3)
    async with Pair(named("a"), named("b")) as pair:
        silent = await dialled_and_silent(pair, 5)
        assert pair.right.statistics().handshakes == 3
        assert pair.right.statistics().accept_faults == {"crowded_out": 2}
        for stream in silent[:2]:
            with trio.fail_after(1):
                assert await stream.receive_some(1) == b""
        await pair.connect("b")  # and there is always room for an honest one
        assert pair.right.statistics().accept_faults == {"crowded_out": 3}


async def test_too_many_in_all_end_the_oldest_of_all(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: Clock
) -> None:
    monkeypatch.setattr(tls_accepting, "HANDSHAKES_MAX", 4)
    network = MemoryNetwork()
    async with TLSTransport(network.transport("ours"), *named("b")) as ours:
        streams = []
        for number in range(6):
            guest = network.transport(f"guest-{number}")
            streams.append(await guest.open_stream(ours.local_address))
            await trio.testing.wait_all_tasks_blocked()
        assert ours.statistics().handshakes == 4
        assert ours.statistics().accept_faults == {"crowded_out": 2}
        for stream in streams[:2]:
            with trio.fail_after(1):
                assert await stream.receive_some(1) == b""
        await trio.sleep(tls_accepting.HANDSHAKE_SECONDS + 1)
        assert ours.statistics().handshakes == 0
        assert ours._accepter._per_host == {}


async def test_streams_that_nobody_accepts_are_bounded_and_none_is_lost(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: Clock
) -> None:
    monkeypatch.setattr(tls_accepting, "READY_MAX", 2)
    async with Pair(named("a"), named("b")) as pair:
        dialled: list[Any] = []

        async def dial() -> None:
            dialled.append(await pair.dial("b"))

        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(dial)
                await trio.sleep(1)
            waiting = pair.right.statistics().ready
            assert waiting == len(dialled) <= 2 + 1  # one more was on its way
            for _ in range(6):
                with trio.fail_after(60):
                    await pair.right.accept_stream()
        assert len(dialled) == 6
        assert pair.right.statistics().streams_accepted == 6


async def test_closing_ends_handshakes_and_closes_what_nobody_took(autojump_clock: Clock) -> None:
    for is_cancelled in (False, True):
        async with Pair(named("a"), named("b")) as pair:
            [silent] = await dialled_and_silent(pair, 1)
            ready = await pair.dial("b")
            [(theirs, _)] = pair.right._accepter._ready
            with trio.CancelScope() as scope:
                if is_cancelled:
                    scope.cancel()
                await pair.right.aclose()
            with trio.fail_after(10):
                assert await silent.receive_some(1) == b""
                with pytest.raises(trio.BrokenResourceError):
                    await ready.receive_some(1)
                with pytest.raises(trio.ClosedResourceError):
                    await theirs.send_all(b"x")
            with pytest.raises(trio.ClosedResourceError):
                await pair.right.accept_stream()


async def test_a_transport_below_that_dies_is_told_to_who_accepts(autojump_clock: Clock) -> None:
    network = MemoryNetwork()
    for error in (OSError(errno.EBADF, "gone"), ValueError("a bug")):
        inner = network.transport(f"ours-{error}")

        async def accept_stream(error: Exception = error) -> Any:
            await trio.sleep(1)
            raise error

        inner.accept_stream = accept_stream  # type: ignore[method-assign]  # a broken one
        async with TLSTransport(inner, *named("b")) as ours:
            for _ in range(2):
                with pytest.raises(type(error)):
                    await ours.accept_stream()


async def test_a_bug_in_one_handshake_ends_only_that_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, autojump_clock: Clock
) -> None:
    async with Pair(named("a"), named("b")) as pair:
        real = pair.right._accepter._shake

        async def broken(inner: Any) -> Any:
            pair.right._accepter._shake = real
            await trio.aclose_forcefully(inner)
            raise ZeroDivisionError

        pair.right._accepter._shake = broken
        with pytest.raises(DialError):
            await pair.dial("b")
        await pair.connect("b")
        assert pair.right.statistics().accept_faults == {"other": 1}
        assert "ZeroDivisionError" in caplog.text


async def test_the_end_of_a_stream_is_announced_and_a_cut_is_noticed(autojump_clock: Clock) -> None:
    async with Pair(named("a"), named("b")) as pair:
        ours, theirs = await pair.connect("b")
        await ours.send_all(b"all")
        await ours.aclose()
        assert await theirs.receive_some(10) == b"all"
        assert await theirs.receive_some(10) == b""
        ours, theirs = await pair.connect("b")
        await ours.send_all(b"part")
        ours._secured.transport_stream.close_now(is_reset=False)
        assert await theirs.receive_some(10) == b"part"
        with pytest.raises(trio.BrokenResourceError):
            await theirs.receive_some(10)


async def test_closing_waits_a_second_at_most_for_a_peer_that_does_not_read(
    autojump_clock: Clock,
) -> None:
    async with Pair(named("a"), named("b")) as pair:
        ours, _theirs = await pair.connect("b")

        async def send_for_ever() -> None:
            with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
                while True:
                    await ours.send_all(bytes(100_000))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_for_ever)
            await trio.sleep(1)
            with trio.fail_after(FAREWELL_SECONDS + 0.1):
                await ours.aclose()


async def test_accepting_is_a_checkpoint_and_a_cancelled_one_loses_nothing(
    autojump_clock: Clock,
) -> None:
    async with Pair(named("a"), named("b")) as pair:
        for _ in range(2):
            await pair.dial("b")
        with trio.CancelScope() as scope:
            scope.cancel()
            await pair.right.accept_stream()
        assert scope.cancelled_caught
        for _ in range(2):
            with trio.testing.assert_checkpoints():
                await pair.right.accept_stream()


async def test_new_certificates_hold_for_what_begins_after_them(autojump_clock: Clock) -> None:
    async with Pair(expired("a"), named("b")) as pair:
        with pytest.raises(DialError):
            await pair.dial("b")
        pair.left.reload(*contexts("a", "new"))
        before = await pair.connect("b")
        assert before[1].peer_names == ("a", "new")
        pair.right.reload(*named("c"))
        with pytest.raises(DialError, match="another member: 'c'"):
            await pair.dial("b")
        await before[0].send_all(b"still")
        assert await before[1].receive_some(5) == b"still"
        assert pair.left.statistics().reloads == pair.right.statistics().reloads == 1
