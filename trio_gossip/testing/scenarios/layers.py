"""Faults of links that overlap in time: each is a layer that can be taken off again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from trio_gossip.testing.simulation.links import LinkFaults, Links

LOSS_MILD: Final = 0.1
"""Share of lost packets up to which a detector has to be right."""


class Layers:
    """What the links do is computed anew from the lowest layer whenever one comes or goes, so that
    the end of the last leaves exactly what was there before the first.
    """

    def __init__(self, links: Links) -> None:
        self._links = links
        self._base = links.faults
        self._everywhere: dict[int, Mapping[str, Any]] = {}
        self._single: dict[int, tuple[tuple[str, str], Mapping[str, Any]]] = {}
        self._count = 0

    def add(self, **changes: Any) -> Callable[[], None]:
        """Lay faults over all links; the result takes them off."""
        return self._add(self._everywhere, changes)

    def add_one(self, pair: tuple[str, str], **changes: Any) -> Callable[[], None]:
        """The same for one direction of one link."""
        return self._add(self._single, (pair, changes))

    def _add(self, layers: dict[int, Any], layer: Any) -> Callable[[], None]:
        self._count += 1
        number = self._count
        layers[number] = layer
        self._settle((layer[0],) if layers is self._single else ())

        def take_off() -> None:
            gone = layers.pop(number, None)
            if gone is not None:
                self._settle((gone[0],) if layers is self._single else ())

        return take_off

    def cut(self, pairs: Iterable[tuple[str, str]]) -> Callable[[], None]:
        """Cut directions; the result mends them, unless another cut is on the same ones."""
        chosen = tuple(pairs)
        self._links.cut(chosen)
        return lambda: self._links.mend(chosen)

    def become_plain(self) -> None:
        """Forget what the scenario had on its links from the start; only delays remain."""
        self._base = type(self._base)(latency=self._base.latency)
        self._settle(())

    def loss_with(self, **changes: Any) -> float:
        """Share of packets that a link would lose with one more layer."""
        return loss_of(_over(self._links.faults, changes))

    def _settle(self, pairs: tuple[tuple[str, str], ...]) -> None:
        faults = self._base
        for changes in self._everywhere.values():
            faults = _over(faults, changes)
        self._links.change(**attrs.asdict(faults, recurse=False))
        own: dict[tuple[str, str], LinkFaults | None] = dict.fromkeys(pairs)
        for pair, changes in self._single.values():
            own[pair] = _over(own.get(pair) or faults, changes)
        for (source, target), of_one in own.items():
            self._links.set_one(source, target, of_one)


def loss_of(faults: LinkFaults) -> float:
    """Share of packets that links with these faults lose in the long run."""
    burst = faults.burst * faults.burst_packets
    arrives = 1.0 / (1.0 + burst)
    for share in (faults.loss, faults.corrupt, faults.truncate):
        arrives *= 1.0 - share
    return 1.0 - arrives


def _over(faults: LinkFaults, changes: Mapping[str, Any]) -> LinkFaults:
    """Faults with one more layer: independent chances, the sum of delays, the smaller limit."""
    merged = {name: _merged(name, getattr(faults, name), more) for name, more in changes.items()}
    return attrs.evolve(faults, **merged)


def _merged(name: str, old: Any, more: Any) -> Any:
    if name == "latency":
        return old[0] + more[0], old[1] + more[1]
    if name == "mtu":
        return min(old, more) if old and more else old or more
    if name in ("hold", "burst_packets"):
        return max(old, more)
    return 1.0 - (1.0 - old) * (1.0 - more) if old and more else old or more
