"""What befell whom in a run, and when: some rules promise something after certain faults only."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_gossip.testing.simulation.links import LinkFaults, Links
    from trio_gossip.testing.simulation.schedule import Schedule

LOSS_MILD: Final = 0.05
"""Share of packets that may be lost without anything being said to have befallen the links."""

LATENCY_MILD: Final = 0.02
"""Seconds one way that a packet may take: the question is repeated after twice as long."""

BLOWS_KEPT: Final = 4096
"""Ends of things that are remembered; the oldest are forgotten."""


@attrs.define
class Blow:
    """Something that befell a member.

    Attributes:
        what: ``"paused"``, ``"killed"``, ``"host gone"``, ``"cut off"`` from all others both ways,
            ``"cut"`` otherwise, ``"slow"``, ``"skewed"`` for its clock, ``"links"`` for anything
            else on links.
        name: of the member; empty for links of everybody.
        began, ended: virtual seconds; ``inf`` while it goes on.
    """

    what: str
    name: str
    began: float
    ended: float = math.inf


class Befallen:
    """Kept by the simulation for whoever looks on.

    Mild faults of links are not noted: see the constants, and duplicates and reordering. Nor that
    members start and leave.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._going: dict[tuple[str, str], Blow] = {}
        self._over: deque[Blow] = deque(maxlen=BLOWS_KEPT)
        self._severed: dict[str, str] = {}

    def begins(self, what: str, name: str) -> None:
        """Something begins to befall a member; nothing happens when it does already."""
        key = (what, name)
        if key not in self._going:
            self._going[key] = Blow(what, name, self._schedule.now)

    def ends(self, what: str, name: str) -> None:
        """It ends, if it ever began."""
        blow = self._going.pop((what, name), None)
        if blow is not None:
            blow.ended = self._schedule.now
            self._over.append(blow)

    def once(self, what: str, name: str) -> None:
        """Something befalls a member at this moment."""
        now = self._schedule.now
        self._over.append(Blow(what, name, now, now))

    def links_changed(self, links: Links, names: list[str]) -> None:
        """Cuts, clogs or faults of links are other ones than before."""
        severed = _severed(links.cut_pairs, names)
        for name, what in self._severed.items():
            if severed.get(name) != what:
                self.ends(what, name)
        for name, what in severed.items():
            self.begins(what, name)
        self._severed = severed
        if links.has_own or not _is_mild(links.faults):
            self.begins("links", "")
        else:
            self.ends("links", "")

    def since(self, time: float) -> Iterator[Blow]:
        """All that went on at ``time`` or later."""
        yield from self._going.values()
        for blow in reversed(self._over):
            if blow.ended >= time:
                yield blow


def _severed(pairs: list[tuple[str, str]], names: list[str]) -> dict[str, str]:
    """Who is cut off from all others, and who has lost some links only."""
    cut = set(pairs)
    touched = sorted({name for pair in pairs for name in pair})
    for name in touched:
        others = [other for other in names if other != name]
        whole = all((name, other) in cut and (other, name) in cut for other in others)
        if whole and all(name in pair for pair in pairs):
            return {name: "cut off"}
    return dict.fromkeys(touched, "cut")


def _is_mild(faults: LinkFaults) -> bool:
    return (
        faults.loss <= LOSS_MILD
        and faults.latency[1] <= LATENCY_MILD
        and not faults.burst
        and faults.tail <= LOSS_MILD
        and not faults.corrupt
        and not faults.truncate
        and not faults.mtu
        and not faults.dial_hang
        and not faults.dial_refuse
        and not faults.stream_cut
    )
