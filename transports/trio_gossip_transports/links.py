"""What lies between two hosts of the in-memory network: delays, faults and cuts."""

from __future__ import annotations

import math
import random
from typing import Final

import attrs
import trio

STREAM_BUFFER_BYTES: Final = 65_536
"""Bytes that one direction of a stream holds before its writer has to wait."""


REFUSALS_BURST: Final = 6
"""Refusals that a host sends to another at once; one a second after that. As Linux does."""


class Signal:
    """Wakes whoever waits. A task can wait for several at once, which events cannot do."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[trio.Event, None] = {}

    def notify(self) -> None:
        """Wake all that wait now. Nothing is kept for those that come later."""
        for event in self._waiting:
            event.set()

    @staticmethod
    async def wait_any(*signals: Signal, until: float = math.inf) -> None:
        """Wait for the first of ``signals``, or for the time ``until`` on trio's clock."""
        event = trio.Event()
        for signal in signals:
            signal._waiting[event] = None
        try:
            with trio.move_on_at(until):
                await event.wait()
        finally:
            for signal in signals:
                signal._waiting.pop(event, None)  # the same one may be named twice


def _check_probability(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{attribute.name} must be from 0 to 1, not {value}")


def _as_range(latency: float | tuple[float, float]) -> tuple[float, float]:
    low, high = latency if isinstance(latency, tuple) else (latency, latency)
    if not 0.0 <= low <= high < math.inf:
        raise ValueError(f"latency must be seconds, or (low, high) of them, not {latency}")
    return low, high


@attrs.frozen
class Faults:
    """How one direction between two hosts misbehaves. The probabilities are per datagram.

    Attributes:
        latency: seconds, ``(low, high)``, uniform. Datagrams keep their order all the same.
        loss: probability that a datagram vanishes.
        duplicate: probability that a datagram arrives twice.
        reorder: probability that a datagram is held back, so that later ones overtake it.
        hold: seconds for which such a datagram is held back, on top of the latency.
    """

    latency: tuple[float, float] = attrs.field(default=(0.0005, 0.0005), converter=_as_range)
    loss: float = attrs.field(default=0.0, validator=_check_probability)
    duplicate: float = attrs.field(default=0.0, validator=_check_probability)
    reorder: float = attrs.field(default=0.0, validator=_check_probability)
    hold: float = attrs.field(default=0.02, validator=attrs.validators.ge(0.0))


class Path:
    """One direction between two hosts.

    It has its own random numbers, made from the seed and the two names: trio runs ready tasks in
    any order, so that a sequence shared by all would give each run another trace.
    """

    __slots__ = (
        "_order",
        "_refusals",
        "_refusals_at",
        "_rng",
        "_stream_rng",
        "cut_since",
        "faults",
        "healed",
    )

    def __init__(self, faults: Faults, seed: object, source: str, target: str) -> None:
        self.faults = faults
        self.cut_since: float | None = None
        """When it was cut, in seconds of trio's clock; None while it carries."""
        self.healed = Signal()
        self._order = -math.inf
        self._refusals = float(REFUSALS_BURST)
        self._refusals_at = 0.0
        self._rng = random.Random(f"{seed} packets {source}:{target}")
        self._stream_rng = random.Random(f"{seed} streams {source}:{target}")

    def plan(self, now: float) -> tuple[list[float], bool]:
        """Decide a datagram's fate: when each copy arrives (none: lost), and if it is held back.

        All five numbers are drawn every time, so that to turn one fault up leaves the fate of
        the other datagrams as it was.
        """
        draws = [self._rng.random() for _ in range(5)]
        faults = self.faults
        if draws[0] < faults.loss:
            return [], False
        is_held = draws[2] < faults.reorder
        arrivals = [self._arrival(now, draws[3], is_held=is_held)]
        if draws[1] < faults.duplicate:
            arrivals.append(self._arrival(now, draws[4], is_held=False))
        return arrivals, is_held

    def _arrival(self, now: float, draw: float, *, is_held: bool) -> float:
        arrival = max(self._order, now + self._delay(draw))
        if is_held:
            return arrival + self.faults.hold
        self._order = arrival
        return arrival

    def plan_refusal(self, now: float) -> float | None:
        """Decide when the word that nobody listens gets back, or None if it is lost or if the
        host has said so too often lately.

        It is no datagram of its sender, so that it keeps none of those waiting: it is planned
        ahead, when the datagram that it answers is sent.
        """
        draws = [self._rng.random() for _ in range(5)]
        since, self._refusals_at = self._refusals_at, max(self._refusals_at, now)
        self._refusals = min(REFUSALS_BURST, self._refusals + (self._refusals_at - since))
        if self._refusals < 1.0:
            return None
        self._refusals -= 1.0
        return None if draws[0] < self.faults.loss else now + self._delay(draws[3])

    def _delay(self, draw: float) -> float:
        low, high = self.faults.latency
        return low + draw * (high - low)

    def stream_latency(self) -> float:
        """Seconds for one piece of a stream."""
        return self._stream_rng.uniform(*self.faults.latency)

    def has_arrived(self, arrival: float) -> bool:
        """Whether something due at ``arrival`` is there now; what a cut caught waits for heal."""
        if arrival > trio.current_time():
            return False
        return self.cut_since is None or arrival < self.cut_since

    async def wait_arrival(self, arrival: float, *signals: Signal) -> None:
        """Sleep until it is worth to ask :meth:`has_arrived` again, or one of ``signals``."""
        # What a cut has caught comes with heal(), not with time. Whether it is caught is asked of
        # the cut and never of the clock: the clock may have moved on since the caller looked.
        is_caught = self.cut_since is not None and arrival >= self.cut_since
        await Signal.wait_any(self.healed, *signals, until=math.inf if is_caught else arrival)
