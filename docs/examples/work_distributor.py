"""Gives each key to one member of a cluster, and moves keys when members come and go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b

import trio

from trio_gossip import Cluster, MemberState


def owner(key: str, names: Sequence[str]) -> str | None:
    """The member that a key belongs to (rendezvous hashing); None when there are no members.

    All who see the same members name the same owner. When a member goes, only its keys move.
    """
    return max(names, key=lambda name: blake2b(f"{key} {name}".encode()).digest(), default=None)


class Distributor:
    """Works on those keys that belong to this member.

    Args:
        cluster: this member.
        keys: all keys there are; the same for every member.
        work: works on one key until it is cancelled.
    """

    def __init__(
        self, cluster: Cluster, keys: Sequence[str], work: Callable[[str], Awaitable[None]]
    ) -> None:
        self.cluster = cluster
        self.keys = keys
        self.work = work
        self._scopes: dict[str, trio.CancelScope] = {}

    async def run(self) -> None:
        """Work until the cluster stops."""
        with self.cluster.events() as events:
            async with trio.open_nursery() as nursery:
                self._review(nursery)
                async for _ in events:
                    self._review(nursery)
                nursery.cancel_scope.cancel()

    def owned(self) -> list[str]:
        """The keys that belong to this member, as far as it knows."""
        names = [member.name for member in self.cluster.members()]
        return [key for key in self.keys if owner(key, names) == self.cluster.local.name]

    def _review(self, nursery: trio.Nursery) -> None:
        """Begin work on the keys that have become ours, and end it on those that we have lost."""
        owned = self.owned()
        for key in self.keys:
            if key in owned and key not in self._scopes:
                self._scopes[key] = trio.CancelScope()
                nursery.start_soon(self._hold, key, nursery)
            elif key not in owned and key in self._scopes:
                self._scopes[key].cancel()

    async def _hold(self, key: str, nursery: trio.Nursery) -> None:
        with self._scopes[key]:
            await self.begin(key)
        # Forgotten only now, so that a key that comes back quickly waits for the old work to end.
        del self._scopes[key]
        self._review(nursery)

    async def begin(self, key: str) -> None:
        """Work on a key that has become ours."""
        await self.work(key)


class MajorityDistributor(Distributor):
    """Works only while it sees more than half of all members.

    Args:
        cluster: this member.
        keys: all keys there are; the same for every member.
        work: works on one key until it is cancelled.
        size: how many members the cluster is meant to have. There must never be more.
    """

    def __init__(
        self,
        cluster: Cluster,
        keys: Sequence[str],
        work: Callable[[str], Awaitable[None]],
        *,
        size: int,
    ) -> None:
        super().__init__(cluster, keys, work)
        self.size = size

    def owned(self) -> list[str]:
        """Nothing, unless more than half of all members are alive: only one side can say so."""
        alive = [each for each in self.cluster.members() if each.state is MemberState.ALIVE]
        return super().owned() if len(alive) * 2 > self.size else []


class CarefulDistributor(MajorityDistributor):
    """Rather leaves a key without work for a while than lets two members work on it.

    Args:
        cluster: this member.
        keys: all keys there are; the same for every member.
        work: works on one key until it is cancelled.
        size: how many members the cluster is meant to have. There must never be more.
        hand_over: seconds that a key rests before its new owner begins. A member that is cut
            off from the others must notice it within this time.
    """

    def __init__(
        self,
        cluster: Cluster,
        keys: Sequence[str],
        work: Callable[[str], Awaitable[None]],
        *,
        size: int,
        hand_over: float,
    ) -> None:
        super().__init__(cluster, keys, work, size=size)
        self.hand_over = hand_over

    def owned(self) -> list[str]:
        """Nothing either while nobody answers us: others may have given us up."""
        return [] if self.cluster.is_isolated else super().owned()

    async def begin(self, key: str) -> None:
        """Give whoever had it before the time to notice; then work."""
        await trio.sleep(self.hand_over)
        await self.work(key)
