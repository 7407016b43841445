"""Sealed packets over a transport: what arrives, who is told of trouble, and how often."""

from __future__ import annotations

import logging

import pytest
import trio
import trio.testing

from tests.transports.encrypted_helpers import K1, K2, acquaint
from trio_gossip.transport import Transport
from trio_gossip_transports import EncryptedTransport, Keyring, MemoryNetwork
from trio_gossip_transports.encrypted import TROUBLE_SECONDS

PLAIN = bytes((0x82, 1, 2, 3, 4, 5, 6))
"""What the native wire may begin with."""


async def got(transport: Transport, seconds: float = 1.0) -> list[bytes]:
    """Everything that arrives in a while."""
    found: list[bytes] = []
    with trio.move_on_after(seconds):
        while True:
            found += [packet.data for packet in await transport.receive_packets()]
    return found


async def talk(one: Transport, other: Transport, data: bytes) -> list[bytes]:
    """What the other gets of a packet, while both read."""
    found: list[bytes] = []
    async with trio.open_nursery() as nursery:
        one.send_packet(data, other.local_address)
        nursery.start_soon(got, one)
        found += await got(other)
    return found


def sealed(network: MemoryNetwork, name: str, *keys: bytes, **options) -> EncryptedTransport:
    label = options.pop("label", b"")
    return EncryptedTransport(network.transport(name), Keyring(keys or [K1]), label, **options)


async def test_nothing_of_a_packet_is_in_the_clear(autojump_clock: trio.testing.MockClock):
    network = MemoryNetwork()
    one, spy = sealed(network, "a", label=b"a secret label"), network.transport("b")
    one.send_packet(b"a secret content", spy.local_address)
    for data in await got(spy):
        assert b"secret" not in data


async def test_a_replayed_datagram_is_counted_and_not_delivered(
    autojump_clock: trio.testing.MockClock,
):
    network = MemoryNetwork()
    network.set_faults(duplicate=1.0)
    one, other = sealed(network, "a"), sealed(network, "b")
    found = [data for n in range(5) for data in await talk(one, other, b"%d" % n)]
    assert found == [b"%d" % n for n in range(5)]
    assert other.statistics().packets["replayed"] >= 4


@pytest.mark.parametrize(
    ("options", "there", "here"),
    [
        (
            {"keys": [K2]},
            "a:7946 seals with a key that is not on our keyring",
            "b:7946 says that it does not know our key",
        ),
        (
            {"label": b"other"},
            "a:7946 has another label, or does not really hold the key",
            "b:7946 says that it has another label",
        ),
    ],
)
async def test_both_sides_log_one_line_now_and_then(
    options, there, here, caplog, autojump_clock: trio.testing.MockClock
):
    network = MemoryNetwork()
    keys = options.pop("keys", [K1])
    one, other = sealed(network, "a"), sealed(network, "b", *keys, **options)
    for _ in range(5):
        assert await talk(one, other, b"x") == []
    assert sorted(record.getMessage() for record in caplog.records) == sorted([there, here])
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    await trio.sleep(TROUBLE_SECONDS)
    await talk(one, other, b"x")
    assert len(caplog.records) == 4


async def test_plain_and_sealed_do_not_talk_and_the_sealed_one_says_so(
    caplog, autojump_clock: trio.testing.MockClock
):
    network = MemoryNetwork()
    one, other = network.transport("a"), sealed(network, "b")
    for _ in range(3):
        assert await talk(one, other, PLAIN) == []
    assert [record.getMessage() for record in caplog.records] == ["a:7946 sends without sealing"]
    assert other.statistics().packets["unsealed"] == 3


async def test_who_still_sends_plain_is_told_by_who_takes_sealed_packets_only(
    caplog, autojump_clock: trio.testing.MockClock
):
    network = MemoryNetwork()
    one = sealed(network, "a", send_plain=True, accept_plain=True)
    other = sealed(network, "b")
    assert await talk(one, other, PLAIN) == []
    assert sorted(record.getMessage() for record in caplog.records) == [
        "a:7946 sends without sealing",
        "b:7946 says that it takes sealed packets only",
    ]


@pytest.mark.parametrize("send_plain", [False, True])
async def test_while_it_is_rolled_in_everybody_understands_everybody(
    send_plain, caplog, autojump_clock: trio.testing.MockClock
):
    network = MemoryNetwork()
    plain = network.transport("plain")
    mixed = sealed(network, "mixed", accept_plain=True, send_plain=send_plain)
    strict = sealed(network, "other", accept_plain=True)
    assert await talk(plain, mixed, PLAIN) == [PLAIN]
    assert await talk(strict, mixed, PLAIN) == [PLAIN]
    assert await talk(mixed, strict, PLAIN) == [PLAIN]
    if send_plain:
        assert await talk(mixed, plain, PLAIN) == [PLAIN]
    assert caplog.records == []


async def test_a_change_of_the_keyring_counts_from_the_next_packet(
    autojump_clock: trio.testing.MockClock,
):
    network = MemoryNetwork()
    rings = Keyring([K1]), Keyring([K1])
    one, other = (
        EncryptedTransport(network.transport(name), ring)
        for name, ring in zip("ab", rings, strict=True)
    )
    assert await talk(one, other, b"1") == [b"1"]
    rings[0].install(K2)
    rings[0].use(K2)
    assert await talk(one, other, b"2") == []
    rings[1].install(K2)
    assert await talk(one, other, b"3") == [b"3"]


async def test_the_log_and_the_statistics_hold_no_secret(
    caplog, autojump_clock: trio.testing.MockClock
):
    caplog.set_level(logging.DEBUG)
    secret = bytes(range(65, 97))
    network = MemoryNetwork()
    one = EncryptedTransport(network.transport("a"), Keyring([secret]))
    other = sealed(network, "b", K2)
    await talk(one, other, b"x")
    [key] = one._keyring.list()
    text = caplog.text + repr(one) + repr(one.statistics()) + repr(vars(one))
    for hidden in (key.text, secret.hex(), secret.decode(), repr(secret)[2:-1]):
        assert hidden not in text


async def test_a_closed_transport_says_so_also_at_first_contact(
    autojump_clock: trio.testing.MockClock,
):
    network = MemoryNetwork()
    one, other = sealed(network, "a"), sealed(network, "b")
    one.send_packet(b"x", other.local_address)
    await one.aclose()
    with pytest.raises(trio.ClosedResourceError):
        one.send_packet(b"x", other.local_address)


async def test_a_flood_of_junk_neither_stops_a_look_nor_a_receiver(
    autojump_clock: trio.testing.MockClock,
):
    network = MemoryNetwork(inbox_limit=10_000)
    one, other, flood = sealed(network, "a"), sealed(network, "b"), network.transport("f")
    await acquaint(one, other)
    for _ in range(3000):
        flood.send_packet(b"\xe3" + bytes(60), other.local_address)
    await trio.sleep(0.1)
    assert other.receive_packets_nowait() == []  # gives up after some batches
    one.send_packet(b"good", other.local_address)
    assert await got(other) == [b"good"]
