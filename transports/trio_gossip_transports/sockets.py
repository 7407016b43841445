"""UDP datagrams and TCP streams on one port of this host.

What is here: the transport itself, how it is opened, and what it counts. Binding, dialling,
accepting and the spelling of addresses have rooms of their own.
"""

from __future__ import annotations

import socket
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs
import trio

from trio_gossip.addresses import PORT_DEFAULT, Address, canonical_host
from trio_gossip.transport import Packet, Refused, Transport
from trio_gossip_transports.accepting import Accepter
from trio_gossip_transports.advertising import find_advertised
from trio_gossip_transports.binding import bind_both, is_dual, raise_receive_buffer
from trio_gossip_transports.dialling import dial
from trio_gossip_transports.guards import OneAtATime
from trio_gossip_transports.refusals import ErrorQueue
from trio_gossip_transports.socket_addresses import AddressBook, address_of
from trio_gossip_transports.socket_errors import BELATED, TRANSIENT, name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

BATCH_PACKETS_MAX: Final = 32
"""Datagrams read per wake-up. Measured: 8 cost twice as much each, 128 gain nothing and keep
other tasks waiting."""

DATAGRAM_BYTES_MAX: Final = 65_536
"""More than UDP can carry, so that nothing is cut off silently. Costs no more than an exact
buffer: the kernel's copy is what takes the time, and CPython gives the rest back."""

PACKET_LIMIT_MAX: Final = 65_507
"""Most that UDP over IPv4 can carry."""


@attrs.frozen
class SocketStatistics:
    """What a :class:`SocketTransport` did since it was opened.

    Attributes:
        packets_dropped: datagrams that were not sent, by the name of the error (``"EAGAIN"``: the
            send buffer was full; ``"EAFNOSUPPORT"``: an IPv6 address and an IPv4 socket;
            ``"EADDRNOTAVAIL"``: the address was no IP literal or had no valid port).
        receive_errors: transient errors absorbed while reading datagrams, by name.
        refusals: answers that nobody listens where a datagram went (ICMP port unreachable); always
            0 where the system does not tell.
        refusals_dropped: those of them that found no room, or did not say whom they are about.
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
    refusals: int
    refusals_dropped: int
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
    wanted = Address(canonical_host(host) or "0.0.0.0", port)  # noqa: S104 - asked for
    try:
        udp, tcp = await bind_both(wanted)
    except OSError as error:
        reason = error.strerror or str(error)
        kind = socket.gaierror if isinstance(error, socket.gaierror) else OSError
        text = f"cannot bind {wanted}: {reason[:1].lower()}{reason[1:]}"
        raise kind(error.errno, text) from error
    try:
        raise_receive_buffer(udp, receive_buffer)
        local = address_of(udp.getsockname())
        advertised = local
        if local.is_wildcard:
            advertised = await find_advertised(local, is_dual=is_dual(udp))
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
        self._local = address_of(udp.getsockname())
        self._receive_buffer = udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._closed = trio.Event()
        self._errors = ErrorQueue(udp)
        self._receiving = OneAtATime("another task is already receiving packets")
        self._accepter = Accepter(tcp, self._closed)
        self._dials: set[trio.CancelScope] = set()
        self._packets_sent = self._bytes_sent = 0
        self._packets_received = self._bytes_received = 0
        self._streams_opened = 0
        self._packets_dropped: Counter[str] = Counter()
        self._receive_errors: Counter[str] = Counter()
        is_ipv4 = udp.family == socket.AF_INET
        self._addresses = AddressBook(
            takes_ipv4=is_ipv4 or is_dual(udp),
            takes_ipv6=not is_ipv4,
            drops=self._packets_dropped,
        )

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
        book = self._addresses
        target = book.targets.get(address) or book.find_target(address)
        if target is None:
            return
        try:
            try:
                self._udp.sendto(data, target)
            except OSError as error:
                if error.errno not in BELATED:
                    raise
                # Perhaps the answer to an earlier datagram, handed to this call, which sent
                # nothing. It is no word about `address`: whom it is about is in the queue.
                self._errors.read()
                self._udp.sendto(data, target)
        except OSError as error:
            self._packets_dropped[name_of(error)] += 1
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
                packets = self.receive_packets_nowait()  # or it was closed meanwhile
                if not packets:
                    self._errors.read()  # an error wakes as well; left in the queue, for ever
                if packets or self._errors:
                    return packets

    def receive_packets_nowait(self) -> list[Packet]:
        """Return up to 32 datagrams that wait in the kernel, perhaps none."""
        self._check_open()
        packets: list[Packet] = []
        bytes_received = 0
        receive, book = self._udp.recvfrom, self._addresses
        for _ in range(BATCH_PACKETS_MAX):
            try:
                data, raw = receive(DATAGRAM_BYTES_MAX)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno not in TRANSIENT:
                    raise
                # What the queue has is told by it. Else the same error would be counted twice.
                if not self._errors.read():
                    self._receive_errors[name_of(error)] += 1
                continue
            source = book.sources.get(raw) or book.find_source(raw)
            packets.append(Packet(data, source))
            bytes_received += len(data)
        self._packets_received += len(packets)
        self._bytes_received += bytes_received
        return packets

    def refusals_nowait(self) -> list[Refused]:
        """Addresses, at most 1,024 and each once, of which their host said that nobody listens
        there. Only Linux tells; elsewhere it is always empty.
        """
        self._check_open()
        return self._errors.take()

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
                stream = await dial(address)
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
        return await self._accepter.accept()

    def statistics(self) -> SocketStatistics:
        """Counters since the transport was opened; also after it was closed."""
        return SocketStatistics(
            packets_sent=self._packets_sent,
            bytes_sent=self._bytes_sent,
            packets_received=self._packets_received,
            bytes_received=self._bytes_received,
            packets_dropped=MappingProxyType(dict(self._packets_dropped)),
            receive_errors=MappingProxyType(dict(self._receive_errors + self._errors.others)),
            refusals=self._errors.refused,
            refusals_dropped=self._errors.dropped,
            streams_opened=self._streams_opened,
            streams_accepted=self._accepter.accepted,
            accept_errors=MappingProxyType(dict(self._accepter.errors)),
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
