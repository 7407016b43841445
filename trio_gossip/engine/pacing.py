"""How often a piece of news is told, how soon again, and how many packets that may take."""

from __future__ import annotations

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
    """

    copies: int
    eager: int
    gaps: tuple[float, ...]
    interval: float
    packets: int
    spares_source: bool = True

    def gap(self, sent: int) -> float:
        """Least seconds before the next transmission of a message that was sent ``sent`` times."""
        if sent < self.eager:
            return 0.0
        return self.gaps[min(sent - self.eager, len(self.gaps) - 1)]


def pace_for(config: Config, n: int) -> Pace:
    """How often and how soon everything is told in a cluster of ``n``: half of the transmissions
    at once, and no more of them than there are others. Without eager copies, memberlist's rounds.
    """
    copies = retransmit_limit(config.retransmit_mult, n)
    if not config.eager_copies:
        return Pace(copies, 0, (0.0,), config.gossip_interval, config.gossip_nodes, n > FEW)
    copies = max(copies, config.transmit_floor)
    eager = max(0, min(config.eager_copies, copies // 2, n - 1))
    return Pace(copies, eager, config.cold_gaps, config.cold_interval, config.cold_packets, n > FEW)
