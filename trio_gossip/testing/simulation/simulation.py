"""A whole cluster in virtual time: :class:`Simulation`."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from trio_gossip.addresses import PORT_DEFAULT, Address
from trio_gossip.codec import NativeCodec
from trio_gossip.config import Config
from trio_gossip.engine import Engine
from trio_gossip.members import Member, MemberState
from trio_gossip.services.state import State
from trio_gossip.testing.simulation.arguments import (
    CALLS,
    COMMANDS,
    check_call,
    check_seconds,
    check_seed,
)
from trio_gossip.testing.simulation.befallen import Befallen
from trio_gossip.testing.simulation.excuses import Excuses
from trio_gossip.testing.simulation.links import LinkFaults, Links
from trio_gossip.testing.simulation.observers import Hooks, Observer
from trio_gossip.testing.simulation.process import Process
from trio_gossip.testing.simulation.programs import Programs, with_token
from trio_gossip.testing.simulation.runtime import Runtime
from trio_gossip.testing.simulation.schedule import Schedule
from trio_gossip.testing.simulation.sealed_runtime import SealedRuntime
from trio_gossip.testing.simulation.shared_table import SharedTable, TableBase
from trio_gossip.testing.simulation.watched_table import WatchedTable
from trio_gossip.testing.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from trio_gossip.codec import Codec
    from trio_gossip.engine.membership import Membership
    from trio_gossip.engine.outputs import Output
    from trio_gossip.testing.simulation.sealing import NodeSeal, Sealing

WALL_CLOCK: Final = 1_700_000_000
"""Seconds since 1970 at virtual time zero: what incarnations start from."""

PACKET_LIMIT: Final = 1400
"""Most bytes in a packet unless a process is started with another limit."""


class Simulation(Programs):
    """Engines only: bytes travel over simulated links, time is virtual, and all chance comes from
    the seed. A run is a function of this library's version, the seed and the calls made on it:
    the same on every platform, under every PYTHONHASHSEED.

    Names of members stand for their hosts: ``"a"`` listens on ``h-a:7946`` unless it is told
    otherwise. Members that ended are in :attr:`graves`.

    Args:
        seed: of all chance, of links and engines.
        trace: what happens is recorded there; by default only digested.
        codec: the wire between engines; shared by all of them.
        sealing: seals all packets and streams, as ``trio_gossip.testing.sealed.NativeSealing``
            does; nothing is sealed by default.
        faults: of all links, as keywords of :class:`LinkFaults`.

    Raises:
        TypeError: the seed is no whole number, or there is no such fault.
        ValueError: a fault is out of its range.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        trace: Trace | None = None,
        codec: Codec | None = None,
        sealing: Sealing | None = None,
        **faults: Any,
    ) -> None:
        check_seed(seed)
        self.seed = seed
        self.trace = Trace(keep=0) if trace is None else trace
        self.processes = {}
        self.graves: list[Process] = []
        self.schedule = Schedule()
        self.links = Links(random.Random(f"{seed} links"), LinkFaults(**faults))
        self.excuses = Excuses(self.schedule)
        self.befallen = Befallen(self.schedule)
        self.links.changed = self._links_changed
        self._links_changed()
        self.hooks = Hooks()
        self.wall_offset = 0.0
        """Seconds by which the wall clock of hosts is wrong: seen by whoever starts then."""
        self._codec = codec or NativeCodec()
        self.sealing = sealing
        kind = Runtime if sealing is None else SealedRuntime
        self._runtime = kind(
            self.schedule, self.links, self.hooks, self.trace, self._codec, seed=seed
        )
        self._runtime.left = self._has_left
        self._rng = random.Random(f"{seed} engines")
        self._lives: Counter[str] = Counter()

    # -- time ---------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self.schedule.now

    @property
    def steps(self) -> int:
        """How many things happened."""
        return self.schedule.steps

    @property
    def injected(self) -> Counter[str]:
        """How often each kind of fault really hit something."""
        return self.links.injected

    def run(self, seconds: float) -> None:
        """Let virtual time pass.

        Raises:
            ValueError: it cannot go backwards, nor be infinite.
        """
        check_seconds("seconds", seconds)
        self.schedule.run(self.now + seconds)

    def run_until(self, done: Callable[[], bool], limit: float) -> bool:
        """Let virtual time pass until ``done``, at most ``limit`` seconds; True when done.

        Raises:
            ValueError: the limit is negative, or not finite.
        """
        check_seconds("limit", limit)
        return self.schedule.run_until(done, self.now + limit)

    def at(self, delay: float, action: Callable[[], None]) -> None:
        """Call ``action`` in ``delay`` virtual seconds, in the middle of a run.

        Raises:
            ValueError: the delay is negative, or not finite.
        """
        check_seconds("delay", delay)
        self.schedule.after(delay, action)

    def observe(self, observer: Observer) -> None:
        """Have ``observer`` called at every step from now on; best before anything starts."""
        self.hooks.add(observer)

    def digest(self) -> str:
        """Hexadecimal; equal for runs in which the same happened."""
        return self.trace.digest()

    # -- life and death -----------------------------------------------------------------

    def start(
        self,
        name: str,
        *,
        address: Address | None = None,
        config: Config | None = None,
        incarnation: int | None = None,
        packet_limit: int = PACKET_LIMIT,
        **changes: Any,
    ) -> Process:
        """Start a process that knows nobody.

        Args:
            name: of the member; no running process may have it.
            address: where it listens; no running process may listen there.
            config: its settings; by default the LAN profile with ``changes``.
            incarnation: the first; by default from the wall clock, as in a real process.
            packet_limit: most bytes in its packets.
            changes: of the LAN profile.

        Raises:
            ValueError: the name or the address is taken.
            ConfigError: of the settings.
        """
        config = config or Config.lan(name=name, **changes)
        first = incarnation or self._first_incarnation()
        table = WatchedTable() if self.hooks.changed else None
        rng = random.Random(self._rng.getrandbits(64))
        process = self._create(
            config, address or address_of(name), first, packet_limit, rng=rng, table=table
        )
        if table is not None:
            table.watch(process, self.hooks.changed)
        self._runtime.turn(process, process.engine.start)
        return process

    def start_converged(self, names: Sequence[str], **changes: Any) -> list[Process]:
        """Start processes that all know each other already, as after a long time in peace.

        What they know is kept once for all, so that thousands fit into memory. Observers are not
        told of changes of rows (:meth:`Observer.changed`) by these processes.

        Raises:
            ValueError: a name is taken or comes twice, or there are none.
        """
        first = self._first_incarnation()
        members = [Member(name, address_of(name), MemberState.ALIVE, first) for name in names]
        base = TableBase.of(members, now=self.now)
        started: list[Process] = []
        for member in members:
            rng = random.Random(self._rng.getrandbits(64))
            config = Config.lan(name=member.name, **changes)
            process = self._create(
                config, member.address, first, PACKET_LIMIT, rng=rng, table=SharedTable(base, rng)
            )
            self._runtime.turn(process, partial(process.engine.start, known=True))
            started.append(process)
        return started

    def _first_incarnation(self) -> int:
        return WALL_CLOCK + int(self.now + self.wall_offset)

    def _create(
        self,
        config: Config,
        address: Address,
        incarnation: int,
        packet_limit: int,
        *,
        rng: random.Random,
        table: Membership | None,
    ) -> Process:
        name = config.name
        if name in self.processes:
            raise ValueError(f"{name} is running already")
        if address in self._runtime.at:
            raise ValueError(f"{self._runtime.at[address].name} listens at {address}")
        seal = self._seal(name)
        state = self._state(config)
        engine = Engine(
            config,
            address,
            rng=rng,
            packet_limit=packet_limit - (0 if seal is None else seal.overhead),
            incarnation=incarnation,
            codec=self._codec,
            table=table,
            services=(state, *(() if seal is None else seal.services)),
        )
        process = Process(name, address, engine, config, incarnation, self.now, state, seal=seal)
        self.processes[name] = process
        self._runtime.at[address] = process
        self._runtime.evidence.appeared(process)
        self._runtime.note("start", name, str(address), f"incarnation {incarnation}")
        for hook in self.hooks.started:
            hook(process)
        return process

    def _state(self, config: Config) -> State:
        """Versioned state of one life, by the wall clock as it is at its start."""
        offset = self.wall_offset
        return State.of(config, lambda: int(1000 * (WALL_CLOCK + self.now + offset)))

    def _seal(self, name: str) -> NodeSeal | None:
        """What seals for the next life of a member; its chance is that life's own."""
        if self.sealing is None:
            return None
        self._lives[name] += 1
        entropy = random.Random(f"{self.seed} sealing {name} {self._lives[name]}")

        def clock() -> float:
            process = self.processes.get(name)
            return self.now if process is None else process.clock(self.now)

        return self.sealing.begin(name, entropy, clock)

    def crash(self, name: str, *, host: bool = False) -> Process:
        """End a process without a word, as by SIGKILL: its streams break, and its host goes on to
        refuse dials and packets.

        Args:
            name: of the member.
            host: take its host away as well. Then nothing comes back any more, and its streams
                stand still, until a process starts at its address.

        Raises:
            ValueError: nobody has that name.
        """
        process = self._running(name)
        self.befallen.once("host gone" if host else "killed", name)
        if host:
            self._runtime.note("fault", name, "", "host gone")
            self._runtime.evidence.host_gone(process.address)
        return self._end(process, "crash", silent=host)

    def _links_changed(self) -> None:
        self.befallen.links_changed(self.links, list(self.processes))

    def _has_left(self, process: Process) -> None:
        if process.running:
            self._end(process, "left")

    def _end(self, process: Process, how: str, *, silent: bool = False) -> Process:
        process.running = False
        process.ended_at = self.now
        for what in ("paused", "slow", "skewed"):
            self.befallen.ends(what, process.name)
        if process.seal is not None:
            process.seal.save()
        del self.processes[process.name]
        del self._runtime.at[process.address]
        self.graves.append(process)
        self._runtime.note("end", process.name, "", how)
        self._runtime.pipes.end_of(process, silent=silent)
        for hook in self.hooks.ended:
            hook(process, how)
        return process

    # -- commands -----------------------------------------------------------------------

    def join(self, name: str, *seeds: str | Address) -> list[int]:
        """Have a process join others; returns the tokens, see :attr:`Process.results`."""
        return [self.command(name, "join", self._address(seed)) for seed in seeds]

    def leave(self, name: str) -> int:
        """Begin a graceful leave; the process ends when it is done."""
        process = self._running(name)
        # Before the command: with nobody to tell it is done within the same turn.
        process.leave_token = process.tokens + 1
        return self.command(name, "leave")

    def command(self, name: str, call: str, *arguments: object) -> int:
        """Give an engine a command that completes later: ``ping``...; returns its token.

        Raises:
            ValueError: no such call in ``COMMANDS``, or the process is not running.
            TypeError: of the arguments; payloads are bytes.
        """
        check_call("command", COMMANDS, call, arguments)
        process = self._running(name)
        process.tokens += 1
        token = process.tokens
        method: Callable[..., list[Output]] = getattr(process.engine, call)
        self._runtime.give(process, with_token(method, token), *arguments)
        return token

    def do(self, name: str, call: str, *arguments: object) -> None:
        """Call a method of an engine: ``broadcast``, ``update_meta``, ``send``...

        Raises:
            ValueError: no such call in ``CALLS``, or the process is not running.
            TypeError: of the arguments; payloads are bytes.
        """
        check_call("do", CALLS, call, arguments)
        process = self._running(name)
        self._runtime.give(process, getattr(process.engine, call), *arguments)

    def inject(self, name: str, data: bytes, source: Address) -> None:
        """Let a packet of a stranger arrive now."""
        self.links.injected["hostile"] += 1
        self._runtime.arrive(self._running(name), data, source)

    def note(self, kind: str, names: Iterable[str] = (), text: str = "") -> None:
        """Record and tell observers that the test did something to the cluster."""
        told = tuple(names)
        self._runtime.note("fault", ",".join(told), "", f"{kind} {text}".rstrip())
        for hook in self.hooks.injected:
            hook(kind, told)

    # -- views --------------------------------------------------------------------------

    def agree(self) -> bool:
        """True when every running process sees exactly the running ones, in one version."""
        running = set(self.processes)
        views: set[frozenset[object]] = set()
        for process in self.processes.values():
            members = process.engine.members()
            if {member.name for member in members} != running:
                return False
            views.add(frozenset(members))
            if len(views) > 1:
                return False
        return True

    def _address(self, seed: str | Address) -> Address:
        if isinstance(seed, Address):
            return seed
        process = self.processes.get(seed)
        return address_of(seed) if process is None else process.address


def address_of(name: str) -> Address:
    """Where a member listens unless it is told otherwise."""
    return Address(f"h-{name}", PORT_DEFAULT)
