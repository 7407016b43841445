"""Turns of engines and what they decide: packets to the links, events to the observers."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any, ClassVar

from trio_gossip.codec import DecodeError
from trio_gossip.engine import (
    CloseExchange,
    Complete,
    Deliver,
    Notify,
    OpenExchange,
    SendFrame,
    SendPacket,
)
from trio_gossip.testing.simulation.evidence import Evidence
from trio_gossip.testing.simulation.links import Spoiled
from trio_gossip.testing.simulation.pipes import Pipes
from trio_gossip.testing.trace import event_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.addresses import Address
    from trio_gossip.codec import Codec
    from trio_gossip.engine.outputs import Output
    from trio_gossip.events import Event
    from trio_gossip.testing.simulation.links import Links
    from trio_gossip.testing.simulation.observers import Hooks
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.schedule import Schedule
    from trio_gossip.testing.trace import Trace


class Runtime:
    """Runs engines against each other. Who lives and dies is decided above it."""

    pipes_class: ClassVar[type[Pipes]] = Pipes

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
        self.schedule = schedule
        self.links = links
        self.hooks = hooks
        self.trace = trace
        self.codec = codec
        self.at: dict[Address, Process] = {}
        """Who listens where."""
        self.evidence = Evidence(links, random.Random(f"{seed} refusals"))
        self.left: Callable[[Process], None] = lambda _: None
        """Called when a process has said its goodbye."""
        self.pipes = self.pipes_class(self)
        self._performers: dict[type, Callable[[Process, Any], None]] = {
            SendPacket: self._packet,
            Notify: lambda process, output: self._event(process, output.event),
            Deliver: self._deliver,
            Complete: self._complete,
            OpenExchange: self.pipes.dial,
            SendFrame: self.pipes.frame,
            CloseExchange: self.pipes.close,
        }

    def note(self, kind: str, node: str, other: str = "", text: str = "") -> None:
        """Put something into the trace."""
        if self.trace is not None:
            self.trace.add(self.schedule.now, kind, node, other, text)

    # -- turns --------------------------------------------------------------------------

    def turn(self, process: Process, call: Callable[..., list[Output]], *arguments: Any) -> None:
        """Give an engine one input now, perform what it decides, and set its next wake-up."""
        now = self.schedule.now
        outputs = call(*arguments, now=process.clock(now) if process.clock_skewed else now)
        performers = self._performers
        for output in outputs:
            performers[type(output)](process, output)
        for hook in self.hooks.turned:
            hook(process, outputs)
        if process.running:
            self.wake(process)

    def give(self, process: Process, call: Callable[..., list[Output]], *arguments: Any) -> None:
        """Give an engine an input as soon as its process can run; streams and commands."""
        if not process.running:
            return
        if process.can_run:
            self.turn(process, call, *arguments)
        else:
            process.waiting.put(b"", (call, arguments))
            self._drain_later(process)

    def wake(self, process: Process) -> None:
        """Schedule the engine's next deadline instead of what was scheduled before."""
        deadline = process.engine.next_deadline
        if process.clock_skewed:
            deadline = process.virtual(deadline)
        if deadline != process.wake_at:
            process.wake_at = deadline
            if deadline < math.inf:
                self.schedule.at(deadline, self._woken, process, deadline)

    def _woken(self, process: Process, deadline: float) -> None:
        if process.wake_at != deadline or not process.running:
            return
        process.wake_at = math.inf
        if process.can_run:
            self._timeout(process)
        elif not process.paused and not process.timeout_waiting:
            process.timeout_waiting = True
            process.waiting.put(b"", (self._late_timeout, (process,)))
            self._drain_later(process)

    def _timeout(self, process: Process) -> None:
        engine = process.engine
        if process.virtual(engine.next_deadline) <= self.schedule.now:
            self.turn(process, engine.handle_timeout)
        else:
            self.wake(process)

    def _late_timeout(self, process: Process, *, now: float) -> list[Output]:
        process.timeout_waiting = False
        return process.engine.handle_timeout(now=now)

    # -- processes that cannot run at once ----------------------------------------------

    def resume(self, process: Process) -> None:
        """What waited for a paused process is there at once, and before its late timers."""
        process.paused = False
        self._drain_later(process)

    def _drain_later(self, process: Process) -> None:
        if not process.draining and not process.paused:
            process.draining = True
            busy_until = max(process.busy_until, self.schedule.now)
            self.schedule.at(busy_until, self._drain, process)

    def _drain(self, process: Process) -> None:
        """Take what waits: all of it, or one input and then the time that it costs."""
        process.draining = False
        while process.waiting and process.running and not process.paused:
            call, arguments = process.waiting.take()
            process.packets_waiting -= call == self._receive
            self.turn(process, call, *arguments)
            if process.turn_seconds:
                process.busy_until = self.schedule.now + process.turn_seconds
                self._drain_later(process)
                return
        if process.running and not process.paused:
            process.wake_at = math.inf
            self._timeout(process)

    # -- packets ------------------------------------------------------------------------

    def _packet(self, process: Process, output: SendPacket) -> None:
        data, address = output.data, output.address
        process.packets_sent += 1
        process.bytes_sent += len(data)
        target = self.at.get(address)
        if self.trace is not None:
            other = str(address) if target is None else target.name
            self.trace.add(self.schedule.now, "send", process.name, other, data)
        for hook in self.hooks.sent:
            hook(process, data, address)
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

    def _lost(self, process: Process, data: bytes, address: Address, reason: str) -> None:
        if self.trace is not None:
            target = self.at.get(address)
            other = str(address) if target is None else target.name
            self.trace.add(self.schedule.now, "lose", process.name, other, reason)
        for hook in self.hooks.lost:
            hook(process, data, address, reason)

    def _refuse(self, process: Process, address: Address, *, arrived: bool = False) -> None:
        """The host of an address where nobody listens tells the sender, if it can and may."""
        due = self.evidence.refuse(process, address, self.schedule.now, arrived=arrived)
        if due is None:
            return
        for hook in self.hooks.refused:
            hook(process, address, due)
        self.schedule.at(due, self._refused, process, address)

    def _refused(self, process: Process, address: Address) -> None:
        if address not in self.at:
            self.give(process, process.engine.packet_refused, address)

    def arrive(self, target: Process, data: bytes, source: Address) -> None:
        """A packet reaches the host of ``target``."""
        if not target.running:
            sender = self.at.get(source)
            if sender is not None and target.address not in self.at:
                self._refuse(sender, target.address, arrived=True)
            return
        if type(data) is Spoiled and self._is_well_formed(data):
            self.links.injected["checksum"] += 1
            return
        if not target.can_run:
            if target.packets_waiting >= target.inbox_limit:
                self.links.injected["inbox_full"] += 1
                self.note("lose", target.name, str(source), "inbox full")
                return
            target.packets_waiting += 1
            target.waiting.put(data, (self._receive, (target, data, source)))
            self._drain_later(target)
            return
        self.turn(target, self._receive, target, data, source)

    def _receive(
        self, target: Process, data: bytes, source: Address, *, now: float
    ) -> list[Output]:
        if self.trace is not None:
            sender = self.at.get(source)
            other = str(source) if sender is None else sender.name
            self.trace.add(self.schedule.now, "deliver", target.name, other, data)
        for hook in self.hooks.arrived:
            hook(target, data, source)
        return target.engine.receive_packet(data, source, now=now)

    def _is_well_formed(self, data: bytes) -> bool:
        try:
            self.codec.unpack_untrusted(bytes(data))
        except DecodeError:
            return False
        return True

    # -- the application ----------------------------------------------------------------

    def _event(self, process: Process, event: Event) -> None:
        process.events.append((self.schedule.now, event))
        if self.trace is not None:
            self.trace.add(self.schedule.now, "event", process.name, "", event_text(event))
        for hook in self.hooks.event:
            hook(process, event)

    def _deliver(self, process: Process, output: Deliver) -> None:
        self._event(process, output.event)
        self.schedule.after(
            0.0, self.give, process, process.engine.exchange_delivered, output.exchange
        )

    def _complete(self, process: Process, complete: Complete) -> None:
        process.results[complete.token] = complete
        for hook in self.hooks.completed:
            hook(process, complete)
        if complete.token == process.leave_token:
            self.schedule.after(0.0, self.left, process)
