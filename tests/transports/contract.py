"""The contract of :class:`trio_gossip.transport.Transport` as tests, for anybody's transport.

Subclass :class:`TransportContract` in a test module, say how to open two transports that reach
each other, and pytest with pytest-trio (``trio_mode = true``) runs every rule on them::

    class TestMine(TransportContract):
        @asynccontextmanager
        async def open_pair(self):
            async with await open_mine() as left, await open_mine() as right:
                yield left, right

The two must lose nothing while little is sent. This file needs only trio, trio-gossip and
``trio.testing``: copy it, or import it where the repository is at hand.
"""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio
import trio.testing

from trio_gossip.addresses import Address
from trio_gossip.failures import DialFailure
from trio_gossip.transport import Packet, Transport, classify_dial_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
S = TypeVar("S")


def on_autojump_clock(suite: type[S]) -> type[S]:
    """Decorates a subclass for a network without real time: its tests jump over every wait.

    pytest-trio takes a clock only from the arguments of a test, so each test gets one more.
    """
    for name in dir(suite):
        if name.startswith("test_"):
            setattr(suite, name, _with_clock(getattr(suite, name)))
    return suite


def _with_clock(test: Callable[[Any], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    async def clocked(self: Any, autojump_clock: trio.testing.MockClock) -> None:
        assert trio.lowlevel.current_clock() is autojump_clock
        await test(self)

    # Not functools.wraps: pytest would follow it to the arguments of the inner function.
    clocked.__name__, clocked.__doc__ = test.__name__, test.__doc__
    return clocked


class TransportContract:
    """Every rule of the contract. Override :meth:`open_pair`, and what else differs for you."""

    seconds_max: float = 10.0
    """No wait of a test lasts longer; on trio's clock."""

    batch_packets_max: int = 32
    """Most packets that one receive returns."""

    def open_pair(self) -> AbstractAsyncContextManager[tuple[Transport, Transport]]:
        """Open two transports that reach each other; close them at the end.

        A test may open a second pair while the first is open: all of one test are on one network.
        """
        raise NotImplementedError

    async def address_of_nobody(self, pair: tuple[Transport, Transport]) -> Address:
        """An address of the same network where nobody listens."""
        async with self.open_pair() as (left, _):
            return left.local_address

    # Addresses and limits

    async def test_the_port_is_a_real_one(self) -> None:
        async with self.open_pair() as pair:
            for each in pair:
                assert isinstance(each.local_address, Address)
                assert 0 < each.local_address.port < 65536

    async def test_the_two_have_different_addresses_that_stay(self) -> None:
        async with self.open_pair() as (left, right):
            before = left.local_address, right.local_address
            assert before[0] != before[1]
            left.send_packet(b"x", before[1])
            assert await self.receive(right, 1)
            assert (left.local_address, right.local_address) == before

    async def test_the_advertised_address_is_fit_to_be_told(self) -> None:
        async with self.open_pair() as (left, _):
            assert not left.advertise_address.is_wildcard
            assert left.advertise_address.port == left.local_address.port
            assert left.advertise_address == left.advertise_address

    async def test_a_peer_reaches_the_advertised_address(self) -> None:
        async with self.open_pair() as (left, right):
            left.send_packet(b"x", right.advertise_address)
            assert [packet.data for packet in await self.receive(right, 1)] == [b"x"]

    async def test_the_packet_limit_is_positive_and_constant(self) -> None:
        async with self.open_pair() as (left, right):
            limit = left.packet_limit
            assert limit >= 1
            left.send_packet(bytes(limit), right.local_address)
            await self.receive(right, 1)
            assert left.packet_limit == limit

    # Datagrams

    async def test_a_packet_arrives_with_its_source(self) -> None:
        async with self.open_pair() as (left, right):
            left.send_packet(b"hello", right.local_address)
            assert await self.receive(right, 1) == [Packet(b"hello", left.local_address)]

    async def test_the_source_of_a_packet_is_an_address_to_answer_to(self) -> None:
        async with self.open_pair() as (left, right):
            left.send_packet(b"ping", right.local_address)
            [ping] = await self.receive(right, 1)
            right.send_packet(b"ack", ping.source)
            assert await self.receive(left, 1) == [Packet(b"ack", right.local_address)]

    async def test_packets_are_bytes_and_addresses(self) -> None:
        async with self.open_pair() as (left, right):
            left.send_packet(b"x", right.local_address)
            [packet] = await self.receive(right, 1)
            assert type(packet) is Packet
            assert type(packet.data) is bytes
            assert type(packet.source) is Address

    async def test_packets_are_neither_altered_nor_split_nor_joined(self) -> None:
        async with self.open_pair() as (left, right):
            limit = left.packet_limit
            sent = [bytes([n]) * min(n + 1, limit) for n in range(20)]
            sent.append(bytes(range(256))[:limit])
            for data in sent:
                left.send_packet(data, right.local_address)
            received = await self.receive(right, len(sent))
            assert Counter(packet.data for packet in received) == Counter(sent)

    async def test_a_packet_of_exactly_the_limit_arrives(self) -> None:
        async with self.open_pair() as (left, right):
            data = b"\xa5" * left.packet_limit
            left.send_packet(data, right.local_address)
            assert [packet.data for packet in await self.receive(right, 1)] == [data]

    async def test_a_packet_over_the_limit_is_refused_and_not_sent(self) -> None:
        async with self.open_pair() as (left, right):
            _raises(
                ValueError,
                lambda: left.send_packet(bytes(left.packet_limit + 1), right.local_address),
            )
            left.send_packet(b"after", right.local_address)
            assert [packet.data for packet in await self.receive(right, 1)] == [b"after"]

    async def test_an_empty_packet_harms_nobody(self) -> None:
        async with self.open_pair() as (left, right):
            left.send_packet(b"", right.local_address)
            left.send_packet(b"after", right.local_address)
            received = [packet.data for packet in await self.receive(right, 1)]
            if received == [b""]:
                received += [packet.data for packet in await self.receive(right, 1)]
            assert received[-1] == b"after"

    async def test_the_name_of_the_peer_is_only_a_hint(self) -> None:
        async with self.open_pair() as (left, right):
            left.send_packet(b"1", right.local_address, "right")
            left.send_packet(b"2", right.local_address, None)
            received = await self.receive(right, 2)
            assert {packet.data for packet in received} == {b"1", b"2"}

    async def test_a_transport_reaches_itself(self) -> None:
        async with self.open_pair() as (left, _):
            left.send_packet(b"me", left.local_address)
            assert await self.receive(left, 1) == [Packet(b"me", left.local_address)]

    async def test_sending_to_nobody_never_raises(self) -> None:
        async with self.open_pair() as (left, right):
            nobody = await self.address_of_nobody((left, right))
            for _ in range(20):
                left.send_packet(b"anybody?", nobody)
                await trio.sleep(0.001)  # lets an answer of the network come back to the sender
                left.receive_packets_nowait()
            left.send_packet(b"still here", right.local_address)
            assert [packet.data for packet in await self.receive(right, 1)] == [b"still here"]

    async def test_sending_to_addresses_that_make_no_sense_never_raises(self) -> None:
        async with self.open_pair() as (left, right):
            for host in (
                "203.0.113.9",
                "2001:db8::9",
                "no.such.host.invalid",
                "",
                "a\0b",
                "?" * 99,
            ):
                left.send_packet(b"x", Address(host, 7946))
            for port in (0, 65_536, 10**9, -1):
                left.send_packet(b"x", Address(right.local_address.host, port))
            left.send_packet(b"sane", right.local_address)
            assert [packet.data for packet in await self.receive(right, 1)] == [b"sane"]

    async def test_sending_more_than_anybody_reads_neither_blocks_nor_raises(self) -> None:
        async with self.open_pair() as (left, right):
            for _ in range(5000):
                left.send_packet(b"x" * min(1000, left.packet_limit), right.local_address)
            assert await self.receive(right, 1)

    async def test_refusals_are_addresses_that_were_sent_to(self) -> None:
        async with self.open_pair() as (left, right):
            assert left.refusals_nowait() == []
            nobody = await self.address_of_nobody((left, right))
            left.send_packet(b"anybody?", nobody)
            await trio.sleep(0.05)
            assert {refused.address for refused in left.refusals_nowait()} <= {nobody}
            assert left.refusals_nowait() == []

    # Receiving

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
                first = _Outcome(right.receive_packets)
                nursery.start_soon(first.run)
                await trio.testing.wait_all_tasks_blocked()
                await _raises_async(trio.BusyResourceError, right.receive_packets)
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

    # Streams

    async def test_a_stream_carries_bytes_both_ways(self) -> None:
        async with self.open_pair() as (left, right):
            ours, theirs = await self.connect(left, right)
            async with ours, theirs:
                await ours.send_all(b"question")
                assert await self.read(theirs, 8) == b"question"
                await theirs.send_all(b"answer")
                assert await self.read(ours, 6) == b"answer"

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
                first = _Outcome(right.accept_stream)
                nursery.start_soon(first.run)
                await trio.testing.wait_all_tasks_blocked()
                await _raises_async(trio.BusyResourceError, right.accept_stream)
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

    # Closing

    async def test_after_closing_every_call_is_refused(self) -> None:
        async with self.open_pair() as (left, right):
            await left.aclose()
            closed = trio.ClosedResourceError
            _raises(closed, lambda: left.send_packet(b"x", right.local_address))
            await _raises_async(closed, left.receive_packets)
            await _raises_async(closed, left.accept_stream)
            await _raises_async(closed, lambda: left.open_stream(right.local_address))
            for look in (left.receive_packets_nowait, left.refusals_nowait):
                with suppress(closed):
                    assert look() == []  # what a transport does that keeps the default

    async def test_closing_wakes_those_that_wait(self) -> None:
        async with self.open_pair() as (left, _):
            waiters = [_Outcome(left.receive_packets), _Outcome(left.accept_stream)]
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
            _raises(trio.ClosedResourceError, lambda: left.send_packet(b"x", right.local_address))
            await _raises_async(trio.ClosedResourceError, left.accept_stream)

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
            _raises(trio.ClosedResourceError, lambda: left.send_packet(b"x", right.local_address))

    async def test_statistics_are_a_snapshot(self) -> None:
        async with self.open_pair() as (left, right):
            before = left.statistics()
            told = repr(before)
            left.send_packet(b"x", right.local_address)
            await self.receive(right, 1)
            assert repr(before) == told
            assert left.statistics() is None or repr(left.statistics()) != told

    # Helpers for subclasses

    async def receive(self, transport: Transport, count: int) -> list[Packet]:
        """Receive until there are ``count`` packets."""
        packets: list[Packet] = []
        with trio.fail_after(self.seconds_max):
            while len(packets) < count:
                packets += await transport.receive_packets()
        return packets

    async def read(self, stream: trio.abc.ReceiveStream, count: int) -> bytes:
        """Read exactly ``count`` bytes, or less at the end of the stream."""
        data = b""
        with trio.fail_after(self.seconds_max):
            while len(data) < count and (piece := await stream.receive_some(count - len(data))):
                data += piece
        return data

    async def connect(
        self, left: Transport, right: Transport
    ) -> tuple[trio.abc.Stream, trio.abc.Stream]:
        """Open a stream; returns the end of ``left`` and the end of ``right``."""
        accept = _Outcome(right.accept_stream)
        with trio.fail_after(self.seconds_max):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(accept.run)
                ours = await left.open_stream(right.local_address)
        assert accept.value is not None, accept.error
        return ours, accept.value[0]


class _Outcome(Generic[T]):
    """Runs a call as a task and keeps how it ended."""

    def __init__(self, call: Callable[[], Awaitable[T]]) -> None:
        self._call = call
        self.value: T | None = None
        self.error: Exception | None = None

    async def run(self) -> None:
        try:
            self.value = await self._call()
        except Exception as error:
            self.error = error


def _raises(kind: type[Exception], call: Callable[[], object]) -> None:
    try:
        call()
    except kind:
        return
    raise AssertionError(f"expected {kind.__name__}")


async def _raises_async(kind: type[Exception], call: Callable[[], Awaitable[object]]) -> None:
    with trio.fail_after(10):
        try:
            await call()
        except kind:
            return
    raise AssertionError(f"expected {kind.__name__}")
