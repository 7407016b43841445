"""Floods of strangers against a sealed cluster: replays, junk, streams that hold places, joins.

What one sealer does with each of these is in ``tests/transports/sealing``; here three members run.
"""

from __future__ import annotations

import random
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from tests.driver.talking import FAR, encoded, read_all, record, table
from tests.driver.world import World, address_of, seed_of
from tests.driver.wrapping import WrappedTransport
from tests.transports.encrypted_helpers import K1
from trio_gossip import Address, Cluster, MemberFailed, MemberSuspected, MessageReceived, Packet
from trio_gossip.conduits import INBOUND_PER_HOST_MAX
from trio_gossip_transports import EncryptedTransport, Keyring, MemoryNetwork
from trio_gossip_transports.encrypted import DRAIN_BATCHES_MAX
from trio_gossip_transports.sealing.native import DATA

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

NAMES = "abc"
BURST = 200
"""Datagrams between two steps of time: less than an inbox of the network holds."""


class Recorded(WrappedTransport):
    """Keeps a copy of what is sent."""

    def __init__(self, inner) -> None:
        super().__init__(inner)
        self.sent: list[tuple[bytes, Address, Address]] = []

    def send_packet(self, data: bytes, address: Address, peer_name: str | None = None) -> None:
        self.sent.append((data, self.local_address, address))
        super().send_packet(data, address, peer_name)


class Watched(WrappedTransport):
    """Counts what was opened, by the host that sent it."""

    def __init__(self, inner) -> None:
        super().__init__(inner)
        self.accepted: Counter[str] = Counter()

    async def receive_packets(self) -> list[Packet]:
        return self._seen(await super().receive_packets())

    def receive_packets_nowait(self) -> list[Packet]:
        return self._seen(super().receive_packets_nowait())

    def _seen(self, packets: list[Packet]) -> list[Packet]:
        self.accepted.update(packet.source.host for packet in packets)
        return packets


class Town:
    """Three members that seal what they say, and a stranger."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.wires: dict[str, Recorded] = {}
        self.doors: dict[str, Watched] = {}
        self.clusters: dict[str, Cluster] = {}
        self.alarms: list[object] = []
        self.messages: Counter[tuple[str, bytes]] = Counter()

    async def open(self, nursery: trio.Nursery) -> None:
        for name in NAMES:
            wire = self.wires[name] = Recorded(self.world.network.transport(address_of(name).host))
            sealed = EncryptedTransport(wire, Keyring([K1]), b"town")
            door = self.doors[name] = Watched(sealed)
            self.clusters[name] = await self.world.start(name, transport=door)
            nursery.start_soon(self._listen, name)
        for name in NAMES[1:]:
            await self.clusters[name].join([seed_of(NAMES[0])])
        await self.world.wait_agreed(list(self.clusters.values()))

    async def _listen(self, name: str) -> None:
        with self.clusters[name].events(limit=1 << 16) as events:
            async for event in events:
                if isinstance(event, MemberSuspected | MemberFailed):
                    self.alarms.append(event)
                elif isinstance(event, MessageReceived):
                    self.messages[name, event.payload] += 1

    async def talk(self, messages: int) -> None:
        """Send numbered messages, fifty a second."""
        chance = random.Random(4)
        for number in range(messages):
            source, target = chance.sample(NAMES, 2)
            self.clusters[source].send(target, b"%d" % number)
            await trio.sleep(0.02)

    async def flood(self, sender, datagrams) -> int:
        """Send (data, target) pairs in bursts; returns how many there were."""
        count = 0
        for count, (data, target) in enumerate(datagrams, 1):
            sender.send_packet(data, target)
            if not count % BURST:
                await trio.sleep(0.01)
        await trio.sleep(1)
        return count

    def counts(self, name: str) -> Counter[str]:
        return Counter(self.doors[name].statistics().packets)

    def recorded(self) -> list[tuple[bytes, Address, Address]]:
        return [row for wire in self.wires.values() for row in wire.sent]


@asynccontextmanager
async def town() -> AsyncGenerator[Town]:
    async with trio.open_nursery() as nursery:
        made = Town(World(nursery))
        await made.open(nursery)
        yield made
        nursery.cancel_scope.cancel()


async def test_of_a_recorded_run_nothing_is_accepted_again_by_anybody_from_anywhere(autojump_clock):
    """In order, out of order, to other members; from a stranger and with the true source."""
    async with town() as made:
        await made.talk(1500)
        recording = made.recorded()
        assert len(recording) > 1500
        shuffled = random.Random(5).sample(recording, len(recording))
        stranger = await made.world.stranger()
        played = 0
        for rows in (recording, shuffled):
            played += await made.flood(stranger, ((data, to) for data, _, to in rows))
            for name in NAMES:
                mine = [(data, to) for data, source, to in rows if source == address_of(name)]
                # Below the recording: the address is the true one, and the copy is not copied.
                played += await made.flood(made.wires[name].inner, mine)
        for name in NAMES:
            here = address_of(name)
            others = [(data, here) for data, _, to in recording if to != here]
            played += await made.flood(stranger, others)
            other = made.wires[NAMES[NAMES.index(name) - 1]].inner
            played += await made.flood(other, others)
        assert played == 8 * len(recording)
        assert made.alarms == []
        for name in NAMES:
            accepted = made.doors[name].accepted
            assert accepted[stranger.local_address.host] == 0
            sealed = [to for data, _, to in made.recorded() if data[0] == DATA]
            assert accepted.total() == sealed.count(address_of(name)), "what was sent, once"
        assert len(made.messages) == 1500
        assert set(made.messages.values()) == {1}
        assert sum(made.counts(name)["replayed"] for name in NAMES) > 3 * len(recording)


async def test_junk_of_every_kind_is_counted_and_accuses_nobody(autojump_clock):
    async with town() as made:
        await made.talk(300)
        chance = random.Random(6)
        stranger = await made.world.stranger()
        here = address_of("a")
        before = made.counts("a")
        plain = [(b"\x83" + chance.randbytes(chance.randrange(100)), here) for _ in range(3000)]
        await made.flood(stranger, plain)
        assert made.counts("a")["unsealed"] - before["unsealed"] == 3000
        altered = []
        for data, _, to in made.recorded():
            if to == here and data[0] == DATA:
                bad = bytearray(data)
                bad[13:19] = chance.randrange(1 << 30, 1 << 40).to_bytes(6, "big")
                altered.append((bytes(bad), here))
        assert len(altered) > 100
        await made.flood(stranger, altered)
        assert made.counts("a")["forged"] - before["forged"] == len(altered)
        headed = [
            (bytes((kind,)) + altered[0][0][1:5] + chance.randbytes(46), here)
            for kind in range(0xE1, 0xE5)
            for _ in range(3000)
        ]
        await made.flood(stranger, headed)
        counts = made.counts("a") - before
        assert counts["unknown_token"] == 3000
        handshakes = ("handshake_forged", "handshake_over_rate", "unasked")
        assert sum(counts[reason] for reason in handshakes) == 9000
        assert counts["senders_admitted"] == 0
        await trio.sleep(20)
        assert made.alarms == []
        assert made.doors["a"].accepted[stranger.local_address.host] == 0


@pytest.mark.parametrize("is_slow", [False, True], ids=["silent", "a byte a second"])
async def test_streams_that_never_shake_hands_hold_their_places_for_the_timeout_only(
    autojump_clock, is_slow: bool
):
    async with town() as made, trio.open_nursery() as nursery:
        a = made.clusters["a"]
        stranger = await made.world.stranger()
        preface = b"\xe8" + made.recorded()[0][0][1:5] + bytes(200)

        async def hold() -> None:
            async with await stranger.open_stream(address_of("a")) as stream:
                nursery.start_soon(read_all, stream)
                for byte in preface if is_slow else b"":
                    try:
                        await stream.send_all(bytes((byte,)))
                    except trio.BrokenResourceError:
                        return
                    await trio.sleep(1)
                await trio.sleep(30)

        await trio.sleep(2)  # who joined has then asked for all it wants
        for _ in range(300):
            nursery.start_soon(hold)
        await trio.sleep(1)
        statistics = a.statistics()
        assert statistics.streams == INBOUND_PER_HOST_MAX
        assert statistics.streams_rejected == 300 - INBOUND_PER_HOST_MAX
        await made.clusters["b"].send_reliable("a", b"all the same")
        await trio.sleep(12)
        statistics = a.statistics()
        assert statistics.streams == 0
        assert statistics.engine.counters["exchange_timed_out"] == INBOUND_PER_HOST_MAX
        assert made.alarms == []
        nursery.cancel_scope.cancel()


async def test_junk_is_read_on_without_a_turn_of_the_event_loop_for_each_batch(autojump_clock):
    """Beside a flood of streams each turn cost so much that the kernel dropped most packets."""

    class Counted(WrappedTransport):
        waits = 0

        async def receive_packets(self) -> list[Packet]:
            self.waits += 1
            return await super().receive_packets()

    network = MemoryNetwork(inbox_limit=5000)
    wire, stranger = Counted(network.transport("a")), network.transport("s")
    sealed = EncryptedTransport(wire, Keyring([K1]))
    for _ in range(4000):
        stranger.send_packet(b"\xe3" + bytes(60), sealed.local_address)
    await trio.sleep(1)
    with trio.move_on_after(1):
        await sealed.receive_packets()
    assert sealed.statistics().packets["unknown_token"] == 4000
    batches = 4000 / 32
    assert wire.waits <= batches / DRAIN_BATCHES_MAX + 1
    await sealed.aclose()
    await stranger.aclose()


async def test_joins_without_a_key_make_nobody_known(autojump_clock):
    async with town() as made:
        a = made.clusters["a"]
        stranger = await made.world.stranger()
        for number in range(200):
            async with await stranger.open_stream(address_of("a")) as stream:
                await stream.send_all(encoded(table(record(f"nobody-{number}", FAR))))
                await read_all(stream)
        assert a.statistics().transport.streams == {"does not seal its streams": 200}
        assert [member.name for member in a.members(all=True)] == list(NAMES)
        assert a.statistics().streams == 0
        assert made.alarms == []
