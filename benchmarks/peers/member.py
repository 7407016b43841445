"""One member of this library in a process of its own, for ``bench_detection.py``.

A line of JSON on standard output for each event, with the time of ``time.monotonic()``, which all
processes of one host share. On standard input it takes ``{"do": "statistics"}``. It ends at once,
without a goodbye, when standard input does. ``memberlist/main.go`` speaks the same.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import harness  # noqa: F401  # makes the project importable
import trio
from detection.profiles import config_of

from trio_gossip import Cluster, JoinError, events, serve_cluster
from trio_gossip_transports import SocketTransport, open_socket_transport

KINDS = {
    events.MemberJoined: "member_joined",
    events.MemberUpdated: "member_updated",
    events.MemberSuspected: "member_suspected",
    events.MemberRecovered: "member_recovered",
    events.MemberFailed: "member_failed",
    events.MemberLeft: "member_left",
    events.Lagged: "lagged",
}


def say(**values: Any) -> None:
    """Print one line now."""
    os.write(1, (json.dumps({"time": time.monotonic(), **values}) + "\n").encode())


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--name", required=True)
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--join", default="")
    options.add_argument("--meta", default="")
    options.add_argument("--profile", default="lan")
    asked = options.parse_args()
    # The end of standard input ends us; Ctrl-C is for whoever started us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("trio_gossip").setLevel(logging.ERROR)
    config = config_of(asked.profile, name=asked.name, meta=asked.meta.encode())
    async with (
        await open_socket_transport(asked.host, asked.port) as transport,
        trio.open_nursery() as nursery,
    ):
        cluster = await nursery.start(serve_cluster, config, transport)
        with cluster.events() as seen:
            say(event="started", member=asked.name, address=str(transport.local_address))
            nursery.start_soon(listen, cluster, transport, nursery.cancel_scope)
            if asked.join:
                nursery.start_soon(enter, cluster, asked.join.split(","))
            async for event in seen:
                tell(event)


async def enter(cluster: Cluster, seeds: list[str]) -> None:
    """Join; the engine tries seeds that do not answer again and again."""
    with suppress(JoinError):
        await cluster.join(seeds)


def tell(event: Any) -> None:
    """Print an event; what a failure was seen by goes with it."""
    kind = KINDS.get(type(event))
    if kind is None:
        return
    if kind == "lagged":
        say(event=kind, missed=event.missed)
        return
    more: dict[str, Any] = {}
    if kind in ("member_suspected", "member_failed"):
        more = {"class": str(getattr(event, "evidence", None)), "accusers": event.accusers}
    say(event=kind, member=event.member.name, meta=event.member.meta.decode(), **more)


async def listen(
    cluster: Cluster, transport: SocketTransport, everything: trio.CancelScope
) -> None:
    """Do what standard input says, until it ends."""
    rest = b""
    async with trio.lowlevel.FdStream(os.dup(0)) as commands:
        async for data in commands:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                assert json.loads(line) == {"do": "statistics"}, line
                counted = transport.statistics()
                say(
                    done="statistics",
                    packets=counted.packets_sent,
                    bytes=counted.bytes_sent,
                    streams=counted.streams_opened,
                    members=len(cluster.members()),
                    health=cluster.health_score,
                    lateness=cluster.statistics().engine.lateness_max,
                )
    everything.cancel()


if __name__ == "__main__":
    trio.run(main)
