"""The agent's side of the control socket: connections, their bounds and their counters."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio

from trio_gossip.cli.control_socket import peer_uid
from trio_gossip.cli.control_wire import DONE, ERROR, ROW, VERSION, ControlWireError, Frames, pack
from trio_gossip.cli.problems import visible

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence

    from trio_gossip.cli.control_wire import Row

CONNECTIONS_MAX: Final = 8
"""Connections at once. One more is told so and closed."""

REQUEST_SECONDS: Final = 10.0
"""How long a connection may take to bring a whole request; an idle one is closed after it."""

ANSWER_SECONDS: Final = 30.0
"""How long a connection may take to read the whole answer; then it is closed."""

FAREWELL_SECONDS: Final = 1.0
"""How long answers may take that are under way when the agent ends."""

_READ_BYTES: Final = 65_536
_ROWS_AT_ONCE: Final = 64
"""Rows between two checkpoints: a table of thousands must not hold up a probe."""
_ACCEPT_PAUSE: Final = 0.1
"""Seconds to wait when the system has no more file descriptors."""
_REFUSAL_SECONDS: Final = 0.5

logger = logging.getLogger(__name__)


class RequestError(Exception):
    """A request that cannot be done. The text is for the person who asked.

    Args:
        text: one line.
        rows: what is to be shown beside it.
    """

    def __init__(self, text: str, rows: Sequence[Row] = ()) -> None:
        super().__init__(text)
        self.rows = rows


@attrs.frozen
class ControlStatistics:
    """What came over a control socket since the start.

    Attributes:
        control_connections: connections now.
        control_requests: requests that were understood.
        control_refused_busy: connections closed because too many were open.
        control_refused_user: connections of other users, closed at once.
        control_garbage: connections closed because of bytes that were no request.
        control_timed_out: connections closed because they were idle or slow.
        control_failed: answers that ended in an error which nobody expected.
        control_accept_errors: times when the system could not accept.
    """

    control_connections: int = 0
    control_requests: int = 0
    control_refused_busy: int = 0
    control_refused_user: int = 0
    control_garbage: int = 0
    control_timed_out: int = 0
    control_failed: int = 0
    control_accept_errors: int = 0


class ControlServer:
    """Serves a listening Unix socket. Nothing that a peer does raises out of it.

    Args:
        listening: as :func:`.control_socket` makes it. Not owned.
        answer: takes a command and its arguments and gives rows.
    """

    def __init__(
        self,
        listening: socket.socket,
        answer: Callable[[str, list[Any]], Awaitable[Iterable[Row]]],
    ) -> None:
        self._listening = listening
        self._answer = answer
        self._statistics = ControlStatistics()
        self._connections = 0
        self._idle: set[trio.CancelScope] = set()
        self._everything = trio.CancelScope()
        self._ending = False

    def statistics(self) -> ControlStatistics:
        """What came so far."""
        return attrs.evolve(self._statistics, control_connections=self._connections)

    async def run(self) -> None:
        """Serve until :meth:`end` or a cancellation."""
        with self._everything:
            async with trio.open_nursery() as nursery:
                # A duplicate, since a trio socket closes what it wraps.
                duplicate = trio.socket.from_stdlib_socket(self._listening.dup())
                with duplicate, self._until_the_end():
                    await self._accept(duplicate, nursery)

    def end(self) -> None:
        """Accept nothing more, close what is idle, and give answers a last moment."""
        self._ending = True
        for scope in self._idle:
            scope.cancel()
        self._everything.deadline = trio.current_time() + FAREWELL_SECONDS

    @contextmanager
    def _until_the_end(self) -> Generator[None]:
        """What is done in this block may be cut off at any time by :meth:`end`."""
        with trio.CancelScope() as scope:
            if self._ending:
                scope.cancel()
            self._idle.add(scope)
            try:
                yield
            finally:
                self._idle.remove(scope)

    def _count(self, name: str) -> None:
        field = f"control_{name}"
        number = getattr(self._statistics, field) + 1
        self._statistics = attrs.evolve(self._statistics, **{field: number})

    # -- connections --------------------------------------------------------------------

    async def _accept(self, listening: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        while True:
            try:
                connection, _ = await listening.accept()
            except OSError:  # aborted, or too many open files
                self._count("accept_errors")
                await trio.sleep(_ACCEPT_PAUSE)
                continue
            stream = trio.SocketStream(connection)
            # In a task of its own, also to be refused: nobody delays the next one.
            nursery.start_soon(self._serve, stream, self._refusal(stream))

    def _refusal(self, stream: trio.SocketStream) -> str | None:
        """Take a place for a connection, or say why it gets none."""
        uid = peer_uid(stream.socket)
        if uid is not None and uid not in (os.geteuid(), 0):
            self._count("refused_user")
            return "this socket belongs to another user"
        if self._connections >= CONNECTIONS_MAX:
            self._count("refused_busy")
            return f"the agent has {CONNECTIONS_MAX} control connections already"
        self._connections += 1
        return None

    async def _serve(self, stream: trio.SocketStream, refusal: str | None) -> None:
        async with stream:
            try:
                if refusal is not None:
                    await _say(stream, refusal)
                else:
                    await self._converse(stream)
            except ControlWireError as error:
                self._count("garbage")
                await _say(stream, f"that is no request: {error}")
            except trio.BrokenResourceError:
                pass  # it went away
            except Exception:
                # Whatever it is, the membership of this node must outlive it.
                logger.exception("a control connection failed")
                self._count("failed")
            finally:
                if refusal is None:
                    self._connections -= 1

    async def _converse(self, stream: trio.SocketStream) -> None:
        frames = Frames()
        while True:
            request = None
            with self._until_the_end(), trio.move_on_after(REQUEST_SECONDS) as patience:
                request = await _next(frames, stream)
            if request is None:
                if patience.cancelled_caught:
                    self._count("timed_out")
                return
            rows, last = await self._respond(request)
            with trio.move_on_after(ANSWER_SECONDS) as patience:
                rest = iter(rows)
                while chunk := b"".join(pack(ROW, *row) for row in islice(rest, _ROWS_AT_ONCE)):
                    await stream.send_all(chunk)
                await stream.send_all(last)
            if patience.cancelled_caught:
                self._count("timed_out")
                return

    async def _respond(self, request: list[Any]) -> tuple[Iterable[Row], bytes]:
        """Do what is asked; returns the rows and the end of the answer."""
        version, *words = request
        if version != VERSION:
            # What follows the version may mean anything, but this answer is understood.
            text = f"this agent speaks version {VERSION} of the control protocol, not {version}"
            return (), pack(ERROR, text)
        if not words or not isinstance(words[0], str):
            raise ControlWireError("it has no command")
        command, *arguments = words
        self._count("requests")
        try:
            return await self._answer(command, arguments), pack(DONE)
        except RequestError as error:
            return error.rows, pack(ERROR, str(error))
        except Exception:
            logger.exception("the control request %s failed", visible(command[:80]))
            self._count("failed")
            return (), pack(ERROR, "the agent failed to answer; its log says more")


async def _next(frames: Frames, stream: trio.SocketStream) -> list[Any] | None:
    """The next request; None at the end of the connection."""
    while (request := frames.next_untrusted()) is None:
        data = await stream.receive_some(_READ_BYTES)
        if not data:
            return None
        frames.feed_untrusted(bytes(data))
    await trio.lowlevel.checkpoint()
    return request


async def _say(stream: trio.SocketStream, text: str) -> None:
    """One line for somebody who is turned away, if they read it."""
    with suppress(trio.BrokenResourceError), trio.move_on_after(_REFUSAL_SECONDS):
        await stream.send_all(pack(ERROR, text))
