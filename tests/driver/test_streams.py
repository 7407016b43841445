"""Streams of peers that are slow, silent, too many, gone or not what they should be."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.driver.talking import CODEC, FAR, encoded, frames_in, read_all, record, table
from tests.driver.world import World, address_of, names_of, seed_of, until
from trio_gossip import MessageReceived
from trio_gossip.codec.messages import (
    Frame,
    MessageAck,
    MessageChunk,
    MessageOpen,
    Refusal,
    StreamAck,
    StreamPing,
    SyncEnd,
    SyncMembers,
    SyncOpen,
)
from trio_gossip.conduits import INBOUND_PER_HOST_MAX
from trio_gossip.failures import RefusalReason
from trio_gossip_transports.links import STREAM_BUFFER_BYTES

AT_A = address_of("a")


# Streams that are opened to us


async def test_a_stream_on_which_nothing_comes_is_closed_after_the_timeout(world: World) -> None:
    a = await world.start("a")
    stranger = await world.stranger()
    start = trio.current_time()
    async with await stranger.open_stream(AT_A) as stream:
        assert await read_all(stream) == b""
    assert trio.current_time() - start == pytest.approx(10.0, abs=0.01)
    assert a.statistics().streams == 0
    assert a.statistics().engine.counters["exchange_timed_out"] == 1


async def test_a_frame_that_comes_a_byte_at_a_time_is_no_progress(world: World) -> None:
    await world.start("a")
    stranger = await world.stranger()
    start = trio.current_time()
    async with await stranger.open_stream(AT_A) as stream, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def drip() -> None:
            for byte in encoded(table(record("x", meta=bytes(200)))):
                await stream.send_all(bytes((byte,)))
                await trio.sleep(1)

        await read_all(stream)
        nursery.cancel_scope.cancel()
    assert trio.current_time() - start == pytest.approx(10.0, abs=0.01)


async def test_who_always_makes_a_little_progress_is_ended_by_the_lifetime(world: World) -> None:
    a = await world.start("a")
    stranger = await world.stranger()
    start = trio.current_time()
    async with await stranger.open_stream(AT_A) as stream, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def drip() -> None:
            await stream.send_all(encoded([MessageOpen("x", "a", 1000)]))
            while True:
                await stream.send_all(encoded([MessageChunk(b"x")]))
                await trio.sleep(1)

        await read_all(stream)
        nursery.cancel_scope.cancel()
    assert trio.current_time() - start == pytest.approx(120.0, abs=0.01)
    assert a.statistics().streams == 0


async def test_streams_beyond_the_cap_are_closed_at_once_and_counted(world: World) -> None:
    a = await world.start("a")
    stranger = await world.stranger()
    closed: list[float] = []
    start = trio.current_time()

    async def hold() -> None:
        async with await stranger.open_stream(AT_A) as stream:
            await read_all(stream)
            closed.append(trio.current_time() - start)

    async with trio.open_nursery() as nursery:
        for _ in range(300):
            nursery.start_soon(hold)
        await trio.sleep(1)
        assert len(closed) == 300 - INBOUND_PER_HOST_MAX
        assert a.statistics().streams == INBOUND_PER_HOST_MAX
        assert a.statistics().streams_rejected == 300 - INBOUND_PER_HOST_MAX
        # What we open ourselves does not count.
        b = await world.start("b")
        await a.join([seed_of("b")])
    assert len(closed) == 300
    assert max(closed) == pytest.approx(10.0, abs=0.01)
    assert a.statistics().streams == 0
    await b.join([seed_of("a")])
    assert a.statistics().streams_rejected == 300 - INBOUND_PER_HOST_MAX


GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "length of zero": bytes(4),
    "length beyond the limit": b"\x00\x10\x00\x00",
    "no CBOR": b"\x00\x00\x00\x02\xff\xff",
    "unknown frame": b"\x00\x00\x00\x04\x82\x01\x18\xc8",
    "answer without a question": CODEC.encode_frame(StreamAck(7)),
    "members before the opening": CODEC.encode_frame(SyncMembers([record("x")])),
    "more members than announced": encoded([*table(record("x"))[:2], SyncEnd(2)]),
    "two openings": encoded([SyncOpen("x", FAR, True)] * 2),
    "more bytes than announced": encoded([MessageOpen("x", "a", 1), MessageChunk(b"xx")]),
    "an empty chunk": encoded([MessageOpen("x", "a", 1), MessageChunk(b"")]),
    "speaker not in its table": encoded([SyncOpen("x", FAR, True), SyncEnd(0)]),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
@pytest.mark.parametrize("rest", [0, 1_000_000])
async def test_garbage_gets_a_refusal_that_says_so(world: World, garbage: bytes, rest: int) -> None:
    a = await world.start("a")
    stranger = await world.stranger()
    async with await stranger.open_stream(AT_A) as stream, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send() -> None:
            # Also behind much more than fits any buffer the refusal has to get through.
            await stream.send_all(garbage + bytes(rest))
            await stream.send_eof()

        [refusal] = frames_in(await read_all(stream))
    assert isinstance(refusal, Refusal)
    assert refusal.reason == RefusalReason.MALFORMED
    await until(lambda: a.statistics().streams == 0)
    assert names_of(a) == ["a"]


CONVERSATIONS: dict[str, list[Frame]] = {
    "push/pull": table(record("x"), record("y", address_of("y"))),
    "message": [MessageOpen("x", "a", 3), MessageChunk(b"ab"), MessageChunk(b"c")],
    "ping": [StreamPing(7, "a", "x")],
}


@pytest.mark.parametrize("cut", ["closes", "resets"])
@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_a_peer_that_ends_at_any_byte_leaves_nothing_behind(
    world: World, name: str, cut: str
) -> None:
    a = await world.start("a")
    data = encoded(CONVERSATIONS[name])
    for size in range(len(data) + 1):
        stranger = world.network.transport("10.0.9.9", 1)
        stream = await stranger.open_stream(AT_A)
        await stream.send_all(data[:size])
        await trio.sleep(0.01)
        await (stream if cut == "closes" else stranger).aclose()
        await trio.sleep(0.01)
        await stranger.aclose()
        assert a.statistics().streams == 0
        assert a.statistics().engine.exchanges == 0
        # What was not complete is not believed, and nothing was delivered.
        if size < len(data):
            assert names_of(a) == ["a"]
    b = await world.start("b")
    await b.join([seed_of("a")])


async def test_a_peer_that_says_the_end_early_is_answered_all_the_same(world: World) -> None:
    """A stand-in may half-close after its last frame; some programs do."""
    await world.start("a")
    stranger = await world.stranger()
    async with await stranger.open_stream(AT_A) as stream:
        await stream.send_all(encoded(table(record("x"))))
        answer = frames_in(await read_all(stream))
    assert [type(frame) for frame in answer] == [SyncOpen, SyncMembers, SyncEnd]


@pytest.mark.parametrize(
    "answer", [b"", CODEC.encode_frame(StreamAck(7))], ids=["silence", "the wrong frame"]
)
async def test_a_stream_ping_of_another_member_is_refused(world: World, answer: bytes) -> None:
    await world.start("a")
    stranger = await world.stranger()
    async with await stranger.open_stream(AT_A) as stream:
        await stream.send_all(encoded([StreamPing(7, "b", "x")]) + answer)
        [refusal] = frames_in(await read_all(stream))
    assert isinstance(refusal, Refusal)
    assert refusal.reason == RefusalReason.WRONG_MEMBER
    assert refusal.text == "this is a, not b"


async def test_a_delivered_message_is_acknowledged_once(world: World) -> None:
    a = await world.start("a")
    stranger = await world.stranger()
    with a.events() as events:
        async with await stranger.open_stream(AT_A) as stream:
            await stream.send_all(encoded([MessageOpen("x", "a", 2), MessageChunk(b"hi")]))
            assert frames_in(await read_all(stream)) == [MessageAck()]
        event = await events.__anext__()
    assert isinstance(event, MessageReceived)
    assert (event.sender, event.payload) == ("x", b"hi")


QUIET = {"stream_pings": False, "rejoin_interval": 3600.0, "push_pull_interval": 3600.0}
"""Opens no streams of its own."""


async def test_a_peer_that_does_not_read_the_middle_of_our_answer_is_dropped(
    world: World,
) -> None:
    a = await world.start("a", **QUIET)
    await fill_table(world)
    stranger = await world.stranger()
    async with await stranger.open_stream(AT_A) as stream:
        await stream.send_all(encoded(table(record("x"))))
        await trio.sleep(30)
        assert a.statistics().streams == 0
        assert len(await read_all(stream)) == STREAM_BUFFER_BYTES


async def fill_table(world: World) -> int:
    """Make a's table much larger than a stream's buffer; returns the bytes of its answer."""
    stranger = world.network.transport("10.0.9.9", 2)
    crowd = [record(f"x{number:03}", meta=bytes(500)) for number in range(200)]
    sizes = []
    async with stranger:
        for records in (crowd, crowd[:1]):
            async with await stranger.open_stream(AT_A) as stream:
                await stream.send_all(encoded(table(*records)))
                sizes.append(len(await read_all(stream)))
    assert sizes[1] > 100_000
    return sizes[1]


async def test_a_peer_that_does_not_read_our_last_frame_is_dropped_as_well(world: World) -> None:
    """The exchange had ended for the engine when its last frame was queued, so that nobody
    watched the writing any more: 256 such peers, and no stream was accepted ever again.
    """
    a = await world.start("a", **QUIET)
    answer = await fill_table(world)
    stranger = await world.stranger()
    async with await stranger.open_stream(AT_A) as stream:
        await stream.send_all(encoded(table(record("x000", meta=bytes(500)))))
        wanted = answer - STREAM_BUFFER_BYTES - 3  # then all but three bytes have been written
        while wanted:
            wanted -= len(await stream.receive_some(wanted))
        await trio.sleep(30)
        assert a.statistics().streams == 0
    assert a.local.name == "a"
