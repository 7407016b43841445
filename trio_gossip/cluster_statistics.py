"""Everything that a cluster counts, as one snapshot."""

from __future__ import annotations

import attrs

from trio_gossip.engine import EngineStatistics
from trio_gossip.loop_lag import LoopLag


@attrs.frozen
class ClusterStatistics:
    """A snapshot of everything that is counted.

    Attributes:
        engine: the protocol's counters.
        transport: the transport's own statistics.
        subscriptions: open event subscriptions.
        events_missed: events dropped because a subscriber was full.
        streams: open streams.
        streams_rejected: streams of peers closed because too many were open.
        refusals_dropped: words of the network that nobody listens somewhere, which were not looked
            at because too many came.
        loop_lag: how late this process is.
    """

    engine: EngineStatistics
    transport: object
    subscriptions: int
    events_missed: int
    streams: int
    streams_rejected: int
    refusals_dropped: int
    loop_lag: LoopLag
