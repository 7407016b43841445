"""One life of one member: its engine, its clock, and what waits for it while it cannot run."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import attrs

from trio_gossip.engine.inbox import Inbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from trio_gossip.addresses import Address
    from trio_gossip.config import Config
    from trio_gossip.engine import Complete, Engine
    from trio_gossip.engine.outputs import Output
    from trio_gossip.events import Event
    from trio_gossip.services.state import State
    from trio_gossip.testing.simulation.sealing import NodeSeal

    Waiting: TypeAlias = tuple[Callable[..., list[Output]], tuple[Any, ...]]

INBOX_MAX: Final = 1024
"""Packets that wait for a process that is paused or slow; the newest beyond it are lost, as with a
full socket buffer. Scenarios lower it."""

EVENTS_KEPT_MAX: Final = 100_000
"""Events that a process keeps for tests to look at; beyond it the oldest are forgotten."""


@attrs.define(eq=False)
class Process:
    """One life of one member. A restart makes another.

    Attributes:
        name: of the member.
        address: where it listens.
        engine: what it runs.
        config: its settings.
        first_incarnation: the one with which it began.
        started_at: virtual seconds.
        state: its versioned state.
        running: False after its end.
        paused: stopped as by SIGSTOP.
        turn_seconds: what each turn costs it; 0 on a machine that is fast enough.
        inbox_limit: packets that may wait while it cannot run.
        events: what its application was told, with the times.
        results: how its commands ended, by token.
    """

    name: str
    address: Address
    engine: Engine
    config: Config
    first_incarnation: int
    started_at: float
    state: State
    wrote: dict[str, bytes | None] = attrs.Factory(dict[str, "bytes | None"])
    """By key what its application wrote into its state last; None where it deleted."""
    running: bool = True
    ended_at: float = math.inf
    paused: bool = False
    turn_seconds: float = 0.0
    inbox_limit: int = INBOX_MAX
    clock_rate: float = 1.0
    clock_offset: float = 0.0
    clock_skewed: bool = False
    clock_shown: float = 0.0
    wake_at: float = math.inf
    """Virtual time of the wake-up that is scheduled for its next deadline."""
    busy_until: float = 0.0
    draining: bool = False
    waiting: Inbox[Waiting] = attrs.Factory(
        lambda self: Inbox["Waiting"](self.engine.is_urgent), takes_self=True
    )
    """Inputs: pings and answers first, all others in the order in which they came."""
    packets_waiting: int = 0
    timeout_waiting: bool = False
    events: deque[tuple[float, Event]] = attrs.Factory(
        lambda: deque[tuple[float, "Event"]](maxlen=EVENTS_KEPT_MAX)
    )
    results: dict[int, Complete] = attrs.Factory(dict[int, "Complete"])
    tokens: int = 0
    leave_token: int = 0
    key_tokens: dict[int, float] = attrs.Factory(dict[int, float])
    """Of commands that change or list keys, with the virtual time at which each was given: they ask
    all members, and take their time."""
    packets_sent: int = 0
    bytes_sent: int = 0
    seal: NodeSeal | None = None
    """What seals all that leaves; None in a plain cluster."""
    handshakes_sent: int = 0
    """Datagrams of the sealed format that hold no packet of the engine."""

    def clock(self, now: float) -> float:
        """What this process's monotonic clock shows at virtual time ``now``."""
        if not self.clock_skewed:
            return now
        # Never backwards, not even by a rounding of the last bit.
        self.clock_shown = max(self.clock_shown, now * self.clock_rate + self.clock_offset)
        return self.clock_shown

    def virtual(self, local: float) -> float:
        """The virtual time at which its clock shows ``local``."""
        return (local - self.clock_offset) / self.clock_rate if self.clock_skewed else local

    def set_clock(self, now: float, *, rate: float | None = None, jump: float = 0.0) -> None:
        """Let its clock run at another rate from ``now`` on, or jump forward by seconds."""
        shown = self.clock(now) + jump
        self.clock_skewed = True
        if rate is not None:
            self.clock_rate = rate
        self.clock_offset = shown - now * self.clock_rate

    @property
    def can_run(self) -> bool:
        """False while it is paused or slow: what happens to it has to wait."""
        return not self.paused and not self.turn_seconds and not self.draining

    def seen(self, kind: type) -> list[Any]:
        """Its events of one class, in order."""
        return [event for _, event in self.events if isinstance(event, kind)]

    def active_names(self) -> set[str]:
        """The members that it counts."""
        return {member.name for member in self.engine.members()}
