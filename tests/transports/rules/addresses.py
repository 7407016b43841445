"""Rules about addresses, names and the packet limit."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import NoReturn

import trio

from trio_gossip.addresses import Address

from .base import Rules


class AddressRules(Rules):
    """Where a transport is, what it tells others, and what names stand for."""

    async def test_the_port_is_a_real_one(self) -> None:
        async with self.open_pair() as pair:
            for each in pair:
                assert isinstance(each.local_address, Address)
                assert 0 < each.local_address.port < 65536

    async def test_the_two_have_different_addresses_that_stay(self) -> None:
        async with self.open_pair() as (left, right):
            before = left.local_address, right.local_address
            assert before[0] != before[1]
            left.send_packet(b"x", before[1])
            assert await self.receive(right, 1)
            assert (left.local_address, right.local_address) == before

    async def test_the_advertised_address_is_fit_to_be_told(self) -> None:
        async with self.open_pair() as (left, _):
            assert not left.advertise_address.is_wildcard
            assert left.advertise_address.port == left.local_address.port
            assert left.advertise_address == left.advertise_address

    async def test_a_peer_reaches_the_advertised_address(self) -> None:
        async with self.open_pair() as (left, right):
            left.send_packet(b"x", right.advertise_address)
            assert [packet.data for packet in await self.receive(right, 1)] == [b"x"]

    async def test_the_packet_limit_is_positive_and_constant(self) -> None:
        async with self.open_pair() as (left, right):
            limit = left.packet_limit
            assert limit >= 1
            left.send_packet(bytes(limit), right.local_address)
            await self.receive(right, 1)
            assert left.packet_limit == limit

    async def test_an_address_of_its_own_stands_for_itself(self) -> None:
        async with self.open_pair() as (left, right):
            for each in (left, right):
                with trio.fail_after(self.seconds_max):
                    assert await left.resolve(each.local_address) == [each.local_address]

    async def test_an_unknown_host_is_an_oserror(self) -> None:
        names = ResolverThatKnowsNobody()
        trio.socket.set_custom_hostname_resolver(names)
        async with self.open_pair() as (left, _):
            unknown = Address(self.unknown_host, 7946)
            found: list[Address] | None = None
            with trio.fail_after(self.seconds_max), suppress(OSError):
                found = await left.resolve(unknown)
            if self.every_name_is_an_address:
                assert found == [unknown]
                assert not names.asked, "names of its own are nobody else's business"
            else:
                assert found is None

    async def test_a_host_that_nobody_can_spell_is_an_oserror_too(self) -> None:
        """The encoder of host names raises UnicodeError, which stopped more than one program."""
        trio.socket.set_custom_hostname_resolver(ResolverThatKnowsNobody())
        async with self.open_pair() as (left, _):
            for host in ("a..b", "x" * 64 + ".example", "\u2488com", "a\0b"):
                with trio.fail_after(self.seconds_max), suppress(OSError):
                    found = await left.resolve(Address(host, 7946))
                    assert self.every_name_is_an_address, f"{host!r} became {found}"


class ResolverThatKnowsNobody(trio.abc.HostnameResolver):
    """Stands in for the system's resolver, so that no test asks a name server."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    async def getaddrinfo(self, host: bytes | None, *_: object, **__: object) -> NoReturn:
        self.asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def getnameinfo(self, *_: object) -> NoReturn:
        raise AssertionError("nobody asks for the name of an address")
