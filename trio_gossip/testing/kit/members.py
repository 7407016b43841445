"""The members on the network of a test, and what befalls them: crash, restart, pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trio_gossip.addresses import Address
from trio_gossip.cluster import Cluster
from trio_gossip.testing.kit.faults import Fault
from trio_gossip.testing.kit.faulty import FaultyNetwork, Place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trio_gossip.testing.kit.processes import Process


class PopulatedNetwork(FaultyNetwork):
    """A network on which members live. :class:`GossipNetwork` starts them."""

    def __init__(self, seed: int = 0, **options: Any) -> None:
        """Make a network without any member; see :class:`FaultyNetwork`."""
        super().__init__(seed, **options)
        self._processes: dict[str, Process] = {}

    @property
    def running(self) -> tuple[str, ...]:
        """Names of the members that run, paused or not, in the order of their first start."""
        return tuple(each.name for each in self._processes.values() if each.cluster is not None)

    def cluster_of(self, member: Place) -> Cluster:
        """The cluster object of a member that runs: a new one after each restart."""
        cluster = self._process(member).cluster
        if cluster is None:
            raise ValueError(f"{self._host(member)!r} does not run")
        return cluster

    def address(self, member: Place) -> Address:
        """Where a member listens or listened last: what others join, as it is or as text."""
        return self._process(member).address

    # -- what befalls them -----------------------------------------------------------

    async def crash(self, member: Place) -> None:
        """Kill a member as SIGKILL does: no goodbye, streams reset. Returns when it is gone."""
        process = self._process(member)
        self._note("crash", "", self.cluster_of(member).local.name)
        process.kill()
        await process.wait_ended()

    async def restart(
        self,
        member: Place,
        *,
        join: Place | Iterable[Place] | None = None,
        lost_incarnation: bool = False,
        port: int | None = None,
    ) -> Cluster:
        """Start a member again, as a new process of the same name; kills it before if it runs.

        Args:
            member: started before in a block that has not ended.
            join: members to join through; None: all others that run; ``()``: nobody.
            lost_incarnation: begin at incarnation 1; otherwise above that of every life before.
            port: listen on another port of its host.

        Returns:
            Its new cluster object; the old one has stopped.

        Raises:
            ValueError: the block in which it was started has ended.
            JoinError: nobody could be reached. It runs, and goes on trying what it knows.
        """
        process = self._process(member)
        if process.is_over:
            raise ValueError(f"the block in which {process.name!r} was started has ended")
        if process.cluster is not None:
            await self.crash(member)
        seeds = [name for name in self.running if self._processes[name].state == "running"]
        texts = [str(self.address(each)) for each in (seeds if join is None else several(join))]
        where = self.address(member).port if port is None else port
        self._note("restart", "with incarnation 1" if lost_incarnation else "", process.name)
        cluster = await process.start(
            self.transport(process.name, where), lost_incarnation=lost_incarnation
        )
        await cluster.join(texts)
        return cluster

    def pause(self, member: Place) -> Fault:
        """Stop a member as SIGSTOP does; others see silence. ``with`` resumes it at the end.

        What comes to it waits, its timers do not fire, and its streams stand still, until
        :meth:`resume`. Your own tasks go on: what you make the member send waits, too.
        """
        process = self._process(member)
        name = self.cluster_of(member).local.name
        if process.wire is not None and process.state == "running":
            process.wire.pause()
            self._note("pause", "", name)
        return Fault(lambda: self.resume(name))

    def resume(self, member: Place) -> None:
        """Let a paused member go on: everything that waited happens at once. Else nothing."""
        process = self._process(member)
        if process.wire is not None and process.state == "paused":
            self._note("resume", "", process.name)
            process.wire.resume()

    def _process(self, member: Place) -> Process:
        name = self._host(member)
        if name not in self._processes:
            raise ValueError(f"no member called {name!r} was started")
        return self._processes[name]


def several(places: Place | Iterable[Place]) -> list[Place]:
    """Places as a list; one alone is a list of one, and not read letter by letter."""
    return [places] if isinstance(places, str | Address | Cluster) else list(places)
