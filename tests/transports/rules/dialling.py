"""Rules about opening streams: dialling and accepting."""

from __future__ import annotations

import trio
import trio.testing

from trio_gossip.addresses import Address
from trio_gossip.failures import DialFailure
from trio_gossip.transport import classify_dial_error

from .base import Outcome, Rules, raises_async


class DiallingRules(Rules):
    """Streams are opened, refused, cancelled, and never lost."""

    async def test_an_accepted_stream_tells_the_host_that_it_came_from(self) -> None:
        async with self.open_pair() as (left, right):
            accepted: list[tuple[trio.abc.Stream, Address]] = []

            async def accept() -> None:
                accepted.append(await right.accept_stream())

            with trio.fail_after(self.seconds_max):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(accept)
                    ours = await left.open_stream(right.local_address, "right")
            [(theirs, source)] = accepted
            await trio.aclose_forcefully(ours)
            await trio.aclose_forcefully(theirs)
            assert type(source) is Address
            assert source.host == left.local_address.host

    async def test_a_dial_to_nobody_fails_with_a_reason(self) -> None:
        async with self.open_pair() as (left, right):
            nobody = await self.address_of_nobody((left, right))
            failure: BaseException | None = None
            with trio.fail_after(self.seconds_max):
                try:
                    await left.open_stream(nobody)
                except OSError as error:
                    failure = error
            assert failure is not None
            assert classify_dial_error(failure) is not DialFailure.OTHER

    async def test_a_cancelled_dial_leaves_the_transport_in_order(self) -> None:
        async with self.open_pair() as (left, right):
            with trio.CancelScope() as scope:
                scope.cancel()
                await left.open_stream(right.local_address)
            assert scope.cancelled_caught
            ours, theirs = await self.connect(left, right)
            await trio.aclose_forcefully(ours)
            await trio.aclose_forcefully(theirs)

    async def test_a_cancelled_accept_loses_no_stream(self) -> None:
        """Each dial that succeeded is accepted, however often the accepter is cancelled."""
        async with self.open_pair() as (left, right):
            accepted: list[trio.abc.Stream] = []
            dialled: list[trio.abc.Stream] = []
            for index in range(30):
                with trio.CancelScope() as scope:
                    async with trio.open_nursery() as nursery:

                        @nursery.start_soon
                        async def _() -> None:
                            accepted.append((await right.accept_stream())[0])

                        await trio.testing.wait_all_tasks_blocked()
                        dialled.append(await left.open_stream(right.local_address))
                        if index % 2:
                            await trio.lowlevel.checkpoint()
                        scope.cancel()
            with trio.fail_after(self.seconds_max):
                while len(accepted) < len(dialled):
                    accepted.append((await right.accept_stream())[0])
            for number, stream in enumerate(dialled):
                await stream.send_all(bytes([number]))
            seen = [await self.read(stream, 1) for stream in accepted]
            assert sorted(seen) == [bytes([number]) for number in range(len(dialled))]
            for stream in accepted + dialled:
                await trio.aclose_forcefully(stream)

    async def test_a_second_accepter_is_turned_away(self) -> None:
        async with self.open_pair() as (left, right):
            async with trio.open_nursery() as nursery:
                first = Outcome(right.accept_stream)
                nursery.start_soon(first.run)
                await trio.testing.wait_all_tasks_blocked()
                await raises_async(trio.BusyResourceError, right.accept_stream)
                ours = await left.open_stream(right.local_address)
            assert first.value is not None
            await trio.aclose_forcefully(first.value[0])
            await trio.aclose_forcefully(ours)

    async def test_a_peer_that_vanishes_harms_nobody(self) -> None:
        """Nothing raises for what a peer does: it dials, sends, and closes at once."""
        async with self.open_pair() as (_, right):
            for _ in range(5):
                async with self.open_pair() as (guest, _other):
                    ours = await guest.open_stream(right.local_address)
                    guest.send_packet(b"bye", right.local_address)
                    await trio.aclose_forcefully(ours)
            with trio.fail_after(self.seconds_max):
                for _ in range(5):
                    stream, _source = await right.accept_stream()
                    await trio.aclose_forcefully(stream)
