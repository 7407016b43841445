"""UDP datagrams and TCP streams on one port of this host."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
import sys
from collections import Counter
from contextlib import suppress
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import attrs
import trio

from trio_gossip.addresses import PORT_DEFAULT, Address, canonical_host
from trio_gossip.transport import Packet, Refused, Transport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_logger = logging.getLogger(__name__)

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]

BATCH_PACKETS_MAX: Final = 32
"""Datagrams read per wake-up. Measured: 8 cost twice as much each, 128 gain nothing and keep
other tasks waiting."""

DATAGRAM_BYTES_MAX: Final = 65_536
"""More than UDP can carry, so that nothing is cut off silently. Costs no more than an exact
buffer: the kernel's copy is what takes the time, and CPython gives the rest back."""

PACKET_LIMIT_MAX: Final = 65_507
"""Most that UDP over IPv4 can carry."""

_CACHED_ADDRESSES_MAX = 4096
_BACKLOG = 1024
_PORT_ATTEMPTS_MAX = 10
_HOST_NAME_LOOKUP_SECONDS = 2.0
_ACCEPT_DELAY_MIN = 0.005
_ACCEPT_DELAY_MAX = 1.0

_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

# What a peer or a router can cause. Linux hands errors of a new connection, and ICMP answers to
# earlier datagrams, to whoever calls next. Not in the list: EBADF, ENOTSOCK, EINVAL, EFAULT. They
# mean that the socket itself is gone, and to retry them would spin.
_TRANSIENT = _OUT_OF_RESOURCES | {
    getattr(errno, name)
    for name in (
        *("EACCES", "EAGAIN", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN"),
        *("EHOSTUNREACH", "EINTR", "EMSGSIZE", "ENETDOWN", "ENETRESET", "ENETUNREACH", "ENONET"),
        *("ENOPROTOOPT", "EOPNOTSUPP", "EPERM", "EPROTO", "ETIMEDOUT"),
    )
    if hasattr(errno, name)
}

# Addresses kept for documentation: a route to them is a route to "somewhere else".
_ELSEWHERE: tuple[tuple[socket.AddressFamily, str], ...] = (
    (socket.AF_INET, "192.0.2.1"),
    (socket.AF_INET6, "2001:db8::1"),
)


@attrs.frozen
class SocketStatistics:
    """What a :class:`SocketTransport` did since it was opened.

    Attributes:
        packets_dropped: datagrams that were not sent, by the name of the error (``"EAGAIN"``: the
            send buffer was full; ``"EAFNOSUPPORT"``: an IPv6 address and an IPv4 socket;
            ``"EADDRNOTAVAIL"``: the address was no IP literal or had no valid port).
        receive_errors: transient errors absorbed while reading datagrams, by name.
        accept_errors: transient errors absorbed while accepting streams, by name.
        receive_buffer: bytes that the kernel reports for ``SO_RCVBUF``. Linux doubles what was
            asked, for its own bookkeeping, and caps it at ``net.core.rmem_max``.
    """

    packets_sent: int
    bytes_sent: int
    packets_received: int
    bytes_received: int
    packets_dropped: Mapping[str, int]
    receive_errors: Mapping[str, int]
    streams_opened: int
    streams_accepted: int
    accept_errors: Mapping[str, int]
    receive_buffer: int


async def open_socket_transport(
    host: str,
    port: int = PORT_DEFAULT,
    *,
    packet_limit: int = 1400,
    receive_buffer: int = 2 * 1024 * 1024,
) -> SocketTransport:
    """Listen for datagrams and streams on one port.

    Args:
        host: an IP literal, or a name that resolves to an address of this host. ``"0.0.0.0"`` is
            all IPv4 interfaces; ``"::"`` is all interfaces, IPv4 too where the system can.
        port: with 0 the kernel chooses one that is free for UDP and for TCP.
        packet_limit: most bytes in a datagram. The default crosses an Ethernet path with tunnels.
        receive_buffer: bytes to ask of the kernel for datagrams that wait. The usual 208 KiB hold
            some 250 small ones, less than a pause of the process lets pile up.

    Raises:
        OSError: the address cannot be had; the message names it. Nothing is left open.
        ValueError: an argument is out of range.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"port must be from 0 to 65535, not {port}")
    if not 1 <= packet_limit <= PACKET_LIMIT_MAX:
        raise ValueError(f"packet_limit must be from 1 to {PACKET_LIMIT_MAX}, not {packet_limit}")
    if receive_buffer < 1:
        raise ValueError(f"receive_buffer must be at least 1 byte, not {receive_buffer}")
    wanted = Address(canonical_host(host) or "0.0.0.0", port)  # noqa: S104
    try:
        udp, tcp = await _bind_by_name(wanted)
    except OSError as error:
        reason = error.strerror or str(error)
        kind = socket.gaierror if isinstance(error, socket.gaierror) else OSError
        text = f"cannot bind {wanted}: {reason[:1].lower()}{reason[1:]}"
        raise kind(error.errno, text) from error
    try:
        _raise_receive_buffer(udp, receive_buffer)
        local = _address_of(udp.getsockname())
        advertised = await _find_advertised(local, _is_dual(udp)) if local.is_wildcard else local
        return SocketTransport(udp, tcp, packet_limit=packet_limit, advertised=advertised)
    except BaseException:
        udp.close()
        tcp.close()
        raise


class SocketTransport(Transport):
    """UDP and TCP on one port; made by :func:`open_socket_transport`.

    It has no task of its own: datagrams are read by whoever calls :meth:`receive_packets`.
    The sockets are plain non-blocking ones, since trio's cost 8 to 23 us a datagram. Streams
    that it gave out belong to the caller and outlive it.
    """

    def __init__(
        self, udp: socket.socket, tcp: socket.socket, *, packet_limit: int, advertised: Address
    ) -> None:
        """Take over two bound, non-blocking sockets; ``tcp`` listens."""
        self._udp = udp
        self._tcp = tcp
        self._packet_limit = packet_limit
        self._advertised = advertised
        self._local = _address_of(udp.getsockname())
        self._is_ipv4 = udp.family == socket.AF_INET
        self._is_dual = _is_dual(udp)
        self._receive_buffer = udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._closed = trio.Event()
        self._receiving = _OneAtATime("another task is already receiving packets")
        self._accepting = _OneAtATime("another task is already accepting streams")
        self._dials: set[trio.CancelScope] = set()
        # Both caches are emptied when full: simple, bounded, and a flood of forged sources costs
        # no more than having no cache.
        self._sources: dict[SocketAddress, Address] = {}
        self._targets: dict[Address, SocketAddress] = {}
        self._packets_sent = self._bytes_sent = 0
        self._packets_received = self._bytes_received = 0
        self._streams_opened = self._streams_accepted = 0
        self._packets_dropped: Counter[str] = Counter()
        self._receive_errors: Counter[str] = Counter()
        self._accept_errors: Counter[str] = Counter()

    @property
    def local_address(self) -> Address:
        """The bound address; the port is the real one, also when 0 was asked."""
        return self._local

    @property
    def advertise_address(self) -> Address:
        """The bound address. Bound to all interfaces: the one that the system would use to reach
        other hosts (IPv4 before IPv6), else a private one of this host's name, else loopback.
        Found once, when the transport was opened.
        """
        return self._advertised

    @property
    def packet_limit(self) -> int:
        """Most bytes in one datagram."""
        return self._packet_limit

    def send_packet(self, data: bytes, address: Address, peer_name: str | None = None) -> None:
        """Send one datagram now or drop and count it. See :meth:`Transport.send_packet`."""
        self._check_open()
        if len(data) > self._packet_limit:
            raise ValueError(f"a packet of {len(data)} bytes; the limit is {self._packet_limit}")
        target = self._targets.get(address) or self._find_target(address)
        if target is None:
            return
        try:
            try:
                self._udp.sendto(data, target)
            except ConnectionRefusedError:
                # The answer to an earlier datagram, handed to this call, which sent nothing. Whose
                # answer it is cannot be told here, so it is no refusal of `address`.
                self._udp.sendto(data, target)
        except OSError as error:
            self._packets_dropped[_name(error)] += 1
        else:
            self._packets_sent += 1
            self._bytes_sent += len(data)

    async def receive_packets(self) -> list[Packet]:
        """Wait for datagrams, then return up to 32. See :meth:`Transport.receive_packets`."""
        self._check_open()
        with self._receiving:
            while True:
                # The one await, and always a checkpoint. What is read after it is returned
                # without another, so that a cancellation has nothing to lose.
                await trio.lowlevel.wait_readable(self._udp)
                if packets := self.receive_packets_nowait():  # or it was closed meanwhile
                    return packets

    def receive_packets_nowait(self) -> list[Packet]:
        """Return up to 32 datagrams that wait in the kernel, perhaps none."""
        self._check_open()
        packets: list[Packet] = []
        bytes_received = 0
        receive, known = self._udp.recvfrom, self._sources
        for _ in range(BATCH_PACKETS_MAX):
            try:
                data, raw = receive(DATAGRAM_BYTES_MAX)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno not in _TRANSIENT:
                    raise
                self._receive_errors[_name(error)] += 1
                continue
            source = known.get(raw) or self._find_source(raw)
            packets.append(Packet(data, source))
            bytes_received += len(data)
        self._packets_received += len(packets)
        self._bytes_received += bytes_received
        return packets

    def refusals_nowait(self) -> list[Refused]:
        """Always empty: an unconnected UDP socket is not told who refused."""
        self._check_open()
        return []

    async def open_stream(
        self, address: Address, peer_name: str | None = None
    ) -> trio.SocketStream:
        """Connect over TCP. A host name is looked up, and each of its addresses tried in turn.

        Raises:
            OSError: no connection; of several attempts the last one's error.
            trio.ClosedResourceError: the transport is closed, or was while this waited.
        """
        self._check_open()
        stream: trio.SocketStream | None = None
        with trio.CancelScope() as scope:
            self._dials.add(scope)
            try:
                stream = await _dial(address)
            finally:
                self._dials.discard(scope)
        if stream is None or self._closed.is_set():
            if stream is not None:
                stream.socket.close()
            raise trio.ClosedResourceError("the transport was closed")
        self._streams_opened += 1
        return stream

    async def accept_stream(self) -> tuple[trio.SocketStream, Address]:
        """Wait for a TCP connection. Out of files or memory: waits 5 ms, doubling to 1 s."""
        self._check_open()
        delay = _ACCEPT_DELAY_MIN
        with self._accepting:
            while True:
                # No await after accept(): a connection that the kernel gave away must reach
                # the caller even if the caller is being cancelled.
                await trio.lowlevel.wait_readable(self._tcp)
                self._check_open()
                try:
                    connection, raw = self._tcp.accept()
                except OSError as error:
                    if error.errno not in _TRANSIENT:
                        raise
                    if not isinstance(error, BlockingIOError):
                        self._accept_errors[_name(error)] += 1
                    if error.errno in _OUT_OF_RESOURCES:
                        # The connection stays in the queue, so the socket stays readable.
                        _logger.warning("cannot accept a stream (%s), waiting %g s", error, delay)
                        with trio.move_on_after(delay):
                            await self._closed.wait()
                            self._check_open()
                        delay = min(2 * delay, _ACCEPT_DELAY_MAX)
                else:
                    self._streams_accepted += 1
                    stream = trio.SocketStream(trio.socket.from_stdlib_socket(connection))
                    return stream, _address_of(raw)

    def statistics(self) -> SocketStatistics:
        """Counters since the transport was opened; also after it was closed."""
        return SocketStatistics(
            packets_sent=self._packets_sent,
            bytes_sent=self._bytes_sent,
            packets_received=self._packets_received,
            bytes_received=self._bytes_received,
            packets_dropped=MappingProxyType(dict(self._packets_dropped)),
            receive_errors=MappingProxyType(dict(self._receive_errors)),
            streams_opened=self._streams_opened,
            streams_accepted=self._streams_accepted,
            accept_errors=MappingProxyType(dict(self._accept_errors)),
            receive_buffer=self._receive_buffer,
        )

    async def aclose(self) -> None:
        """Close both sockets and wake whoever waits. Idempotent; closes also when cancelled."""
        if not self._closed.is_set():
            self._closed.set()
            for waiting in (self._udp, self._tcp):
                trio.lowlevel.notify_closing(waiting)
                waiting.close()
            for scope in self._dials:
                scope.cancel()
        await trio.lowlevel.checkpoint()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise trio.ClosedResourceError("the transport is closed")

    def _find_source(self, raw: SocketAddress) -> Address:
        if len(self._sources) >= _CACHED_ADDRESSES_MAX:
            self._sources.clear()
        source = self._sources[raw] = _address_of(raw)
        return source

    def _find_target(self, address: Address) -> SocketAddress | None:
        """Spell a peer's address for ``sendto``; None, and a counted drop, if it cannot be.

        Only literals: ``sendto`` would look up a name by itself, and block the whole process.
        """
        parsed = _parse_literal(address.host)
        if parsed is None or not 0 < address.port < 65536:
            self._packets_dropped["EADDRNOTAVAIL"] += 1
            return None
        target: SocketAddress
        if isinstance(parsed, ipaddress.IPv4Address):
            if not self._is_ipv4 and not self._is_dual:
                self._packets_dropped["EAFNOSUPPORT"] += 1
                return None
            host = str(parsed)
            target = (host if self._is_ipv4 else f"::ffff:{host}", address.port)
        elif self._is_ipv4:
            self._packets_dropped["EAFNOSUPPORT"] += 1
            return None
        else:
            host, _, scope = str(parsed).partition("%")
            target = (host, address.port, 0, _scope_number(scope))
        if len(self._targets) >= _CACHED_ADDRESSES_MAX:
            self._targets.clear()
        self._targets[address] = target
        return target


class _OneAtATime:
    """Refuses a second task inside a ``with`` block, as trio's own resources do."""

    __slots__ = ("_busy", "_message")

    def __init__(self, message: str) -> None:
        self._busy = False
        self._message = message

    def __enter__(self) -> None:
        if self._busy:
            raise trio.BusyResourceError(self._message)
        self._busy = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._busy = False


async def _look_up(
    host: str, port: int, *, family: int = 0, flags: int = 0
) -> list[tuple[int, SocketAddress]]:
    """Resolve a name in a thread, a literal at once; families and addresses, best first."""
    found = await trio.socket.getaddrinfo(
        host, port, family=family, type=socket.SOCK_STREAM, flags=flags
    )
    # The other shape, (int, bytes), is of Python builds without IPv6.
    return [(each, cast("SocketAddress", raw)) for each, _, _, _, raw in found]


async def _bind_by_name(wanted: Address) -> tuple[socket.socket, socket.socket]:
    found = await _look_up(wanted.host, wanted.port, flags=socket.AI_PASSIVE)
    for index, (family, raw) in enumerate(found):
        try:
            return _bind(family, raw)
        except OSError as error:
            # A name may have an address of a family that this host lacks. Any other error is
            # about the address that was meant: the next one would be a surprise.
            lacking = error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
            if not lacking or index == len(found) - 1:
                raise
    raise OSError(errno.EADDRNOTAVAIL, "the name has no address")


def _bind(family: int, raw: SocketAddress) -> tuple[socket.socket, socket.socket]:
    """Bind TCP and then UDP to the port that TCP got: free TCP ports are the scarcer ones."""
    for attempts_left in reversed(range(_PORT_ATTEMPTS_MAX if raw[1] == 0 else 1)):
        tcp = socket.socket(family, socket.SOCK_STREAM)
        udp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            for each in (tcp, udp):
                each.setblocking(False)
                if family == socket.AF_INET6:
                    _set_dual(each, wanted=raw[0] == "::")
            # Only TCP: a restart must not wait for old connections to time out. For UDP it
            # would let a second process steal the datagrams; Windows does that for TCP too.
            if sys.platform != "win32":
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind(raw)
            tcp.listen(_BACKLOG)
            udp.bind((raw[0], tcp.getsockname()[1], *raw[2:]))
        except OSError as error:
            tcp.close()
            udp.close()
            if error.errno != errno.EADDRINUSE or attempts_left == 0:
                raise
        else:
            return udp, tcp
    raise AssertionError("the last attempt returns or raises")


def _set_dual(sock: socket.socket, *, wanted: bool) -> None:
    """Take IPv4 too on an IPv6 socket, or refuse it where that is not wanted or not possible."""
    try:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if wanted else 1)
    except OSError:
        if not wanted:
            raise
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def _is_dual(sock: socket.socket) -> bool:
    if sock.family != socket.AF_INET6:
        return False
    return not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def _raise_receive_buffer(sock: socket.socket, wanted: int) -> None:
    while wanted > 0:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        except OSError:  # BSD and macOS refuse more than their limit; Linux takes less silently
            wanted //= 2
        else:
            return


async def _find_advertised(bound: Address, is_dual: bool) -> Address:
    """The address to tell others when bound to all interfaces."""
    is_ipv6 = ":" in bound.host
    families = [socket.AF_INET] if is_dual or not is_ipv6 else []
    families += [socket.AF_INET6] if is_ipv6 else []
    for family in families:
        for host in _route_sources(family):
            return Address(host, bound.port)
    for family in families:
        for host in sorted(await _host_name_addresses(family)):
            return Address(host, bound.port)
    loopback = "127.0.0.1" if socket.AF_INET in families else "::1"
    _logger.warning(
        "listening on %s, but no interface has an address for others; telling them %s",
        bound,
        loopback,
    )
    return Address(loopback, bound.port)


def _route_sources(family: socket.AddressFamily) -> Iterable[str]:
    """The source address of the default route: connecting a UDP socket sends nothing."""
    for each, elsewhere in _ELSEWHERE:
        if each == family:
            with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((elsewhere, 9))
                if _is_tellable(host := _address_of(probe.getsockname()).host):
                    yield host


async def _host_name_addresses(family: socket.AddressFamily) -> list[str]:
    """Private addresses of this host's name. The look-up may ask a name server, so it is cut."""
    with trio.move_on_after(_HOST_NAME_LOOKUP_SECONDS), suppress(OSError, UnicodeError):
        found = await _look_up(socket.gethostname(), 0, family=family)
        return [
            host
            for host in {_address_of(raw).host for _, raw in found}
            if _is_tellable(host) and (parsed := _parse_literal(host)) and parsed.is_private
        ]
    return []


def _is_tellable(host: str) -> bool:
    parsed = _parse_literal(host)
    return parsed is not None and not (
        parsed.is_unspecified or parsed.is_loopback or parsed.is_link_local
    )


async def _dial(address: Address) -> trio.SocketStream:
    if not 0 < address.port < 65536:
        raise OSError(errno.EADDRNOTAVAIL, f"cannot connect to {address}: no such port")
    try:
        found = await _look_up(canonical_host(address.host), address.port)
    except ValueError as error:  # from the codec of host names: a NUL, a label that is too long
        text = f"cannot connect to {address}: not a host name"
        raise OSError(errno.EADDRNOTAVAIL, text) from error
    failure: OSError | None = None
    for family, raw in found:
        sock = trio.socket.socket(family, socket.SOCK_STREAM)
        try:
            await sock.connect(raw)
            if sock.getsockname() != sock.getpeername():
                return trio.SocketStream(sock)
            # TCP connects a socket to itself if the kernel picks the dialled port for it.
            failure = ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens at {address}")
        except OSError as error:
            failure = error
        except BaseException:
            sock.close()
            raise
        sock.close()
    raise failure or OSError(errno.EADDRNOTAVAIL, f"{address} has no address")


def _address_of(raw: SocketAddress) -> Address:
    """The address of a peer as members compare it: plain IPv4 even on an IPv6 socket."""
    host = canonical_host(raw[0])
    if len(raw) == 4 and raw[3] and "%" not in host:
        host = f"{host}%{raw[3]}"  # link-local: means nothing, and reaches nobody, without it
    return Address(host, raw[1])


def _parse_literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(canonical_host(host))
    except ValueError:
        return None


def _scope_number(scope: str) -> int:
    if not scope or scope.isdecimal():
        return int(scope or 0)
    try:
        return socket.if_nametoindex(scope)
    except OSError:
        return 0


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "OTHER")
