"""Rules about what the network tells of a peer: connected, refused, aborted."""

from __future__ import annotations

import contextlib

import trio
import trio.testing

from trio_gossip.failures import DialFailure
from trio_gossip.transport import abort_stream, classify_dial_error

from .base import Rules, raises_async


class EvidenceRules(Rules):
    """A failure detector tells a dead process from one that stands still by these."""

    async def test_a_dial_tells_once_that_it_is_connected_before_it_is_open(self) -> None:
        async with self.open_pair() as (left, right):
            told: list[str] = []
            with trio.fail_after(self.seconds_max):
                async with trio.open_nursery() as nursery:
                    accepted: list[trio.abc.Stream] = []

                    @nursery.start_soon
                    async def _() -> None:
                        accepted.append((await right.accept_stream())[0])

                        async def shake() -> None:  # some shake hands when they are first read
                            await accepted[0].receive_some(1)

                        nursery.start_soon(shake)

                    ours = await left.dial(
                        right.local_address, None, lambda: told.append("connected")
                    )
                    assert told == ["connected"]
                    await ours.send_all(b"x")
            await trio.aclose_forcefully(ours)
            await trio.aclose_forcefully(accepted[0])

    async def test_a_dial_is_connected_also_while_nobody_accepts(self) -> None:
        """A process that stands still: its host takes the connection, and that is all."""
        async with self.open_pair() as (left, right), trio.open_nursery() as nursery:
            connected = trio.Event()

            @nursery.start_soon
            async def _() -> None:
                stream = await left.dial(right.local_address, None, connected.set)
                await trio.aclose_forcefully(stream)

            with trio.fail_after(self.seconds_max):
                await connected.wait()
            nursery.cancel_scope.cancel()

    async def test_a_dial_to_nobody_is_refused_and_was_never_connected(self) -> None:
        async with self.open_pair() as (left, right):
            nobody = await self.address_of_nobody((left, right))
            told: list[str] = []
            failure: BaseException | None = None
            with trio.fail_after(self.seconds_max):
                try:
                    await left.dial(nobody, None, lambda: told.append("connected"))
                except OSError as error:
                    failure = error
            assert failure is not None
            assert classify_dial_error(failure) is DialFailure.REFUSED
            assert told == []

    async def test_a_dial_that_stalls_can_be_cancelled_and_leaves_nothing(self) -> None:
        async with self.open_pair() as (left, right):
            with trio.move_on_after(0.05):
                stream = await left.dial(right.local_address, None, lambda: None)
                await trio.aclose_forcefully(stream)
            with trio.move_on_after(0.2):  # what was cancelled in a handshake need not come
                first, _ = await right.accept_stream()
                await trio.aclose_forcefully(first)
            ours, theirs = await self.connect(left, right)
            await trio.aclose_forcefully(ours)
            await trio.aclose_forcefully(theirs)

    async def test_an_aborted_stream_is_closed_here_and_over_for_the_peer(self) -> None:
        async with self.open_pair() as (left, right):
            ours, theirs = await self.connect(left, right)
            await abort_stream(ours)
            await abort_stream(ours)  # a second time changes nothing
            await raises_async(trio.ClosedResourceError, lambda: ours.send_all(b"x"))
            await raises_async(trio.ClosedResourceError, lambda: ours.receive_some(1))
            with trio.fail_after(self.seconds_max):
                with contextlib.suppress(trio.BrokenResourceError):  # where there are resets
                    assert await theirs.receive_some(1) == b""
            await trio.aclose_forcefully(theirs)

    async def test_aborting_closes_also_when_it_is_cancelled(self) -> None:
        async with self.open_pair() as (left, right):
            ours, theirs = await self.connect(left, right)
            with trio.CancelScope() as scope:
                scope.cancel()
                await abort_stream(ours)
            await raises_async(trio.ClosedResourceError, lambda: ours.receive_some(1))
            await trio.aclose_forcefully(theirs)

    async def test_receiving_goes_on_after_a_refusal(self) -> None:
        """An empty batch says that there are refusals; with or without, packets follow."""
        async with self.open_pair() as (left, right):
            nobody = await self.address_of_nobody((left, right))
            left.send_packet(b"anybody?", nobody)
            await trio.sleep(0.05)
            right.send_packet(b"x", left.local_address)
            assert [packet.data for packet in await self.receive(left, 1)] == [b"x"]
            assert {refused.address for refused in left.refusals_nowait()} <= {nobody}
