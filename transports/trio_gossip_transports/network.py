"""A network inside one process that misbehaves by a seed: :class:`MemoryNetwork`, for tests.

What is here: opening endpoints, and the calls that injure links and heal them.
"""

from __future__ import annotations

import errno
import math
import random
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import trio

from trio_gossip.addresses import PORT_DEFAULT, Address
from trio_gossip.transport import Transport
from trio_gossip_transports.fabric import Endpoint, Fabric, MemoryStatistics
from trio_gossip_transports.links import Faults
from trio_gossip_transports.memory import EPHEMERAL_PORTS, MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Iterable

Host: TypeAlias = str | Address | Transport
"""How the fault calls name a host: by its name, an address on it or a transport on it."""


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
        self._fabric = Fabric(
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
        ports = [port] if port else EPHEMERAL_PORTS
        free = (a for p in ports if (a := Address(host, p)) not in self._fabric.endpoints)
        address = next(free, None)
        if address is None:
            text = f"cannot bind {Address(host, port)}: address already in use"
            raise OSError(errno.EADDRINUSE, text)
        self._fabric.hosts.add(host)
        endpoint = self._fabric.endpoints[address] = Endpoint(address)
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

    def mend(self, source: Host, target: Host) -> None:
        """End the cut of one direction, whoever made it; nothing when it is not cut."""
        path = self._fabric.path(_host_of(source), _host_of(target), create=True)
        path.cut_since = None
        path.healed.notify()

    def heal(self) -> None:
        """End every cut and partition. Stalled streams and hanging dials go on."""
        for path in self._fabric.paths.values():
            path.cut_since = None
            path.healed.notify()

    def statistics(self) -> MemoryStatistics:
        """Counters of the whole network, also of transports that are closed."""
        queued = sum(len(endpoint.inbox) for endpoint in self._fabric.endpoints.values())
        return MemoryStatistics(**self._fabric.counts, queued=queued)


def _host_of(place: Host) -> str:
    if isinstance(place, Transport):
        return place.local_address.host
    return place.host if isinstance(place, Address) else place


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
