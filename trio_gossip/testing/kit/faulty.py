"""The calls that injure the network of a test, by name of member; also as ``with`` blocks."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import trio

from trio_gossip.addresses import PORT_DEFAULT, Address
from trio_gossip.cluster import Cluster
from trio_gossip.testing.kit.checking import SETTINGS, check_seed, checked_settings
from trio_gossip.testing.kit.faults import EVERYWHERE, Fault, Links
from trio_gossip.testing.trace import Trace
from trio_gossip_transports import MemoryNetwork, MemoryStatistics, MemoryTransport
from trio_gossip_transports.links import Faults

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trio_gossip.testing.kit.faults import Direction, Disturbance

RECORDS: Final = 100_000
"""Records of a trace that are kept for reading: the last ones. The digest is of all."""

Place: TypeAlias = str | Address | Cluster
"""How the calls name a member or host: by its name, its address or its :class:`Cluster`."""


class FaultyNetwork:
    """A :class:`~trio_gossip_transports.MemoryNetwork` whose faults end one by one.

    Every call that injures something returns a :class:`~trio_gossip.testing.Fault`. The
    fault is in force from the call on. ``with`` ends it with the block, ``end()`` ends it, and
    otherwise it stays. Of faults that speak of the same setting of the same link, the one begun
    last counts; when it ends, the one before counts again. Cuts add up.
    """

    def __init__(self, seed: int = 0, **options: Any) -> None:
        """Make a network without any host.

        Args:
            seed: decides all chance.
            options: of :class:`~trio_gossip_transports.MemoryNetwork`.

        Raises:
            TypeError: the seed is no whole number, or an option is of the wrong kind.
            ValueError: an option is out of range.
        """
        check_seed(seed)
        faults = checked_settings({name: options[name] for name in SETTINGS if name in options})
        self.seed = seed
        self.trace = Trace(keep=RECORDS)
        """What happened, in order: packets, events of each member, and what the test did."""
        self.injected: Counter[str] = Counter()
        """How often the test did what: ``partition``, ``crash``, ``lossy`` and so on."""
        self._memory = MemoryNetwork(seed, **options)
        self._links = Links(self._memory, Faults(**faults))

    @property
    def now(self) -> float:
        """Virtual seconds; 0.0 outside of a run of trio."""
        try:
            return trio.current_time()
        except RuntimeError:
            return 0.0

    def digest(self) -> str:
        """Hexadecimal; equal for runs in which the same happened at the same times."""
        return self.trace.digest()

    def statistics(self) -> MemoryStatistics:
        """What became of all packets and dials."""
        return self._memory.statistics()

    def transport(self, host: str, port: int = PORT_DEFAULT) -> MemoryTransport:
        """Open an endpoint for a protocol of your own, on a member's host or on another.

        It suffers the same faults as the members. It is yours to close.
        """
        endpoint = self._memory.transport(host, port)
        self._links.add_host(host)
        return endpoint

    # -- cuts ---------------------------------------------------------------------------

    def partition(self, *groups: Place | Iterable[Place]) -> Fault:
        """Cut every link between members of different groups.

        A member in no group still reaches all. Datagrams vanish, dials hang, streams stall.

        Raises:
            ValueError: less than two groups, an empty one, or a member that is in two groups or
                that nobody knows.
        """
        sides = [
            [self._host(group)]
            if isinstance(group, str | Address | Cluster)
            else sorted({self._host(place) for place in group})
            for group in groups
        ]
        if len(sides) < 2 or not all(sides):
            raise ValueError("a partition has at least two groups, and none is empty")
        for left, right in combinations(sides, 2):
            if both := [host for host in left if host in right]:
                raise ValueError(f"in two groups: {', '.join(both)}")
        directions = [
            direction
            for left, right in combinations(sides, 2)
            for one in left
            for other in right
            for direction in ((one, other), (other, one))
        ]
        return self._begin("partition", " | ".join(map(" ".join, sides)), directions)

    partitioned = partition
    """The same; reads better behind ``with``."""

    def cut(self, source: Place, target: Place) -> Fault:
        """Cut one direction: nothing of ``source`` reaches ``target`` any more."""
        one, other = self._ends(source, target)
        return self._begin("cut", f"{one} -> {other}", [(one, other)])

    def isolate(self, member: Place) -> Fault:
        """Cut a member off from all others, also from those that come later."""
        host = self._host(member)
        return self._begin("isolate", host, [(host, None), (None, host)])

    def heal(self) -> None:
        """End every cut, partition and isolation, also those of ``with`` blocks."""
        self._note("heal", "")
        self._links.heal()

    # -- packets that suffer ------------------------------------------------------------

    def lossy(
        self, probability: float, *, source: Place | None = None, target: Place | None = None
    ) -> Fault:
        """Lose packets by chance; all, or those of one ``source``, to one ``target``, or both."""
        return self._disturb("lossy", source, target, loss=probability)

    def slow(
        self,
        latency: float | tuple[float, float],
        *,
        source: Place | None = None,
        target: Place | None = None,
    ) -> Fault:
        """Let everything take ``latency`` seconds one way, fixed or of a range ``(low, high)``."""
        return self._disturb("slow", source, target, latency=latency)

    def duplicating(
        self, probability: float, *, source: Place | None = None, target: Place | None = None
    ) -> Fault:
        """Let packets arrive twice by chance."""
        return self._disturb("duplicating", source, target, duplicate=probability)

    def reordering(
        self,
        probability: float,
        *,
        hold: float = 0.02,
        source: Place | None = None,
        target: Place | None = None,
    ) -> Fault:
        """Hold packets back by chance, for ``hold`` seconds, so that later ones overtake them."""
        return self._disturb("reordering", source, target, reorder=probability, hold=hold)

    def set_faults(self, **settings: Any) -> None:
        """Change what all links do that have no settings of their own, below the faults in force.

        Args:
            settings: ``latency``, ``loss``, ``duplicate``, ``reorder``, ``hold`` as in
                :meth:`MemoryNetwork.set_faults <trio_gossip_transports.MemoryNetwork.set_faults>`.
        """
        self._links.set_everywhere(**checked_settings(settings))
        self._note("set_faults", _words(settings))

    def set_link(
        self, source: Place, target: Place, *, one_way: bool = False, **settings: Any
    ) -> None:
        """Give one link settings of its own, below the faults in force.

        Args:
            source: one end.
            target: the other end.
            one_way: only what ``source`` sends to ``target``.
            settings: as for :meth:`set_faults`. What is not named stays as it is.
        """
        one, other = self._ends(source, target)
        pairs = [(one, other)] if one_way else [(one, other), (other, one)]
        self._links.set_link(pairs, **checked_settings(settings))
        self._note("set_link", f"{one} {'->' if one_way else '<->'} {other} {_words(settings)}")

    # -- inside -------------------------------------------------------------------------

    def _disturb(
        self, what: str, source: Place | None, target: Place | None, **changes: Any
    ) -> Fault:
        checked_settings(changes)
        if source is None and target is None:
            return self._begin(what, _words(changes), EVERYWHERE, changes)
        if source is not None and target is not None:
            self._ends(source, target)
        one = None if source is None else self._host(source)
        other = None if target is None else self._host(target)
        text = f"{one or 'all'} -> {other or 'all'} {_words(changes)}"
        return self._begin(what, text, [(one, other)], changes)

    def _begin(
        self,
        what: str,
        text: str,
        directions: Iterable[Direction],
        changes: dict[str, Any] | None = None,
    ) -> Fault:
        disturbance = self._links.begin(directions, changes)
        self._note(what, text)
        return Fault(lambda: self._end(disturbance, f"{what} {text}"))

    def _end(self, disturbance: Disturbance, text: str) -> None:
        self._links.end(disturbance)
        self.trace.add(self.now, "fault", "", "", f"end of {text}")

    def _note(self, what: str, text: str, member: str = "") -> None:
        """Count what the test did, and write it down."""
        self.injected[what] += 1
        self.trace.add(self.now, "fault", member, "", f"{what} {text}".rstrip())

    def _ends(self, source: Place, target: Place) -> tuple[str, str]:
        """The two hosts of a link.

        Raises:
            ValueError: they are one, or somebody is unknown.
        """
        one, other = self._host(source), self._host(target)
        if one == other:
            raise ValueError(f"a link has two ends, and {one!r} is both of them")
        return one, other

    def _host(self, place: Place) -> str:
        """The host of a place.

        Raises:
            ValueError: nobody knows it: a slip of the pen, or a fault before its time. Before
                anybody has started all names are good.
        """
        if isinstance(place, Cluster):
            place = place.local.name
        host = place.host if isinstance(place, Address) else place
        if not isinstance(host, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"a member is named by its name or Cluster, not {type(host).__name__}")
        hosts = self._links.hosts
        if hosts and host not in hosts:
            raise ValueError(f"nobody here is called {host!r}; there are {', '.join(hosts)}")
        return host


def _words(settings: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.items())
