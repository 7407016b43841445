"""A runtime whose packets and streams are sealed before links carry them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from trio_gossip.testing.simulation.runtime import Runtime
from trio_gossip.testing.simulation.sealed_pipes import SealedPipes

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.addresses import Address
    from trio_gossip.codec import Codec
    from trio_gossip.engine import SendPacket
    from trio_gossip.engine.outputs import Output
    from trio_gossip.testing.simulation.links import Links
    from trio_gossip.testing.simulation.observers import Hooks
    from trio_gossip.testing.simulation.pipes import Pipes
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.schedule import Schedule
    from trio_gossip.testing.trace import Trace


class SealedRuntime(Runtime):
    """Seals what engines send and opens what arrives, in the turn of the process: one that is
    paused neither answers a handshake nor opens anything.

    Observers of ``sent`` and ``arrived`` see packets in the clear, as the engines do; those of
    ``carried`` and ``opened`` what is on the links.
    """

    pipes_class: ClassVar[type[Pipes]] = SealedPipes

    def __init__(
        self,
        schedule: Schedule,
        links: Links,
        hooks: Hooks,
        trace: Trace | None,
        codec: Codec,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__(schedule, links, hooks, trace, codec, seed=seed)
        pipes = self.pipes
        assert isinstance(pipes, SealedPipes)
        self._below = (self._receive, pipes.feed, pipes.cut)

    def turn(self, process: Process, call: Callable[..., list[Output]], *arguments: Any) -> None:
        """See :class:`Runtime`. What concerns the sealing alone is no turn of the engine."""
        if call in self._below:
            call(*arguments, now=process.clock(self.schedule.now))
        else:
            super().turn(process, call, *arguments)

    # -- packets that leave -------------------------------------------------------------

    def _packet(self, process: Process, output: SendPacket) -> None:
        data, address = output.data, output.address
        seal = process.seal
        assert seal is not None, "a plain process in a sealed cluster"
        process.packets_sent += 1
        process.bytes_sent += len(data)
        now = self.schedule.now
        if self.trace is not None:
            self.trace.add(now, "send", process.name, self._name_at(address), data)
        for hook in self.hooks.sent:
            hook(process, data, address)
        for sealed, to in seal.seal(data, address, process.clock(now)):
            self._carry(process, sealed, to)

    def _name_at(self, address: Address) -> str:
        process = self.at.get(address)
        return str(address) if process is None else process.name

    def _carry(self, process: Process, data: bytes, address: Address) -> None:
        """Hand a datagram to the links."""
        seal = process.seal
        assert seal is not None, "a plain process in a sealed cluster"
        if seal.is_handshake(data):
            process.handshakes_sent += 1
            text = f"handshake of {len(data)} bytes, kind {data[0]:#x}"
            self.note("note", process.name, self._name_at(address), text)
        for hook in self.hooks.carried:
            hook(process, data, address)
        target = self.at.get(address)
        if target is None:
            self._lost(process, data, address, "nobody")
            self._refuse(process, address)
            return
        fate = self.links.fate(process.name, target.name, data, self.schedule.now)
        if isinstance(fate, str):
            self._lost(process, data, address, fate)
            return
        for arrival, arriving in fate:
            self.schedule.at(arrival, self.arrive, target, arriving, process.address)

    # -- packets that come --------------------------------------------------------------

    def _is_well_formed(self, data: bytes) -> bool:
        """False: damage to a sealed packet need not be told from another valid packet."""
        return False

    def _receive(
        self, target: Process, data: bytes, source: Address, *, now: float
    ) -> list[Output]:
        seal = target.seal
        assert seal is not None, "a plain process in a sealed cluster"
        packets, outgoing = seal.open(data, source, now)
        for hook in self.hooks.opened:
            hook(target, data, source, packets)
        for answer, to in outgoing:
            self._carry(target, answer, to)
        for packet in packets:
            super().turn(target, super()._receive, target, packet, source)
        return []
