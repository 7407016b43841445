"""Rules about closing, and about counting."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress

import trio
import trio.testing

from trio_gossip.transport import Packet

from .base import Outcome, Rules, raises, raises_async


class ClosingRules(Rules):
    """Closing is final and wakes everybody; statistics are snapshots."""

    async def test_after_closing_every_call_is_refused(self) -> None:
        async with self.open_pair() as (left, right):
            await left.aclose()
            closed = trio.ClosedResourceError
            raises(closed, lambda: left.send_packet(b"x", right.local_address))
            await raises_async(closed, left.receive_packets)
            await raises_async(closed, left.accept_stream)
            await raises_async(closed, lambda: left.open_stream(right.local_address))
            for look in (left.receive_packets_nowait, left.refusals_nowait):
                with suppress(closed):
                    assert look() == []  # what a transport does that keeps the default

    async def test_closing_wakes_those_that_wait(self) -> None:
        async with self.open_pair() as (left, _):
            waiters = [Outcome(left.receive_packets), Outcome(left.accept_stream)]
            with trio.fail_after(self.seconds_max):
                async with trio.open_nursery() as nursery:
                    for waiter in waiters:
                        nursery.start_soon(waiter.run)
                    await trio.testing.wait_all_tasks_blocked()
                    await left.aclose()
            assert [type(waiter.error) for waiter in waiters] == [trio.ClosedResourceError] * 2

    async def test_closing_twice_is_fine_and_a_checkpoint(self) -> None:
        async with self.open_pair() as (left, _):
            for _ in range(2):
                with trio.testing.assert_checkpoints():
                    await left.aclose()

    async def test_a_cancelled_close_closes_all_the_same(self) -> None:
        async with self.open_pair() as (left, right):
            await trio.aclose_forcefully(left)
            raises(trio.ClosedResourceError, lambda: left.send_packet(b"x", right.local_address))
            await raises_async(trio.ClosedResourceError, left.accept_stream)

    async def test_closing_one_leaves_the_other_alone(self) -> None:
        async with self.open_pair() as (left, right):
            await left.aclose()
            right.send_packet(b"to nobody", left.local_address)
            right.send_packet(b"me", right.local_address)
            assert await self.receive(right, 1) == [Packet(b"me", right.local_address)]

    async def test_a_transport_is_an_async_context_manager(self) -> None:
        async with AsyncExitStack() as stack:
            left, right = await stack.enter_async_context(self.open_pair())
            async with left as entered:
                assert entered is left
            raises(trio.ClosedResourceError, lambda: left.send_packet(b"x", right.local_address))

    async def test_statistics_are_a_snapshot(self) -> None:
        async with self.open_pair() as (left, right):
            before = left.statistics()
            told = repr(before)
            left.send_packet(b"x", right.local_address)
            await self.receive(right, 1)
            assert repr(before) == told
            assert left.statistics() is None or repr(left.statistics()) != told
