"""Sealed streams over a transport: handshakes that fail, streams that are cut, plain peers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.transports.encrypted_helpers import K1, K2
from trio_gossip import DialFailure
from trio_gossip.transport import DialError
from trio_gossip_transports import EncryptedTransport, Key, Keyring, MemoryNetwork
from trio_gossip_transports.encrypted_stream import EncryptedStream
from trio_gossip_transports.sealing.streams import PREFACE_BYTES, StreamSealer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trio.abc import HalfCloseableStream


def transport(network: MemoryNetwork, name: str, ring: Keyring | None = None, **options):
    label = options.pop("label", b"")
    return EncryptedTransport(network.transport(name), ring or Keyring([K1]), label, **options)


async def serve(server: EncryptedTransport) -> None:
    """Answer each stream in capitals until it ends."""

    async def one(stream: HalfCloseableStream) -> None:
        try:
            async with stream:
                while data := await stream.receive_some():
                    await stream.send_all(data.upper())
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async with trio.open_nursery() as nursery:
        while True:
            stream, _ = await server.accept_stream()
            nursery.start_soon(one, stream)


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    found = b""
    while data := await stream.receive_some():
        found += data
    return found


@asynccontextmanager
async def serving(server: EncryptedTransport) -> AsyncGenerator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve, server)
        yield
        nursery.cancel_scope.cancel()


def raw_pair() -> tuple[EncryptedStream, HalfCloseableStream, StreamSealer]:
    """A sealed accepted stream; the other end in the clear, with a sealer in the test's hand."""
    inner, other = trio.testing.memory_stream_pair()
    ours = EncryptedStream(
        inner, StreamSealer(Keyring([K1]), accepted=True), troubled=lambda error: None
    )
    return ours, other, StreamSealer(Keyring([K1]), accepted=False)


async def shaken() -> tuple[EncryptedStream, HalfCloseableStream, StreamSealer]:
    ours, other, peer = raw_pair()
    await other.send_all(peer.outgoing)
    await ours.do_handshake()
    peer.feed_untrusted(await other.receive_some())
    assert peer.ready
    return ours, other, peer


# -- good streams -----------------------------------------------------------------------


async def test_half_closing_leaves_the_other_direction_open(
    autojump_clock: trio.testing.MockClock,
):
    network = MemoryNetwork()
    one, other = transport(network, "a"), transport(network, "b")
    async with serving(other), await one.open_stream(other.local_address) as stream:
        await stream.send_all(b"hello ")
        await stream.send_all(b"world")
        await stream.send_eof()
        assert await read_all(stream) == b"HELLO WORLD"
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"more")


async def test_a_stream_below_without_half_closing_is_enough():
    one, other = trio.testing.memory_stream_pair()

    def whole(stream: trio.StapledStream, *, accepted: bool) -> EncryptedStream:
        class Whole(trio.abc.Stream):
            peer_names = ("the name",)
            send_all = stream.send_all
            receive_some = stream.receive_some
            wait_send_all_might_not_block = stream.wait_send_all_might_not_block
            aclose = stream.aclose

        sealer = StreamSealer(Keyring([K1]), accepted=accepted)
        return EncryptedStream(Whole(), sealer, troubled=lambda error: None)

    ours, theirs = whole(one, accepted=False), whole(other, accepted=True)
    assert ours.peer_names == ("the name",)
    assert raw_pair()[0].peer_names == ()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.do_handshake)
        nursery.start_soon(theirs.do_handshake)
    await ours.send_all(b"x")
    await ours.send_eof()
    assert await read_all(theirs) == b"x"
    await theirs.send_all(b"y")
    assert await ours.receive_some(1) == b"y"


# -- handshakes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ring", "label", "words"),
    [
        ([K2], b"", r"^b:7946 does not know our key$"),
        ([K1], b"other", r"^b:7946 has another label, or does not really hold the key$"),
    ],
)
async def test_a_peer_that_does_not_fit_is_one_clear_line(
    ring, label, words, caplog, autojump_clock: trio.testing.MockClock
):
    network = MemoryNetwork()
    one, other = transport(network, "a"), transport(network, "b", Keyring(ring), label=label)
    async with serving(other):
        for _ in range(3):
            with pytest.raises(DialError, match=words) as caught:
                await one.open_stream(other.local_address)
            assert caught.value.failure is DialFailure.HANDSHAKE
        await trio.sleep(5)
    assert len([each for each in caplog.records if each.getMessage().startswith("b:7946")]) == 1
    assert sum(one.statistics().streams.values()) == 3


async def test_a_plain_peer_that_answers_or_closes_fails_the_dial(
    autojump_clock: trio.testing.MockClock,
):
    network = MemoryNetwork()
    one, plain = transport(network, "a"), network.transport("b")
    for answer, failure in ((b"\0\0\0\1x", DialFailure.HANDSHAKE), (b"", DialFailure.RESET)):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _(answer: bytes = answer) -> None:
                stream, _ = await plain.accept_stream()
                if answer:
                    await stream.send_all(answer)
                await stream.aclose()

            with pytest.raises(DialError) as caught:
                await one.open_stream(plain.local_address)
            assert caught.value.failure is failure


async def test_a_plain_dial_is_refused_and_counted(autojump_clock: trio.testing.MockClock):
    network = MemoryNetwork()
    plain, other = network.transport("a"), transport(network, "b")
    async with serving(other), await plain.open_stream(other.local_address) as stream:
        await stream.send_all(b"\0\0\0\1x")
        assert (await stream.receive_some())[:2] == b"\xea\3"
        assert await stream.receive_some() == b""
    assert other.statistics().streams == {"does not seal its streams": 1}


async def test_a_peer_that_stalls_holds_up_nobody_else_and_the_dial_can_be_cancelled(
    autojump_clock: trio.testing.MockClock,
):
    network = MemoryNetwork()
    one, other = transport(network, "a"), transport(network, "b")
    silent, sleepy = network.transport("silent"), network.transport("sleepy")
    async with serving(other):
        held = [await silent.open_stream(other.local_address) for _ in range(10)]
        for number, stream in enumerate(held):
            if number:
                await stream.send_all(b"\xe8" + bytes(number))
        async with await one.open_stream(other.local_address) as stream:
            await stream.send_all(b"x")
            assert await stream.receive_some() == b"X"
    with trio.move_on_after(5) as scope:
        await one.open_stream(sleepy.local_address)
    assert scope.cancelled_caught
    accepted, _ = await sleepy.accept_stream()
    assert len(await accepted.receive_some()) == PREFACE_BYTES
    with pytest.raises(trio.BrokenResourceError):  # aborted below, not left open
        await accepted.receive_some()


# -- streams that are cut ---------------------------------------------------------------


async def test_an_end_without_the_last_record_is_a_broken_stream():
    ours, other, peer = await shaken()
    await other.send_all(peer.seal(b"pay 100"))
    await other.send_eof()
    assert await ours.receive_some() == b"pay 100"
    with pytest.raises(trio.BrokenResourceError, match="cut off"):
        await ours.receive_some()


async def test_a_record_that_is_cut_is_a_broken_stream():
    ours, other, peer = await shaken()
    await other.send_all(peer.seal(b"pay 100")[:-1])
    await other.send_eof()
    with pytest.raises(trio.BrokenResourceError, match="cut off"):
        await ours.receive_some()


async def test_closing_says_the_end_and_what_comes_after_an_error_stays_an_error():
    ours, other, peer = await shaken()
    await other.send_all(peer.seal(b"x") + b"\0\0\0\x20" + bytes(32))
    with pytest.raises(trio.BrokenResourceError, match="forged"):
        await ours.receive_some()
    for call in (ours.receive_some, lambda: ours.send_all(b"x"), ours.send_eof):
        with pytest.raises(trio.BrokenResourceError):
            await call()
    await ours.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await ours.receive_some()
    assert await read_all(other) == b""


async def test_a_sending_that_was_cancelled_half_way_is_no_end_for_the_peer(
    autojump_clock: trio.testing.MockClock,
):
    network = MemoryNetwork()
    one, other = transport(network, "a"), transport(network, "b")
    ends: list[EncryptedStream] = []

    async def accept() -> None:
        stream, _ = await other.accept_stream()
        await stream.do_handshake()
        ends.append(stream)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        stream = await one.open_stream(other.local_address)
    with trio.move_on_after(1):
        await stream.send_all(bytes(10_000_000))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.aclose)
        with pytest.raises(trio.BrokenResourceError):
            await read_all(ends[0])


async def test_a_receiving_that_was_cancelled_loses_nothing():
    ours, other, peer = raw_pair()
    preface = peer.outgoing
    for at in range(len(preface)):
        with trio.move_on_after(0) as scope:
            await ours.receive_some()
        assert scope.cancelled_caught
        await other.send_all(preface[at : at + 1])
    await ours.do_handshake()
    peer.feed_untrusted(await other.receive_some())
    data = peer.seal(b"in pieces")
    for at in range(len(data)):
        with trio.move_on_after(0):
            await ours.receive_some()
        await other.send_all(data[at : at + 1])
    assert await ours.receive_some() == b"in pieces"


async def test_an_answer_of_the_handshake_that_was_cancelled_half_way_breaks_the_stream():
    ours, other, peer = raw_pair()
    await other.send_all(peer.outgoing)

    async def stuck() -> None:
        await trio.sleep_forever()

    ours._inner.send_stream.send_all_hook = stuck
    with trio.move_on_after(0.01) as scope:
        await ours.receive_some()
    assert scope.cancelled_caught
    with pytest.raises(trio.BrokenResourceError):
        await ours.receive_some()


# -- rolling in, and members that were away ---------------------------------------------


@pytest.mark.parametrize("size", [1, 5, 1000])
async def test_a_plain_dial_is_served_where_it_is_allowed(
    size: int, autojump_clock: trio.testing.MockClock
):
    network = MemoryNetwork()
    plain, other = network.transport("a"), transport(network, "b", accept_plain=True)
    sealed, mixed = transport(network, "c"), transport(network, "d", send_plain=True)
    async with serving(other):
        for dialling in (plain, sealed, mixed):
            async with await dialling.open_stream(other.local_address) as stream:
                await stream.send_all(b"\0\0\0\5" + b"x" * size)
                await stream.send_eof()
                assert await read_all(stream) == b"\0\0\0\5" + b"X" * size


async def test_a_plain_stream_gives_no_more_than_was_asked_for():
    inner, other = trio.testing.memory_stream_pair()
    sealer = StreamSealer(Keyring([K1]), accepted=True)
    ours = EncryptedStream(inner, sealer, takes_plain=True, troubled=lambda error: None)
    for _ in range(2):
        await other.send_all(b"plain words")
        assert await ours.receive_some(5) == b"plain"
        assert await ours.receive_some(1) == b" "
        assert await ours.receive_some(100) == b"words"
    await other.send_eof()
    assert await ours.receive_some(5) == b""


async def test_a_member_that_was_away_is_brought_up_and_its_stream_and_packets_work(
    caplog, autojump_clock: trio.testing.MockClock
):
    network = MemoryNetwork()
    away, there = Keyring([K1]), Keyring([K1])
    one, other = transport(network, "a", away), transport(network, "b", there)
    there.install(K2)
    there.use(K2)
    there.remove(K1)
    async with serving(other):
        async with await one.open_stream(other.local_address) as stream:
            await stream.send_all(b"x")
            assert await stream.receive_some() == b"X"
        assert away.list() == (Key(K2),)
        assert "had been away" in caplog.text
        assert Key(K2).text not in caplog.text
        one.send_packet(b"packet", other.local_address)
        with trio.move_on_after(1):
            await one.receive_packets()
        while not (packets := other.receive_packets_nowait()):
            with trio.move_on_after(1):
                await one.receive_packets()
        assert [packet.data for packet in packets] == [b"packet"]


async def test_after_the_grace_a_member_that_was_away_is_refused(
    autojump_clock: trio.testing.MockClock,
):
    network = MemoryNetwork()
    there = Keyring([K2, K1], grace=0.0)
    there.remove(K1)
    one, other = transport(network, "a"), transport(network, "b", there)
    async with serving(other):
        with pytest.raises(DialError, match="does not know our key"):
            await one.open_stream(other.local_address)
    assert one._keyring.list() == (Key(K1),)
