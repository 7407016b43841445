"""A cluster of engines in virtual time: a heap of events, seeded links, no trio, no sockets.

Bytes go through the codec; streams are ordered and reliable unless their ends are cut off. A
world is a pure function of its seed and of the calls made on it.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Any

import attrs

from trio_gossip.addresses import Address
from trio_gossip.config import Config
from trio_gossip.engine import (
    CloseExchange,
    Complete,
    Deliver,
    Engine,
    Notify,
    OpenExchange,
    Output,
    SendFrame,
    SendPacket,
)
from trio_gossip.events import Event
from trio_gossip.failures import DialFailure

WALL_CLOCK = 1_700_000_000
"""Seconds since 1970 at virtual time zero: what incarnations start from."""


@attrs.define
class Links:
    """How packets travel. Probabilities are per packet, times in seconds."""

    loss: float = 0.0
    duplicate: float = 0.0
    latency: tuple[float, float] = (0.0002, 0.001)
    tail: float = 0.0
    """Share of packets that take up to 50 ms: overtaken by many others."""
    stream_loss: float = 0.0
    """Share of dials that hang."""


@attrs.define(eq=False)
class Process:
    """One life of one member."""

    name: str
    address: Address
    engine: Engine
    first_incarnation: int
    running: bool = True
    paused: bool = False
    wake_at: float = float("inf")
    held: list[Callable[[], None]] = attrs.field(factory=list)
    events: list[tuple[float, Event]] = attrs.field(factory=list)
    results: dict[int, Complete] = attrs.field(factory=dict)
    tokens: int = 0
    packets_sent: int = 0
    bytes_sent: int = 0
    sent_to: dict[Address, int] = attrs.field(factory=dict)
    received_from: dict[Address, int] = attrs.field(factory=dict)

    def seen(self, kind: type) -> list[Any]:
        """Events of one class, in order."""
        return [event for _, event in self.events if isinstance(event, kind)]


class World:
    """Runs engines against each other."""

    def __init__(self, seed: int, links: Links | None = None) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.links = links or Links()
        self.now = 0.0
        self.steps = 0
        self.processes: dict[str, Process] = {}
        self.graves: list[Process] = []
        self.observers: list[Callable[[Process, Event], None]] = []
        self.cut: Callable[[Process, Process], bool] = lambda source, target: False
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._at: dict[Address, Process] = {}
        self._pipes: dict[tuple[Process, int], tuple[Process, int]] = {}
        self._quiet_until: dict[tuple[Process, int], float] = {}

    # -- scheduling ---------------------------------------------------------------------

    def later(self, delay: float, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._heap, (self.now + delay, self._order, action))

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.run_until(lambda: False, seconds)

    def run_until(self, done: Callable[[], bool], limit: float) -> bool:
        """Let virtual time pass until ``done``, which is asked after each event."""
        end = self.now + limit
        while not done():
            if not self._heap or self._heap[0][0] > end:
                self.now = end
                return done()
            at, _, action = heapq.heappop(self._heap)
            assert at >= self.now, "the heap ran backwards"
            self.now = at
            self.steps += 1
            action()
        return True

    # -- processes ----------------------------------------------------------------------

    def start(
        self,
        name: str,
        address: Address | None = None,
        *,
        incarnation: int | None = None,
        config: Config | None = None,
        **changes: Any,
    ) -> Process:
        """Start a process; a former one of that name must have ended."""
        assert name not in self.processes
        address = address or Address(f"h-{name}", 7946)
        config = config or Config.lan(name=name, **changes)
        first = incarnation or WALL_CLOCK + int(self.now)
        engine = Engine(
            config,
            address,
            rng=random.Random(self.rng.getrandbits(64)),
            packet_limit=1400,
            incarnation=first,
        )
        process = Process(name, address, engine, first)
        self.processes[name] = process
        self._at[address] = process
        self._turn(process, engine.start(now=self.now))
        return process

    def crash(self, name: str) -> Process:
        """End a process without a word."""
        process = self.processes.pop(name)
        process.running = False
        if self._at.get(process.address) is process:
            del self._at[process.address]
        self.graves.append(process)
        for (owner, exchange), (peer, other) in list(self._pipes.items()):
            if owner is process:
                self._break(peer, other)
                self._pipes.pop((owner, exchange), None)
        return process

    def pause(self, name: str, seconds: float) -> None:
        """Stop a process like SIGSTOP: packets wait, timers are late; then all comes at once."""
        process = self.processes[name]
        process.paused = True

        def resume() -> None:
            process.paused = False
            held, process.held = process.held, []
            for action in held:
                if process.running:
                    action()
            self._wake(process)

        self.later(seconds, resume)

    def join(self, name: str, *seeds: str) -> list[int]:
        """Have a process join others by name; returns the tokens."""
        process = self.processes[name]
        tokens = []
        for seed in seeds:
            process.tokens += 1
            tokens.append(process.tokens)
            where = Address(f"h-{seed}", 7946)
            if seed in self.processes:
                where = self.processes[seed].address
            self._turn(process, process.engine.join(where, token=process.tokens, now=self.now))
        return tokens

    def command(self, name: str, call: Callable[[Engine, int, float], list[Output]]) -> int:
        """Give a process a command that completes later; returns its token."""
        process = self.processes[name]
        process.tokens += 1
        self._turn(process, call(process.engine, process.tokens, self.now))
        return process.tokens

    def leave(self, name: str) -> int:
        """Begin a graceful leave."""
        return self.command(name, lambda engine, token, now: engine.leave(token=token, now=now))

    def do(self, name: str, call: Callable[[Engine, float], list[Output]]) -> None:
        """Any other call on an engine."""
        process = self.processes[name]
        self._turn(process, call(process.engine, self.now))

    def inject(self, name: str, data: bytes, source: Address) -> None:
        """Deliver a forged packet now."""
        process = self.processes[name]
        self._turn(process, process.engine.receive_packet(data, source, now=self.now))

    # -- views --------------------------------------------------------------------------

    def active(self, name: str) -> set[str]:
        """Names that a process counts as members."""
        return {member.name for member in self.processes[name].engine.members()}

    def agree(self) -> bool:
        """True when every running process sees exactly the running ones, in one version."""
        running = set(self.processes)
        views = set()
        for process in self.processes.values():
            members = process.engine.members()
            if {member.name for member in members} != running:
                return False
            views.add(
                tuple(
                    sorted(
                        (member.name, member.address, member.incarnation, member.state, member.meta)
                        for member in members
                    )
                )
            )
        return len(views) <= 1

    # -- performing ---------------------------------------------------------------------

    def _turn(self, process: Process, outputs: list[Output]) -> None:
        for output in outputs:
            self._perform(process, output)
        self._wake(process)

    def _wake(self, process: Process) -> None:
        """Schedule the engine's next deadline, if it is earlier than what is scheduled."""
        deadline = process.engine.next_deadline
        if deadline >= process.wake_at or not process.running:
            return
        process.wake_at = deadline

        def wake() -> None:
            if process.wake_at != deadline or not process.running:
                return
            process.wake_at = float("inf")
            if process.paused:
                process.held.append(lambda: self._timeout(process))
                return
            self._timeout(process)

        self.later(max(0.0, deadline - self.now), wake)

    def _timeout(self, process: Process) -> None:
        if process.engine.next_deadline <= self.now:
            self._turn(process, process.engine.handle_timeout(now=self.now))
        else:
            self._wake(process)

    def _perform(self, process: Process, output: Output) -> None:
        if isinstance(output, SendPacket):
            self._packet(process, output)
        elif isinstance(output, Notify):
            self._event(process, output.event)
        elif isinstance(output, Complete):
            process.results[output.token] = output
        elif isinstance(output, OpenExchange):
            self._dial(process, output)
        elif isinstance(output, SendFrame):
            self._frame(process, output)
        elif isinstance(output, Deliver):
            self._event(process, output.event)
            exchange = output.exchange
            self._give(
                process,
                0.0,
                lambda engine: engine.exchange_delivered(exchange, now=self.now),
            )
        else:
            assert isinstance(output, CloseExchange)
            self._close(process, output.exchange)

    def _event(self, process: Process, event: Event) -> None:
        process.events.append((self.now, event))
        for observer in self.observers:
            observer(process, event)

    def _give(self, process: Process, delay: float, call: Callable[[Engine], list[Output]]) -> None:
        def arrive() -> None:
            if not process.running:
                return
            if process.paused:
                process.held.append(lambda: self._turn(process, call(process.engine)))
                return
            self._turn(process, call(process.engine))

        self.later(delay, arrive)

    def _latency(self) -> float:
        if self.links.tail and self.rng.random() < self.links.tail:
            return self.rng.uniform(0.001, 0.05)
        return self.rng.uniform(*self.links.latency)

    def _packet(self, process: Process, output: SendPacket) -> None:
        data, address = output.data, output.address
        assert len(data) <= 1400, "a packet over the limit"
        process.packets_sent += 1
        process.bytes_sent += len(data)
        process.sent_to[address] = process.sent_to.get(address, 0) + len(data)
        copies = 2 if self.rng.random() < self.links.duplicate else 1
        for _ in range(copies):
            target = self._at.get(address)
            if target is None or self.rng.random() < self.links.loss or self.cut(process, target):
                continue
            source = process.address
            target.received_from[source] = target.received_from.get(source, 0) + len(data)
            self._give(
                target,
                self._latency(),
                lambda engine: engine.receive_packet(data, source, now=self.now),
            )

    # -- streams ------------------------------------------------------------------------

    def _dial(self, process: Process, output: OpenExchange) -> None:
        exchange, address = output.exchange, output.address
        target = self._at.get(address)
        delay = 2 * self._latency()
        if target is None:
            failure = DialFailure.REFUSED
            self._give(
                process,
                delay,
                lambda engine: engine.exchange_failed(exchange, failure, now=self.now),
            )
            return
        if self.rng.random() < self.links.stream_loss or self._severed(process, target):
            return  # the dial hangs until the engine gives up

        def connect(engine: Engine) -> list[Output]:
            if not target.running:
                failure = DialFailure.RESET
                return engine.exchange_failed(exchange, failure, now=self.now)
            other = target.engine.new_exchange()
            self._pipes[process, exchange] = (target, other)
            self._pipes[target, other] = (process, exchange)
            source = Address(process.address.host, 40000)
            self._give(
                target,
                0.0,
                lambda peer: peer.exchange_accepted(other, source, now=self.now),
            )
            return engine.exchange_opened(exchange, now=self.now)

        self._give(process, delay, connect)

    def _severed(self, process: Process, target: Process) -> bool:
        return self.cut(process, target) or self.cut(target, process)

    def _frame(self, process: Process, output: SendFrame) -> None:
        exchange, data = output.exchange, output.data
        if output.more:
            self._give(
                process, 0.0, lambda engine: engine.exchange_writable(exchange, now=self.now)
            )
        pipe = self._pipes.get((process, exchange))
        if pipe is None:
            return
        target, other = pipe
        if self._severed(process, target):
            return
        self._give(
            target,
            self._in_order(target, other),
            lambda engine: engine.exchange_received(other, data, now=self.now),
        )

    def _in_order(self, target: Process, exchange: int) -> float:
        """A delay that lets nothing on a stream overtake what was sent before."""
        key = (target, exchange)
        arrival = max(self.now + self._latency(), self._quiet_until.get(key, 0.0) + 1e-9)
        self._quiet_until[key] = arrival
        return arrival - self.now

    def _close(self, process: Process, exchange: int) -> None:
        pipe = self._pipes.pop((process, exchange), None)
        if pipe is not None and not self._severed(process, pipe[0]):
            self._break(*pipe)

    def _break(self, target: Process, exchange: int) -> None:
        def ended(engine: Engine) -> list[Output]:
            self._pipes.pop((target, exchange), None)
            self._quiet_until.pop((target, exchange), None)
            return engine.exchange_failed(exchange, DialFailure.RESET, now=self.now)

        self._give(target, self._in_order(target, exchange), ended)
