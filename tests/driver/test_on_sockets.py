"""The same on real sockets and real time, where something differs: descriptors, names, pauses."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.driver.life import AtStep
from tests.driver.world import names_of
from trio_gossip import (
    Cluster,
    Config,
    JoinError,
    LocalProtocolError,
    MessageReceived,
    open_cluster,
)
from trio_gossip_transports import open_socket_transport

pytestmark = pytest.mark.sockets

HOST = "127.0.0.1"
PATIENCE = 30.0
"""Real seconds after which something that did not happen is taken as a failure."""


def quick(name: str) -> Config:
    """Loopback, with a short goodbye: these tests wait for real."""
    return Config.local(name=name, leave_linger=0.01, seed=1)


def descriptors() -> list[str]:
    """What this process has open."""
    gc.collect()
    return sorted(
        os.readlink(f"/proc/self/fd/{number}").split(":")[0]
        for number in os.listdir("/proc/self/fd")
        if Path(f"/proc/self/fd/{number}").exists()
    )


async def test_two_members_meet_talk_and_part() -> None:
    with trio.fail_after(PATIENCE):
        async with (
            await open_socket_transport(HOST, 0) as one,
            await open_socket_transport(HOST, 0) as other,
            open_cluster(quick("a"), one) as a,
        ):
            async with open_cluster(quick("b"), other) as b:
                [result] = await b.join([str(a.local.address)])
                assert result.members == 1
                await a.wait_member("b")
                assert names_of(a) == names_of(b) == ["a", "b"]
                with a.events() as events:
                    payload = os.urandom(3_000_000)
                    await b.send_reliable("a", payload)
                    assert (await message(events)).payload == payload
                    b.send("a", b"datagram")
                    assert (await message(events)).payload == b"datagram"
                    b.broadcast(b"to all")
                    assert (await message(events)).payload == b"to all"
                assert 0 < await b.ping("a") < PATIENCE
            member = a.member("b")
            assert member is not None
            assert member.state == "left"


async def message(events: object) -> MessageReceived:
    async for event in events:  # type: ignore[attr-defined]  # any iterator
        if isinstance(event, MessageReceived):
            return event
    raise AssertionError("the cluster has stopped")


async def test_a_host_name_is_a_seed() -> None:
    with trio.fail_after(PATIENCE):
        async with (
            await open_socket_transport(HOST, 0) as one,
            await open_socket_transport(HOST, 0) as other,
            open_cluster(quick("a"), one) as a,
            open_cluster(quick("b"), other) as b,
        ):
            # Perhaps ::1 as well, where nobody listens: every address is tried.
            [result] = await b.join([f"localhost:{a.local.address.port}"])
            assert result.address == a.local.address


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
async def test_a_name_that_cannot_be_encoded_fails_the_join_and_not_the_cluster(host: str) -> None:
    with trio.fail_after(PATIENCE):
        async with (
            await open_socket_transport(HOST, 0) as one,
            open_cluster(quick("a"), one) as a,
        ):
            with pytest.raises((JoinError, LocalProtocolError)):
                await a.join([f"{host}:7946"])


async def test_a_seed_where_nobody_listens_refuses() -> None:
    with trio.fail_after(PATIENCE):
        async with await open_socket_transport(HOST, 0) as gone:
            address = gone.local_address
        async with (
            await open_socket_transport(HOST, 0) as one,
            open_cluster(quick("a"), one) as a,
        ):
            with pytest.raises(JoinError) as caught:
                await a.join([str(address)])
            assert str(caught.value.exceptions[0]) == f"{address}: refused"


async def test_the_same_port_serves_the_next_life_at_once() -> None:
    with trio.fail_after(PATIENCE):
        async with (
            await open_socket_transport(HOST, 0) as one,
            open_cluster(quick("a"), one) as a,
        ):
            port = 0
            for _ in range(3):
                with trio.CancelScope() as scope:
                    async with (
                        await open_socket_transport(HOST, port) as other,
                        open_cluster(quick("b"), other) as b,
                    ):
                        await b.join([str(a.local.address)])
                        await a.wait_member("b")
                        port = b.local.address.port
                        scope.cancel()  # no goodbye
            assert a.member("b") is not None


def life_cut_at(step: int) -> int:
    """Two members on sockets, one of them cancelled at a step; returns the steps there were."""
    instrument = AtStep(step)
    short = {"leave_linger": 0.01, "leave_timeout": 0.02}  # b tells its goodbye to a dead a

    async def main() -> None:
        async with (
            await open_socket_transport(HOST, 0) as one,
            open_cluster(Config.local(name="b", **short), one) as b,
        ):
            with trio.CancelScope() as scope:
                instrument.action = scope.cancel
                async with (
                    await open_socket_transport(HOST, 0) as other,
                    open_cluster(Config.local(name="a", **short), other) as a,
                ):
                    await a.join([str(b.local.address)])
                    await use(a)
            instrument.action = None

    trio.run(main, instruments=[instrument])
    return instrument.steps


async def use(cluster: Cluster) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cluster.send_reliable, "b", bytes(3_000_000))
        nursery.start_soon(cluster.ping, "b")


@pytest.mark.parametrize("part", range(2))
def test_a_life_that_is_cancelled_at_any_step_leaves_no_socket(part: int) -> None:
    before = descriptors()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step = part + 1
        while life_cut_at(step) >= step:
            step += 2 if step < 60 else 7
        assert step > 60
        gc.collect()
    assert descriptors() == before


CHILD = """
import sys, trio
from trio_gossip import Config, MemberFailed, open_cluster
from trio_gossip_transports import open_socket_transport

async def main():
    async with await open_socket_transport("127.0.0.1", 0) as transport:
        async with open_cluster(Config.local(name="child"), transport) as cluster:
            with cluster.events() as events:
                await cluster.join([sys.argv[1]])
                print("joined", flush=True)
                await trio.to_thread.run_sync(sys.stdin.readline)
            statistics = cluster.statistics().engine
            events.close()
            print("stalls", statistics.stalls, flush=True)
            print("explain", repr(cluster.explain("a")), flush=True)

trio.run(main)
"""


async def line_of(process: trio.Process, until: Callable[[str], bool]) -> str:
    assert process.stdout is not None
    data = b""
    while True:
        piece = await process.stdout.receive_some()
        assert piece, f"the child has ended after {data!r}"
        data += piece
        for line in data.decode().splitlines(keepends=True):
            if line.endswith("\n") and until(line):
                return line.strip()


async def test_a_process_that_was_stopped_for_a_while_blames_nobody() -> None:
    """Only a process can stand still alone: it wakes up with answers that nobody gave."""
    with trio.fail_after(60):
        async with (
            await open_socket_transport(HOST, 0) as transport,
            open_cluster(quick("a"), transport) as a,
            trio.open_nursery() as nursery,
        ):
            process = await nursery.start(
                partial(
                    trio.run_process,
                    [sys.executable, "-c", CHILD, str(a.local.address)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
                )
            )
            await line_of(process, lambda line: line == "joined\n")
            with a.events():
                process.send_signal(signal.SIGSTOP)
                await a.wait_member("child", state="suspect")
                process.send_signal(signal.SIGCONT)
                await a.wait_member("child", state="alive")  # it refutes
            await trio.sleep(2)  # two more of its probes
            await process.stdin.send_all(b"stop\n")
            output = await line_of(process, lambda line: line.startswith("explain"))
            assert "suspected" not in output
            assert "joined" in output
