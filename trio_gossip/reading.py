"""What iterations for the application have in common: who reads, waits; and they end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import trio

Item = TypeVar("Item")


class _Waiting(Protocol):
    """What was not read yet."""

    def __len__(self) -> int: ...

    def clear(self) -> None: ...


class Reading(ABC, Generic[Item]):
    """A sync context manager and an async iterator over what is published meanwhile.

    An iteration that is cancelled has taken nothing. It may go on, also in another task.

    Args:
        waiting: where :meth:`_take` takes from; it is empty when there is nothing to read.
        removed: called when it is closed, also more than once.
    """

    def __init__(self, waiting: _Waiting, removed: Callable[[], None]) -> None:
        self._unread = waiting
        self._removed = removed
        self._closed = False
        self._arrived = trio.lowlevel.ParkingLot()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop; what was not read is dropped."""
        self._unread.clear()
        self.end()
        self._removed()

    def end(self) -> None:
        """No more will come; what waits can still be read."""
        self._closed = True
        self._arrived.unpark_all()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        await trio.lowlevel.checkpoint()
        while not self._unread:
            if self._closed:
                raise StopAsyncIteration
            await self._arrived.park()
        return self._take()

    def _wake(self) -> None:
        """There is one more to read."""
        self._arrived.unpark()

    @abstractmethod
    def _take(self) -> Item:
        """The next one; there is one."""
