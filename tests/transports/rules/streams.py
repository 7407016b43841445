"""Rules about open streams: trio's own, and that bytes cross unaltered."""

from __future__ import annotations

import trio
import trio.testing

from trio_gossip.transport import Packet

from .base import Rules


class StreamRules(Rules):
    """What two ends of a stream can count on."""

    async def test_a_stream_carries_bytes_both_ways(self) -> None:
        async with self.open_pair() as (left, right):
            ours, theirs = await self.connect(left, right)
            async with ours, theirs:
                await ours.send_all(b"question")
                assert await self.read(theirs, 8) == b"question"
                await theirs.send_all(b"answer")
                assert await self.read(ours, 6) == b"answer"

    async def test_the_streams_keep_the_rules_of_trio(self) -> None:
        async with self.open_pair() as (left, right):

            async def maker() -> tuple[trio.abc.Stream, trio.abc.Stream]:
                return await self.connect(left, right)

            await trio.testing.check_two_way_stream(maker, None)

    async def test_a_megabyte_crosses_unaltered_and_a_slow_reader_holds_the_writer(self) -> None:
        data = bytes(range(256)) * 4096
        async with self.open_pair() as (left, right):
            ours, theirs = await self.connect(left, right)

            async def write() -> None:
                async with ours:
                    await ours.send_all(data)

            received = bytearray()
            async with theirs, trio.open_nursery() as nursery:
                nursery.start_soon(write)
                with trio.fail_after(self.seconds_max):
                    while piece := await theirs.receive_some(65_536):
                        received += piece
            assert bytes(received) == data

    async def test_closing_a_stream_ends_it_for_the_peer(self) -> None:
        async with self.open_pair() as (left, right):
            ours, theirs = await self.connect(left, right)
            async with theirs:
                await ours.send_all(b"last words")
                await ours.aclose()
                assert await self.read(theirs, 10) == b"last words"
                with trio.fail_after(self.seconds_max):
                    assert await theirs.receive_some(1) == b""

    async def test_many_streams_at_once_stay_apart(self) -> None:
        async with self.open_pair() as (left, right):
            answers: dict[int, bytes] = {}

            async def serve_one(stream: trio.abc.Stream) -> None:
                async with stream:
                    await stream.send_all(await self.read(stream, 1) * 3)

            async def serve(nursery: trio.Nursery) -> None:
                while True:
                    stream, _ = await right.accept_stream()
                    nursery.start_soon(serve_one, stream)

            async def ask(number: int) -> None:
                async with await left.open_stream(right.local_address) as stream:
                    await stream.send_all(bytes([number]))
                    answers[number] = await self.read(stream, 3)

            with trio.fail_after(self.seconds_max):
                async with trio.open_nursery() as servers:
                    servers.start_soon(serve, servers)
                    async with trio.open_nursery() as askers:
                        for number in range(50):
                            askers.start_soon(ask, number)
                    servers.cancel_scope.cancel()
            assert answers == {number: bytes([number]) * 3 for number in range(50)}

    async def test_packets_and_streams_share_one_address(self) -> None:
        async with self.open_pair() as (left, right):
            ours, theirs = await self.connect(left, right)
            async with ours, theirs:
                left.send_packet(b"datagram", right.local_address)
                assert await self.receive(right, 1) == [Packet(b"datagram", left.local_address)]
