"""A process that hosts members which a flood is aimed at, and tells how they bear it.

Started by ``bench_floods.py``. It reads commands and answers them like ``worker.py``: a JSON object
a line. Members send each other numbered messages all the while, so that there is something to
record, and one of them may ping the flooded member as an application would.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import harness  # noqa: F401  # makes the project importable
import trio

from trio_gossip import (
    Address,
    Cluster,
    Config,
    Lagged,
    LocalProtocolError,
    MemberFailed,
    MemberSuspected,
    PeerUnreachableError,
    Transport,
    serve_cluster,
)
from trio_gossip.services.key_store import KeyStore
from trio_gossip.transport import Packet, Refused
from trio_gossip_transports import EncryptedTransport, Keyring, open_socket_transport

RECORDED_MAX = 100_000
"""Datagrams that one member's recording holds; what comes later is not recorded."""

EVENTS_MAX = 8192
"""Events that wait for the application; in plain it gets replayed messages again and again."""

TICK_SECONDS = 0.01
"""Pace of the task that measures how late the loop runs what is due."""


class Tap(Transport):
    """Records what goes through and counts what comes, by the host that sent it.

    Below a sealed transport it sees what a listener on the network sees; above one it sees what
    was accepted.
    """

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.recorded: list[tuple[str, str, str]] | None = None
        self.heard: Counter[str] = Counter()

    @property
    def local_address(self) -> Address:
        return self.inner.local_address

    @property
    def packet_limit(self) -> int:
        return self.inner.packet_limit

    @property
    def keyring(self) -> KeyStore | None:
        return self.inner.keyring

    def send_packet(self, data: bytes, address: Address, peer_name: str | None = None) -> None:
        recorded = self.recorded
        if recorded is not None and len(recorded) < RECORDED_MAX:
            recorded.append((data.hex(), str(self.local_address), str(address)))
        self.inner.send_packet(data, address, peer_name)

    async def receive_packets(self) -> list[Packet]:
        return self._counted(await self.inner.receive_packets())

    def receive_packets_nowait(self) -> list[Packet]:
        return self._counted(self.inner.receive_packets_nowait())

    def _counted(self, packets: list[Packet]) -> list[Packet]:
        heard = self.heard
        for packet in packets:
            heard[packet.source.host] += 1
        return packets

    def refusals_nowait(self) -> list[Refused]:
        return self.inner.refusals_nowait()

    async def open_stream(self, address: Address, peer_name: str | None = None) -> trio.abc.Stream:
        return await self.inner.open_stream(address, peer_name)

    async def accept_stream(self) -> tuple[trio.abc.Stream, Address]:
        return await self.inner.accept_stream()

    def statistics(self) -> object:
        return self.inner.statistics()

    async def aclose(self) -> None:
        await self.inner.aclose()


class Hosted:
    """One member, with its two taps and what it complained of."""

    def __init__(self, cluster: Cluster, wire: Tap, accepted: Tap) -> None:
        self.cluster = cluster
        self.wire = wire
        self.accepted = accepted
        self.accused: list[tuple[str, bool]] = []
        self.lagged = 0

    async def listen(self) -> None:
        with self.cluster.events(limit=EVENTS_MAX) as events:
            async for event in events:
                if isinstance(event, Lagged):
                    self.lagged += event.missed
                elif isinstance(event, MemberSuspected | MemberFailed):
                    self.accused.append((event.member.name, type(event) is MemberFailed))

    def look(self) -> dict[str, Any]:
        """Everything that is counted, since the start."""
        seen: Any = self.cluster.statistics()
        sockets = seen.transport
        sealed: dict[str, int] = {}
        if not hasattr(sockets, "packets_received"):
            sealed = {
                **sockets.packets,
                **{f"stream: {at}": n for at, n in sockets.streams.items()},
            }
            sockets = sockets.inner
        return {
            "counters": dict(seen.engine.counters),
            "sealed": sealed,
            "received": sockets.packets_received,
            "heard": dict(self.accepted.heard),
            "accepted": sockets.streams_accepted,
            "rejected": seen.streams_rejected,
            "streams": seen.streams,
            "members": seen.engine.members,
            "lateness": seen.engine.lateness_max,
            "stalls": seen.engine.stalls,
            "accused": list(self.accused),
            "lagged": self.lagged,
        }


class Host:
    """The members of this process, by name."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._hosted: dict[str, Hosted] = {}
        self._lateness: list[float] = []
        self._due = trio.current_time()
        self._pings: list[float] = []
        self._pings_lost = 0
        nursery.start_soon(self._tick)

    async def open(self, hosts: dict[str, str], key: str) -> dict[str, Any]:
        """Become these members, each on a loopback host of its own; sealed if there is a key."""
        for name, host in hosts.items():
            self._hosted[name] = await self._nursery.start(partial(self._live, name, host, key))
        return {
            "addresses": {name: str(at.cluster.local.address) for name, at in self._hosted.items()}
        }

    async def _live(
        self, name: str, host: str, key: str, *, task_status: trio.TaskStatus[Hosted]
    ) -> None:
        wire = Tap(await open_socket_transport(host, 0))
        below: Transport = wire
        if key:
            below = EncryptedTransport(wire, Keyring([bytes.fromhex(key)]), b"floods")
        async with Tap(below) as accepted, trio.open_nursery() as nursery:
            cluster = await nursery.start(serve_cluster, Config.lan(name=name), accepted)
            hosted = Hosted(cluster, wire, accepted)
            nursery.start_soon(hosted.listen)
            task_status.started(hosted)

    async def join(self, seed: str, expect: list[str]) -> dict[str, Any]:
        """Join all members of this process; ends when each sees all of ``expect``."""
        for hosted in self._hosted.values():
            if str(hosted.cluster.local.address) != seed:
                await hosted.cluster.join([seed])
        for hosted in self._hosted.values():
            for name in expect:
                await hosted.cluster.wait_member(name)
        return {}

    async def talk(self, names: list[str], rate: float, ping: str) -> dict[str, Any]:
        """From now on send numbered messages, so many a second; ping one member if it is named."""
        for hosted in self._hosted.values():
            hosted.wire.recorded = []
        self._nursery.start_soon(self._talk, names, rate)
        if ping:
            cluster = next(iter(self._hosted.values())).cluster
            self._nursery.start_soon(self._ping, cluster, ping)
        return {}

    async def _talk(self, names: list[str], rate: float) -> None:
        chance = random.Random(1)
        number = 0
        started = trio.current_time()
        while True:
            for name, hosted in self._hosted.items():
                other = chance.choice([each for each in names if each != name])
                number += 1
                # When it counts as failed there: that is told by the events.
                with suppress(LocalProtocolError):
                    hosted.cluster.send(other, b"message %012d of %s" % (number, name.encode()))
            await trio.sleep_until(started + number / rate)

    async def _ping(self, cluster: Cluster, name: str) -> None:
        while True:
            try:
                self._pings.append(await cluster.ping(name))
            except (PeerUnreachableError, LocalProtocolError):
                self._pings_lost += 1
            await trio.sleep(0.05)

    async def save(self, path: str) -> dict[str, Any]:
        """End the recording and write it to a file: bytes, from, to."""
        rows = []
        for hosted in self._hosted.values():
            rows += hosted.wire.recorded or []
            hosted.wire.recorded = None
        await trio.Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return {"datagrams": len(rows)}

    async def look(self) -> dict[str, Any]:
        """What every member has counted; lateness and pings are those since the last look."""
        answer = {
            "members": {name: hosted.look() for name, hosted in self._hosted.items()},
            "ticks": [*self._lateness, max(0.0, trio.current_time() - self._due)],
            "pings": self._pings,
            "pings_lost": self._pings_lost,
        }
        self._lateness, self._pings, self._pings_lost = [], [], 0
        return answer

    async def _tick(self) -> None:
        while True:
            self._due = max(self._due + TICK_SECONDS, trio.current_time())
            await trio.sleep_until(self._due)
            self._lateness.append(trio.current_time() - self._due)


async def main() -> None:
    async with trio.open_nursery() as nursery:
        host = Host(nursery)
        rest = b""
        async with trio.lowlevel.FdStream(os.dup(0)) as commands:
            async for data in commands:
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    values = json.loads(line)
                    name = values.pop("do")
                    do: Callable[..., Awaitable[dict[str, Any]]] = getattr(host, name)
                    answer = {"done": name, "at": time.monotonic(), **await do(**values)}
                    print(json.dumps(answer), flush=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
