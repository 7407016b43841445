"""What steps act on: the cluster of a scenario while it is played."""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from trio_gossip.members import MemberState
from trio_gossip.testing.scenarios.kind import SkipStep
from trio_gossip.testing.scenarios.layers import Layers
from trio_gossip.testing.simulation.observers import Observer
from trio_gossip.testing.simulation.simulation import PACKET_LIMIT, WALL_CLOCK, address_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.addresses import Address
    from trio_gossip.config import Config
    from trio_gossip.testing.scenarios.kind import Step
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

PACKETS_REMEMBERED: Final = 2048
"""Packets of a run that hostile steps may replay or damage; beyond it the oldest are forgotten."""

JOIN_SEEDS: Final = 2
"""Members that a newcomer tries to join."""

JOIN_RETRY_SECONDS: Final = 15.0
"""After which a newcomer whose joins have all failed tries others."""

PRESENT_LEAST: Final = 3
"""Members that single steps leave running, so that there is a cluster to speak of."""


WAYS_LEAST: Final = 2
"""Members that can pass on what a cut link keeps apart. With a single one, a burst of losses on one
link is a partition."""


class Recorder(Observer):
    """Remembers the last packets, for whoever wants to replay or damage some."""

    def __init__(self) -> None:
        self.packets: deque[tuple[bytes, Process, Address]] = deque(maxlen=PACKETS_REMEMBERED)

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        """See :class:`Observer`."""
        self.packets.append((data, process, address))


class SealedRecorder(Recorder):
    """The same for a sealed cluster: datagrams as a stranger can record them on the links."""

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        """Nothing: nobody sees a packet before it is sealed."""

    def carried(self, process: Process, data: bytes, address: Address) -> None:
        """See :class:`~trio_gossip.testing.Observer`."""
        self.packets.append((data, process, address))


class Stage:
    """A simulation with the names of its members and what the steps need to know of each other.

    Attributes:
        simulation: the cluster.
        names: the members of the scenario, running or not.
        layers: the faults of links.
        config_of: the settings with which a member starts.
        addresses: where each member listens, or listened last.
        recorder: the packets of the run; empty unless the scenario needs them.
        rotation: the change of keys that goes on; None without one.
    """

    def __init__(
        self,
        simulation: Simulation,
        names: tuple[str, ...],
        config_of: Callable[[str], Config],
    ) -> None:
        self.simulation = simulation
        self.names = names
        self.config_of = config_of
        self.layers = Layers(simulation.links)
        self.addresses: dict[str, Address] = {name: address_of(name) for name in names}
        self.recorder = Recorder() if simulation.sealing is None else SealedRecorder()
        self.rotation: object = None
        self._highest: dict[str, int] = {}
        self._turn_seconds: dict[Process, list[float]] = {}

    # -- chance -------------------------------------------------------------------------

    def rng(self, step: Step) -> random.Random:
        """The chance of one step. It depends on nothing but the step and the scenario's seed, so
        that a step does the same when others are taken out.
        """
        return random.Random(f"{self.simulation.seed} {step.kind} {step.at!r} {step.names}")

    # -- who is there -------------------------------------------------------------------

    def running(self, name: str) -> Process:
        """A process that runs.

        Raises:
            SkipStep: there is none.
        """
        process = self.simulation.processes.get(name)
        if process is None:
            raise SkipStep(f"{name} is down")
        return process

    def present(self, name: str) -> Process:
        """A process that runs, is not paused or slow, and has not begun to leave.

        Raises:
            SkipStep: there is none.
        """
        process = self.running(name)
        if not process.can_run or process.engine.local.state is not MemberState.ALIVE:
            raise SkipStep(f"{name} is busy or leaving")
        return process

    def all_present(self) -> list[str]:
        """The members that run and have not begun to leave, sorted."""
        return sorted(
            name
            for name, process in self.simulation.processes.items()
            if process.engine.local.state is MemberState.ALIVE
        )

    def may_lose_one(self) -> None:
        """Refuse to take away one member more when a third is away already. Newcomers do not
        count: they leave when their step ends, and two members that a cut link keeps apart
        would be left without a third one to ask.

        Raises:
            SkipStep: enough are away.
        """
        least = max(PRESENT_LEAST, len(self.names) * 2 // 3)
        if self.simulation.links.cut_pairs:
            least = max(least, 2 + WAYS_LEAST)
        if len(self.lasting()) <= least:
            raise SkipStep("enough members are down")

    def lasting(self) -> list[str]:
        """The members of the scenario that run and have not begun to leave, without newcomers."""
        return [name for name in self.all_present() if name in self.names]

    def may_err(self, step: Step) -> bool:
        """True when everybody is excused for as long as ``step`` lasts, whatever it does."""
        return self.simulation.excuses.until >= self.simulation.now + step.seconds

    # -- life ---------------------------------------------------------------------------

    def crash(self, name: str, *, host: bool = False) -> None:
        """End a process without a word, perhaps with its host; remember what it had come to."""
        process = self.simulation.crash(name, host=host)
        self.forget(process)

    def forget(self, process: Process) -> None:
        """Note the last incarnation of a process that has ended."""
        last = process.engine.local.incarnation
        self._highest[process.name] = max(self._highest.get(process.name, 0), last)

    def kept_incarnation(self, name: str) -> int:
        """The first incarnation of a process that has kept its count: above all former ones."""
        for process in self.simulation.graves:
            if process.name == name:
                self.forget(process)
        return max(WALL_CLOCK + int(self.simulation.now), self._highest.get(name, 0) + 1)

    def start(self, name: str, rng: random.Random, **options: Any) -> None:
        """Start a process that is down, and have it join."""
        simulation = self.simulation
        if name in simulation.processes:
            return  # another step was faster
        if self.addresses[name] in [each.address for each in simulation.processes.values()]:
            return  # somebody else lives there now
        options.setdefault("incarnation", self.kept_incarnation(name))
        options.setdefault("packet_limit", PACKET_LIMIT)
        simulation.start(name, address=self.addresses[name], config=self.config_of(name), **options)
        self.join(name, rng)

    def join(self, name: str, rng: random.Random) -> None:
        """Have a process join two members of the scenario that are there, or where others were
        last seen; and again with others while that fails, as programs do.
        """
        simulation = self.simulation
        process = simulation.processes[name]
        names = [other for other in self.names if other != name]
        there = [other for other in self.all_present() if other in names] or names
        chosen = rng.sample(there, min(JOIN_SEEDS, len(there)))
        tokens = simulation.join(name, *(self.addresses[other] for other in chosen))

        def look() -> None:
            results = [process.results.get(token) for token in tokens]
            joined = any(result is not None and result.error is None for result in results)
            gone = not process.running or process.engine.local.state is not MemberState.ALIVE
            if not joined and not gone:
                self.join(name, rng)

        simulation.at(JOIN_RETRY_SECONDS, look)

    # -- what adds up -------------------------------------------------------------------

    def slow_down(self, process: Process, turn_seconds: float) -> Callable[[], None]:
        """Make each turn of a process take longer; the result takes that back."""
        costs = self._turn_seconds.setdefault(process, [])
        costs.append(turn_seconds)
        self._settle_slowness(process)

        def faster() -> None:
            costs.remove(turn_seconds)
            self._settle_slowness(process)

        return faster

    def _settle_slowness(self, process: Process) -> None:
        if process.running:
            self.simulation.slow(process.name, sum(self._turn_seconds[process]))
