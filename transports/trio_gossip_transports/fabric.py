"""What all transports of one in-memory network share: who listens where, and what is under way."""

from __future__ import annotations

from collections import Counter, deque
from heapq import heappush
from itertools import count

import attrs
import trio

from trio_gossip.addresses import Address
from trio_gossip_transports.links import Faults, Path, Signal
from trio_gossip_transports.streams import MemoryStream

_REFUSALS_MAX = 1024


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
        refused: datagrams to an address where nobody listened when they were sent, or whose
            transport closed before they arrived or were received. One that opens there meanwhile
            gets none of them.
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
class Endpoint:
    """What the network and a transport share about one open address."""

    address: Address
    inbox: list[tuple[float, int, bytes, Endpoint]] = attrs.Factory(
        list[tuple[float, int, bytes, "Endpoint"]]
    )
    """A heap by arrival; the sequence number keeps the order of equal ones. With each datagram its
    sender, and not only the address of it: another transport may have that by now."""
    refusals: list[tuple[float, int, Address]] = attrs.Factory(list[tuple[float, int, Address]])
    """A heap by arrival."""
    refused: list[Address] = attrs.Factory(list[Address])
    """Those that have arrived, of which the receiver was told with an empty batch."""
    backlog: deque[tuple[MemoryStream, Address]] = attrs.Factory(
        deque[tuple[MemoryStream, Address]]
    )
    streams: dict[MemoryStream, None] = attrs.Factory(dict[MemoryStream, None])
    """A dict for its order; sets have none."""
    counts: Counter[str] = attrs.Factory(Counter[str])
    changed: Signal = attrs.Factory(Signal)

    def put(self, arrival: float, sequence: int, data: bytes, sender: Endpoint) -> None:
        """Queue a datagram; wakes the receiver if it is now the first to arrive."""
        heappush(self.inbox, (arrival, sequence, data, sender))
        if self.inbox[0][1] == sequence:
            self.changed.notify()

    def forget_stream(self, stream: MemoryStream) -> None:
        """A stream of this endpoint was closed."""
        self.streams.pop(stream, None)


@attrs.define(eq=False)
class Fabric:
    """What moves datagrams between endpoints. The state of a network."""

    seed: int
    packet_limit: int
    inbox_limit: int
    faults: Faults
    own_faults: set[tuple[str, str]] = attrs.Factory(set[tuple[str, str]])
    paths: dict[tuple[str, str], Path] = attrs.Factory(dict[tuple[str, str], Path])
    hosts: set[str] = attrs.Factory(set[str])
    """All that ever had an open address."""
    endpoints: dict[Address, Endpoint] = attrs.Factory(dict[Address, Endpoint])
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

    def count(self, what: str, endpoint: Endpoint) -> None:
        """Count for the network and for the endpoint, even if that is closed by now."""
        self.counts[what] += 1
        endpoint.counts[what] += 1

    def send(self, sender: Endpoint, data: bytes, address: Address) -> None:
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
                self.refuse(sender, address, arrival)
            elif len(target.inbox) >= self.inbox_limit:
                self.count("overflowed", target)
            else:
                target.put(arrival, next(self.sequence), data, sender)

    def refuse(self, sender: Endpoint, target: Address, arrival: float) -> None:
        """Tell ``sender`` after the way back, which may fail too, that nobody was at ``target``."""
        self.count("refused", sender)
        back = self.path(target.host, sender.address.host)
        kept = len(sender.refusals) + len(sender.refused)
        if back.cut_since is not None or kept >= _REFUSALS_MAX:
            return
        told = back.plan_refusal(arrival)
        # What reopened the sender's address has asked nothing, so that nothing is answered to it.
        if told is not None and self.endpoints.get(sender.address) is sender:
            heappush(sender.refusals, (told, next(self.sequence), target))
            sender.changed.notify()  # who sleeps until the next datagram is due wakes before

    def remove(self, endpoint: Endpoint) -> None:
        """Free an address. What is under way to it finds nobody; what waited there is lost."""
        del self.endpoints[endpoint.address]
        now = trio.current_time()
        for arrival, _, _, sender in sorted(endpoint.inbox):
            if arrival > now:
                self.refuse(sender, endpoint.address, arrival)
            else:
                self.count("refused", sender)
