"""Helpers of the tests on sealed transports: sessions that are open, handshakes that go on."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from trio_gossip_transports import EncryptedTransport, Keyring

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trio_gossip import Address
    from trio_gossip.transport import Transport

K1, K2, K3 = (bytes([number]) * 32 for number in (1, 2, 3))


class Served(EncryptedTransport):
    """Reads each stream that it accepts, as a cluster does: a dial waits for the peer's answer."""

    nursery: trio.Nursery

    async def accept_stream(self) -> tuple[trio.abc.Stream, Address]:
        stream, source = await super().accept_stream()
        self.nursery.start_soon(self._shake, stream)
        return stream, source

    async def _shake(self, stream: trio.abc.Stream) -> None:
        try:
            await stream.do_handshake()
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            """The test sees that on the stream."""


async def acquaint(*transports: EncryptedTransport) -> None:
    """Open the sessions between all, as their first packets would."""
    with trio.fail_after(10):
        for one in transports:
            for other in transports:
                one.send_packet(b"acquaint", other.local_address)
                got: list[bytes] = []
                while b"acquaint" not in got:
                    for each in transports:
                        got += [packet.data for packet in each.receive_packets_nowait()]
                    await trio.sleep(0.001)


@asynccontextmanager
async def served(*inner: Transport) -> AsyncGenerator[list[Served]]:
    """Sealed transports over these, acquainted."""
    async with trio.open_nursery() as nursery:
        transports = [Served(each, Keyring([K1]), b"label") for each in inner]
        for each in transports:
            each.nursery = nursery
        try:
            await acquaint(*transports)
            yield transports
        finally:
            with trio.CancelScope(shield=True):
                for each in transports:
                    await each.aclose()
            nursery.cancel_scope.cancel()
