"""Streams that we open, to seeds that are silent, gone or not what they should be."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.driver.talking import CODEC, FAR, encoded, read_all, record, table
from tests.driver.world import World, names_of, until
from trio_gossip import JoinError, PeerUnreachableError, RemoteProtocolError
from trio_gossip.codec.messages import (
    Refusal,
    StreamAck,
)


async def answer_with(world: World, data: bytes, *, close: bool = True) -> None:
    """Be the seed at 10.0.9.9: read what comes, answer with ``data`` and end."""
    transport = await world.stranger()
    while True:
        stream, _ = await transport.accept_stream()
        async with stream:
            await stream.send_all(data)
            if not close:
                await read_all(stream)


GOOD = encoded(table(record("x"), joining=False))


@pytest.mark.parametrize("size", [*range(0, len(GOOD), 3)])
async def test_a_seed_that_ends_early_was_no_seed(
    world: World, nursery: trio.Nursery, size: int
) -> None:
    nursery.start_soon(answer_with, world, GOOD[:size])
    a = await world.start("a")
    with pytest.raises(JoinError) as caught:
        await a.join([str(FAR)])
    [error] = caught.value.exceptions
    assert isinstance(error, PeerUnreachableError)
    assert str(error) == "10.0.9.9:7946: reset"
    assert names_of(a) == ["a"]
    await until(lambda: a.statistics().streams == 0)
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("size", [0, 10, len(GOOD) - 1])
async def test_a_seed_that_falls_silent_times_out(
    world: World, nursery: trio.Nursery, size: int
) -> None:
    nursery.start_soon(lambda: answer_with(world, GOOD[:size], close=False))
    a = await world.start("a")
    start = trio.current_time()
    with pytest.raises(JoinError) as caught:
        await a.join([str(FAR)])
    assert str(caught.value.exceptions[0]) == "10.0.9.9:7946: timed out"
    assert trio.current_time() - start == pytest.approx(10.0, abs=0.1)
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("reason", "words"), [(1, "busy"), (3, "not admitted"), (255, "unknown"), (77, "unknown")]
)
async def test_a_seed_that_refuses_is_quoted(
    world: World, nursery: trio.Nursery, reason: int, words: str
) -> None:
    nursery.start_soon(answer_with, world, encoded([Refusal(reason, "come back later")]))
    a = await world.start("a")
    with pytest.raises(JoinError) as caught:
        await a.join([str(FAR)])
    [error] = caught.value.exceptions
    assert isinstance(error, RemoteProtocolError)
    assert str(error) == f"10.0.9.9:7946 refused us ({words}): come back later"
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "garbage",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", CODEC.encode_frame(StreamAck(1)), b"\0\0\0\2\xff\xff"],
)
async def test_a_seed_that_talks_nonsense_was_no_seed(
    world: World, nursery: trio.Nursery, garbage: bytes
) -> None:
    nursery.start_soon(answer_with, world, garbage)
    a = await world.start("a")
    with pytest.raises(JoinError) as caught:
        await a.join([str(FAR)])
    assert str(caught.value.exceptions[0]) == "10.0.9.9:7946: other"
    await until(lambda: a.statistics().streams == 0)
    nursery.cancel_scope.cancel()
