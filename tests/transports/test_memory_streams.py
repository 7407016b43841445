"""Streams of the in-memory network: latency, back-pressure, and how they end."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.transports.memory_helpers import connect, fill
from trio_gossip_transports import MemoryNetwork
from trio_gossip_transports.links import STREAM_BUFFER_BYTES, Faults, Path
from trio_gossip_transports.streams import MemoryStream


@pytest.mark.parametrize("latency", [0.0, 0.0005, (0.0, 0.02)])
async def test_the_streams_are_half_closeable(
    autojump_clock: trio.testing.MockClock, latency: float | tuple[float, float]
) -> None:
    network = MemoryNetwork(latency=latency)
    left, right = network.transport("a"), network.transport("b")

    async def make() -> tuple[MemoryStream, MemoryStream]:
        return await connect(left, right)

    async def make_clogged() -> tuple[MemoryStream, MemoryStream]:
        ours, theirs = await connect(left, right)
        await fill(ours)
        await fill(theirs)
        return ours, theirs

    await trio.testing.check_half_closeable_stream(make, make_clogged)
    assert not left._endpoint.streams
    assert not right._endpoint.streams


async def test_time_that_moves_between_two_looks_loses_no_wake_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """On a real clock, what was not there a moment ago can be due when the wait begins."""
    path = Path(Faults(), 0, "a", "b")
    with trio.fail_after(1):
        await path.wait_arrival(trio.current_time() - 0.001)
    path.cut_since = trio.current_time() - 0.002
    with trio.move_on_after(10) as scope:
        await path.wait_arrival(trio.current_time() - 0.001)
    assert scope.cancelled_caught


async def test_a_host_streams_to_itself(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    transport = network.transport("a")
    network.partition("a", "b")
    ours, theirs = await connect(transport, transport)
    await ours.send_all(b"me")
    assert await theirs.receive_some() == b"me"
    network.cut("a", "a")
    with trio.move_on_after(10) as scope:
        await transport.open_stream(transport.local_address)
    assert scope.cancelled_caught


async def test_a_slow_reader_holds_the_writer(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    ours, theirs = await connect(network.transport("a"), network.transport("b"))
    await ours.send_all(bytes(STREAM_BUFFER_BYTES))
    with trio.move_on_after(60) as scope:
        await ours.send_all(b"x")
    assert scope.cancelled_caught
    with trio.move_on_after(60) as scope:
        await ours.wait_send_all_might_not_block()
    assert scope.cancelled_caught
    assert len(await theirs.receive_some(100)) == 100
    await ours.wait_send_all_might_not_block()
    await ours.send_all(bytes(100))


async def test_bytes_of_a_stream_take_the_latency_and_keep_their_order(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(latency=(0.1, 0.9))
    ours, theirs = await connect(network.transport("a"), network.transport("b"))
    started = trio.current_time()
    for number in range(50):
        await ours.send_all(bytes([number]))
    received = b""
    while len(received) < 50:
        received += await theirs.receive_some()
        assert trio.current_time() - started >= 0.1
    assert received == bytes(range(50))


async def test_what_is_read_is_never_more_than_was_asked(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    ours, theirs = await connect(network.transport("a"), network.transport("b"))
    await ours.send_all(b"abc")
    await ours.send_all(b"defgh")
    await trio.sleep(1)
    assert [await theirs.receive_some(n) for n in (2, 4, 100)] == [b"ab", b"cdef", b"gh"]


async def test_closing_a_transport_breaks_its_streams(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork(latency=0.1)
    left, right = network.transport("a"), network.transport("b")
    ours, theirs = await connect(left, right)
    unaccepted = await left.open_stream(right.local_address)
    await right.aclose()
    for stream in (ours, unaccepted):
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await theirs.receive_some()
    with pytest.raises(trio.ClosedResourceError):
        await theirs.send_all(b"x")


async def test_closing_a_transport_wakes_both_ends_of_a_stalled_stream(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = network.transport("a"), network.transport("b")
    ours, theirs = await connect(left, right)
    await fill(ours)
    await fill(theirs)

    async def expect(kind: type[Exception], stream: MemoryStream, *, reads: bool) -> None:
        with pytest.raises(kind):  # noqa: PT012  # until the news arrives, calls succeed
            while True:
                await (stream.receive_some() if reads else stream.send_all(b"x"))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: expect(trio.BrokenResourceError, ours, reads=False))
            nursery.start_soon(lambda: expect(trio.BrokenResourceError, ours, reads=True))
            nursery.start_soon(lambda: expect(trio.ClosedResourceError, theirs, reads=False))
            await trio.testing.wait_all_tasks_blocked()
            await right.aclose()


async def test_an_end_that_was_sent_can_still_turn_into_a_break(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = MemoryNetwork()
    left, right = network.transport("a"), network.transport("b")
    ours, theirs = await connect(left, right)
    await theirs.send_eof()
    assert await ours.receive_some() == b""
    await right.aclose()
    await trio.sleep(1)
    with pytest.raises(trio.BrokenResourceError):
        await ours.receive_some()
