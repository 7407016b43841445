"""Certificates that are replaced while somebody is being let in."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
import trio.testing

from tests.transports.tls_helpers import OTHER_CA, Pair, contexts
from tests.transports.tls_packet_helpers import Street, connection, hello
from trio_gossip_transports.tls import TLSTransport
from trio_gossip_transports.tls_packet_link import frame


async def test_who_had_not_said_hello_at_a_reload_was_heard_for_an_hour_more(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with Street() as street:
        b = TLSTransport(street.network.transport("b"), *contexts("b"), packets="streams")
        async with b:
            stream = await connection(street, "b", "z")
            await trio.sleep(1)
            b.reload(*contexts("b", ca=OTHER_CA, trusts=OTHER_CA))
            with suppress(trio.BrokenResourceError):
                await stream.send_all(hello() + frame(b"still here"))
            await trio.sleep(1)
            assert b.receive_packets_nowait() == []


@pytest.mark.parametrize("who", ["left", "right"])
async def test_a_handshake_under_way_at_a_reload_ended_well_with_a_certificate_that_is_not_trusted(
    who: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with Pair(contexts("a"), contexts("b")) as pair, trio.open_nursery() as nursery:
        for inner in pair.inner:
            inner._fabric.faults = inner._fabric.faults.__class__(latency=(0.5, 0.5))
        accepted: list[object] = []

        async def accept() -> None:
            accepted.append(await pair.right.accept_stream())

        async def reload() -> None:
            await trio.sleep(1.25)
            getattr(pair, who).reload(*contexts("z", ca=OTHER_CA, trusts=OTHER_CA))

        nursery.start_soon(accept)
        nursery.start_soon(reload)
        with pytest.raises((OSError, trio.BrokenResourceError)):
            await (await pair.dial("b")).receive_some(1)
        assert accepted == [] or who == "left"
        nursery.cancel_scope.cancel()
