"""A network inside one process that misbehaves by a seed, for tests on trio's clock."""

from __future__ import annotations

import errno
import math
import random
from collections import Counter, deque
from heapq import heappop, heappush
from itertools import combinations, count
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import attrs
import trio

from trio_gossip.addresses import PORT_DEFAULT, Address
from trio_gossip.transport import Packet, Refused, Transport
from trio_gossip_transports.links import Faults, MemoryStream, Path, Signal, stream_pair

if TYPE_CHECKING:
    from collections.abc import Iterable

Host: TypeAlias = str | Address | Transport
"""How the fault calls name a host: by its name, an address on it or a transport on it."""

BATCH_PACKETS_MAX: Final = 32
"""Datagrams that one receive returns; the same as on real sockets."""

_BACKLOG = 128
_REFUSALS_MAX = 1024
_EPHEMERAL_PORTS = range(49_152, 65_536)


@attrs.frozen
class MemoryStatistics:
    """What happened to datagrams, and the dials that failed.

    Of the network: ``sent + duplicated`` equals the sum of ``delivered``, ``lost``, ``cut``,
    ``refused``, ``overflowed`` and ``queued``. Of one transport: ``delivered``, ``overflowed``,
    ``queued`` and ``streams_accepted`` are about what came to it, the others about what it sent.

    Attributes:
        sent: calls of ``send_packet``.
        delivered: datagrams handed to a receiver.
        lost: datagrams lost by chance.
        duplicated: extra copies made by chance.
        reordered: datagrams held back by chance.
        cut: datagrams sent into a cut or a partition.
        refused: datagrams to an address where nobody listened when they arrived.
        overflowed: datagrams that found the inbox full.
        queued: datagrams on their way, or waiting for a receiver.
        streams_opened: streams that were opened.
        streams_accepted: streams handed to an accepter.
        dials_refused: streams that were not opened, because nobody listened.
    """

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    cut: int = 0
    refused: int = 0
    overflowed: int = 0
    queued: int = 0
    streams_opened: int = 0
    streams_accepted: int = 0
    dials_refused: int = 0


@attrs.define(eq=False)
class _Endpoint:
    """What the network and a transport share about one open address."""

    address: Address
    inbox: list[tuple[float, int, bytes, Address]] = attrs.Factory(
        list[tuple[float, int, bytes, Address]]
    )
    """A heap by arrival; the sequence number keeps the order of equal ones."""
    refusals: list[tuple[float, int, Address]] = attrs.Factory(list[tuple[float, int, Address]])
    backlog: deque[tuple[MemoryStream, Address]] = attrs.Factory(
        deque[tuple[MemoryStream, Address]]
    )
    streams: dict[MemoryStream, None] = attrs.Factory(dict[MemoryStream, None])
    """A dict for its order; sets have none."""
    counts: Counter[str] = attrs.Factory(Counter[str])
    changed: Signal = attrs.Factory(Signal)

    def put(self, arrival: float, sequence: int, data: bytes, source: Address) -> None:
        """Queue a datagram; wakes the receiver if it is now the first to arrive."""
        heappush(self.inbox, (arrival, sequence, data, source))
        if self.inbox[0][1] == sequence:
            self.changed.notify()

    def forget_stream(self, stream: MemoryStream) -> None:
        """A stream of this endpoint was closed."""
        self.streams.pop(stream, None)


@attrs.define(eq=False)
class _Fabric:
    """What moves datagrams between endpoints. The state of a network."""

    seed: int
    packet_limit: int
    inbox_limit: int
    faults: Faults
    own_faults: set[tuple[str, str]] = attrs.Factory(set[tuple[str, str]])
    paths: dict[tuple[str, str], Path] = attrs.Factory(dict[tuple[str, str], Path])
    hosts: set[str] = attrs.Factory(set[str])
    """All that ever had an open address."""
    endpoints: dict[Address, _Endpoint] = attrs.Factory(dict[Address, _Endpoint])
    sequence: count[int] = attrs.Factory(count)
    counts: Counter[str] = attrs.Factory(Counter[str])

    def path(self, source: str, target: str, *, create: bool = False) -> Path:
        """One direction between two hosts; with ``create`` also between hosts that never were."""
        key = source, target
        if key not in self.paths and not create:
            # All hosts that never were share one path, or they would pile up here.
            known = self.hosts
            key = source if source in known else "", target if target in known else ""
        path = self.paths.get(key)
        if path is None:
            path = self.paths[key] = Path(self.faults, self.seed, *key)
        return path

    def count(self, what: str, endpoint: _Endpoint | None) -> None:
        """Count for the network and, while it is open, for the endpoint."""
        self.counts[what] += 1
        if endpoint is not None:
            endpoint.counts[what] += 1

    def send(self, sender: _Endpoint, data: bytes, address: Address) -> None:
        """Decide the fate of one datagram."""
        self.count("sent", sender)
        path = self.path(sender.address.host, address.host)
        if path.cut_since is not None:
            self.count("cut", sender)
            return
        arrivals, is_held = path.plan(trio.current_time())
        if not arrivals:
            self.count("lost", sender)
        if len(arrivals) > 1:
            self.count("duplicated", sender)
        if is_held:
            self.count("reordered", sender)
        target = self.endpoints.get(address)
        for arrival in arrivals:
            if target is None:
                self.refuse(sender.address, address, arrival)
            elif len(target.inbox) >= self.inbox_limit:
                self.count("overflowed", target)
            else:
                target.put(arrival, next(self.sequence), data, sender.address)

    def refuse(self, source: Address, target: Address, arrival: float) -> None:
        """Tell ``source`` after the way back, which may fail too, that nobody was at ``target``."""
        sender = self.endpoints.get(source)
        self.count("refused", sender)
        back = self.path(target.host, source.host)
        if sender is None or back.cut_since is not None or len(sender.refusals) >= _REFUSALS_MAX:
            return
        arrivals, _ = back.plan(arrival)
        if arrivals:
            heappush(sender.refusals, (arrivals[0], next(self.sequence), target))

    def remove(self, endpoint: _Endpoint) -> None:
        """Free an address. What is under way to it finds nobody; what waited there is lost."""
        del self.endpoints[endpoint.address]
        now = trio.current_time()
        for arrival, _, _, source in sorted(endpoint.inbox):
            if arrival > now:
                self.refuse(source, endpoint.address, arrival)
            else:
                self.count("refused", self.endpoints.get(source))


class MemoryNetwork:
    """Connects transports of one process. Perfect but for half a millisecond, unless told.

    All time is trio's clock, so that with :class:`trio.testing.MockClock` a slow network costs no
    time. All chance comes from ``seed``, apart for each direction between two hosts. What was sent
    before a fault call, and is under way, keeps the fate that it had.
    """

    def __init__(
        self,
        seed: int | None = 0,
        *,
        packet_limit: int = 1400,
        latency: float | tuple[float, float] = 0.0005,
        loss: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
        hold: float = 0.02,
        inbox_limit: int = 1024,
    ) -> None:
        """Make a network without any host.

        Args:
            seed: the same seed and the same sends give the same faults; None picks one.
            packet_limit: most bytes in a datagram.
            latency: seconds one way, fixed or a uniform range ``(low, high)``. Datagrams keep
                their order all the same.
            loss: probability that a datagram vanishes.
            duplicate: probability that a datagram arrives twice.
            reorder: probability that a datagram is held back, so that later ones overtake it.
            hold: seconds for which such a datagram is held back, on top of the latency.
            inbox_limit: datagrams that wait for one transport; the newest beyond it are dropped.

        Raises:
            ValueError: an argument is out of range.
        """
        if packet_limit < 1 or inbox_limit < 1:
            raise ValueError("packet_limit and inbox_limit must be at least 1")
        self._fabric = _Fabric(
            seed=random.SystemRandom().getrandbits(64) if seed is None else seed,
            packet_limit=packet_limit,
            inbox_limit=inbox_limit,
            faults=Faults(latency, loss, duplicate, reorder, hold),
        )

    @property
    def seed(self) -> int:
        """What to pass to see the same faults again."""
        return self._fabric.seed

    def transport(self, host: str, port: int = PORT_DEFAULT) -> MemoryTransport:
        """Open an endpoint; with port 0 one that is free. A closed address can be opened again.

        Raises:
            OSError: ``EADDRINUSE``, another open transport has the address.
            ValueError: ``host`` is empty or has a colon, or ``port`` is out of range.
        """
        if not host or ":" in host:
            raise ValueError(f"a host of the in-memory network is text without colon, not {host!r}")
        if not 0 <= port <= 65535:
            raise ValueError(f"port must be from 0 to 65535, not {port}")
        ports = [port] if port else _EPHEMERAL_PORTS
        free = (a for p in ports if (a := Address(host, p)) not in self._fabric.endpoints)
        address = next(free, None)
        if address is None:
            text = f"cannot bind {Address(host, port)}: address already in use"
            raise OSError(errno.EADDRINUSE, text)
        self._fabric.hosts.add(host)
        endpoint = self._fabric.endpoints[address] = _Endpoint(address)
        return MemoryTransport(self._fabric, endpoint)

    def set_faults(
        self,
        *,
        latency: float | tuple[float, float] | None = None,
        loss: float | None = None,
        duplicate: float | None = None,
        reorder: float | None = None,
        hold: float | None = None,
    ) -> None:
        """Change faults everywhere but on links that have their own; None leaves one as it is."""
        changes = _given(latency, loss, duplicate, reorder, hold)
        fabric = self._fabric
        fabric.faults = attrs.evolve(fabric.faults, **changes)
        for key, path in fabric.paths.items():
            if key not in fabric.own_faults:
                path.faults = fabric.faults

    def set_link(
        self,
        source: Host,
        target: Host,
        *,
        one_way: bool = False,
        latency: float | tuple[float, float] | None = None,
        loss: float | None = None,
        duplicate: float | None = None,
        reorder: float | None = None,
        hold: float | None = None,
    ) -> None:
        """Give one link its own faults, in both directions unless ``one_way``.

        What is not named stays as it is now on that link.
        """
        changes = _given(latency, loss, duplicate, reorder, hold)
        one, other = _host_of(source), _host_of(target)
        for key in [(one, other)] if one_way else [(one, other), (other, one)]:
            path = self._fabric.path(*key, create=True)
            path.faults = attrs.evolve(path.faults, **changes)
            self._fabric.own_faults.add(key)

    def partition(self, *groups: Host | Iterable[Host]) -> None:
        """Cut every link between hosts of different groups, on top of what is cut already.

        A host in no group still reaches all. Datagrams vanish, dials hang, streams stall.

        Raises:
            ValueError: less than two groups, or a host in two of them.
        """
        sides = [
            {_host_of(group)}
            if isinstance(group, str | Address | Transport)
            else {_host_of(host) for host in group}
            for group in groups
        ]
        if len(sides) < 2:
            raise ValueError("a partition has at least two groups")
        for left, right in combinations(sides, 2):
            if left & right:
                raise ValueError(f"hosts in two groups: {', '.join(sorted(left & right))}")
        for left, right in combinations(sides, 2):
            for one in left:
                for other in right:
                    self.cut(one, other)
                    self.cut(other, one)

    def cut(self, source: Host, target: Host) -> None:
        """Cut one direction: nothing of ``source`` reaches ``target`` any more."""
        path = self._fabric.path(_host_of(source), _host_of(target), create=True)
        if path.cut_since is None:
            try:
                path.cut_since = trio.current_time()
            except RuntimeError:  # before trio runs, so that nothing is under way
                path.cut_since = -math.inf

    def heal(self) -> None:
        """End every cut and partition. Stalled streams and hanging dials go on."""
        for path in self._fabric.paths.values():
            path.cut_since = None
            path.healed.notify()

    def statistics(self) -> MemoryStatistics:
        """Counters of the whole network, also of transports that are closed."""
        queued = sum(len(endpoint.inbox) for endpoint in self._fabric.endpoints.values())
        return MemoryStatistics(**self._fabric.counts, queued=queued)


class MemoryTransport(Transport):
    """One endpoint of a :class:`MemoryNetwork`; made by :meth:`MemoryNetwork.transport`.

    It has no task of its own. Datagrams lie in a heap by the time of their arrival, and whoever
    receives sleeps until the first one is due.
    """

    def __init__(self, fabric: _Fabric, endpoint: _Endpoint) -> None:
        self._fabric = fabric
        self._endpoint = endpoint
        self._ports = count()
        self._is_closed = self._is_receiving = self._is_accepting = False

    @property
    def local_address(self) -> Address:
        """The name and port that this endpoint was opened with."""
        return self._endpoint.address

    @property
    def packet_limit(self) -> int:
        """Most bytes in one datagram, the same in the whole network."""
        return self._fabric.packet_limit

    def send_packet(self, data: bytes, address: Address, peer_name: str | None = None) -> None:
        """Send one datagram. See :meth:`Transport.send_packet`.

        Raises:
            TypeError: ``data`` is not bytes: this network does not carry objects.
        """
        self._check_open()
        data = _as_bytes(data)
        if len(data) > self.packet_limit:
            raise ValueError(f"a packet of {len(data)} bytes; the limit is {self.packet_limit}")
        self._fabric.send(self._endpoint, data, address)

    async def receive_packets(self) -> list[Packet]:
        """Sleep until a datagram is due, then return up to 32 that are."""
        self._check_open()
        if self._is_receiving:
            raise trio.BusyResourceError("another task is already receiving packets")
        self._is_receiving = True
        try:
            await trio.lowlevel.checkpoint()
            while not (packets := self.receive_packets_nowait()):
                until = self._endpoint.inbox[0][0] if self._endpoint.inbox else math.inf
                await Signal.wait_any(self._endpoint.changed, until=until)
            return packets
        finally:
            self._is_receiving = False

    def receive_packets_nowait(self) -> list[Packet]:
        """Return up to 32 datagrams that are due."""
        self._check_open()
        now = trio.current_time()
        inbox = self._endpoint.inbox
        packets: list[Packet] = []
        while inbox and inbox[0][0] <= now and len(packets) < BATCH_PACKETS_MAX:
            _, _, data, source = heappop(inbox)
            packets.append(Packet(data, source))
            self._fabric.count("delivered", self._endpoint)
        return packets

    def refusals_nowait(self) -> list[Refused]:
        """Return the addresses, at most 1,024, whose answer "nobody listens" has come back."""
        self._check_open()
        now = trio.current_time()
        refused: list[Refused] = []
        while self._endpoint.refusals and self._endpoint.refusals[0][0] <= now:
            refused.append(Refused(heappop(self._endpoint.refusals)[2]))
        return refused

    async def open_stream(self, address: Address, peer_name: str | None = None) -> MemoryStream:
        """Open a stream after one round trip; hangs while either direction is cut.

        Raises:
            ConnectionRefusedError: nobody listens at ``address``.
            trio.ClosedResourceError: the transport is closed, or was while this waited.
        """
        self._check_open()
        await trio.lowlevel.checkpoint()
        there = self._fabric.path(self._endpoint.address.host, address.host)
        back = self._fabric.path(address.host, self._endpoint.address.host)
        due = math.nan
        while True:
            self._check_open()
            now = trio.current_time()
            peer = self._fabric.endpoints.get(address)
            if there.cut_since is not None or back.cut_since is not None:
                due = math.nan  # after the cut the first packet is sent again
                await Signal.wait_any(self._endpoint.changed, there.healed, back.healed)
            elif math.isnan(due):
                due = now + there.stream_latency() + back.stream_latency()
            elif now < due:
                await Signal.wait_any(self._endpoint.changed, until=due)
            elif peer is None:
                self._fabric.count("dials_refused", self._endpoint)
                raise ConnectionRefusedError(errno.ECONNREFUSED, f"nobody listens at {address}")
            elif len(peer.backlog) >= _BACKLOG:
                await Signal.wait_any(self._endpoint.changed, peer.changed)
            else:
                return self._connect(peer, there, back)

    async def accept_stream(self) -> tuple[MemoryStream, Address]:
        """Wait for a stream. Its source port is not the port that the peer listens on."""
        self._check_open()
        if self._is_accepting:
            raise trio.BusyResourceError("another task is already accepting streams")
        self._is_accepting = True
        try:
            await trio.lowlevel.checkpoint()
            while True:
                self._check_open()
                if self._endpoint.backlog:
                    break
                await Signal.wait_any(self._endpoint.changed)
            accepted = self._endpoint.backlog.popleft()
            self._fabric.count("streams_accepted", self._endpoint)
            self._endpoint.changed.notify()  # a dial may wait for the room
            return accepted
        finally:
            self._is_accepting = False

    def statistics(self) -> MemoryStatistics:
        """Counters of this endpoint since it was opened; also after it was closed."""
        return MemoryStatistics(**self._endpoint.counts, queued=len(self._endpoint.inbox))

    async def aclose(self) -> None:
        """Free the address, break the open streams, wake whoever waits. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._fabric.remove(self._endpoint)
            self._endpoint.inbox.clear()
            self._endpoint.refusals.clear()
            self._endpoint.backlog.clear()
            for stream in list(self._endpoint.streams):
                stream.close_now(is_reset=True)
            self._endpoint.changed.notify()
        await trio.lowlevel.checkpoint()

    def _check_open(self) -> None:
        if self._is_closed:
            raise trio.ClosedResourceError("the transport is closed")

    def _connect(self, peer: _Endpoint, there: Path, back: Path) -> MemoryStream:
        ours, theirs = stream_pair(there, back)
        for owner, stream in ((self._endpoint, ours), (peer, theirs)):
            owner.streams[stream] = None
            stream.on_close = owner.forget_stream
        port = _EPHEMERAL_PORTS[next(self._ports) % len(_EPHEMERAL_PORTS)]
        peer.backlog.append((theirs, Address(self._endpoint.address.host, port)))
        peer.changed.notify()
        self._fabric.count("streams_opened", self._endpoint)
        return ours


def _host_of(place: Host) -> str:
    if isinstance(place, Transport):
        return place.local_address.host
    return place.host if isinstance(place, Address) else place


def _as_bytes(data: object) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        # Copied: the sender may change its buffer before this arrives.
        return bytes(cast("bytearray", data))
    raise TypeError(f"a packet is bytes, not {type(data).__name__}")


def _given(
    latency: float | tuple[float, float] | None,
    loss: float | None,
    duplicate: float | None,
    reorder: float | None,
    hold: float | None,
) -> dict[str, Any]:
    """The faults that a caller named, for :func:`attrs.evolve`."""
    named = {
        "latency": latency,
        "loss": loss,
        "duplicate": duplicate,
        "reorder": reorder,
        "hold": hold,
    }
    return {name: value for name, value in named.items() if value is not None}
