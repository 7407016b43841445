"""Packets over TLS connections: how connections are opened, shared, closed and opened again."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock as Clock

from tests.driver.wrapping import WrappedTransport
from tests.transports.tls_helpers import contexts
from tests.transports.tls_packet_helpers import Street, at, over, pool, received
from trio_gossip.addresses import Address
from trio_gossip.transport import DialError, Packet, Refused
from trio_gossip_transports import (
    EncryptedTransport,
    Key,
    Keyring,
    MemoryNetwork,
    MemoryTransport,
    TLSTransport,
)
from trio_gossip_transports import tls_packet_link as link
from trio_gossip_transports import tls_packet_table as table
from trio_gossip_transports import tls_packets as packets


async def test_one_connection_carries_packets_both_ways(autojump_clock: Clock) -> None:
    async with Street() as street:
        a, b = street.member("a"), street.member("b", port=9)
        a.send_packet(b"ping", at("b", 9), "b")
        assert await received(b) == [Packet(b"ping", at("a"))]
        b.send_packet(b"ack", at("a"), "a")
        assert await received(a) == [Packet(b"ack", at("b", 9))]
        assert (pool(a).opened, pool(a).accepted) == (1, 0)
        assert (pool(b).opened, pool(b).accepted) == (0, 1)
        assert pool(a).dropped == pool(b).dropped == {}


async def test_what_a_peer_opened_takes_no_packets_for_another_member(
    autojump_clock: Clock,
) -> None:
    """A member says that it listens where another one does, on its host."""
    async with Street() as street:
        honest = street.member("honest", host="host", port=1)
        liar = over(street.network.transport("host", 2), "liar")
        victim = street.member("victim")
        async with liar:
            stream = await liar._dial_for_packets(at("victim"), "victim")
            await stream.send_all(b"\x00\x03\x01\x00\x01" + b"\x00\x02hi")
            assert await received(victim) == [Packet(b"hi", Address("host", 1))]
            victim.send_packet(b"secret", Address("host", 1), "honest")
            assert await received(honest) == [Packet(b"secret", at("victim"))]
            assert pool(victim).opened == 1


async def test_a_wrong_name_at_an_address_keeps_nobody_from_the_right_one(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with Street() as street:
        a, b = street.member("a"), street.member("b")
        for _ in range(20):
            a.send_packet(b"for c", at("b"), "c")
            a.send_packet(b"for b", at("b"), "b")
            assert [each.data for each in await received(b)] == [b"for b"]
            await trio.sleep(0.2)
        a.send_packet(b"for anybody", at("b"))
        assert [each.data for each in await received(b)] == [b"for anybody"]
        assert pool(a).opened == 1
        assert a.statistics().dial_faults["wrong_name"] <= 4
        assert sum(pool(a).dropped.values()) == 20
        assert set(pool(a).dropped) == {"unreachable", "resting"}
        assert "b:7946 (c) shows the certificate of another member: 'b'" in caplog.text


async def test_without_names_one_connection_serves_every_name(autojump_clock: Clock) -> None:
    async with Street() as street:
        a = street.member("a", require_name=False)
        b = street.member("b", require_name=False)
        for name in ("x", "y", None):
            a.send_packet(b"1", at("b"), name)
            await received(b)
        assert pool(a).opened == 1


async def test_the_oldest_packets_go_when_a_peer_is_slow(autojump_clock: Clock) -> None:
    async with Street() as street:
        a, b = street.member("a"), street.member("b")
        over_limit = link.QUEUE_PACKETS_MAX + 10
        for number in range(over_limit):
            a.send_packet(b"%d" % number, at("b"), "b")
        got = [each.data for each in await received(b, link.QUEUE_PACKETS_MAX)]
        assert got == [b"%d" % number for number in range(10, over_limit)]
        assert pool(a).dropped == {"queue_full": 10}
        for number in range(link.QUEUE_PACKETS_MAX):
            a.send_packet(number.to_bytes(2, "big") * 700, at("b"), "b")
        assert pool(a).dropped["queue_full"] > 10  # 350 KiB; the limit in bytes comes first
        left = link.QUEUE_PACKETS_MAX + 10 - pool(a).dropped["queue_full"]
        assert left * 1400 <= link.QUEUE_BYTES_MAX < (left + 1) * 1400
        assert len(await received(b, left)) == left


async def test_a_dead_peer_costs_a_dial_now_and_then(autojump_clock: Clock) -> None:
    async with Street() as street:
        a = street.member("a")
        for _ in range(600):
            a.send_packet(b"anybody?", at("b"), "b")
            await trio.sleep(0.1)
        dials = a.statistics().inner.dials_refused
        assert 10 <= dials <= 20  # five while the pause doubles, then one in five seconds
        assert a.refusals_nowait() == [Refused(at("b"))]
        assert a.refusals_nowait() == []
        assert sum(pool(a).dropped.values()) == 600
        assert pool(a).links == 1


async def test_a_peer_that_comes_back_and_speaks_is_answered_at_once(
    autojump_clock: Clock,
) -> None:
    async with Street() as street:
        a = street.member("a")
        for _ in range(100):
            a.send_packet(b"anybody?", at("b"), "b")
            await trio.sleep(0.1)
        b = street.member("b")
        b.send_packet(b"I am back", at("a"), "a")
        assert await received(a)
        a.send_packet(b"welcome", at("b"), "b")
        assert [each.data for each in await received(b)] == [b"welcome"]
        assert pool(a).opened == 0
        assert pool(a).links == 1


async def test_a_dial_that_hangs_is_given_up(autojump_clock: Clock) -> None:
    async with Street() as street:
        a, b = street.member("a"), street.member("b")
        street.network.cut("a", "b")
        a.send_packet(b"lost", at("b"), "b")
        await trio.sleep(packets.DIAL_SECONDS + 0.1)
        assert pool(a).dropped == {"unreachable": 1}
        street.network.heal()
        await trio.sleep(packets.REST_SECONDS)
        a.send_packet(b"found", at("b"), "b")
        assert [each.data for each in await received(b)] == [b"found"]


async def test_a_connection_that_breaks_is_made_anew(autojump_clock: Clock) -> None:
    async with Street() as street:
        a, b = street.member("a"), street.member("b")
        for number in range(3):
            a.send_packet(b"%d" % number, at("b"), "b")
            assert await received(b)
            await b.aclose()
            b = street.member("b")
            await trio.sleep(packets.REST_SECONDS + 0.1)
        assert pool(a).opened == 3
        assert sum(pool(a).closed.values()) == 3


async def test_idle_connections_are_closed_by_the_side_that_opened_them(
    autojump_clock: Clock,
) -> None:
    async with Street() as street:
        a, b = street.member("a"), street.member("b")
        a.send_packet(b"1", at("b"), "b")
        assert await received(b)
        await trio.sleep(packets.IDLE_SECONDS - 1)
        assert pool(a).links == pool(b).links == 1
        await trio.sleep(2)
        assert pool(a).links == pool(b).links == 0
        assert pool(a).closed == {"idle": 1}
        assert pool(b).closed == {"ended": 1}
        a.send_packet(b"2", at("b"), "b")
        assert await received(b)


async def test_packets_keep_a_connection_open_but_not_beyond_its_life(
    autojump_clock: Clock,
) -> None:
    async with Street() as street:
        a, b = street.member("a"), street.member("b")
        for number in range(int(packets.LIFE_SECONDS / 30) + 10):
            a.send_packet(b"%d" % number, at("b"), "b")
            assert [each.data for each in await received(b)] == [b"%d" % number]
            await trio.sleep(30)
        assert pool(a).opened == 2
        assert pool(a).dropped == {}


async def test_a_connection_that_is_old_sends_what_waits_and_takes_nothing_new(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: Clock
) -> None:
    monkeypatch.setattr(packets, "LIFE_SECONDS", 2.0)
    async with Street() as street:
        a, b = street.member("a"), street.member("b")
        a.send_packet(b"first", at("b"), "b")
        assert await received(b)
        street.network.cut("a", "b")
        sent = [bytes([n]) * 1000 for n in range(100)]
        for data in sent:  # more than fits the buffers below
            a.send_packet(data, at("b"), "b")
        await trio.sleep(3)
        street.network.heal()
        got = [each.data for each in await received(b, len(sent))]
        assert got == sent
        a.send_packet(b"new", at("b"), "b")
        assert [each.data for each in await received(b)] == [b"new"]
        assert pool(a).opened == 2
        assert pool(a).dropped == {}


async def test_the_connection_that_was_not_used_for_longest_makes_room(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: Clock
) -> None:
    monkeypatch.setattr(table, "LINKS_MAX", 2)
    async with Street() as street:
        a = street.member("a")
        peers = {name: street.member(name) for name in "bcd"}
        for name in "bcbd":
            a.send_packet(b"x", at(name), name)
            assert await received(peers[name])
            await trio.sleep(1)
        assert pool(a).links == 2
        assert pool(a).closed == {"evicted": 1}
        assert set(a._pool._links._at) == {at("b"), at("d")}


async def test_new_certificates_hold_for_packets_at_once(autojump_clock: Clock) -> None:
    async with Street() as street:
        a = street.member("a")
        b = TLSTransport(street.network.transport("b"), *contexts("b"), packets="streams")
        async with b:
            a.send_packet(b"1", at("b"), "b")
            assert await received(b)
            await trio.sleep(packets.REST_SECONDS_MAX)  # younger ones count as broken
            b.reload(*contexts("c"))
            await trio.sleep(2)
            assert pool(a).links == pool(b).links == 0
            a.send_packet(b"2", at("b"), "b")
            await trio.sleep(1)
            assert a.statistics().dial_faults == {"wrong_name": 1}
            a.send_packet(b"3", at("b"), "c")
            assert [each.data for each in await received(b)] == [b"3"]


async def test_both_sides_say_so_when_only_one_carries_packets_in_streams(
    autojump_clock: Clock,
) -> None:
    network = MemoryNetwork()
    async with (
        TLSTransport(network.transport("a"), *contexts("a"), packets="streams") as streams,
        TLSTransport(network.transport("b"), *contexts("b")) as datagrams,
    ):
        text = "carries packets in another way"
        with pytest.raises(DialError, match=text):
            await streams.open_stream(at("b"), "b")
        with pytest.raises(DialError, match=text):
            await datagrams.open_stream(at("a"), "a")
        streams.send_packet(b"x", at("b"), "b")
        await trio.sleep(1)
        assert streams.statistics().dial_faults == {"packets_differ": 2}
        assert streams.statistics().accept_faults == {"packets_differ": 1}
        assert datagrams.statistics().dial_faults == {"packets_differ": 1}


def test_there_is_no_third_way() -> None:
    inner = MemoryNetwork().transport("a")
    with pytest.raises(ValueError, match="'datagrams' or in 'streams', not in 'pigeons'"):
        TLSTransport(inner, *contexts("a"), packets="pigeons")  # type: ignore[arg-type]  # wrong


async def test_a_network_without_datagrams_will_do(autojump_clock: Clock) -> None:
    for limit, expected in ((0, 1400), (500, 500), (100_000, 65_535)):
        inner = Plain(MemoryNetwork().transport("a"), limit)
        async with over(inner, "a") as a:
            assert a.packet_limit == expected


async def test_it_says_whether_it_protects_packets() -> None:
    network = MemoryNetwork()
    ring = Keyring([Key.generate()])

    def plain(name: str) -> Plain:
        return Plain(network.transport(name))

    async with (
        TLSTransport(plain("1"), *contexts("a")) as bare,
        over(plain("2"), "a") as streams,
        TLSTransport(EncryptedTransport(plain("3"), ring), *contexts("a")) as outside,
        EncryptedTransport(TLSTransport(plain("4"), *contexts("a")), ring) as inside,
        EncryptedTransport(over(plain("5"), "a"), ring, send_plain=True) as both,
    ):
        assert not bare.is_protected
        assert streams.is_protected
        assert outside.is_protected
        assert inside.is_protected
        assert both.is_protected
        inside.accept_plain = True
        assert not inside.is_protected
        inside.accept_plain, inside.send_plain = False, True
        assert not inside.is_protected


class Plain(WrappedTransport):
    """A network that others can see."""

    def __init__(self, inner: MemoryTransport, packet_limit: int = 1400) -> None:
        super().__init__(inner)
        self._limit = packet_limit

    @property
    def packet_limit(self) -> int:
        return self._limit
