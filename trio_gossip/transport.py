"""The whole contract between trio-gossip and a network: datagrams and byte streams."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
from abc import abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import trio
from trio.abc import AsyncResource

from trio_gossip.addresses import Address, canonical_host
from trio_gossip.failures import DialFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio_gossip.services.key_store import KeyStore


_NO_LINGER = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)
"""Closing a TCP socket throws away what was not sent, and sends a reset."""


class Packet(NamedTuple):
    """One received datagram and where it came from."""

    data: bytes
    source: Address


class Refused(NamedTuple):
    """The network's word that a datagram to ``address`` found nobody (ICMP port unreachable)."""

    address: Address


class DialError(OSError):
    """A stream to a peer could not be opened; ``failure`` says why.

    A transport raises this where the plain :class:`OSError` does not tell the reason (a failed
    handshake, a policy). State: nothing is left open.
    """

    def __init__(self, failure: DialFailure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


class Transport(AsyncResource):
    """What a network must offer to carry a cluster.

    Rules that every implementation keeps, and that the contract suite checks:

    * Datagrams may be lost, repeated and reordered, but never altered, split or joined.
    * Nothing here raises for what a *peer* does. Transient errors (an ICMP answer to an earlier
      datagram, a full buffer, an aborted connection in the accept queue) are absorbed and
      counted. An error that escapes means that the transport is dead: the cluster stops.
    * The name of the peer travels with each send and dial, so that a transport may route or
      authenticate by name. It is a hint: a seed's name is not known, and then it is ``None``.
    * One task receives packets and one task accepts streams. A second one at the same time
      gets :class:`trio.BusyResourceError`.
    * After :meth:`~trio.abc.AsyncResource.aclose` every call raises
      :class:`trio.ClosedResourceError`, also those that were waiting.
    """

    @property
    @abstractmethod
    def local_address(self) -> Address:
        """Where this transport listens; the port is never 0."""

    @property
    def advertise_address(self) -> Address:
        """What to tell others, where that differs (bound to all interfaces).

        Raises:
            OSError: no address can be told; the message lists what was found.
        """
        return self.local_address

    @property
    @abstractmethod
    def packet_limit(self) -> int:
        """Most bytes that :meth:`send_packet` takes; constant while the transport is open.

        A wrapper that adds bytes reports less than the transport it wraps.
        """

    @property
    def keyring(self) -> KeyStore | None:
        """The keys that :attr:`.Cluster.keys` changes; None where there are none.

        Always the same object while the transport is open. A transport that wraps another and
        has no keys of its own passes on what that one has.
        """
        return None

    @property
    def is_protected(self) -> bool:
        """True when strangers on the path can neither read nor make up packets and streams.

        Where it is not, a cluster on an address that others can reach logs a warning. A wrapper
        that protects nothing itself says what the transport inside it says.
        """
        return False

    @abstractmethod
    def send_packet(self, data: bytes, address: Address, peer_name: str | None = None) -> None:
        """Send one datagram or drop it, now; never blocks and never raises for the network.

        Drops are counted in :meth:`statistics`.

        Raises:
            ValueError: ``data`` is longer than :attr:`packet_limit`.
            trio.ClosedResourceError: the transport is closed.
        """

    @abstractmethod
    async def receive_packets(self) -> list[Packet]:
        """Wait until at least one datagram is there, then return what is there.

        A batch is bounded by the implementation (32 is customary), so that a flood cannot
        keep the caller from its timers. A checkpoint.

        An empty batch says that :meth:`refusals_nowait` has something new, so that nobody hears
        of it only with the next datagram. A wrapper that drops datagrams passes it on.
        """

    def receive_packets_nowait(self) -> list[Packet]:
        """Return datagrams that are there now, at most one batch; empty when there are none.

        The driver drains the transport through this before it runs timers, so that an answer
        which arrived during a pause of the process counts before the question times out. A
        transport that cannot look without waiting may keep this default.
        """
        return []

    def refusals_nowait(self) -> list[Refused]:
        """Return and forget the addresses that answered "nobody listens here" lately.

        Bounded by the implementation; empty where the network does not tell.
        """
        return []

    @abstractmethod
    async def open_stream(self, address: Address, peer_name: str | None = None) -> trio.abc.Stream:
        """Open a byte stream to a peer. No timeout of its own: the caller cancels.

        Raises:
            OSError: it cannot be opened; :func:`classify_dial_error` tells why.
        """

    async def dial(
        self, address: Address, peer_name: str | None, connected: Callable[[], None]
    ) -> trio.abc.Stream:
        """Open a stream as :meth:`open_stream` does, and tell when the peer's host took it.

        Whoever shakes hands after that overrides this: a process that stands still cannot answer
        a handshake, and its host takes connections all the same.

        Args:
            address: where the peer listens.
            peer_name: its name; None where that is not known.
            connected: called once at most, without arguments, as soon as the connection is there;
                always before this returns a stream. It never blocks and never raises.

        Raises:
            OSError: as of :meth:`open_stream`, also after ``connected`` was called.
        """
        stream = await self.open_stream(address, peer_name)
        connected()
        return stream

    @abstractmethod
    async def accept_stream(self) -> tuple[trio.abc.Stream, Address]:
        """Wait for the next stream that a peer opened; returns it and where it came from.

        A transport that knows who the peer is gives the stream an attribute ``peer_names``: the
        names that the peer may use. See ``names_of_peer``.
        """

    async def resolve(self, address: Address) -> list[Address]:
        """Every address that a host stands for; an IP literal stands for itself.

        The default asks the resolver of the operating system through trio. A transport with
        names of its own, or one that wraps another, overrides this.

        Raises:
            OSError: the host is not known.
        """
        try:
            found = await trio.socket.getaddrinfo(
                address.host, address.port, type=trio.socket.SOCK_STREAM
            )
        except UnicodeError as error:  # the IDNA codec, for a label of more than 63 characters
            raise OSError(f"{address.host!r} is no host name: {error}") from error
        addresses = (Address(_host_of(place), int(place[1])) for *_, place in found)
        return list(dict.fromkeys(addresses))

    def statistics(self) -> object:
        """A frozen snapshot of counters; each implementation has its own class."""
        return None


def nothing() -> None:
    """What to give to :meth:`Transport.dial` when nobody wants to know."""


async def abort_stream(stream: trio.abc.Stream) -> None:
    """Close a stream at once, with a reset where it can be: no ``TIME_WAIT`` stays behind.

    What was sent and has not arrived may be lost. A stream of a transport may have a coroutine
    method ``abort`` that does this; a wrapper's calls this function for the stream inside. TCP
    streams of trio need none, and others are closed forcefully. Closes also when cancelled.
    """
    abort: Callable[[], Awaitable[None]] | None = getattr(stream, "abort", None)
    if abort is not None:
        await abort()
        return
    if isinstance(stream, trio.SocketStream):
        with contextlib.suppress(OSError):  # closed by now, or no TCP socket
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    await trio.aclose_forcefully(stream)


def _host_of(place: tuple[object, ...]) -> str:
    """The host of a system's address; a link-local one reaches nobody without its interface."""
    host = canonical_host(str(place[0]))
    scope = place[3] if len(place) == 4 else 0
    return f"{host}%{scope}" if scope and "%" not in host else host


def names_of_peer(stream: trio.abc.Stream) -> tuple[str, ...]:
    """The names for which the transport vouches; empty where it cannot tell who the peer is."""
    names: tuple[str, ...] = getattr(stream, "peer_names", ())
    return names


_FAILURE_BY_ERRNO = {
    errno.ECONNREFUSED: DialFailure.REFUSED,
    errno.ECONNRESET: DialFailure.RESET,
    errno.ECONNABORTED: DialFailure.RESET,
    errno.EPIPE: DialFailure.RESET,
    errno.ETIMEDOUT: DialFailure.TIMED_OUT,
    errno.EHOSTUNREACH: DialFailure.UNREACHABLE,
    errno.ENETUNREACH: DialFailure.UNREACHABLE,
    errno.EHOSTDOWN: DialFailure.UNREACHABLE,
    errno.ENETDOWN: DialFailure.UNREACHABLE,
    errno.EADDRNOTAVAIL: DialFailure.UNREACHABLE,
}


def classify_dial_error(error: BaseException) -> DialFailure:
    """Turn what a dial or a stream raised into one of the engine's reasons."""
    if isinstance(error, DialError):
        return error.failure
    if isinstance(error, trio.TooSlowError):
        return DialFailure.TIMED_OUT
    if isinstance(error, trio.BrokenResourceError):
        cause = error.__cause__
        return classify_dial_error(cause) if isinstance(cause, OSError) else DialFailure.RESET
    if isinstance(error, socket.gaierror):
        return DialFailure.UNREACHABLE
    if isinstance(error, OSError) and error.errno is not None:
        return _FAILURE_BY_ERRNO.get(error.errno, DialFailure.OTHER)
    return DialFailure.OTHER
