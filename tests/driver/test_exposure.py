"""What a member says of its own exposure, and of peers that seal while it does not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.driver.world import config_of, soon
from tests.driver.wrapping import WrappedTransport
from trio_gossip import Address, JoinError, Transport, open_cluster
from trio_gossip.driver import SEALED_SECONDS
from trio_gossip_transports import EncryptedTransport, Key, Keyring, MemoryNetwork

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

RING = Keyring([Key.generate()])


class Placed(WrappedTransport):
    """A transport that says where it listens, and that others can listen in."""

    def __init__(self, host: str) -> None:
        super().__init__(MemoryNetwork().transport("a"))
        self._host = host

    @property
    def local_address(self) -> Address:
        return Address(self._host, 7946)

    @property
    def advertise_address(self) -> Address:
        return Address("192.0.2.1", 7946)


async def warnings_of(transport: Transport, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    async with transport, open_cluster(config_of("a"), transport):
        await trio.sleep(30)
    return [each.getMessage() for each in caplog.records if "encryption" in each.getMessage()]


@pytest.mark.parametrize(
    "host",
    ["192.0.2.1", "10.0.0.1", "0.0.0.0", "::", "2001:db8::1", "fe80::1%eth0"],
)
async def test_an_address_for_others_without_encryption_is_warned_of_once(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    [text] = await warnings_of(Placed(host), caplog)
    assert f"listening on {Address(host, 7946)} without encryption" in text
    assert "EncryptedTransport" in text


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.4.5", "::1", "::ffff:127.0.0.1", "a-name"])
async def test_what_only_this_host_can_reach_is_not(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await warnings_of(Placed(host), caplog) == []


async def test_what_is_encrypted_or_never_leaves_the_process_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sealed = EncryptedTransport(Placed("192.0.2.1"), RING)
    assert await warnings_of(sealed, caplog) == []
    assert await warnings_of(MemoryNetwork().transport("192.0.2.1"), caplog) == []
    half = EncryptedTransport(Placed("192.0.2.1"), RING, accept_plain=True)
    assert len(await warnings_of(half, caplog)) == 1


@asynccontextmanager
async def plain_and_sealed(
    sealing: Any = "native", label: bytes = b""
) -> AsyncGenerator[tuple[Any, Any]]:
    network = MemoryNetwork(seed=3)
    sealed = EncryptedTransport(network.transport("b"), RING, label, sealing)
    async with (
        network.transport("a") as plain,
        sealed,
        open_cluster(config_of("a"), plain) as a,
        open_cluster(config_of("b"), sealed) as b,
    ):
        yield a, b


@pytest.mark.parametrize("sealing", ["native", "memberlist"])
@pytest.mark.parametrize("label", [b"", b"town"])
async def test_a_plain_member_says_that_a_peer_seals(
    sealing: str, label: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with plain_and_sealed(sealing, label) as (a, b):
        for _ in range(3):
            with pytest.raises(JoinError):
                await soon(b.join, ["a:7946"])
        counters = a.statistics().engine.counters
        assert counters["frame_sealed"] == 3
        texts = [each.getMessage() for each in caplog.records if "no keys" in each.getMessage()]
        assert len(texts) == 1
        assert texts[0].startswith("a:") is False
        assert "b:" in texts[0]
        await trio.sleep(SEALED_SECONDS)
        with pytest.raises(JoinError):
            await soon(b.join, ["a:7946"])
        texts = [each.getMessage() for each in caplog.records if "no keys" in each.getMessage()]
        assert len(texts) == 2


async def test_a_plain_member_that_dials_one_that_seals_says_so_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with plain_and_sealed() as (a, b):
        with pytest.raises(JoinError) as caught:
            await soon(a.join, ["b:7946"])
        assert "handshake" in str(caught.value.exceptions)
        assert a.statistics().engine.counters["frame_sealed"] == 1
        assert b.statistics().transport.streams
        assert "b:7946 seals what it sends" in caplog.text


async def test_sealed_packets_are_counted_and_their_sender_is_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    network = MemoryNetwork()
    async with (
        network.transport("a") as plain,
        EncryptedTransport(network.transport("b"), RING) as sealed,
        open_cluster(config_of("a"), plain) as a,
    ):
        for _ in range(5):
            sealed.send_packet(b"hello", Address("a", 7946))
            await trio.sleep(2)
        assert a.statistics().engine.counters["packet_sealed"] >= 1
        told = [each for each in caplog.records if "b:7946 seals" in each.getMessage()]
        assert len(told) == 1


async def test_a_join_that_failed_on_keys_said_handshake_and_not_what_was_wrong() -> None:
    network = MemoryNetwork()
    async with (
        EncryptedTransport(network.transport("a"), RING) as one,
        EncryptedTransport(network.transport("b"), Keyring([Key.generate()])) as other,
        open_cluster(config_of("a"), one) as a,
        open_cluster(config_of("b"), other),
    ):
        with pytest.raises(JoinError) as caught:
            await soon(a.join, ["b:7946"])
        [result] = caught.value.results
        assert "handshake (b:7946 does not know our key)" in str(result.error)
