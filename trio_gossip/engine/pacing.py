"""How often a piece of news is told, how soon again, and how many packets that may take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.engine.formulas import retransmit_limit

if TYPE_CHECKING:
    from trio_gossip.config import Config


FEW: Final = 3
"""Members of which one may have told us what another one said, and nobody else is there."""


@attrs.frozen(slots=True)
class Pace:
    """The life of a queued message. The first ``eager`` transmissions follow each other at once,
    while it is hot; the rest come one by one with growing gaps, so that a member which was deaf for
    a moment hears of it later.

    Attributes:
        copies: transmissions in all.
        eager: how many of them are hot.
        gaps: least seconds between two others; the last gap repeats.
        interval: least seconds between rounds of gossip.
        packets: most packets in a round, each to another member.
        spares_source: whether who told us something need not hear it from us, as there are others.
        level: of what is no longer hot, only what was sent so often is due; None for all.
    """

    copies: int
    eager: int
    gaps: tuple[float, ...]
    interval: float
    packets: int
    spares_source: bool = True
    level: int | None = None

    def only(self, level: int) -> Pace:
        """The same for a packet whose receiver is the one to hear a message for the time after
        ``level`` others.
        """
        return attrs.evolve(self, level=level)

    def gap(self, sent: int) -> float:
        """Least seconds before the next transmission of a message that was sent ``sent`` times."""
        if sent < self.eager:
            return 0.0
        if self.level is not None and sent != self.level:
            return math.inf
        return self.gaps[min(sent - self.eager, len(self.gaps) - 1)]


def pace_for(config: Config, n: int, *, lossy: bool = False) -> Pace:
    """How often and how soon everything is told in a cluster of ``n``: half of the transmissions
    at once, and no more of them than there are others. Without eager copies, memberlist's rounds.

    Where much is lost, small clusters tell everything more often: with 8 transmissions each and a
    quarter of all packets lost, two messages in a thousand would not come to all of 30 members.
    """
    copies = retransmit_limit(config.retransmit_mult, n)
    if not config.eager_copies:
        return Pace(copies, 0, (0.0,), config.gossip_interval, config.gossip_nodes, n > FEW)
    copies = max(copies, config.transmit_floor, config.lossy_transmit_floor if lossy else 0)
    eager = max(0, min(config.eager_copies, copies // 2, n - 1))
    return Pace(copies, eager, config.cold_gaps, config.cold_interval, config.cold_packets, n > FEW)
