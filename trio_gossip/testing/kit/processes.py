"""One member of a test through all its lives: started, paused, killed, started again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import attrs
import trio

from trio_gossip.addresses import PORT_DEFAULT, Address
from trio_gossip.cluster import Cluster, serve_cluster
from trio_gossip.testing.kit.wire import Wire
from trio_gossip.testing.trace import event_text
from trio_gossip.unwrapping import raise_unwrapped

if TYPE_CHECKING:
    from trio_gossip.config import Config
    from trio_gossip.subscription import Subscription
    from trio_gossip.testing.trace import Trace
    from trio_gossip_transports import MemoryTransport

FIRST_INCARNATION: Final = 1000
"""Incarnation of a first life, in place of the time of day, which no seed repeats."""

INCARNATION_STEP: Final = 1000
"""How far each further life is above the one before: more than one life refutes in a test."""


@attrs.define(eq=False)
class _Life:
    """From a start to the next crash."""

    cluster: Cluster
    wire: Wire
    scope: trio.CancelScope
    ended: trio.Event


class Process:
    """One name, and what of it runs now.

    Args:
        name: of the member and its host.
        config: as the test wants it; seed and incarnation are filled in for each life.
        seed: the network's seed.
        nursery: where its lives run.
        trace: told of all that it does.
        lives: how often a member of this name was started before.

    Attributes:
        address: where it listens, or listened last.
        is_over: its block has ended, so that it cannot be started again.
    """

    def __init__(
        self,
        name: str,
        config: Config,
        *,
        seed: int,
        nursery: trio.Nursery,
        trace: Trace,
        lives: int = 0,
    ) -> None:
        self.name = name
        self.nursery = nursery
        self.lives = lives
        self.address = Address(name, PORT_DEFAULT)
        self.is_over = False
        self._config = config
        self._seed = seed
        self._trace = trace
        self._life: _Life | None = None

    @property
    def cluster(self) -> Cluster | None:
        """The member while it runs, paused or not."""
        return None if self._life is None else self._life.cluster

    @property
    def wire(self) -> Wire | None:
        """What it runs on."""
        return None if self._life is None else self._life.wire

    @property
    def state(self) -> str:
        """``running``, ``paused`` or ``stopped``."""
        if self._life is None:
            return "stopped"
        return "paused" if self._life.wire.gate.is_shut else "running"

    async def start(self, endpoint: MemoryTransport, *, lost_incarnation: bool = False) -> Cluster:
        """Begin a life; it knows nobody yet.

        Args:
            endpoint: where it listens; closed when the life ends.
            lost_incarnation: begin at 1, as after losing the disk and the clock.
        """
        assert self._life is None
        self.lives += 1
        self.address = endpoint.local_address
        wire = Wire(self.name, endpoint, self._trace)
        config = self._config_of_life(lost_incarnation=lost_incarnation)
        life: _Life = await self.nursery.start(self._live, config, wire)
        return life.cluster

    def _config_of_life(self, *, lost_incarnation: bool) -> Config:
        config = self._config
        seed = config.seed
        if seed is None:
            seed = random.Random(f"{self._seed} {self.name} {self.lives}").getrandbits(32)
        first = config.incarnation or FIRST_INCARNATION
        incarnation = 1 if lost_incarnation else first + (self.lives - 1) * INCARNATION_STEP
        return attrs.evolve(config, seed=seed, incarnation=incarnation)

    async def _live(
        self, config: Config, wire: Wire, *, task_status: trio.TaskStatus[_Life]
    ) -> None:
        ended = trio.Event()
        try:
            with trio.CancelScope() as scope:
                async with wire, trio.open_nursery() as nursery:
                    cluster: Cluster = await nursery.start(serve_cluster, config, wire)
                    self._life = _Life(cluster, wire, scope, ended)
                    self._trace.add(
                        trio.current_time(),
                        "start",
                        self.name,
                        "",
                        f"incarnation={config.incarnation}",
                    )
                    nursery.start_soon(self._write_down, cluster.events())
                    task_status.started(self._life)
        except BaseExceptionGroup as group:
            raise_unwrapped(group)
        finally:
            self._life = None
            ended.set()

    async def _write_down(self, events: Subscription) -> None:
        """Put what the application is told into the trace."""
        async for event in events:
            self._trace.add(trio.current_time(), "event", self.name, "", event_text(event))

    def kill(self) -> None:
        """Begin to end as SIGKILL does; from now on not a word comes out. Nothing when stopped."""
        if self._life is not None:
            # Dead first: what the cancelled tasks say in passing must not get out.
            self._life.wire.gate.kill()
            self._life.scope.cancel()

    async def wait_ended(self) -> None:
        """Wait until its transport is closed."""
        if self._life is None:
            await trio.lowlevel.checkpoint()
        else:
            await self._life.ended.wait()
