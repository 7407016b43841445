"""Helpers of the tests under TLS: certificates of every kind, and transports over one network."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Self

import trio
import trustme

from trio_gossip_transports import MemoryNetwork
from trio_gossip_transports.tls import TLSTransport

CA = trustme.CA()
OTHER_CA = trustme.CA()

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


def contexts(
    *names: str, ca: trustme.CA = CA, trusts: trustme.CA = CA, shows: bool = True, **issued: Any
) -> Contexts:
    """The two contexts of a member with a certificate of its own."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    server.num_tickets = 0
    certificate = ca.issue_cert(*names, **issued) if shows else None
    for context in (server, client):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        trusts.configure_trust(context)
        if certificate is not None:
            certificate.configure_cert(context)
    return server, client


@cache
def named(*names: str) -> Contexts:
    return contexts(*names)


def days(number: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=number)


def expired(name: str) -> Contexts:
    return contexts(name, not_before=days(-9), not_after=days(-1))


def not_yet_valid(name: str) -> Contexts:
    return contexts(name, not_before=days(1), not_after=days(9))


class Pair:
    """Two members under TLS on one in-memory network, the second of which accepts."""

    def __init__(self, ours: Contexts, theirs: Contexts, **options: Any) -> None:
        network = MemoryNetwork()
        self.inner = network.transport("10.0.0.1"), network.transport("10.0.0.2")
        self.left = TLSTransport(self.inner[0], *ours, **options)
        self.right = TLSTransport(self.inner[1], *theirs, **options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.left.aclose()
        await self.right.aclose()

    async def dial(self, name: str | None = None) -> Any:
        with trio.fail_after(60):
            return await self.left.open_stream(self.right.local_address, name)

    async def connect(self, name: str | None = None) -> tuple[Any, Any]:
        ours = await self.dial(name)
        with trio.fail_after(60):
            theirs, _ = await self.right.accept_stream()
        return ours, theirs
