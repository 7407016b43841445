"""Packets over TLS connections from peers that are slow, silent, many, or send garbage."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock as Clock

from tests.transports.tls_packet_helpers import Street, at, connection, hello, pool, received
from trio_gossip.transport import Packet
from trio_gossip_transports import tls_packet_inbox as inbox
from trio_gossip_transports import tls_packet_link as link
from trio_gossip_transports import tls_packet_table as table
from trio_gossip_transports import tls_packets as packets
from trio_gossip_transports.tls_packet_link import FrameReader, frame


@given(st.lists(st.binary(max_size=300)), st.lists(st.integers(1, 700)), st.binary(max_size=1))
def test_frames_are_the_same_however_they_are_cut(
    sent: list[bytes], cuts: list[int], rest: bytes
) -> None:
    reader = FrameReader()
    data = b"".join(map(frame, sent)) + rest
    got: list[bytes] = []
    for size in [*cuts, len(data) or 1]:
        got += reader.feed_untrusted(data[:size])
        data = data[size:]
    got += reader.feed_untrusted(data)
    assert got == sent


async def closed(stream: Any) -> None:
    """Wait until the other side has closed it."""
    with trio.fail_after(200), suppress(trio.BrokenResourceError):
        while await stream.receive_some(10_000):
            pass


async def test_a_peer_that_does_not_say_where_it_listens_is_closed(autojump_clock: Clock) -> None:
    async with Street() as street:
        b = street.member("b")
        began = trio.current_time()
        for number, first in enumerate((b"", b"\x00", frame(b"\x02\x01\x00"), frame(b"\x01\x00"))):
            stream = await connection(street, "b", f"peer-{number}")
            await stream.send_all(first)
            await closed(stream)
        assert trio.current_time() - began < 2 * packets.HELLO_SECONDS + 1
        stream = await connection(street, "b", "gone")
        await stream.send_all(b"\x00")
        stream._secured.transport_stream.close_now(is_reset=True)
        await trio.sleep(1)
        assert pool(b).closed == {"no_hello": 5}
        assert pool(b).links == 0
        assert b.receive_packets_nowait() == []


async def test_a_byte_a_second_holds_a_connection_no_longer_than_silence(
    autojump_clock: Clock,
) -> None:
    async with Street() as street:
        b = street.member("b")
        stream = await connection(street, "b", "drip")
        await stream.send_all(hello() + b"\xff\xff")
        began = trio.current_time()
        with suppress(trio.BrokenResourceError):
            while True:
                await trio.sleep(1)
                await stream.send_all(b"x")
        assert trio.current_time() - began < packets.IDLE_SECONDS + packets.GRACE_SECONDS + 3
        assert pool(b).closed == {"idle": 1}


async def test_a_peer_that_takes_nothing_holds_up_nobody_and_is_given_up(
    autojump_clock: Clock,
) -> None:
    async with Street() as street:
        b, c = street.member("b"), street.member("c")
        stream = await connection(street, "b", "slow")
        await stream.send_all(hello() + frame(b"here"))
        assert await received(b) == [Packet(b"here", at("slow"))]
        began = trio.current_time()
        while not pool(b).closed:
            for _ in range(50):
                b.send_packet(bytes(1400), at("slow"), "slow")
            b.send_packet(b"quick", at("c"), "c")
            assert [each.data for each in await received(c)] == [b"quick"]
            await trio.sleep(0.1)
        assert trio.current_time() - began < link.WRITE_SECONDS + 2
        assert pool(b).closed == {"stalled": 1}
        assert pool(b).dropped["queue_full"] > 100


async def test_packets_that_nobody_receives_are_bounded_and_none_is_lost(
    autojump_clock: Clock,
) -> None:
    async with Street() as street:
        b = street.member("b")
        stream = await connection(street, "b", "a")
        count = 3 * inbox.INBOX_PACKETS_MAX
        await stream.send_all(hello() + b"".join(frame(b"%d" % n) for n in range(count)))
        await trio.sleep(1)
        assert pool(b).inbox == inbox.INBOX_PACKETS_MAX
        got = [each.data for each in await received(b, count)]
        assert got == [b"%d" % n for n in range(count)]


async def test_too_many_connections_of_one_host_end_one_of_that_host(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: Clock
) -> None:
    monkeypatch.setattr(table, "ACCEPTED_PER_HOST_MAX", 2)
    async with Street() as street:
        b, other = street.member("b"), street.member("other")
        other.send_packet(b"x", at("b"), "b")
        assert await received(b)
        guest = street.member("guest")
        streams = []
        for port in range(1, 5):
            streams.append(await guest._dial_for_packets(at("b"), "b"))
            await streams[-1].send_all(hello(port) + frame(b"x"))
            assert await received(b)
            await trio.sleep(1)
        for stream in streams[:2]:
            await closed(stream)
        assert pool(b).links == 3
        assert pool(b).closed == {"evicted": 2}
        b.send_packet(b"still", at("other"), "other")
        assert await received(other)


async def test_too_many_connections_in_all_end_the_one_used_least_lately(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: Clock
) -> None:
    monkeypatch.setattr(table, "ACCEPTED_MAX", 2)
    async with Street() as street:
        b = street.member("b")
        guests = {name: street.member(name) for name in "wxy"}
        for name in "wxwy":
            guests[name].send_packet(b"x", at("b"), "b")
            assert await received(b)
            await trio.sleep(1)
        assert set(b._pool._links._at) == {at("w"), at("y")}
        assert pool(b).closed == {"evicted": 1}
        assert pool(guests["x"]).closed in ({"ended": 1}, {"broken": 1})


async def test_closing_ends_every_connection_and_what_waits(autojump_clock: Clock) -> None:
    async with Street() as street:
        a, b = street.member("a"), street.member("b")
        a.send_packet(b"x", at("b"), "b")
        assert await received(b)
        silent = await connection(street, "b", "silent")
        b.send_packet(b"x", at("nobody"), "nobody")
        street.network.cut("b", "far")
        b.send_packet(b"x", at("far"), "far")
        await trio.sleep(1)
        with trio.CancelScope() as scope:
            scope.cancel()
            await b.aclose()
        await closed(silent)
        await trio.sleep(1)
        assert sum(pool(a).closed.values()) == 1
        assert b._pool._links._at == {}
        assert pool(b).links == 0
        for look in (b.receive_packets_nowait, lambda: b.send_packet(b"x", at("a"), "a")):
            with pytest.raises(trio.ClosedResourceError):
                look()


async def test_a_transport_closed_before_its_tasks_began_closes(autojump_clock: Clock) -> None:
    async with Street() as street:
        a = street.member("a")
        a.send_packet(b"x", at("b"), "b")
        await a.aclose()


async def test_a_bug_in_one_connection_ends_only_that_one(
    caplog: pytest.LogCaptureFixture, autojump_clock: Clock
) -> None:
    async with Street() as street:
        a, b = street.member("a"), street.member("b")
        real = a._pool._dial

        async def broken(*_: object) -> Any:
            a._pool._dial = real
            raise ZeroDivisionError

        a._pool._dial = broken
        a.send_packet(b"x", at("b"), "b")
        await trio.sleep(packets.REST_SECONDS + 0.1)
        assert "ZeroDivisionError" in caplog.text
        a.send_packet(b"y", at("b"), "b")
        assert [each.data for each in await received(b)] == [b"y"]


async def test_a_bug_in_what_a_connection_carries_ends_only_that_one(
    caplog: pytest.LogCaptureFixture, autojump_clock: Clock
) -> None:
    async with Street() as street:
        a, b = street.member("a"), street.member("b")
        real = a._pool._carry

        async def broken(link: Any, stream: Any, *_: object) -> Any:
            a._pool._carry = real
            await trio.aclose_forcefully(stream)
            raise ZeroDivisionError

        a._pool._carry = broken
        a.send_packet(b"x", at("b"), "b")
        await trio.sleep(1)
        assert "ZeroDivisionError" in caplog.text
        assert pool(a).links == 0
        a.send_packet(b"y", at("b"), "b")
        assert [each.data for each in await received(b)] == [b"y"]


async def test_a_member_that_is_gone_without_a_word_is_noticed(autojump_clock: Clock) -> None:
    """Its host is cut off: what is sent stays in buffers until these are full."""
    async with Street() as street:
        a, b = street.member("a"), street.member("b")
        a.send_packet(b"x", at("b"), "b")
        assert await received(b)
        street.network.cut("a", "b")
        with trio.fail_after(120):
            while not pool(a).closed:
                a.send_packet(bytes(1400), at("b"), "b")
                await trio.sleep(0.05)
        assert pool(a).closed == {"stalled": 1}
