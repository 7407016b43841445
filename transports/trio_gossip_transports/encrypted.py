"""Sealed datagrams and streams over any other transport: :class:`EncryptedTransport`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Literal

import attrs
import trio

from trio_gossip.failures import DialFailure
from trio_gossip.transport import DialError, Packet, Refused, Transport, abort_stream, nothing
from trio_gossip_transports.encrypted_stream import EncryptedStream
from trio_gossip_transports.keyring import Keyring, KeyringError
from trio_gossip_transports.keyring_store import KeyringStore
from trio_gossip_transports.sealing.base import Trouble
from trio_gossip_transports.sealing.memberlist import MemberlistSealer
from trio_gossip_transports.sealing.memberlist_cipher import label_header
from trio_gossip_transports.sealing.memberlist_streams import MemberlistStreamSealer
from trio_gossip_transports.sealing.native import NativeSealer
from trio_gossip_transports.sealing.streams import (
    NewKeyringError,
    SealedStreamError,
    StreamSealer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trio.abc import Stream

    from trio_gossip.addresses import Address
    from trio_gossip_transports.sealing.base import PacketSealer

LABEL_BYTES_MAX: Final = 255
"""Longest label, as in memberlist."""

DRAIN_BATCHES_MAX: Final = 8
"""Batches without a single good packet that one look takes, so that a flood cannot hold it up."""

PACKET_LIMIT_MIN: Final = 64
"""What the transport below must take in a packet at least: the handshake needs 51 bytes."""

TROUBLE_SECONDS: Final = 60.0
"""A kind of trouble with peers is logged once in so many seconds; the rest is counted."""

_log = logging.getLogger(__name__)


@attrs.frozen
class EncryptedStatistics:
    """What an :class:`EncryptedTransport` did.

    Attributes:
        packets: what became of datagrams, by reason: ``replayed``, ``forged``, ``unsealed``,
            ``unknown_key``, ``unknown_token`` and more; good ones are not counted here.
        streams: streams that came to nothing, by what was wrong with the peer.
        inner: statistics of the transport below.
    """

    packets: Mapping[str, int]
    streams: Mapping[str, int]
    inner: object


class EncryptedTransport(Transport):
    """Seals all that leaves and opens all that comes, with the keys of a keyring.

    Both the name of the format and the label must be the same in the whole cluster. It owns the
    transport below: closing this one closes that one.

    Args:
        inner: any transport.
        keyring: may be changed at any time; what follows uses the new keys.
        label: separates clusters that share a key. At most 255 bytes; bound into every packet and
            stream. Never sent by ``"native"``; in the clear before each packet in the other format.
        sealing: ``"native"``: sessions, keys of each sender, replay windows. ``"memberlist"``: its
            encryption version 1, for clusters that speak its wire. That has no protection against
            replays, no end marks on streams, and a limit of 2**32 messages of the whole cluster for
            each key. Nothing is answered to who has another key or label but on streams. What is
            plain bears the label too.
        accept_plain: take what is not sealed as well: while encryption is rolled in.
        send_plain: send without sealing: the first step of rolling in.

    Raises:
        ValueError: the label is too long, there is no such format, or the transport below has no
            room for the overhead in a packet.
    """

    def __init__(
        self,
        inner: Transport,
        keyring: Keyring,
        label: bytes = b"",
        sealing: Literal["native", "memberlist"] = "native",
        *,
        accept_plain: bool = False,
        send_plain: bool = False,
    ) -> None:
        if len(label) > LABEL_BYTES_MAX:
            raise ValueError(f"a label of {len(label)} bytes; at most {LABEL_BYTES_MAX}")
        if sealing not in ("native", "memberlist"):
            raise ValueError(f"there is no sealed format {sealing!r}")
        self.accept_plain = accept_plain
        self.send_plain = send_plain
        self._inner = inner
        self._keyring = keyring
        self._store = KeyringStore(keyring, self._key_fault)
        self._label = label
        self._is_native = sealing == "native"
        self._sealer: PacketSealer = (
            NativeSealer(keyring, label) if self._is_native else MemberlistSealer(keyring, label)
        )
        # Before what is plain, too: memberlist looks at the label whether it seals or not.
        self._plain_header = b"" if self._is_native else label_header(label)
        if inner.packet_limit < max(PACKET_LIMIT_MIN, self._sealer.overhead + 1):
            raise ValueError(f"packets of {inner.packet_limit} bytes have no room for sealing")
        self._stream_counts: dict[str, int] = {}
        self._logged: dict[str, float] = {}
        self._is_closed = False

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
        """35 bytes less than the transport below takes; 29 and the label with ``memberlist``."""
        return self._inner.packet_limit - self._sealer.overhead

    @property
    def keyring(self) -> KeyringStore:
        """The keys that :attr:`.Cluster.keys` changes."""
        return self._store

    def _key_fault(self) -> str:
        """Keys must not travel in the clear, nor may just anybody send some."""
        if self.send_plain or self.accept_plain:
            return "it still sends or takes what is not sealed"
        return ""

    @property
    def is_protected(self) -> bool:
        """Whether nothing plain is sent or taken now, or the transport below protects it."""
        return not (self.accept_plain or self.send_plain) or self._inner.is_protected

    # -- datagrams ----------------------------------------------------------------------

    def send_packet(self, data: bytes, address: Address, peer_name: str | None = None) -> None:
        """Seal and send one datagram; at first contact it waits for a round trip."""
        if len(data) > self.packet_limit:
            raise ValueError(f"a packet of {len(data)} bytes; the limit is {self.packet_limit}")
        if self._is_closed:  # the transport below would not hear of a packet that has to wait
            raise trio.ClosedResourceError
        if self.send_plain:
            self._inner.send_packet(self._plain_header + data, address, peer_name)
            return
        for sealed, to in self._sealer.seal(data, address, trio.current_time()):
            self._inner.send_packet(sealed, to, peer_name)

    async def receive_packets(self) -> list[Packet]:
        """Wait until a datagram came that is sealed as it should be."""
        while True:
            received = await self._inner.receive_packets()
            if not received:
                return received  # there are refusals
            packets = self._opened(received)
            # Nothing but junk: look on without a turn of the event loop. Each of those has other
            # work in it, and what a flood does not let us read in time the kernel drops.
            packets = packets or self.receive_packets_nowait()
            if packets:
                return packets

    def receive_packets_nowait(self) -> list[Packet]:
        """What is there now; see :meth:`Transport.receive_packets_nowait`."""
        for _ in range(DRAIN_BATCHES_MAX):
            batch = self._inner.receive_packets_nowait()
            packets = self._opened(batch)
            if packets or not batch:
                return packets
        return []

    def _opened(self, packets: list[Packet]) -> list[Packet]:
        now = trio.current_time()
        opened: list[Packet] = []
        sealer = self._sealer
        for data, source in packets:
            good, outgoing, trouble = sealer.open(data, source, now)
            if trouble is not None:
                if trouble is Trouble.UNSEALED and self.accept_plain:
                    opened.append(Packet(data.removeprefix(self._plain_header), source))
                    continue
                self._tell(str(source), trouble, now)
            opened += [Packet(each, source) for each in good]
            for answer, to in outgoing:
                self._inner.send_packet(answer, to)
        return opened

    def refusals_nowait(self) -> list[Refused]:
        """Those of the transport below."""
        return self._inner.refusals_nowait()

    # -- streams ------------------------------------------------------------------------

    async def open_stream(self, address: Address, peer_name: str | None = None) -> Stream:
        """Open a stream and shake hands; see :meth:`Transport.open_stream`.

        Raises:
            DialError: the peer has other keys or another label, or does not seal.
            OSError: the transport below could not open it.
        """
        return await self.dial(address, peer_name, nothing)

    async def dial(
        self, address: Address, peer_name: str | None, connected: Callable[[], None]
    ) -> Stream:
        """As :meth:`open_stream`; tells when the transport below has its stream."""
        if self.send_plain:
            return await self._open_plain(address, peer_name, connected)
        ring = self._keyring.snapshot
        try:
            return await self._open_sealed(address, peer_name, connected)
        except NewKeyringError as error:
            # What was given to a ring that has changed since is no news: it may come from before a
            # rotation, or from who has the key that was just removed, and held the answer back.
            if self._keyring.snapshot is ring:
                self._take_over(error, address)
        try:
            return await self._open_sealed(address, peer_name, nothing)  # it was told before
        except NewKeyringError as error:
            raise DialError(DialFailure.HANDSHAKE, f"{address} {error}, again") from error

    def _take_over(self, error: NewKeyringError, address: Address) -> None:
        try:
            self._keyring.replace(error.keys)
        except KeyringError as fault:
            raise DialError(DialFailure.HANDSHAKE, f"{address} {error}: {fault}") from None
        _log.warning("%s gave this node the keys of the cluster: it had been away", address)

    async def _open_plain(
        self, address: Address, peer_name: str | None, connected: Callable[[], None]
    ) -> Stream:
        stream = await self._inner.dial(address, peer_name, connected)
        try:
            if self._plain_header:
                await stream.send_all(self._plain_header)
        except trio.BrokenResourceError as error:
            await trio.aclose_forcefully(stream)
            raise DialError(DialFailure.RESET, f"{address} closed the stream at once") from error
        except BaseException:
            await abort_stream(stream)  # given up: a probe that waited in vain, more often than not
            raise
        return stream

    async def _open_sealed(
        self, address: Address, peer_name: str | None, connected: Callable[[], None]
    ) -> EncryptedStream:
        inner = await self._inner.dial(address, peer_name, connected)
        stream = self._sealed(inner, str(address), accepted=False)
        try:
            await stream.do_handshake()
        except NewKeyringError:
            await trio.aclose_forcefully(stream)
            raise
        except SealedStreamError as error:
            await trio.aclose_forcefully(stream)
            raise DialError(DialFailure.HANDSHAKE, f"{address} {error}") from error
        except trio.BrokenResourceError as error:
            await trio.aclose_forcefully(stream)
            raise DialError(DialFailure.RESET, f"{address}: {error}") from error
        except BaseException:
            await abort_stream(stream)  # given up: a probe that waited in vain, more often than not
            raise
        return stream

    async def accept_stream(self) -> tuple[Stream, Address]:
        """Accept a stream; it shakes hands when it is first read or written."""
        inner, source = await self._inner.accept_stream()
        return self._sealed(inner, str(source), accepted=True), source

    def _sealed(self, inner: Stream, peer: str, *, accepted: bool) -> EncryptedStream:
        def troubled(error: SealedStreamError) -> None:
            self._stream_counts[str(error)] = self._stream_counts.get(str(error), 0) + 1
            self._tell(peer, str(error), trio.current_time())

        takes_plain = accepted and self.accept_plain
        sealer: StreamSealer | MemberlistStreamSealer
        if self._is_native:
            sealer = StreamSealer(self._keyring, self._label, accepted=accepted)
        else:
            sealer = MemberlistStreamSealer(
                self._keyring, self._label, accepted=accepted, takes_plain=takes_plain
            )
        return EncryptedStream(inner, sealer, takes_plain=takes_plain, troubled=troubled)

    # -- the rest -----------------------------------------------------------------------

    def _tell(self, peer: str, trouble: str, now: float) -> None:
        """One line for a person, now and then."""
        if now - self._logged.get(trouble, float("-inf")) >= TROUBLE_SECONDS:
            self._logged[trouble] = now
            _log.warning("%s %s", peer, trouble)

    async def resolve(self, address: Address) -> list[Address]:
        """As the transport below does."""
        return await self._inner.resolve(address)

    def statistics(self) -> EncryptedStatistics:
        """What was dropped, and why."""
        return EncryptedStatistics(
            dict(self._sealer.counts), dict(self._stream_counts), self._inner.statistics()
        )

    async def aclose(self) -> None:
        """Close the transport below."""
        self._is_closed = True
        await self._inner.aclose()
