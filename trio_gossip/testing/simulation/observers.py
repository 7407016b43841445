"""Who looks at every step of a simulation, from outside of the engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.engine import Complete
    from trio_gossip.engine.outputs import Output
    from trio_gossip.events import Event
    from trio_gossip.members import Member
    from trio_gossip.testing.simulation.process import Process


class Observer:
    """Override what you want to see; what is not overridden costs nothing.

    Called in the middle of things: look, and do not touch the simulation.
    """

    def started(self, process: Process) -> None:
        """A process began."""

    def ended(self, process: Process, how: str) -> None:
        """A process ended: ``"crash"`` or ``"left"``."""

    def event(self, process: Process, event: Event) -> None:
        """The application of a process was told something."""

    def completed(self, process: Process, complete: Complete) -> None:
        """A command of a process ended."""

    def changed(
        self, process: Process, name: str, before: Member | None, after: Member | None
    ) -> None:
        """A row of its table was added (no ``before``), changed, or removed (no ``after``)."""

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        """A process sent a packet."""

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        """A process is about to receive a packet."""

    def lost(self, process: Process, data: bytes, address: Address, reason: str) -> None:
        """A packet of ``process`` was lost; in a sealed cluster these are the sealed bytes."""

    def refused(self, process: Process, address: Address, due: float) -> None:
        """A host is about to tell ``process`` that its packet to ``address`` found nobody; the
        word comes at the virtual time ``due``.
        """

    def carried(self, process: Process, data: bytes, address: Address) -> None:
        """A datagram of a sealed cluster left, as links carry it."""

    def opened(
        self, process: Process, data: bytes, source: Address, packets: Sequence[bytes]
    ) -> None:
        """A datagram reached a member of a sealed cluster, which found these packets in it."""

    def streamed(self, process: Process, data: bytes, peer: Process) -> None:
        """Bytes of a stream of a sealed cluster left, as they are on the link."""

    def turned(self, process: Process, outputs: list[Output]) -> None:
        """A turn of a process's engine has ended and its outputs were performed."""

    def injected(self, kind: str, names: tuple[str, ...]) -> None:
        """The test did something to the cluster."""


HOOKS = (
    "started",
    "ended",
    "event",
    "completed",
    "changed",
    "sent",
    "arrived",
    "lost",
    "refused",
    "carried",
    "opened",
    "streamed",
    "turned",
    "injected",
)
"""The methods of :class:`Observer`."""


class Hooks:
    """For each hook the observers that want it, in the order in which they came."""

    __slots__ = HOOKS

    started: list[Callable[..., None]]
    ended: list[Callable[..., None]]
    event: list[Callable[..., None]]
    completed: list[Callable[..., None]]
    changed: list[Callable[..., None]]
    sent: list[Callable[..., None]]
    arrived: list[Callable[..., None]]
    lost: list[Callable[..., None]]
    refused: list[Callable[..., None]]
    carried: list[Callable[..., None]]
    opened: list[Callable[..., None]]
    streamed: list[Callable[..., None]]
    turned: list[Callable[..., None]]
    injected: list[Callable[..., None]]

    def __init__(self) -> None:
        for hook in HOOKS:
            setattr(self, hook, [])

    def add(self, observer: Observer) -> None:
        """Call what ``observer`` has overridden from now on."""
        for hook in HOOKS:
            method: Any = getattr(observer, hook)
            if getattr(type(observer), hook) is not getattr(Observer, hook):
                getattr(self, hook).append(method)
