"""Rules about datagrams: what arrives is what was sent, and sending never fails."""

from __future__ import annotations

from collections import Counter

import trio

from trio_gossip.addresses import Address
from trio_gossip.transport import Packet

from .base import Rules, raises


class PacketRules(Rules):
    """Sending datagrams, sane and insane."""

    async def test_a_packet_arrives_with_its_source(self) -> None:
        async with self.open_pair() as (left, right):
            left.send_packet(b"hello", right.local_address)
            assert await self.receive(right, 1) == [Packet(b"hello", left.local_address)]

    async def test_the_source_of_a_packet_is_an_address_to_answer_to(self) -> None:
        async with self.open_pair() as (left, right):
            left.send_packet(b"ping", right.local_address)
            [ping] = await self.receive(right, 1)
            right.send_packet(b"ack", ping.source)
            assert await self.receive(left, 1) == [Packet(b"ack", right.local_address)]

    async def test_packets_are_bytes_and_addresses(self) -> None:
        async with self.open_pair() as (left, right):
            left.send_packet(b"x", right.local_address)
            [packet] = await self.receive(right, 1)
            assert type(packet) is Packet
            assert type(packet.data) is bytes
            assert type(packet.source) is Address

    async def test_packets_are_neither_altered_nor_split_nor_joined(self) -> None:
        async with self.open_pair() as (left, right):
            limit = left.packet_limit
            sent = [bytes([n]) * min(n + 1, limit) for n in range(20)]
            sent.append(bytes(range(256))[:limit])
            for data in sent:
                left.send_packet(data, right.local_address)
            received = await self.receive(right, len(sent))
            assert Counter(packet.data for packet in received) == Counter(sent)

    async def test_a_packet_of_exactly_the_limit_arrives(self) -> None:
        async with self.open_pair() as (left, right):
            data = b"\xa5" * left.packet_limit
            left.send_packet(data, right.local_address)
            assert [packet.data for packet in await self.receive(right, 1)] == [data]

    async def test_a_packet_over_the_limit_is_refused_and_not_sent(self) -> None:
        async with self.open_pair() as (left, right):
            raises(
                ValueError,
                lambda: left.send_packet(bytes(left.packet_limit + 1), right.local_address),
            )
            left.send_packet(b"after", right.local_address)
            assert [packet.data for packet in await self.receive(right, 1)] == [b"after"]

    async def test_an_empty_packet_harms_nobody(self) -> None:
        async with self.open_pair() as (left, right):
            left.send_packet(b"", right.local_address)
            left.send_packet(b"after", right.local_address)
            received = [packet.data for packet in await self.receive(right, 1)]
            if received == [b""]:
                received += [packet.data for packet in await self.receive(right, 1)]
            assert received[-1] == b"after"

    async def test_the_name_of_the_peer_is_only_a_hint(self) -> None:
        async with self.open_pair() as (left, right):
            left.send_packet(b"1", right.local_address, "right")
            left.send_packet(b"2", right.local_address, None)
            received = await self.receive(right, 2)
            assert {packet.data for packet in received} == {b"1", b"2"}

    async def test_a_transport_reaches_itself(self) -> None:
        async with self.open_pair() as (left, _):
            left.send_packet(b"me", left.local_address)
            assert await self.receive(left, 1) == [Packet(b"me", left.local_address)]

    async def test_sending_to_nobody_never_raises(self) -> None:
        async with self.open_pair() as (left, right):
            nobody = await self.address_of_nobody((left, right))
            for _ in range(20):
                left.send_packet(b"anybody?", nobody)
                await trio.sleep(0.001)  # lets an answer of the network come back to the sender
                left.receive_packets_nowait()
            left.send_packet(b"still here", right.local_address)
            assert [packet.data for packet in await self.receive(right, 1)] == [b"still here"]

    async def test_sending_to_addresses_that_make_no_sense_never_raises(self) -> None:
        async with self.open_pair() as (left, right):
            for host in (
                "203.0.113.9",
                "2001:db8::9",
                "no.such.host.invalid",
                "",
                "a\0b",
                "?" * 99,
                "fe80::1%no-such-interface",
                "fe80::1%a\0b",
                "fe80::1%\ud800",
                "fe80::1%" + "9" * 5000,
            ):
                left.send_packet(b"x", Address(host, 7946))
            for port in (0, 65_536, 10**9, -1):
                left.send_packet(b"x", Address(right.local_address.host, port))
            left.send_packet(b"sane", right.local_address)
            assert [packet.data for packet in await self.receive(right, 1)] == [b"sane"]

    async def test_sending_more_than_anybody_reads_neither_blocks_nor_raises(self) -> None:
        async with self.open_pair() as (left, right):
            for _ in range(5000):
                left.send_packet(b"x" * min(1000, left.packet_limit), right.local_address)
            assert await self.receive(right, 1)

    async def test_refusals_are_addresses_that_were_sent_to(self) -> None:
        async with self.open_pair() as (left, right):
            assert left.refusals_nowait() == []
            nobody = await self.address_of_nobody((left, right))
            left.send_packet(b"anybody?", nobody)
            await trio.sleep(0.05)
            assert {refused.address for refused in left.refusals_nowait()} <= {nobody}
            assert left.refusals_nowait() == []
