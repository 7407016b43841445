"""Rules about receiving: batches, cancelling, and one receiver at a time."""

from __future__ import annotations

from collections import Counter

import trio
import trio.testing

from .base import Outcome, Rules, raises_async


class ReceivingRules(Rules):
    """Receiving datagrams loses nothing and starves nobody."""

    async def test_receiving_is_a_checkpoint_even_when_packets_wait(self) -> None:
        async with self.open_pair() as (left, right):
            for _ in range(3):
                left.send_packet(b"1", right.local_address)
                await trio.sleep(0.05)
                with trio.testing.assert_checkpoints():
                    await right.receive_packets()

    async def test_receiving_returns_at_least_one_and_at_most_a_batch(self) -> None:
        async with self.open_pair() as (left, right):
            count = 4 * self.batch_packets_max
            for _ in range(count):
                left.send_packet(b"x", right.local_address)
            while count > 0:
                with trio.fail_after(self.seconds_max):
                    batch = await right.receive_packets()
                assert 1 <= len(batch) <= self.batch_packets_max
                count -= len(batch)

    async def test_looking_without_waiting_returns_what_is_there_once(self) -> None:
        async with self.open_pair() as (left, right):
            assert right.receive_packets_nowait() == []
            sent = [bytes([n]) for n in range(2 * self.batch_packets_max)]
            for data in sent:
                left.send_packet(data, right.local_address)
            await trio.sleep(0.05)
            looked = right.receive_packets_nowait()
            assert len(looked) <= self.batch_packets_max
            rest = await self.receive(right, len(sent) - len(looked))
            assert Counter(packet.data for packet in looked + rest) == Counter(sent)
            assert right.receive_packets_nowait() == []

    async def test_a_cancelled_receive_loses_nothing(self) -> None:
        """Also not when the packet and the cancellation come in the same moment."""
        async with self.open_pair() as (left, right):
            received: list[bytes] = []
            sent = [b"%d" % n for n in range(100)]
            for index, data in enumerate(sent):
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:

                        @nursery.start_soon
                        async def _() -> None:
                            received.extend(packet.data for packet in await right.receive_packets())

                        await trio.testing.wait_all_tasks_blocked()
                        left.send_packet(data, right.local_address)
                        if index % 2:
                            await trio.sleep(0.001)
                        scope.cancel()
            received += [
                packet.data for packet in await self.receive(right, len(sent) - len(received))
            ]
            assert Counter(received) == Counter(sent)

    async def test_a_second_receiver_is_turned_away(self) -> None:
        async with self.open_pair() as (left, right):
            async with trio.open_nursery() as nursery:
                first = Outcome(right.receive_packets)
                nursery.start_soon(first.run)
                await trio.testing.wait_all_tasks_blocked()
                await raises_async(trio.BusyResourceError, right.receive_packets)
                left.send_packet(b"x", right.local_address)
            assert first.value is not None

    async def test_a_flood_does_not_starve_other_tasks(self) -> None:
        async with self.open_pair() as (left, right):
            turns = received = calls = 0

            async def count_turns() -> None:
                nonlocal turns
                while turns < 100_000:  # a mock clock stands still while this runs: an end is due
                    await trio.lowlevel.checkpoint()
                    turns += 1
                raise AssertionError(f"only {received} packets came in 100,000 turns")

            per_round = 4 * self.batch_packets_max
            while received < 20_000:
                for _ in range(per_round):
                    left.send_packet(b"flood", right.local_address)
                await trio.sleep(0.001)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(count_turns)
                    left_over = per_round
                    while left_over > 0:
                        batch = len(await right.receive_packets())
                        received += batch
                        left_over -= batch
                        calls += 1
                    nursery.cancel_scope.cancel()
            assert turns >= calls / 2
