"""A resolver with a table, for tests of seeds that are names of hosts."""

from __future__ import annotations

import socket
from typing import Any

import trio
import trio.testing

from tests.driver.world import World
from tests.driver.wrapping import WrappedTransport
from trio_gossip import (
    Address,
    Cluster,
    Transport,
)


class Names(trio.abc.HostnameResolver):
    """A resolver with a table that tests change. Numbers never get here."""

    def __init__(self, **hosts: list[str]) -> None:
        self.hosts = hosts
        self.asked: list[str] = []

    async def getaddrinfo(
        self, host: bytes | None, port: Any, family: int = 0, *rest: int, **options: int
    ) -> list[Any]:
        await trio.lowlevel.checkpoint()
        assert host is not None
        name = host.decode()
        self.asked.append(name)
        if name not in self.hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        kind = socket.SOCK_STREAM
        return [(socket.AF_INET, kind, 6, "", (place, port)) for place in self.hosts[name]]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        raise AssertionError("nobody asks for the name of an address")


class ByResolver(WrappedTransport):
    """Asks the resolver, as sockets do; names of the made-up network stand for themselves."""

    async def resolve(self, address: Address) -> list[Address]:
        return await Transport.resolve(self, address)


async def start_a(world: World) -> Cluster:
    """A member that asks the resolver."""
    return await world.start("a", transport=ByResolver(world.network.transport("10.0.0.1")))


def use_names(**hosts: list[str]) -> Names:
    """Resolve through a table for the rest of this test's run."""
    names = Names(**hosts)
    trio.socket.set_custom_hostname_resolver(names)
    return names
