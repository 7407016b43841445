"""Streams under mutual TLS 1.3 over any other transport: :class:`TLSTransport`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Literal

import attrs
import trio

from trio_gossip.transport import DialError, Packet, Refused, Transport, nothing
from trio_gossip_transports.tls_accepting import TLSAccepter
from trio_gossip_transports.tls_contexts import check_contexts
from trio_gossip_transports.tls_faults import HandshakeError, TLSFault
from trio_gossip_transports.tls_handshake import ALPN_PACKETS, ALPN_STREAMS, shake_hands
from trio_gossip_transports.tls_packet_link import FRAME_BYTES_MAX
from trio_gossip_transports.tls_packets import PacketPool, TLSPacketStatistics

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from trio_gossip.addresses import Address
    from trio_gossip.services.key_store import KeyStore
    from trio_gossip_transports.tls_stream import TLSStream

PACKET_LIMIT: Final = 1400
"""Most bytes in a packet where the transport below has no datagrams and says 0."""

FAULT_SECONDS: Final = 60.0
"""A kind of fault of peers is logged once in so many seconds; the rest is counted."""

_log = logging.getLogger(__name__)


@attrs.frozen
class TLSStatistics:
    """What a :class:`TLSTransport` did.

    Attributes:
        streams_opened: dials whose handshake went well.
        streams_accepted: streams of peers that were handed out.
        dial_faults: handshakes of ours that came to nothing, by :class:`TLSFault`.
        accept_faults: the same for those of peers.
        handshakes: handshakes of peers that are under way now.
        ready: streams that nobody has accepted yet.
        reloads: how often the certificates were replaced.
        packets: what became of packets that travel in streams; None where they are datagrams.
        inner: statistics of the transport below.
    """

    streams_opened: int
    streams_accepted: int
    dial_faults: Mapping[str, int]
    accept_faults: Mapping[str, int]
    handshakes: int
    ready: int
    reloads: int
    packets: TLSPacketStatistics | None
    inner: object


class TLSTransport(Transport):
    """Streams under TLS 1.3 on which both sides show a certificate; datagrams as they are.

    Have packets travel in streams, or wrap it in an
    :class:`~trio_gossip_transports.EncryptedTransport`, or wrap one in it, so that they are
    protected as well. It owns the transport below: closing this one closes that
    one. A dial has no timeout of its own; a peer that dials has 5 seconds for its handshake.

    Args:
        inner: any transport.
        server_context: for accepting; see :func:`.tls_contexts`.
        client_context: for dialling.
        require_name: every certificate must name its member, and a dial to a member whose name
            is known ends unless the certificate has that name.
        packets: ``"datagrams"``: those of the transport below, as they are. ``"streams"``: packets
            travel over TLS connections too, one for each peer, and no datagram is sent or
            received. The same in the whole cluster. The ALPN protocols of the contexts are set.

    Raises:
        ValueError: a context would let in more than it should, or there is no such way for
            packets; the text says how.
        RuntimeError: trio does not run: streams are accepted in the background.
    """

    def __init__(
        self,
        inner: Transport,
        server_context: ssl.SSLContext,
        client_context: ssl.SSLContext,
        *,
        require_name: bool = True,
        packets: Literal["datagrams", "streams"] = "datagrams",
    ) -> None:
        if packets not in ("datagrams", "streams"):
            raise ValueError(f"packets travel in 'datagrams' or in 'streams', not in {packets!r}")
        check_contexts(server_context, client_context)
        self._inner = inner
        self._is_closed = False
        self._pool: PacketPool | None = None
        self._known: tuple[str, ...] = ()
        if packets == "streams":
            self._known = (ALPN_PACKETS, ALPN_STREAMS)
            self._pool = PacketPool(self._dial_for_packets, inner.local_address.port)
            server_context.set_alpn_protocols(self._known)
        self._server_context = server_context
        self._client_context = client_context
        self._require_name = require_name
        self._opened = 0
        self._reloads = 0
        self._dial_faults: dict[str, int] = {}
        self._accept_faults: dict[str, int] = {}
        self._logged: dict[TLSFault, float] = {}
        self._accepter = TLSAccepter(inner, self._welcome, self._accept_failed, self._takes)

    def reload(self, server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
        """Replace the certificates. Handshakes from now on use the new ones. Open streams stay;
        connections for packets are made anew.

        Raises:
            ValueError: a context would let in more than it should; the old ones stay.
        """
        check_contexts(server_context, client_context)
        self._server_context = server_context
        self._client_context = client_context
        self._reloads += 1
        if self._pool is not None:
            server_context.set_alpn_protocols(self._known)
            self._pool.renew()

    @property
    def keyring(self) -> KeyStore | None:
        """That of the transport below."""
        return self._inner.keyring

    # -- packets ------------------------------------------------------------------------

    @property
    def local_address(self) -> Address:
        """That of the transport below."""
        return self._inner.local_address

    @property
    def advertise_address(self) -> Address:
        """That of the transport below."""
        return self._inner.advertise_address

    @property
    def packet_limit(self) -> int:
        """That of the transport below. Packets in streams: at most 65,535, and 1,400 where the
        transport below has no datagrams.
        """
        limit = self._inner.packet_limit
        return limit if self._pool is None else min(limit or PACKET_LIMIT, FRAME_BYTES_MAX)

    @property
    def is_protected(self) -> bool:
        """Whether packets travel in streams, or the transport below protects them."""
        return self._pool is not None or self._inner.is_protected

    def send_packet(self, data: bytes, address: Address, peer_name: str | None = None) -> None:
        """Send one datagram as it is, or queue a packet for the connection to its peer."""
        if self._pool is None:
            self._inner.send_packet(data, address, peer_name)
            return
        if len(data) > self.packet_limit:
            raise ValueError(f"a packet of {len(data)} bytes; the limit is {self.packet_limit}")
        if self._is_closed:
            raise trio.ClosedResourceError("the transport is closed")
        self._pool.send(bytes(data), address, peer_name)

    async def receive_packets(self) -> list[Packet]:
        """Receive datagrams as they are, or what came over connections for packets."""
        if self._pool is None:
            return await self._inner.receive_packets()
        return await self._pool.inbox.receive()

    def receive_packets_nowait(self) -> list[Packet]:
        """What is there now; see :meth:`Transport.receive_packets_nowait`."""
        if self._pool is None:
            return self._inner.receive_packets_nowait()
        return self._pool.inbox.receive_nowait()

    def refusals_nowait(self) -> list[Refused]:
        """Those of the transport below, or of connections for packets."""
        return (self._inner if self._pool is None else self._pool).refusals_nowait()

    async def resolve(self, address: Address) -> list[Address]:
        """As the transport below does."""
        return await self._inner.resolve(address)

    # -- streams ------------------------------------------------------------------------

    async def open_stream(self, address: Address, peer_name: str | None = None) -> TLSStream:
        """Open a stream and shake hands; see :meth:`Transport.open_stream`.

        Args:
            address: where the peer listens.
            peer_name: what its certificate must name; None where that is not known.

        Raises:
            DialError: the peer is not somebody to talk to; the text says who and why.
            OSError: the transport below could not open it.
        """
        return await self.dial(address, peer_name, nothing)

    async def dial(
        self, address: Address, peer_name: str | None, connected: Callable[[], None]
    ) -> TLSStream:
        """As :meth:`open_stream`; tells when the transport below has its stream."""
        stream = await self._dial(address, peer_name, self._known[1:], connected)
        self._opened += 1
        return stream

    async def _dial(
        self,
        address: Address,
        peer_name: str | None,
        protocols: tuple[str, ...],
        connected: Callable[[], None] = nothing,
    ) -> TLSStream:
        inner = await self._inner.dial(address, peer_name, connected)
        context = self._client_context
        try:
            stream = await shake_hands(
                inner,
                context,
                accepted=False,
                wanted=peer_name,
                require_name=self._require_name,
                protocols=protocols,
            )
            await _end_if(stream, replaced=context is not self._client_context)
        except HandshakeError as error:
            _count(self._dial_faults, error)
            peer = str(address) if peer_name is None else f"{address} ({peer_name})"
            self._tell(peer, error)
            raise DialError(error.failure, f"{peer} {error}") from error
        return stream

    async def _dial_for_packets(self, address: Address, peer_name: str | None) -> TLSStream:
        return await self._dial(address, peer_name, self._known[:1])

    async def accept_stream(self) -> tuple[TLSStream, Address]:
        """Accept a stream whose handshake is done; ``peer_names`` of it tells who it is."""
        return await self._accepter.accept()

    async def _welcome(self, inner: trio.abc.Stream) -> TLSStream:
        context = self._server_context
        stream = await shake_hands(
            inner,
            context,
            accepted=True,
            require_name=self._require_name,
            protocols=self._known,
        )
        await _end_if(stream, replaced=context is not self._server_context)
        return stream

    def _takes(self, stream: TLSStream, source: Address) -> bool:
        """Whether an accepted stream is one for packets: then nobody else gets it."""
        if self._pool is None or not stream.carries_packets:
            return False
        self._pool.adopt(stream, source)
        return True

    def _accept_failed(self, source: Address, error: HandshakeError) -> None:
        _count(self._accept_faults, error)
        if error.fault is not TLSFault.BROKEN:  # that is who gave up, as probes do: no fault here
            self._tell(str(source), error)

    def _tell(self, peer: str, error: HandshakeError) -> None:
        """One line for a person, now and then."""
        now = trio.current_time()
        if now - self._logged.get(error.fault, float("-inf")) >= FAULT_SECONDS:
            self._logged[error.fault] = now
            _log.warning("%s %s", peer, error)

    # -- the rest -----------------------------------------------------------------------

    def statistics(self) -> TLSStatistics:
        """What became of streams."""
        return TLSStatistics(
            streams_opened=self._opened,
            streams_accepted=self._accepter.accepted,
            dial_faults=dict(self._dial_faults),
            accept_faults=dict(self._accept_faults),
            handshakes=self._accepter.handshakes,
            ready=self._accepter.ready,
            reloads=self._reloads,
            packets=None if self._pool is None else self._pool.statistics(),
            inner=self._inner.statistics(),
        )

    async def aclose(self) -> None:
        """Close the transport below, connections for packets, and streams that nobody took."""
        self._is_closed = True
        try:
            await self._accepter.aclose()
            if self._pool is not None:
                await self._pool.aclose()
        finally:
            await self._inner.aclose()


def _count(faults: dict[str, int], error: HandshakeError) -> None:
    kind = error.fault.value
    faults[kind] = faults.get(kind, 0) + 1


async def _end_if(stream: TLSStream, *, replaced: bool) -> None:
    """The certificates were replaced during the handshake, which looked at the old ones' CA."""
    if replaced:
        await trio.aclose_forcefully(stream)
        raise HandshakeError(TLSFault.CLOSED)
