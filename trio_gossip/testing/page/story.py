"""All that the page shows, gathered from a trace in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from trio_gossip.testing.page.beliefs import Belief, read_belief
from trio_gossip.testing.page.packets import Journeys
from trio_gossip.testing.page.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trio_gossip.testing.page.packets import Journey
    from trio_gossip.testing.page.spread import Rumour
    from trio_gossip.testing.trace import Record

CALM_SECONDS: Final = 1.0
"""Agreement that lasts shorter than this is no milestone: while members join, it comes and goes."""

_ACTS: Final = frozenset(("send", "deliver", "dial", "stream", "event", "end"))
"""Kinds of records in which a node does something: who does began before, if nobody said so."""


class Life(NamedTuple):
    """A process began, or ended."""

    time: float
    name: str
    begins: bool
    how: str


class Heard(NamedTuple):
    """A member came to believe something of another."""

    time: float
    observer: str
    belief: Belief


class Fault(NamedTuple):
    """The test did something to the cluster, or noted something."""

    time: float
    names: str
    text: str


class Story:
    """What happened, in the words of the page.

    Attributes:
        names: every member that ever ran, in the order of their first starts.
        changes: lives and beliefs, in the order in which they came about.
        faults: what was done to the cluster.
        spread: how the news of each member's end spread.
        agreements: moments at which all came to be right about all, for a while at least.
        shares: ``(time, share of beliefs that are right)`` after every change of it.
        end: virtual seconds of the last record.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.changes: list[Life | Heard] = []
        self.faults: list[Fault] = []
        self.spread = Spread()
        self.agreements: list[float] = []
        self.shares: list[tuple[float, float]] = []
        self.end = 0.0
        self._journeys = Journeys()
        self._known: set[str] = set()
        self._homes: dict[str, str] = {}
        self._settled_at: float | None = None

    @property
    def journeys(self) -> list[Journey]:
        """Packets and pieces of streams, by the time at which they set out."""
        return sorted(self._journeys.all, key=lambda journey: journey.sent)

    @property
    def rumours(self) -> list[Rumour]:
        """In the order in which they began."""
        return self.spread.rumours

    def read(self, trace: Iterable[Record]) -> Story:
        """Take records in, in the order of their times; returns itself."""
        for time, kind, node, other, data in trace:
            self.end = time
            if kind in _ACTS and node not in self._known:
                self._begin(time, node, "", "before the trace")
            if kind == "send":
                self._packet(time, node, other, data)
            elif kind == "deliver":
                self._delivery(time, node, other, data)
            elif kind == "lose":
                target = self._member(other)
                if target is not None:
                    self._journeys.lose(time, node, target)
            elif kind in ("dial", "stream"):
                self._piece(time, node, other)
            elif isinstance(data, str):
                self._happening(time, kind, node, other, data)
        self._settle(self.end + CALM_SECONDS)
        return self

    def _member(self, other: str) -> str | None:
        """The member behind a name, or behind the address of one that has ended."""
        return other if other in self._known else self._homes.get(other)

    def _packet(self, time: float, node: str, other: str, data: bytes | str) -> None:
        target = self._member(other)
        if target is None or isinstance(data, str):
            self._journeys.elsewhere += 1
        else:
            self._journeys.send(time, node, target, data)

    def _delivery(self, time: float, node: str, other: str, data: bytes | str) -> None:
        source = self._member(other)
        if source is not None and isinstance(data, bytes):
            self._journeys.deliver(time, source, node, data)

    def _piece(self, time: float, node: str, other: str) -> None:
        target = self._member(other)
        if target is not None:
            arrives = self.spread.is_running(target)
            self._journeys.stream(time, node, target, arrives=arrives)

    def _happening(self, time: float, kind: str, node: str, other: str, text: str) -> None:
        if kind == "start":
            self._begin(time, node, other, text)
        elif kind == "end":
            self.changes.append(Life(time, node, begins=False, how=text))
            self.spread.down(time, node)
        elif kind == "event":
            belief = read_belief(text, self._known)
            if belief is None:
                return
            self.changes.append(Heard(time, node, belief))
            self.spread.believe(time, node, belief.subject, belief.state)
        else:
            self.faults.append(Fault(time, node, text))
            return
        self._settle(time)

    def _begin(self, time: float, name: str, address: str, how: str) -> None:
        if address:
            self._homes[address] = name
        if name not in self._known:
            self._known.add(name)
            self.names.append(name)
        self.changes.append(Life(time, name, begins=True, how=how))
        self.spread.up(time, name)

    def _settle(self, time: float) -> None:
        """Draw the share of right beliefs, and see whether agreement has lasted."""
        share = self.spread.share
        if not self.shares or self.shares[-1][1] != share:
            self.shares.append((time, share))
        since = self._settled_at
        if since is not None and time - since >= CALM_SECONDS and since not in self.agreements[-1:]:
            self.agreements.append(since)
        if not self.spread.is_settled:
            self._settled_at = None
        elif self._settled_at is None:
            self._settled_at = time
