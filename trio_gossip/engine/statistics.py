"""What an engine tells of itself."""

from __future__ import annotations

from collections.abc import Mapping

import attrs


@attrs.frozen
class EngineStatistics:
    """A snapshot; counts are since the start.

    Attributes:
        counters: events by name, among them every reason for which input was dropped.
        active: alive and suspect members, this one included.
        members: all rows of the table, also failed and left ones.
        health_score: 0 is healthy.
        isolated: whether nobody answers this node any more, neither members nor helpers.
        membership_queue, user_queue: messages waiting to be gossiped.
        exchanges: open streams.
        questions: pings and requests without an answer so far.
        timers: deadlines that are set.
        next_deadline_reason: what the engine wakes for next; empty when idle.
        stalls, stalled_seconds, lateness_max: wake-ups that came too late.
    """

    counters: Mapping[str, int]
    active: int
    members: int
    health_score: int
    isolated: bool
    membership_queue: int
    user_queue: int
    exchanges: int
    questions: int
    timers: int
    next_deadline_reason: str
    stalls: int
    stalled_seconds: float
    lateness_max: float
