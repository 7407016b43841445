"""Packets over pooled TLS connections, for networks on which UDP is closed: :class:`PacketPool`."""

from __future__ import annotations

import logging
from collections import Counter, deque
from typing import TYPE_CHECKING, Final

import attrs
import trio

from trio_gossip.addresses import Address
from trio_gossip.failures import DialFailure
from trio_gossip.transport import Refused, classify_dial_error
from trio_gossip_transports.tls_packet_inbox import Inbox
from trio_gossip_transports.tls_packet_link import FrameReader, PacketLink, StalledError, frame
from trio_gossip_transports.tls_packet_table import LinkTable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from trio_gossip_transports.tls_stream import TLSStream

REFUSALS_MAX: Final = 1024
"""Addresses remembered that answered "nobody listens here"; the oldest go."""

DIAL_SECONDS: Final = 5.0
"""How long connection and handshake may take; packets that wait longer are of no use."""

HELLO_SECONDS: Final = 5.0
"""How long a peer that opened a connection may take to say where it listens."""

REST_SECONDS: Final = 0.25
"""After a failed dial none is made to that peer for so long; doubled each time."""

REST_SECONDS_MAX: Final = 5.0
"""Where the doubling ends: a dead peer costs a dial in five seconds, if anybody sends to it."""

IDLE_SECONDS: Final = 60.0
"""A connection without packets is closed after it, by the side that opened it."""

LIFE_SECONDS: Final = 3600.0
"""After it a connection is made anew, so that a certificate which has expired, or whose CA is not
trusted any more, is of no use for longer."""

GRACE_SECONDS: Final = 30.0
"""What the side that accepted gives on top of the two above, so that the two do not meet."""

_HELLO: Final = b"\x01"
"""How the first frame of who opened a connection begins; its port in two bytes follows."""

_log = logging.getLogger(__name__)


@attrs.frozen
class TLSPacketStatistics:
    """What became of packets over TLS connections.

    Attributes:
        sent: packets that were queued for a connection.
        received: packets that arrived.
        dropped: packets that were not sent, by reason: ``queue_full`` (the oldest went),
            ``resting`` (the last dial failed just now), ``unreachable`` (they waited for a dial
            that failed), ``broken`` (the connection ended), ``evicted`` (too many connections).
        opened: connections that we made.
        accepted: connections that peers made.
        closed: connections that ended, by reason: ``idle`` (or old, or certificates were
            replaced), ``ended`` by the peer, ``broken``, ``stalled`` (the peer took nothing),
            ``no_hello`` (it did not say where it listens), ``evicted``.
        links: connections that are open or being opened, and peers that are not dialled just now.
        inbox: packets that nobody has received yet.
    """

    sent: int
    received: int
    dropped: Mapping[str, int]
    opened: int
    accepted: int
    closed: Mapping[str, int]
    links: int
    inbox: int


class PacketPool:
    """Connections to peers by their addresses, each with a task and a queue of its own.

    A connection is used in both directions: what a peer opened takes our packets to it as well, if
    its certificate names who is meant. The tasks outlive every call, so they run in a system task
    of trio, which ends with :meth:`aclose`.

    Args:
        dial: opens a secure connection for packets to an address and a name, if that is known.
        port: where this transport listens, for peers to know.

    Raises:
        RuntimeError: trio does not run.
    """

    def __init__(
        self, dial: Callable[[Address, str | None], Awaitable[TLSStream]], port: int
    ) -> None:
        self.inbox = Inbox()
        self._dial = dial
        self._hello = frame(_HELLO + port.to_bytes(2, "big"))
        self._links = LinkTable(self._evicted)
        self._refusals: deque[Refused] = deque(maxlen=REFUSALS_MAX)
        self._sent = self._opened = self._taken = 0
        self._dropped: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()
        self._is_closed = False
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._early: list[PacketLink] = []
        trio.lowlevel.spawn_system_task(self._run, name="trio_gossip_transports TLS packets")

    # -- calls of the transport ---------------------------------------------------------

    def send(self, data: bytes, address: Address, name: str | None) -> None:
        """Queue a packet for a peer, or drop and count it; opens a connection if need be."""
        now = trio.current_time()
        link = self._links.find(address, name)
        if link is None:
            link = PacketLink(address, name, is_accepted=False, used=now)
            self._links.add_dialled(link)
            self._start(link)
        elif link.rest_until is not None:
            if now < link.rest_until:
                self._dropped["resting"] += 1
                return
            self._start(link)
        link.used = now
        self._sent += 1
        self._drop("queue_full", link.put(data))

    def adopt(self, stream: TLSStream, source: Address) -> None:
        """Take over a connection for packets that a peer opened."""
        assert self._nursery is not None, "a handshake ended before the pool began"
        self._nursery.start_soon(self._guarded, self._accept, stream, source)

    def refusals_nowait(self) -> list[Refused]:
        """Return and forget the addresses whose host said that nobody listens there."""
        refused = list(dict.fromkeys(self._refusals))
        self._refusals.clear()
        return refused

    def renew(self) -> None:
        """Have all connections made anew: certificates were replaced."""
        for link in self._links.all:
            if link.opened is not None:
                link.retire()
            elif link.is_accepted:  # let in by the old ones; it has not said hello yet
                link.scope.cancel()

    def statistics(self) -> TLSPacketStatistics:
        """A snapshot."""
        return TLSPacketStatistics(
            sent=self._sent,
            received=self.inbox.received,
            dropped=dict(self._dropped),
            opened=self._opened,
            accepted=self._taken,
            closed=dict(self._closed),
            links=len(self._links),
            inbox=len(self.inbox),
        )

    async def aclose(self) -> None:
        """Close every connection; wakes who waits for packets."""
        self.inbox.close()
        self._scope.cancel()
        with trio.CancelScope(shield=True):  # all is cancelled or forced, so this takes no time
            await self._ended.wait()
        self._links.clear()

    # -- links --------------------------------------------------------------------------

    def _evicted(self, link: PacketLink) -> None:
        if link.rest_until is None:
            self._closed["evicted"] += 1
            self._drop("evicted", link.clear())
            link.scope.cancel()

    def _rest(self, link: PacketLink) -> None:
        """Remember that it is of no use to dial at once."""
        seconds = min(REST_SECONDS * 2.0 ** min(link.failures, 16), REST_SECONDS_MAX)
        link.failures += 1
        link.rest(trio.current_time() + seconds)

    def _drop(self, reason: str, number: int) -> None:
        if number:
            self._dropped[reason] += number

    # -- the background -----------------------------------------------------------------

    async def _run(self) -> None:
        try:
            with self._scope:
                async with trio.open_nursery() as self._nursery:
                    for link in self._early:
                        self._start(link)
                    self._early.clear()
                    await trio.sleep_forever()
        finally:
            self._ended.set()

    def _start(self, link: PacketLink) -> None:
        link.begin()
        if self._nursery is None:
            self._early.append(link)  # the system task has not begun yet
            return
        self._nursery.start_soon(self._guarded, self._open, link)

    async def _guarded(self, task: Callable[..., Awaitable[None]], *arguments: object) -> None:
        try:
            await task(*arguments)
        except Exception:  # out of a system task it would end the whole program
            _log.exception("a connection for packets")

    async def _open(self, link: PacketLink) -> None:
        """The life of a connection that we open, from the dial on."""
        try:
            with link.scope:
                stream = await self._dialled_stream(link)
                if stream is None:
                    return
                self._opened += 1
                link.failures = 0
                began = link.opened = trio.current_time()
                link.names = stream.peer_names
                link.put_first(self._hello)
                end = await self._carry(link, stream, FrameReader(), [], 0.0)
                # Who lets us in and ends it at once would cost a handshake for each packet.
                is_short = trio.current_time() < began + REST_SECONDS_MAX
                if end in ("broken", "stalled") or (end == "ended" and is_short):
                    self._rest(link)
        finally:
            if link.rest_until is None:
                self._links.forget(link)

    async def _dialled_stream(self, link: PacketLink) -> TLSStream | None:
        """Dial; when that fails, nothing is sent to this peer for a while."""
        failure = DialFailure.TIMED_OUT
        try:
            with trio.move_on_after(DIAL_SECONDS):
                return await self._dial(link.address, link.wanted)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            failure = classify_dial_error(error)
            _log.debug("connecting to %s for packets: %s", link.address, error)
        except Exception:
            failure = DialFailure.OTHER
            _log.exception("connecting to %s for packets", link.address)
        self._drop("unreachable", link.clear())
        if failure is DialFailure.REFUSED:
            self._refusals.append(Refused(link.address))
            self.inbox.wake()
        self._rest(link)
        return None

    async def _accept(self, stream: TLSStream, source: Address) -> None:
        """The life of a connection that a peer opened."""
        now = trio.current_time()
        link = PacketLink(source, None, is_accepted=True, used=now, names=stream.peer_names)
        self._links.add_accepted(link)
        self._taken += 1
        try:
            with link.scope:
                frames = FrameReader()
                first: list[bytes] = []
                with trio.move_on_after(HELLO_SECONDS):
                    first = await link.read_first(stream, frames)
                if not first or len(first[0]) != 3 or first[0][:1] != _HELLO:
                    self._closed["no_hello"] += 1
                    return
                link.opened = trio.current_time()
                port = int.from_bytes(first[0][1:], "big")
                self._links.place(link, Address(source.host, port))
                await self._carry(link, stream, frames, first[1:], GRACE_SECONDS)
        finally:
            self._links.forget(link)
            await trio.aclose_forcefully(stream)

    async def _carry(
        self,
        link: PacketLink,
        stream: TLSStream,
        frames: FrameReader,
        early: list[bytes],
        grace: float,
    ) -> str:
        """Move packets in both directions; returns how the connection ended. It is closed then."""
        end = "ended"

        async def read() -> None:
            nonlocal end
            try:
                await link.read(stream, frames, early, self.inbox)
            except trio.BrokenResourceError:
                end = "broken"
            nursery.cancel_scope.cancel()

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                try:
                    await link.write(stream, idle=IDLE_SECONDS + grace, life=LIFE_SECONDS + grace)
                    end = "idle"
                except StalledError:
                    end = "stalled"
                except trio.BrokenResourceError:
                    end = "broken"
                nursery.cancel_scope.cancel()
            link.opened = None
            self._closed[end] += 1
            self._drop("broken", link.clear())
            if end == "idle":
                await stream.aclose()
        finally:
            await trio.aclose_forcefully(stream)
        return end
