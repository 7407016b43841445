"""Whole clusters under TLS, alone and together with sealing, in both orders."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import trio
from trio.testing import MockClock as Clock

from tests.transports.socket_helpers import LOOPBACK
from tests.transports.tls_helpers import OTHER_CA, contexts, named
from trio_gossip import Candidate, Config, JoinError, MessageReceived, open_cluster
from trio_gossip.transport import DialError
from trio_gossip_transports import MemoryNetwork, open_socket_transport
from trio_gossip_transports.encrypted import EncryptedTransport
from trio_gossip_transports.keyring import Keyring
from trio_gossip_transports.keys import Key
from trio_gossip_transports.tls import TLSTransport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from trio_gossip.transport import Transport

KEY = Key.generate()


def only_tls(inner: Transport, name: str) -> Transport:
    return TLSTransport(inner, *named(name))


def sealed_over_tls(inner: Transport, name: str) -> Transport:
    return EncryptedTransport(TLSTransport(inner, *named(name)), Keyring([KEY]))


def tls_over_sealed(inner: Transport, name: str) -> Transport:
    return TLSTransport(EncryptedTransport(inner, Keyring([KEY])), *named(name))


@asynccontextmanager
async def three(transports: list[Transport]) -> AsyncGenerator[Any]:
    async with AsyncExitStack() as stack:
        clusters = []
        for name, transport in zip("abc", transports, strict=True):
            await stack.enter_async_context(transport)
            cluster = await stack.enter_async_context(
                open_cluster(Config.local(name=name), transport)
            )
            clusters.append(cluster)
            await cluster.join([str(clusters[0].local.address)])
        with trio.fail_after(20):
            for cluster in clusters:
                for name in "abc":
                    await cluster.wait_member(name)
        yield clusters


async def check_reliable(clusters: Any) -> None:
    a, _, c = clusters
    with c.events() as events:
        await a.send_reliable("c", b"x" * 100_000)
        with trio.fail_after(20):
            async for event in events:
                if isinstance(event, MessageReceived):
                    assert event.payload == b"x" * 100_000
                    return


@pytest.mark.parametrize("wrap", [only_tls, sealed_over_tls, tls_over_sealed])
async def test_a_cluster_lives_under_tls(
    wrap: Callable[[Transport, str], Transport], autojump_clock: Clock
) -> None:
    network = MemoryNetwork()
    async with three([wrap(network.transport(f"host-{n}"), n) for n in "abc"]) as clusters:
        await check_reliable(clusters)
        await trio.sleep(100)
        assert [len(cluster.members()) for cluster in clusters] == [3, 3, 3]


@pytest.mark.sockets
async def test_a_cluster_lives_under_tls_on_sockets() -> None:
    inner = [await open_socket_transport(LOOPBACK, 0) for _ in range(3)]
    async with three([only_tls(one, name) for one, name in zip(inner, "abc", strict=True)]) as them:
        await check_reliable(them)


async def reaches(left: Transport, right: Transport) -> bool:
    """Whether bytes come through within 20 seconds."""
    received: list[bytes] = []

    async def serve() -> None:
        stream, _ = await right.accept_stream()
        with suppress(trio.BrokenResourceError):
            received.append(await stream.receive_some(9))

    with trio.move_on_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            with suppress(DialError, trio.BrokenResourceError):
                await (await left.open_stream(right.local_address)).send_all(b"here I am")
    return b"here I am" in received


@pytest.mark.parametrize("wrap", [sealed_over_tls, tls_over_sealed])
async def test_together_with_sealing_both_must_be_right(
    wrap: Callable[[Transport, str], Transport], autojump_clock: Clock
) -> None:
    network = MemoryNetwork()
    strangers = [
        EncryptedTransport(only_tls(network.transport("host-1"), "x"), Keyring([Key.generate()])),
        TLSTransport(
            EncryptedTransport(network.transport("host-2"), Keyring([KEY])),
            *contexts("x", ca=OTHER_CA),
        ),
        only_tls(network.transport("host-3"), "x"),
        EncryptedTransport(network.transport("host-4"), Keyring([KEY])),
    ]
    async with wrap(network.transport("right"), "b") as right:
        async with wrap(network.transport("friend"), "a") as friend:
            assert await reaches(friend, right)
        for stranger in strangers:
            async with stranger:
                assert not await reaches(stranger, right)
        assert right.receive_packets_nowait() == []


async def test_who_has_no_certificate_of_the_ca_does_not_join(autojump_clock: Clock) -> None:
    network = MemoryNetwork()
    async with (
        only_tls(network.transport("host-1"), "a") as good,
        TLSTransport(network.transport("host-2"), *contexts("b", ca=OTHER_CA)) as bad,
        open_cluster(Config.local(name="a"), good) as a,
        open_cluster(Config.local(name="b"), bad) as b,
    ):
        with pytest.raises(JoinError) as caught:
            await b.join([str(a.local.address)])
        assert "handshake" in str(caught.value.exceptions)
        assert len(a.members()) == 1
        assert set(good.statistics().accept_faults) == {"untrusted"}


@pytest.mark.parametrize("wrap", [only_tls, sealed_over_tls, tls_over_sealed])
async def test_who_uses_the_name_of_another_does_not_join(
    wrap: Callable[[Transport, str], Transport], autojump_clock: Clock
) -> None:
    network = MemoryNetwork()
    async with (
        wrap(network.transport("host-1"), "a") as good,
        wrap(network.transport("host-2"), "z") as bad,
        open_cluster(Config.local(name="a"), good) as a,
        open_cluster(Config.local(name="b"), bad) as b,  # its certificate says z
    ):
        with pytest.raises(JoinError) as caught:
            await b.join([str(a.local.address)])
        assert "your certificate does not name b" in str(caught.value.exceptions)


async def test_a_seed_that_uses_the_name_of_another_is_not_believed(autojump_clock: Clock) -> None:
    network = MemoryNetwork()
    asked: list[tuple[str, tuple[str, ...]]] = []

    def admit(candidate: Candidate) -> bool:
        asked.append((candidate.name, candidate.authenticated_names))
        return True

    async with (
        only_tls(network.transport("host-1"), "z") as bad,
        only_tls(network.transport("host-2"), "c") as good,
        only_tls(network.transport("host-3"), "b") as ours,
        open_cluster(Config.local(name="a"), bad) as a,  # its certificate says z
        open_cluster(Config.local(name="c"), good) as c,
        open_cluster(Config.local(name="b", admit=admit), ours) as b,
    ):
        with pytest.raises(JoinError) as caught:
            await b.join([str(a.local.address)])
        assert "your certificate does not name a" in str(caught.value.exceptions)
        assert asked == []
        await b.join([str(c.local.address)])
        vouched = [each for each in asked if each[1]]  # packets have no certificates
        assert vouched[0] == ("c", ("c",))
