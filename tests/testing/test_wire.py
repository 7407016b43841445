"""The wire of one member: what it writes down, and what pause and death do to each call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from trio_gossip import Address
from trio_gossip.testing import Trace
from trio_gossip.testing.kit.gate import Gate
from trio_gossip.testing.kit.wire import Wire, place_text
from trio_gossip_transports import MemoryNetwork

HERE, THERE = Address("a", 7946), Address("b", 7946)


@pytest.fixture
def pair():
    """Two wires that write into one trace."""
    network, trace = MemoryNetwork(), Trace()
    wires = [Wire(name, network.transport(name), trace) for name in "ab"]
    return *wires, network, trace


async def hangs(function: Callable[..., Awaitable[Any]], *arguments: Any) -> bool:
    with trio.move_on_after(100) as scope:
        await function(*arguments)
    return scope.cancelled_caught


def texts(trace: Trace) -> list[str]:
    return [" ".join(line.split()[1:]) for line in trace.lines()]


async def test_every_packet_and_its_fate_is_written_down(autojump_clock):
    network, trace = MemoryNetwork(), Trace()
    a, b = (Wire(name, network.transport(name), trace) for name in "ab")
    a.send_packet(b"x", THERE)
    assert await b.receive_packets() == [(b"x", HERE)]
    network.cut("a", "b")
    a.send_packet(b"x", THERE)
    network.heal()
    network.set_link("a", "b", duplicate=1.0, reorder=1.0)
    a.send_packet(b"x", THERE)
    network.set_link("a", "b", loss=1.0)
    a.send_packet(b"x", THERE)
    a.send_packet(b"x", Address("nobody", 8000))
    await trio.sleep(1)
    assert [each.address.host for each in a.refusals_nowait()] == ["nobody"]
    assert len(b.receive_packets_nowait()) == 2
    sent = "send a -> b [1 bytes, undecodable: cbor]"
    assert texts(trace) == [
        sent,
        "deliver b <- a [1 bytes, undecodable: cbor]",
        sent,
        "lose a -x b cut",
        sent,
        "note a b sent twice",
        "note a b held back",
        sent,
        "lose a -x b lost",
        "send a -> nobody:8000 [1 bytes, undecodable: cbor]",
        "lose a -x nobody:8000 refused",
        *["deliver b <- a [1 bytes, undecodable: cbor]"] * 2,
    ]


async def test_streams_are_written_down_without_their_bytes(autojump_clock, pair):
    a, b, _, trace = pair
    ours = await a.open_stream(THERE)
    theirs, source = await b.accept_stream()
    assert source.host == "a"
    await ours.wait_send_all_might_not_block()
    await ours.send_all(b"12345")
    await ours.send_eof()
    assert await theirs.receive_some() == b"12345"
    assert await theirs.receive_some() == b""
    await ours.aclose()
    with pytest.raises(OSError, match="nobody listens"):
        await a.open_stream(Address("b", 8000))
    assert texts(trace) == [
        "dial a => b",
        "stream a == b opened",
        "stream b == a accepted",
        "stream b == a 5 bytes read",
        "stream b == a 0 bytes read",
        "dial a => b:8000",
        "note a b:8000 not dialled: ConnectionRefusedError",
    ]


async def test_nothing_returns_to_a_paused_member(autojump_clock, pair):
    a, b, _, __ = pair
    ours = await a.open_stream(THERE)
    theirs, ___ = await b.accept_stream()
    await ours.send_all(b"x")
    a.send_packet(b"x", THERE)
    await trio.sleep(1)
    b.pause()
    assert b.receive_packets_nowait() == []
    b.send_packet(b"x", Address("nobody", 1))
    assert b.refusals_nowait() == []
    assert b.statistics().sent == 0
    for call in (
        (b.receive_packets,),
        (b.accept_stream,),
        (b.open_stream, HERE),
        (theirs.receive_some,),
        (theirs.send_all, b"x"),
        (theirs.send_eof,),
        (theirs.wait_send_all_might_not_block,),
    ):
        async with trio.open_nursery() as nursery:
            done = trio.Event()

            async def wait(call: Any = call, done: trio.Event = done) -> None:
                with trio.move_on_after(1):
                    await call[0](*call[1:])
                done.set()

            nursery.start_soon(wait)
            await trio.sleep(5)
            assert not done.is_set(), f"{call} saw its cancellation"
            b.resume()
            await trio.sleep(0.1)
            assert done.is_set()
            b.pause()
    b.resume()
    assert b.statistics().sent == 1


@pytest.mark.parametrize("method", ["receive_packets", "accept_stream", "receive_some"])
async def test_what_arrives_while_a_call_waits_is_held_with_it(autojump_clock, pair, method):
    a, b, _, __ = pair
    ours = await a.open_stream(THERE)
    theirs, ___ = await b.accept_stream()
    got = []

    async def wait() -> None:
        await getattr(theirs if method == "receive_some" else b, method)()
        got.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(1)
        b.pause()
        a.send_packet(b"x", THERE)
        await ours.send_all(b"x")
        await a.open_stream(THERE)
        await trio.sleep(5)
        assert got == []
        b.resume()
        resumed = trio.current_time()
    assert got == [resumed]


async def test_the_dead_say_and_hear_nothing(autojump_clock, pair):
    _, b, __, trace = pair
    b.pause()
    b.gate.kill()
    b.send_packet(b"x", HERE)
    assert b.statistics().sent == 0
    assert texts(trace) == []
    assert await hangs(b.receive_packets)
    assert await hangs(b.accept_stream)
    gate = Gate()
    await gate.wait()
    gate.kill()
    assert await hangs(gate.wait)


async def test_it_is_the_transport_below_in_all_else(autojump_clock, pair):
    a, _, network, __ = pair
    assert a.local_address == a.advertise_address == HERE
    assert a.packet_limit == 1400
    assert await a.resolve(THERE) == [THERE]
    await a.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await a.receive_packets()
    network.transport("a")


def test_a_place_is_named_by_its_host_while_its_port_is_the_usual_one() -> None:
    assert (place_text(HERE), place_text(Address("a", 1))) == ("a", "a:1")
