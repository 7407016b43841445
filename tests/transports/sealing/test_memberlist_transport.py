"""``EncryptedTransport(sealing="memberlist")``: the contract, plain peers, cut streams."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing

from tests.transports.contract import TransportContract, on_autojump_clock
from trio_gossip import Config, MemberState, MessageReceived, open_cluster
from trio_gossip.transport import Packet
from trio_gossip_transports import MemoryNetwork
from trio_gossip_transports.encrypted import EncryptedTransport
from trio_gossip_transports.keyring import Keyring
from trio_gossip_transports.sealing.memberlist_cipher import label_header

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

KEY, OTHER = b"k" * 32, b"o" * 32
LABEL = b"lab"
HEADER = label_header(LABEL)
CLOCK = trio.testing.MockClock


def sealing(inner: Any, key: bytes = KEY, label: bytes = LABEL, **how: bool) -> EncryptedTransport:
    return EncryptedTransport(inner, Keyring([key]), label, "memberlist", **how)


@on_autojump_clock
class TestMemberlistContract(TransportContract):
    every_name_is_an_address = True
    network: MemoryNetwork | None = None
    opened = 0
    label = LABEL

    @asynccontextmanager
    async def open_pair(self) -> AsyncGenerator[tuple[EncryptedTransport, EncryptedTransport]]:
        network = self.network = self.network or MemoryNetwork()
        self.opened += 2
        left, right = (network.transport(f"host-{self.opened - n}") for n in (1, 0))
        async with (
            sealing(left, label=self.label) as one,
            sealing(right, label=self.label) as other,
        ):
            yield one, other


class TestMemberlistContractWithoutLabel(TestMemberlistContract):
    label = b""


async def accepted(transport: Any) -> Any:
    with trio.fail_after(5):
        stream, _ = await transport.accept_stream()
    return stream


async def test_packets_on_the_wire_are_the_label_and_29_bytes_longer(autojump_clock: CLOCK) -> None:
    network = MemoryNetwork()
    ours, wire = sealing(network.transport("a")), network.transport("b")
    assert ours.packet_limit == wire.packet_limit - 29 - len(HEADER)
    data = bytes(ours.packet_limit)
    ours.send_packet(data, wire.local_address)
    (packet,) = await wire.receive_packets()
    assert len(packet.data) == wire.packet_limit
    assert packet.data.startswith(HEADER + b"\x01")
    ours.send_packet(b"", wire.local_address)
    assert len((await wire.receive_packets())[0].data) == 29 + len(HEADER)


async def test_there_is_no_other_name_of_a_format() -> None:
    with pytest.raises(ValueError, match="no sealed format 'memberlost'"):
        EncryptedTransport(MemoryNetwork().transport("a"), Keyring([KEY]), b"", "memberlost")


async def test_plain_packets_pass_with_their_label_while_sealing_is_rolled_in(
    autojump_clock: CLOCK,
) -> None:
    network = MemoryNetwork()
    first = sealing(network.transport("a"), accept_plain=True, send_plain=True)
    second = sealing(network.transport("b"), accept_plain=True)
    third = sealing(network.transport("c"))
    wire = network.transport("wire")
    first.send_packet(b"\x83plain", wire.local_address)
    assert (await wire.receive_packets())[0].data == HEADER + b"\x83plain"
    first.send_packet(b"\x83plain", second.local_address)
    assert await second.receive_packets() == [Packet(b"\x83plain", first.local_address)]
    for taker in (first, third):
        second.send_packet(b"\x83sealed", taker.local_address)
        assert await taker.receive_packets() == [Packet(b"\x83sealed", second.local_address)]
    first.send_packet(b"\x83plain", third.local_address)
    await trio.sleep(1)
    assert third.receive_packets_nowait() == []
    assert third.statistics().packets == {"unsealed": 1}


async def test_plain_streams_pass_with_their_label_while_sealing_is_rolled_in(
    autojump_clock: CLOCK,
) -> None:
    network = MemoryNetwork()
    first = sealing(network.transport("a"), send_plain=True)
    second = sealing(network.transport("b"), accept_plain=True)
    wire = network.transport("wire")
    ours = await first.open_stream(wire.local_address)
    await ours.send_all(b"plain")
    theirs = await accepted(wire)
    await trio.sleep(1)
    assert await theirs.receive_some() == HEADER + b"plain"
    ours = await first.open_stream(second.local_address)
    await ours.send_all(b"plain")
    async with await accepted(second) as theirs:
        assert await theirs.receive_some() == b"plain"
        await theirs.send_all(b"answer")
        assert await ours.receive_some() == b"answer"


@pytest.mark.parametrize(
    ("other", "said"),
    [({"key": OTHER}, "not on our keyring"), ({"label": b"bal"}, "another label")],
)
async def test_peers_of_another_key_or_label_are_named_on_both_sides(
    autojump_clock: CLOCK, caplog: pytest.LogCaptureFixture, other: Any, said: str
) -> None:
    network = MemoryNetwork()
    ours, theirs = sealing(network.transport("a")), sealing(network.transport("b"), **other)
    for each in (ours, theirs):  # by chance one in a thousand packets looks plain: not here
        each._sealer._cipher._entropy = bytes
    caplog.set_level(logging.WARNING)
    for one, peer in ((ours, theirs), (theirs, ours)):
        caplog.clear()
        for _ in range(3):
            one.send_packet(b"data", peer.local_address)
        await trio.sleep(1)
        assert peer.receive_packets_nowait() == []
        (line,) = caplog.messages
        assert line.startswith(str(one.local_address))
        assert said in line
    caplog.clear()
    stream = await ours.open_stream(theirs.local_address)
    await stream.send_all(b"data")
    answer = await accepted(theirs)
    with pytest.raises(trio.BrokenResourceError, match=said):
        await answer.receive_some()
    with pytest.raises(trio.BrokenResourceError):
        await stream.receive_some()
    first, second = caplog.messages
    assert first.startswith("a:")
    assert said in first
    assert second.startswith("b:")
    assert "not on our keyring, or under another label" in second


async def test_a_stream_that_is_cut_within_a_frame_is_broken_and_between_frames_it_ends(
    autojump_clock: CLOCK,
) -> None:
    network = MemoryNetwork()
    ours, wire = sealing(network.transport("a")), network.transport("wire")
    sealer = sealing(network.transport("b"))
    recorder = await sealer.open_stream(wire.local_address)
    await recorder.send_all(b"content")
    recorded = await accepted(wire)
    await trio.sleep(1)
    sealed = await recorded.receive_some()
    assert len(sealed) == len(HEADER) + 34 + len(b"content")
    for size, content in ((len(sealed), b"content"), (len(HEADER), b""), (0, b"")):
        raw = await wire.open_stream(ours.local_address)
        await raw.send_all(sealed[:size])
        await raw.aclose()
        async with await accepted(ours) as stream:
            assert b"".join([piece async for piece in stream]) == content
    raw = await wire.open_stream(ours.local_address)
    await raw.send_all(sealed[:-1])
    await raw.aclose()
    async with await accepted(ours) as stream:
        with pytest.raises(trio.BrokenResourceError, match="cut off"):
            await stream.receive_some()


async def test_a_long_message_is_one_frame_since_memberlist_reads_no_more(
    autojump_clock: CLOCK,
) -> None:
    network = MemoryNetwork()
    ours, wire = sealing(network.transport("a")), network.transport("wire")
    content = bytes(1_000_000)
    recorded = bytearray()
    async with trio.open_nursery() as nursery:

        async def record() -> None:
            async for piece in await accepted(wire):
                recorded.extend(piece)

        nursery.start_soon(record)
        async with await ours.open_stream(wire.local_address) as stream:
            await stream.send_all(content)
    assert recorded.startswith(HEADER + b"\x0a" + (29 + len(content)).to_bytes(4, "big"))
    assert len(recorded) == len(HEADER) + 34 + len(content)


async def test_a_cluster_runs_on_it_and_a_long_message_arrives(autojump_clock: CLOCK) -> None:
    network = MemoryNetwork(seed=7, latency=0.001)
    async with AsyncExitStack() as stack:
        clusters = []
        for number, name in enumerate("abc", 1):
            transport = sealing(network.transport(f"10.0.0.{number}"))
            await stack.enter_async_context(transport)
            cluster = open_cluster(Config.local(name=name, seed=number), transport)
            clusters.append(await stack.enter_async_context(cluster))
            await clusters[-1].join(["10.0.0.1"])
        with trio.fail_after(60), clusters[2].events() as events:
            for cluster in clusters:
                for name in "abc":
                    await cluster.wait_member(name)
            await clusters[0].send_reliable("c", b"x" * 200_000)
            async for event in events:
                if isinstance(event, MessageReceived):
                    assert event.payload == b"x" * 200_000
                    break
        await trio.sleep(60)
        for cluster in clusters:
            states = {member.name: member.state for member in cluster.members()}
            assert states == dict.fromkeys("abc", MemberState.ALIVE)
            assert not cluster.statistics().engine.counters.get("suspect_of_itself", 0)
