"""A process that hosts members and does what it is told on standard input, a JSON object a line.

Started by ``processes.Children.worker``. For each command ``{"do": NAME, ...}`` one line
``{"done": NAME, ...}`` comes back when it is done. Times are ``time.monotonic()``, which all
processes of one host share.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import harness  # noqa: F401  # makes the project importable
import trio

from trio_gossip import Cluster, Config, MessageReceived, serve_cluster
from trio_gossip_transports import open_socket_transport

CHECKPOINT_EVERY = 32
"""Datagrams sent between two checkpoints: the sender's only pace."""


class Worker:
    """The members of this process, by name."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._clusters: dict[str, Cluster] = {}
        self._living: dict[trio.CancelScope, trio.Event] = {}
        self._received = 0
        self._first = self._last = 0.0
        self._arrivals: dict[str, list[float]] = {}

    async def open(self, names: list[str], **changes: Any) -> dict[str, Any]:
        """Become members under these names, each alone for now; ``changes`` are settings."""
        for name in names:
            self._clusters[name] = await self._nursery.start(self._live, name, changes)
        return {"addresses": {name: str(self._clusters[name].local.address) for name in names}}

    async def _live(
        self, name: str, changes: dict[str, Any], *, task_status: trio.TaskStatus[Cluster]
    ) -> None:
        with trio.CancelScope() as scope:
            ended = self._living[scope] = trio.Event()
            async with await open_socket_transport("127.0.0.1", 0) as transport:
                config = Config.lan(name=name, **changes)
                await serve_cluster(config, transport, task_status=task_status)
        ended.set()

    async def close(self) -> dict[str, Any]:
        """Stop at once, without a goodbye."""
        for scope, ended in self._living.items():
            scope.cancel()
            await ended.wait()
        self._living.clear()
        self._clusters.clear()
        return {}

    async def join(self, seed: str, expect: int) -> dict[str, Any]:
        """Join all members of this process at once; ends when each of them sees ``expect``."""
        times: dict[str, float] = {}
        async with trio.open_nursery() as nursery:
            for name, cluster in self._clusters.items():
                nursery.start_soon(self._watch, name, cluster, expect, times)
                if str(cluster.local.address) != seed:
                    nursery.start_soon(cluster.join, [seed])
        return {"times": times}

    @staticmethod
    async def _watch(name: str, cluster: Cluster, expect: int, times: dict[str, float]) -> None:
        with cluster.events() as events:
            while len(cluster.members()) < expect:
                await anext(events)
        times[name] = time.monotonic()

    async def statistics(self) -> dict[str, Any]:
        """What each member's transport has counted."""
        counted = {}
        for name, cluster in self._clusters.items():
            seen: Any = cluster.statistics().transport
            counted[name] = {
                "packets": seen.packets_sent,
                "bytes": seen.bytes_sent,
                "streams": seen.streams_opened,
                "dropped": sum(seen.packets_dropped.values()),
                "receive_buffer": seen.receive_buffer,
                "members": len(cluster.members()),
            }
        return {"nodes": counted, "time": time.monotonic()}

    # -- broadcasts ---------------------------------------------------------------------

    async def listen(self) -> dict[str, Any]:
        """Note from now on when each broadcast reaches each member of this process."""
        for cluster in self._clusters.values():
            await self._nursery.start(self._listen, cluster)
        return {}

    async def _listen(self, cluster: Cluster, *, task_status: trio.TaskStatus[None]) -> None:
        with cluster.events() as events:
            task_status.started()
            async for event in events:
                if type(event) is MessageReceived:
                    label = event.payload.rstrip(b".").decode()
                    self._arrivals.setdefault(label, []).append(time.monotonic())

    async def broadcast(self, name: str, label: str, size: int) -> dict[str, Any]:
        """Have a member broadcast ``size`` bytes that begin with ``label``; returns the time."""
        began = time.monotonic()
        self._clusters[name].broadcast(label.encode().ljust(size, b"."))
        return {"began": began}

    async def arrived(self, label: str) -> dict[str, Any]:
        """When a broadcast reached members of this process."""
        return {"times": self._arrivals.pop(label, [])}

    # -- messages -----------------------------------------------------------------------

    async def count(self) -> dict[str, Any]:
        """Count messages from now on, in the only member of this process."""
        (cluster,) = self._clusters.values()
        await self._nursery.start(self._count, cluster)
        return {}

    async def _count(self, cluster: Cluster, *, task_status: trio.TaskStatus[None]) -> None:
        with cluster.events(limit=1 << 20) as events:
            task_status.started()
            async for event in events:
                if type(event) is MessageReceived:
                    self._last = time.monotonic()
                    if not self._received:
                        self._first = self._last
                    self._received += 1

    async def counted(self) -> dict[str, Any]:
        """Messages since the last time, and the moments of the first and last of them."""
        answer = {"received": self._received, "first": self._first, "last": self._last}
        self._received = 0
        return answer

    async def flood(self, to: str, seconds: float, size: int, rate: float) -> dict[str, Any]:
        """Send datagrams as fast as possible, or at ``rate`` a second when that is not 0."""
        (cluster,) = self._clusters.values()
        payload = os.urandom(size)
        started = time.monotonic()
        cpu = time.process_time()
        sent = 0
        while (passed := time.monotonic() - started) < seconds:
            if rate and sent > rate * passed:
                await trio.sleep(0.0005)
                continue
            for _ in range(CHECKPOINT_EVERY):
                cluster.send(to, payload)
            sent += CHECKPOINT_EVERY
            await trio.lowlevel.checkpoint()
        return {"sent": sent, "seconds": passed, "cpu": time.process_time() - cpu}

    async def reliably(self, to: str, seconds: float, size: int, at_once: int) -> dict[str, Any]:
        """Send acknowledged messages, so many at a time."""
        (cluster,) = self._clusters.values()
        payload = os.urandom(size)
        started = time.monotonic()
        sent = 0

        async def send_one_after_another() -> None:
            nonlocal sent
            while time.monotonic() - started < seconds:
                await cluster.send_reliable(to, payload)
                sent += 1

        async with trio.open_nursery() as nursery:
            for _ in range(at_once):
                nursery.start_soon(send_one_after_another)
        return {"sent": sent, "seconds": time.monotonic() - started}


async def main() -> None:
    async with trio.open_nursery() as nursery:
        worker = Worker(nursery)
        rest = b""
        async with trio.lowlevel.FdStream(os.dup(0)) as commands:
            async for data in commands:
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    values = json.loads(line)
                    name = values.pop("do")
                    do: Callable[..., Awaitable[dict[str, Any]]] = getattr(worker, name)
                    print(json.dumps({"done": name, **await do(**values)}), flush=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
