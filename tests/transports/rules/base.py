"""What all rules share: how two transports are opened, how long a test may take, helpers."""

from __future__ import annotations

import functools
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio

from trio_gossip.addresses import Address
from trio_gossip.transport import Packet, Transport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


class Rules:
    """The base of each group of rules, and so of the whole contract."""

    seconds_max: float = 10.0
    """No wait of a test lasts longer; on trio's clock."""

    seconds_max_of_a_test: float = 60.0
    """No test lasts longer, also where a broken transport hangs; on trio's clock."""

    batch_packets_max: int = 32
    """Most packets that one receive returns."""

    unknown_host: str = "no-such-host.invalid"
    """A host that cannot be resolved."""

    every_name_is_an_address: bool = False
    """True for a network with names of its own, on which any host resolves to itself."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Bound the tests that a class defines itself; those of its bases are bounded already."""
        super().__init_subclass__(**arguments)
        for name, test in list(vars(cls).items()):
            if name.startswith("test_"):
                setattr(cls, name, _bounded(test))

    def open_pair(self) -> AbstractAsyncContextManager[tuple[Transport, Transport]]:
        """Open two transports that reach each other; close them at the end.

        A test may open a second pair while the first is open: all of one test are on one network.
        """
        raise NotImplementedError("a contract says how to open a pair of its transports")

    async def address_of_nobody(self, pair: tuple[Transport, Transport]) -> Address:
        """An address of the same network where nobody listens."""
        async with self.open_pair() as (left, _):
            return left.local_address

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
        accept = Outcome(right.accept_stream)
        with trio.fail_after(self.seconds_max):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(accept.run)
                ours = await left.open_stream(right.local_address)
        assert accept.value is not None, accept.error
        return ours, accept.value[0]


def _bounded(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def bounded(self: Rules, *arguments: Any, **options: Any) -> None:
        with trio.fail_after(self.seconds_max_of_a_test):
            await test(self, *arguments, **options)

    return bounded


class Outcome(Generic[T]):
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


def raises(kind: type[Exception], call: Callable[[], object]) -> None:
    """As ``pytest.raises``, which a third party may not have."""
    try:
        call()
    except kind:
        return
    raise AssertionError(f"expected {kind.__name__}")


async def raises_async(kind: type[Exception], call: Callable[[], Awaitable[object]]) -> None:
    """The same for a call that has to be awaited."""
    with trio.fail_after(10):
        try:
            await call()
        except kind:
            return
    raise AssertionError(f"expected {kind.__name__}")
