"""What lies between processes: delays, losses, cuts. Decides the fate of each packet."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from trio_gossip.testing.simulation.arguments import is_finite, shown

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

TAIL_SECONDS: Final = 3.0
"""Longest delay that the heavy tail draws; longer ones are as good as a loss."""

LATENCY_LONGEST: Final = 3600.0
"""Seconds that a packet may take; more is refused."""

_TAIL_ALPHA: Final = 1.2
_TAIL_SCALE: Final = 0.005


def _probability(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not (is_finite(value) and 0.0 <= value <= 1.0):
        raise ValueError(f"{attribute.name} must be from 0 to 1, not {shown(value)}")


def _at_least(least: float) -> Callable[[object, attrs.Attribute[float], float], None]:
    def check(_: object, attribute: attrs.Attribute[float], value: float) -> None:
        if not (is_finite(value) and value >= least):
            raise ValueError(f"{attribute.name} must be {least:g} or more, not {shown(value)}")

    return check


def _mtu(_: object, __: object, value: int) -> None:
    if not (type(value) is int and is_finite(value) and value >= 0):
        raise ValueError(f"mtu must be 0 or more whole bytes, not {shown(value)}")


def _pair(value: float | tuple[float, float]) -> tuple[float, float]:
    """One number means that there is no chance in it; what is neither is for the validator."""
    return (value, value) if isinstance(value, (int, float)) else value


def _items(value: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", value) if isinstance(value, tuple) else ()


def _latency(_: object, __: object, value: object) -> None:
    pair = _items(value)
    numbers = [each for each in pair if isinstance(each, (int, float)) and is_finite(each)]
    if len(pair) == len(numbers) == 2 and 0.0 <= numbers[0] <= numbers[1] <= LATENCY_LONGEST:
        return
    raise ValueError(
        f"latency must be seconds or (low, high) up to {LATENCY_LONGEST:g}, not {shown(value)}"
    )


@attrs.frozen(kw_only=True)
class LinkFaults:
    """How a link treats packets. Probabilities are for each packet.

    Attributes:
        latency: seconds one way, ``(low, high)``, uniform, or one number
            for both. No order is kept.
        loss: vanishes.
        burst: a burst of losses begins: nearly all is lost until it ends by chance
            (Gilbert and Elliott), about ``burst_packets`` later.
        burst_packets: mean length of a burst.
        duplicate: arrives twice.
        reorder: is held back for up to ``hold`` seconds, so that others overtake it.
        hold: seconds.
        tail: takes a delay with a heavy tail (Pareto, up to 3 s).
        corrupt: some bytes are changed. UDP's checksum would drop it; here it arrives if it is
            not well-formed any more, to try the parser.
        truncate: the end is missing.
        mtu: larger packets vanish; 0 for no limit.
        dial_hang: a stream that is being opened gets no answer.
        dial_refuse: it is refused.
        stream_cut: a stream breaks in the middle of what is being sent, for each piece.
    """

    latency: tuple[float, float] = attrs.field(
        default=(0.0002, 0.001), converter=_pair, validator=_latency
    )
    loss: float = attrs.field(default=0.0, validator=_probability)
    burst: float = attrs.field(default=0.0, validator=_probability)
    burst_packets: float = attrs.field(default=8.0, validator=_at_least(1.0))
    duplicate: float = attrs.field(default=0.0, validator=_probability)
    reorder: float = attrs.field(default=0.0, validator=_probability)
    hold: float = attrs.field(default=0.05, validator=_at_least(0.0))
    tail: float = attrs.field(default=0.0, validator=_probability)
    corrupt: float = attrs.field(default=0.0, validator=_probability)
    truncate: float = attrs.field(default=0.0, validator=_probability)
    mtu: int = attrs.field(default=0, validator=_mtu)
    dial_hang: float = attrs.field(default=0.0, validator=_probability)
    dial_refuse: float = attrs.field(default=0.0, validator=_probability)
    stream_cut: float = attrs.field(default=0.0, validator=_probability)

    @property
    def is_plain(self) -> bool:
        """True when nothing happens to packets but a delay."""
        return not (
            self.loss
            or self.burst
            or self.duplicate
            or self.reorder
            or self.tail
            or self.corrupt
            or self.truncate
            or self.mtu
        )


class Links:
    """All links of a simulation. Names are those of members.

    Attributes:
        faults: of every link that has none of its own.
        injected: how often each kind of fault really hit something.
    """

    __slots__ = (
        "_bursts",
        "_clogs",
        "_cuts",
        "_own",
        "_plain",
        "_rng",
        "changed",
        "faults",
        "injected",
    )

    def __init__(self, rng: random.Random, faults: LinkFaults) -> None:
        self._rng = rng
        self.faults = faults
        self.injected: Counter[str] = Counter()
        self._own: dict[tuple[str, str], LinkFaults] = {}
        self._cuts: Counter[tuple[str, str]] = Counter()
        self._clogs: dict[tuple[str, str], float] = {}
        self._bursts: set[tuple[str, str]] = set()
        self._plain = faults.is_plain
        self.changed: Callable[[], None] = lambda: None
        """Called after each of these calls."""

    # -- what the test does -------------------------------------------------------------

    def change(self, **changes: Any) -> None:
        """Change faults of every link that has none of its own."""
        self.faults = attrs.evolve(self.faults, **changes)
        self._settle()

    def change_one(self, source: str, target: str, **changes: Any) -> None:
        """Give one direction of one link its own faults."""
        self._own[source, target] = attrs.evolve(self.between(source, target), **changes)
        self._settle()

    def set_one(self, source: str, target: str, faults: LinkFaults | None) -> None:
        """Give one direction exactly these faults; None makes it like the other links again."""
        if faults is None:
            self._own.pop((source, target), None)
        else:
            self._own[source, target] = faults
        self._settle()

    def cut(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Cut directions; each cut needs its own mending, so that cuts can overlap in time."""
        self._cuts.update(pairs)
        self._settle()

    def mend(self, pairs: Iterable[tuple[str, str]]) -> None:
        """End cuts."""
        self._cuts.subtract(pairs)
        self._cuts = +self._cuts
        self._settle()

    def clog(self, pairs: Iterable[tuple[str, str]], until: float) -> None:
        """Hold everything on these directions back until a time."""
        for pair in pairs:
            self._clogs[pair] = max(until, self._clogs.get(pair, 0.0))
        self._settle()

    def forget_clogs(self, now: float) -> None:
        """Drop the clogs that have ended: links without any fault are simulated faster."""
        self._clogs = {pair: until for pair, until in self._clogs.items() if until > now}
        self._settle()

    @property
    def cut_pairs(self) -> list[tuple[str, str]]:
        """The directions that are cut now."""
        return list(self._cuts)

    def heal(self) -> None:
        """End all cuts, clogs and own faults of links."""
        self._cuts.clear()
        self._clogs.clear()
        self._own.clear()
        self._settle()

    def _settle(self) -> None:
        self._plain = self.faults.is_plain and not (self._own or self._cuts or self._clogs)
        self._bursts.clear()
        self.changed()

    @property
    def has_own(self) -> bool:
        """True while some link holds back, or has faults of its own."""
        return bool(self._own or self._clogs)

    # -- what happens -------------------------------------------------------------------

    def between(self, source: str, target: str) -> LinkFaults:
        """The faults of one direction."""
        return self._own.get((source, target), self.faults) if self._own else self.faults

    def is_cut(self, source: str, target: str) -> bool:
        """True when nothing of ``source`` reaches ``target``."""
        return bool(self._cuts) and (source, target) in self._cuts

    def is_severed(self, one: str, other: str) -> bool:
        """True when a stream between the two cannot work."""
        return self.is_cut(one, other) or self.is_cut(other, one)

    def fate(
        self, source: str, target: str, data: bytes, now: float
    ) -> list[tuple[float, bytes]] | str:
        """Decide what becomes of a packet: when each copy arrives, or why it is lost."""
        rng = self._rng
        if self._plain:
            low, high = self.faults.latency
            return [(now + low + (high - low) * rng.random(), data)]
        if self.is_cut(source, target):
            return self._lost("cut")
        faults = self.between(source, target)
        if faults.mtu and len(data) > faults.mtu:
            return self._lost("mtu")
        if faults.burst and self._in_burst(source, target, faults):
            return self._lost("burst")
        if faults.loss and rng.random() < faults.loss:
            return self._lost("loss")
        copies = 1
        if faults.duplicate and rng.random() < faults.duplicate:
            self.injected["duplicate"] += 1
            copies = 2
        return [
            (self._arrival(source, target, faults, now), self._damaged(data, faults))
            for _ in range(copies)
        ]

    def _lost(self, reason: str) -> str:
        self.injected[reason] += 1
        return reason

    def _in_burst(self, source: str, target: str, faults: LinkFaults) -> bool:
        pair = (source, target)
        if pair in self._bursts:
            if self._rng.random() < 1.0 / faults.burst_packets:
                self._bursts.discard(pair)
                return False
            return True
        if self._rng.random() < faults.burst:
            self._bursts.add(pair)
            return True
        return False

    def _arrival(self, source: str, target: str, faults: LinkFaults, now: float) -> float:
        rng = self._rng
        low, high = faults.latency
        arrival = now + low + (high - low) * rng.random()
        if faults.reorder and rng.random() < faults.reorder:
            self.injected["reorder"] += 1
            arrival += faults.hold * rng.random()
        if faults.tail and rng.random() < faults.tail:
            self.injected["tail"] += 1
            arrival += min(TAIL_SECONDS, _TAIL_SCALE * rng.paretovariate(_TAIL_ALPHA))
        return max(arrival, self.clogged_until(source, target, now))

    def clogged_until(self, source: str, target: str, now: float) -> float:
        """When a link carries again; a time in the past when it does."""
        if not self._clogs:
            return 0.0
        until = self._clogs.get((source, target), 0.0)
        if until > now:
            self.injected["clog"] += 1
        return until

    def _damaged(self, data: bytes, faults: LinkFaults) -> bytes:
        rng = self._rng
        if faults.truncate and rng.random() < faults.truncate:
            self.injected["truncate"] += 1
            return data[: rng.randrange(len(data))]
        if faults.corrupt and rng.random() < faults.corrupt:
            self.injected["corrupt"] += 1
            spoiled = bytearray(data)
            for _ in range(rng.randint(1, 8)):
                spoiled[rng.randrange(len(spoiled))] ^= rng.randint(1, 255)
            return Spoiled(spoiled)
        return data

    def stream_delay(self, source: str, target: str, now: float) -> float:
        """Seconds that one piece of a stream takes."""
        low, high = self.between(source, target).latency
        delay = low + (high - low) * self._rng.random()
        return max(delay, self.clogged_until(source, target, now) - now)

    def hits(self, kind: str, probability: float) -> bool:
        """Draw whether a fault of a stream happens now, and count it."""
        if not probability or self._rng.random() >= probability:
            return False
        self.injected[kind] += 1
        return True

    def piece(self, data: bytes) -> bytes:
        """The part of ``data`` that still went through when its stream was cut."""
        return data[: self._rng.randrange(len(data) + 1)]


class Spoiled(bytes):
    """A packet that was corrupted on its way, so that its receiver's host can tell."""
