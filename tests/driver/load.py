"""Messages all the while: every member broadcasts and sends, and what came of it is noted."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import trio

from trio_gossip import (
    Cluster,
    Delivery,
    Event,
    MemberFailed,
    MemberSuspected,
    MessageReceived,
)

PATIENCE = 30.0
"""Seconds after the last message within which everything has to be everywhere."""


class Load:
    """Members that talk. A failed ``send_reliable`` ends the test, as does one that is lost.

    Args:
        clusters: who talks, each with all others.
        pause: seconds between two messages of a member: the pace of the load.
    """

    def __init__(self, clusters: Sequence[Cluster], pause: float) -> None:
        self.clusters = list(clusters)
        self.broadcasts: list[tuple[str, bytes]] = []
        """Every broadcast that was taken: by whom, and what."""
        self.letters: list[tuple[str, bytes]] = []
        """Every reliable message that was acknowledged: to whom, and what."""
        self.received: dict[str, Counter[tuple[Delivery, bytes]]] = {}
        self.troubles: list[Event] = []
        """Suspicions and failures that any member told of."""
        self._pause = pause
        self._changed = trio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Talk during the block; then wait until everything has arrived everywhere."""
        async with trio.open_nursery() as readers:
            for cluster in self.clusters:
                await readers.start(self._read, cluster)
            async with trio.open_nursery() as senders:
                for cluster in self.clusters:
                    senders.start_soon(self._send, cluster)
                yield
                self._pause = 0.0  # each sender ends after what it is sending
            with trio.move_on_after(PATIENCE):
                while not self._is_complete():
                    await self._change()
            readers.cancel_scope.cancel()
        missing = {name: self.missing(name) for name in self.received}
        assert not any(missing.values()), missing

    async def wait_sent(self, count: int) -> None:
        """Wait until so many more reliable messages have been acknowledged."""
        wanted = len(self.letters) + count
        while len(self.letters) < wanted:
            await self._change()

    async def _change(self) -> None:
        self._changed = trio.Event()
        await self._changed.wait()

    def _is_complete(self) -> bool:
        """True when each member has as many different messages as there are for it."""
        senders = Counter(sender for sender, _ in self.broadcasts)
        letters = Counter(target for target, _ in self.letters)
        return all(
            len(got) >= len(self.broadcasts) - senders[name] + letters[name]
            for name, got in self.received.items()
        )

    def missing(self, name: str) -> list[bytes]:
        """What has not arrived at a member."""
        got = self.received[name]
        broadcasts = [
            payload
            for sender, payload in self.broadcasts
            if sender != name and not got[Delivery.BROADCAST, payload]
        ]
        letters = [
            payload
            for target, payload in self.letters
            if target == name and not got[Delivery.STREAM, payload]
        ]
        return broadcasts + letters

    def repeated(self) -> list[tuple[Delivery, bytes]]:
        """What arrived more than once somewhere."""
        return [what for got in self.received.values() for what in got if got[what] > 1]

    async def _send(self, cluster: Cluster) -> None:
        name = cluster.local.name
        others = [other.local.name for other in self.clusters if other is not cluster]
        number = 0
        while self._pause:
            payload = f"{name} {number}".encode()
            cluster.broadcast(payload)
            self.broadcasts.append((name, payload))
            target = others[number % len(others)]
            await cluster.send_reliable(target, payload)
            self.letters.append((target, payload))
            self._changed.set()
            number += 1
            await trio.sleep(self._pause)

    async def _read(self, cluster: Cluster, *, task_status: trio.TaskStatus[None]) -> None:
        got = self.received[cluster.local.name] = Counter()
        with cluster.events(limit=100_000) as events:
            task_status.started()
            async for event in events:
                if isinstance(event, MessageReceived):
                    got[event.delivery, event.payload] += 1
                    self._changed.set()
                elif isinstance(event, MemberSuspected | MemberFailed):
                    self.troubles.append(event)
