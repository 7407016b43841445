"""Streams between simulated processes: ordered, reliable, and cut where links are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.addresses import Address
from trio_gossip.failures import DialFailure
from trio_gossip.testing.simulation.evidence import BACKLOG_MAX

if TYPE_CHECKING:
    from trio_gossip.engine import CloseExchange, OpenExchange, SendFrame
    from trio_gossip.engine.outputs import Output
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.runtime import Runtime

DIALLED_PORT: Final = 40_000
"""Source port of every stream: not where its sender listens."""

SYN_SECONDS: Final = 1.0
"""After which a dial that got no answer asks again; twice as long each time."""

_MOMENT: Final = 1e-9


class End:
    """One end of a stream. ``peer`` is None once the other has closed or is gone."""

    __slots__ = (
        "asked",
        "dials",
        "exchange",
        "layer",
        "peer",
        "process",
        "quiet_until",
        "stalled",
    )

    def __init__(self, process: Process, exchange: int, asked: OpenExchange | None = None) -> None:
        self.process = process
        self.exchange = exchange
        self.asked = asked
        """What its engine wanted to be opened; None at the end that was dialled."""
        self.dials = 1
        """Connections that were made for it, with this one."""
        self.layer: object = None
        """What lies between the engine and this stream: see ``sealed_pipes.py``."""
        self.peer: End | None = None
        self.quiet_until = 0.0
        self.stalled = False
        """A cut has swallowed something on the way to this end: nothing more can come."""


class Pipes:
    """All open streams."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._schedule = runtime.schedule
        self._links = runtime.links
        self._ends: dict[Process, dict[int, End]] = {}
        self._backlog: dict[Process, int] = {}
        """Streams that a process has not accepted yet, also those given up meanwhile."""

    def dial(self, process: Process, output: OpenExchange) -> None:
        """Open a stream: answered after a round trip, or never if the link is cut."""
        exchange, address = output.exchange, output.address
        target = self._runtime.at.get(address)
        other = str(address) if target is None else target.name
        self._runtime.note("dial", process.name, other)
        here = End(process, exchange, output)
        self._ends.setdefault(process, {})[exchange] = here
        links = self._links
        faults = links.between(process.name, other)
        delay = links.stream_delay(process.name, other, self._schedule.now)
        if target is None and not self._runtime.evidence.answers(process, address):
            links.injected["dial_unanswered"] += 1
        elif target is None or links.hits("dial_refuse", faults.dial_refuse):
            failure = DialFailure.REFUSED
            self._schedule.after(2 * delay, self._broken, here, failure)
        elif links.is_severed(process.name, target.name):
            links.injected["dial_cut"] += 1
        elif not links.hits("dial_hang", faults.dial_hang):
            delay += links.stream_delay(target.name, process.name, self._schedule.now)
            self._schedule.after(delay, self._connect, here, target)

    def _connect(self, here: End, target: Process, wait: float = SYN_SECONDS) -> None:
        process, exchange = here.process, here.exchange
        if self._ends.get(process, {}).get(exchange) is not here:
            return  # given up meanwhile
        if not target.running:
            if self._runtime.evidence.answers(process, target.address):
                self._broken(here, DialFailure.REFUSED)
            return
        if self._backlog.get(target, 0) >= BACKLOG_MAX:
            self._links.injected["backlog_full"] += 1
            self._schedule.after(wait, self._connect, here, target, 2 * wait)
            return
        there = End(target, target.engine.new_exchange())
        here.peer, there.peer = there, here
        self._ends.setdefault(target, {})[there.exchange] = there
        self._linked(here, there)

    def _linked(self, here: End, there: End) -> None:
        """Tell both ends that they have found each other."""
        self._accepted(there, here.process.address.host)
        process = here.process
        self._runtime.give(process, process.engine.exchange_opened, here.exchange)

    def _accepted(self, there: End, host: str) -> None:
        """The target's host has taken the stream; its process accepts it as soon as it can run."""
        target = there.process
        self._backlog[target] = self._backlog.get(target, 0) + 1
        self._runtime.give(target, self._accept, there, Address(host, DIALLED_PORT))

    def _accept(self, there: End, source: Address, *, now: float) -> list[Output]:
        target = there.process
        self._backlog[target] -= 1
        return target.engine.exchange_accepted(there.exchange, source, now=now)

    def frame(self, process: Process, output: SendFrame) -> None:
        """Carry bytes to the other end, after all that was sent before."""
        exchange, data = output.exchange, output.data
        runtime = self._runtime
        if output.more:
            self._schedule.after(
                0.0, runtime.give, process, process.engine.exchange_writable, exchange
            )
        end = self._ends.get(process, {}).get(exchange)
        if end is not None:
            self._say(end, data)

    def _say(self, end: End, data: bytes) -> None:
        """Bytes of an engine are on their way to the other end."""
        self._send(end, data)

    def _send(self, end: End, data: bytes) -> None:
        peer = end.peer
        if peer is None:
            return
        links = self._links
        names = end.process.name, peer.process.name
        if peer.stalled or links.is_severed(*names):
            links.injected["stream_stall"] += 1
            peer.stalled = True
            return
        self._runtime.note("stream", *names, f"{len(data)} bytes")
        if links.hits("stream_cut", links.between(*names).stream_cut):
            self._carry(end, peer, links.piece(data))
            self._break(peer, in_order=True)
            self._break(end, in_order=False)
            return
        self._carry(end, peer, data)

    def _carry(self, end: End, peer: End, data: bytes) -> None:
        if data:
            at = self._in_order(end, peer)
            self._schedule.at(at, self._received, peer, data)

    def _received(self, end: End, data: bytes) -> None:
        process = end.process
        if self._ends.get(process, {}).get(end.exchange) is end:
            self._runtime.give(process, process.engine.exchange_received, end.exchange, data)

    def _in_order(self, end: End, peer: End) -> float:
        """A time of arrival at ``peer`` that is after all former ones."""
        now = self._schedule.now
        delay = self._links.stream_delay(end.process.name, peer.process.name, now)
        peer.quiet_until = max(now + delay, peer.quiet_until + _MOMENT)
        return peer.quiet_until

    def close(self, process: Process, output: CloseExchange) -> None:
        """End a stream; its other end learns of it after what was sent."""
        end = self._ends.get(process, {}).pop(output.exchange, None)
        if end is not None:
            self._leave(end)

    def _leave(self, end: End) -> None:
        peer, end.peer = end.peer, None
        if peer is None:
            return
        peer.peer = None
        if not peer.stalled and not self._links.is_severed(end.process.name, peer.process.name):
            at = self._in_order(end, peer)
            self._schedule.at(at, self._broken, peer)

    def _break(self, end: End, *, in_order: bool) -> None:
        end.peer = None
        at = end.quiet_until + _MOMENT if in_order else self._schedule.now
        self._schedule.at(at, self._broken, end)

    def _broken(self, end: End, failure: DialFailure = DialFailure.RESET) -> None:
        process = end.process
        if self._ends.get(process, {}).pop(end.exchange, None) is end:
            self._runtime.give(process, process.engine.exchange_failed, end.exchange, failure)

    def end_of(self, process: Process, *, silent: bool = False) -> None:
        """A process is gone: its streams break at the other ends, or stand still if ``silent``."""
        self._backlog.pop(process, None)
        for end in self._ends.pop(process, {}).values():
            peer = end.peer
            if silent and peer is not None:
                end.peer = peer.peer = None
                peer.stalled = True
            self._leave(end)

    def open_at(self, process: Process) -> int:
        """How many streams a process has open."""
        return len(self._ends.get(process, {}))
