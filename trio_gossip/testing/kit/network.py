"""The network of a test: starts real clusters in one process, in virtual time."""

from __future__ import annotations

import math
import warnings
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import attrs
import trio
from trio.testing import MockClock

from trio_gossip.config import Config
from trio_gossip.members import MemberState
from trio_gossip.testing.kit.checking import check_changes, check_name, check_names
from trio_gossip.testing.kit.members import PopulatedNetwork, several
from trio_gossip.testing.kit.processes import Process
from trio_gossip.testing.kit.waiting import waiting_places
from trio_gossip.testing.scheduling import make_scheduling_repeatable, repeatable_scheduling
from trio_gossip.unwrapping import raise_unwrapped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable

    from trio_gossip.cluster import Cluster
    from trio_gossip.members import Member
    from trio_gossip.testing.kit.faulty import Place

    ConfigSource: TypeAlias = Callable[..., Config] | Config

PATIENCE: Final = 3600.0
"""Virtual seconds that a block may take, beside those of ``run_for``. On a clock that jumps, what
never comes is otherwise waited for for ever, with the processor busy."""

AGREEMENT: Final = 60.0
"""Virtual seconds in which members have to see each other."""

LOOK_AGAIN: Final = 0.05
"""Virtual seconds between two looks at members that know each other from a former life."""

_Result = TypeVar("_Result")


class RealTimeWarning(UserWarning):
    """The run has a clock of real time: tests take as long as they say, and do not repeat."""


class GossipNetwork(PopulatedNetwork):
    """Real clusters in one process, on a network and a clock that you command.

    With pytest-trio take the fixture ``gossip_network``. Elsewhere :meth:`run` starts trio on a
    clock that jumps over every wait. The same seed gives the same run: the same packets at the
    same times, the same :meth:`digest`.

    Every member lives on a host of its own name. Faults are told by these names.
    """

    def __init__(self, seed: int = 0, *, patience: float = PATIENCE, **options: Any) -> None:
        """Make a network without any member.

        Args:
            seed: decides all chance: of the network, of each member and of trio's scheduler.
            patience: virtual seconds after which :meth:`clusters` gives up.
            options: of :class:`~trio_gossip_transports.MemoryNetwork`, such as ``latency``.
        """
        super().__init__(seed, **options)
        self.patience = patience
        self._asked = 0.0
        self._is_managed = False
        self._is_fresh = False

    # -- running ------------------------------------------------------------------------

    def run(self, function: Callable[..., Awaitable[_Result]], *args: Any) -> _Result:
        """Run an async function by trio, on virtual time and repeatably; returns its result."""
        with self.repeatable():
            return trio.run(function, *args, clock=MockClock(autojump_threshold=0))

    @contextmanager
    def repeatable(self) -> Generator[None, None, None]:
        """Have trio's scheduler follow the seed for the length of a block around ``trio.run``."""
        with repeatable_scheduling(self.seed):
            self._is_managed = self._is_fresh = True
            try:
                yield
            finally:
                self._is_managed = self._is_fresh = False

    async def run_for(self, seconds: float) -> None:
        """Let virtual time pass. These seconds do not count against the patience."""
        self._asked += seconds
        await trio.sleep(seconds)

    # -- members ------------------------------------------------------------------------

    @asynccontextmanager
    async def clusters(
        self, *names: str, config: ConfigSource = Config.lan, **changes: Any
    ) -> AsyncGenerator[tuple[Cluster, ...], None]:
        """Run one member for each name; in the block all of them see each other alive.

        All join through the first. At the end of the block they stop at once, without a goodbye.
        A single error, the block's own or that of a member, arrives as itself.

        Args:
            names: of members and of their hosts.
            config: called with ``name=``, such as ``Config.wan``; or a config to give all.
            changes: settings to change, such as ``probe_interval=0.2``.

        Raises:
            ConfigError: a setting is wrong.
            TypeError: there is no such setting, or a list was given in place of names.
            ValueError: a name is wrong, or runs already.
            trio.TooSlowError: they did not find each other, or the patience ended.
        """
        check_names(names)
        check_changes(changes)
        async with self._block() as nursery:
            made = [await self._add(nursery, name, config, changes) for name in names]
            for cluster in made[1:]:
                await cluster.join([self.address(names[0])])
            await self.wait_agreed(*made)
            yield tuple(made)

    @asynccontextmanager
    async def cluster(
        self,
        name: str,
        *,
        join: Place | Iterable[Place] = (),
        config: ConfigSource = Config.lan,
        **changes: Any,
    ) -> AsyncGenerator[Cluster, None]:
        """Run one more member. It and those that it joined see each other alive in the block.

        Args:
            name: of the member and its host.
            join: members to join through; none: it is alone.
            config: as for :meth:`clusters`.
            changes: as for :meth:`clusters`.

        Raises:
            JoinError: nobody could be reached.
            Exception: as :meth:`clusters`.
        """
        check_name(name)
        check_changes(changes)
        async with self._block() as nursery:
            made = await self._add(nursery, name, config, changes)
            seeds = [self.address(place) for place in several(join)]
            await made.join(seeds)
            await self.wait_agreed(made, *seeds)
            yield made

    async def wait_agreed(self, *members: Place, within: float = AGREEMENT) -> None:
        """Wait until members see each other alive; all that run when none is named.

        As they are now, that is: what is known of a former life, or of a former address, does
        not count.

        Raises:
            trio.TooSlowError: saying who does not see whom after ``within`` virtual seconds.
        """
        clusters = [self.cluster_of(member) for member in members or self.running]
        missing: list[tuple[Cluster, Cluster]] = []
        with trio.move_on_after(within):
            while missing := _missing(clusters):
                observer, subject = missing[0]
                name = subject.local.name
                if _is_alive(observer.member(name)):
                    # Nobody is told when only an incarnation changes: so look again and again.
                    await trio.sleep(LOOK_AGAIN)
                else:
                    await observer.wait_member(name)
        if missing := _missing(clusters):
            who = "; ".join(_complaint(observer, subject) for observer, subject in missing[:5])
            raise trio.TooSlowError(f"no agreement within {within:g} virtual seconds: {who}")
        await trio.lowlevel.checkpoint()

    # -- inside -------------------------------------------------------------------------

    @asynccontextmanager
    async def _block(self) -> AsyncGenerator[trio.Nursery, None]:
        """A nursery for members that ends with all of them, and a guard against endless waits."""
        self._check_clock()
        if self._is_fresh:
            # Fixtures of pytest-trio have run by now, in an order that no seed decides.
            self._is_fresh = False
            make_scheduling_repeatable(self.seed)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._lose_patience, nursery)
                try:
                    yield nursery
                finally:
                    self._stop(nursery)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise_unwrapped(group)

    def _stop(self, nursery: trio.Nursery) -> None:
        """Kill all members of a nursery before any of them can notice that another is gone."""
        for process in self._processes.values():
            if process.nursery is nursery:
                process.is_over = True
                if process.cluster is not None:
                    self.trace.add(self.now, "end", process.name, "", "")
                    process.kill()

    async def _lose_patience(self, nursery: trio.Nursery) -> None:
        began, asked = self.now, self._asked
        # Again and again, because what is asked of run_for meanwhile comes on top.
        while self.now < (until := began + self.patience + self._asked - asked):  # noqa: ASYNC110
            await trio.sleep_until(until)
        places = waiting_places(nursery.parent_task, nursery)
        raise trio.TooSlowError(
            f"more than {self.patience:g} virtual seconds in one block: what is waited for may"
            f" never come{places and f', at {places}'}."
            " run_for() takes any time; or set the patience of the network"
        )

    def _check_clock(self) -> None:
        clock = trio.lowlevel.current_clock()
        if not isinstance(clock, MockClock):
            if self._is_managed:
                text = "this run is on real time; let the test take autojump_clock as an argument"
                warnings.warn(text, RealTimeWarning, stacklevel=2)
        elif clock.rate == 0.0 and clock.autojump_threshold == math.inf:
            raise RuntimeError(
                "the clock of this run stands still, so that nothing ever arrives;"
                " take autojump_clock, or set its autojump_threshold to 0"
            )

    async def _add(
        self, nursery: trio.Nursery, name: str, config: ConfigSource, changes: dict[str, Any]
    ) -> Cluster:
        known = self._processes.get(name)
        if known is not None and known.cluster is not None:
            raise ValueError(f"a member called {name!r} runs already")
        made = config if isinstance(config, Config) else config(name=name)
        process = Process(
            name,
            attrs.evolve(made, name=name, **changes),
            seed=self.seed,
            nursery=nursery,
            trace=self.trace,
            lives=0 if known is None else known.lives,
        )
        endpoint = self.transport(name)
        self._processes[name] = process
        return await process.start(endpoint)


def _missing(clusters: list[Cluster]) -> list[tuple[Cluster, Cluster]]:
    """Who does not see whom alive, in this life and at this address."""
    return [
        (observer, subject)
        for observer in clusters
        for subject in clusters
        if not _sees(observer, subject)
    ]


def _sees(observer: Cluster, subject: Cluster) -> bool:
    seen, true = observer.member(subject.local.name), subject.local
    return (
        seen is not None
        and _is_alive(seen)
        and (seen.address, seen.incarnation) == (true.address, true.incarnation)
    )


def _is_alive(member: Member | None) -> bool:
    return member is not None and member.state is MemberState.ALIVE


def _complaint(observer: Cluster, subject: Cluster) -> str:
    one, other = observer.local.name, subject.local
    seen = observer.member(other.name)
    if seen is None or not _is_alive(seen):
        return f"{one} does not see {other.name}"
    return (
        f"{one} sees {other.name} at {seen.address} with incarnation {seen.incarnation},"
        f" and it is at {other.address} with {other.incarnation}"
    )
