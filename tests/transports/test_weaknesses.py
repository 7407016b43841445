"""What docs/security.rst says is *not* protected, shown by doing it; its figures, and the rest."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
import trio.testing

from tests.engine.bench import Bench
from tests.engine.exchanging import refusal_of
from tests.transports.encrypted_helpers import K1, K2, K3
from tests.transports.sealing.helpers import Wire, sealed, sealer, session
from tests.transports.tls_packet_helpers import Street, connection, hello, received
from trio_gossip import Address, Config, MessageReceived, serve_cluster
from trio_gossip.codec.messages import MessageChunk, MessageOpen
from trio_gossip.transport import DialError
from trio_gossip_transports import EncryptedTransport, Keyring, MemoryNetwork, tls_packets
from trio_gossip_transports.keyring import GRACE_SECONDS
from trio_gossip_transports.sealing.native import COUNTER_MAX
from trio_gossip_transports.sealing.senders import BOOT_BYTES
from trio_gossip_transports.sealing.window import WINDOW
from trio_gossip_transports.tls_packet_link import frame

A, B, C = (Address(name, 1) for name in "abc")
HERE = Address("b", 7946)


def transport(network: MemoryNetwork, name: str, ring: Keyring, **options) -> EncryptedTransport:
    return EncryptedTransport(network.transport(name), ring, b"label", **options)


def serve(nursery: trio.Nursery, there: EncryptedTransport) -> list[bytes]:
    """Accept and read, as a cluster does; returns what came, piece by piece."""
    heard: list[bytes] = []

    async def read(stream: trio.abc.Stream) -> None:
        try:
            while data := await stream.receive_some(1000):
                heard.append(data)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            """The other side sees it too."""

    async def accept() -> None:
        with suppress(trio.ClosedResourceError):
            while True:
                stream, _ = await there.accept_stream()
                nursery.start_soon(read, stream)

    nursery.start_soon(accept)
    return heard


# -- plain --------------------------------------------------------------------------------


async def test_in_plain_a_stranger_joins_and_reads_the_table(autojump_clock):
    network = MemoryNetwork()
    async with trio.open_nursery() as nursery:
        config = Config.lan(name="a", meta=b"rack 7")
        await nursery.start(serve_cluster, config, network.transport("a"))
        stranger = await nursery.start(
            serve_cluster, Config.lan(name="stranger"), network.transport("z")
        )
        await stranger.join(["a:7946"])
        assert stranger.member("a").meta == b"rack 7"
        nursery.cancel_scope.cancel()


# -- native -------------------------------------------------------------------------------


def test_packets_that_are_held_back_open_at_any_time_and_in_any_order():
    wire, a, b = session()
    held = [sealed(a, "b", b"%d" % number) for number in range(WINDOW + 1)]
    wire.now = 86_400.0 * 365
    for number in (WINDOW - 1, 0):
        assert b.open(held[number], A, wire.now).packets == [b"%d" % number]
    assert b.open(held[WINDOW], A, wire.now).packets == [b"%d" % WINDOW]
    assert b.open(held[1], A, wire.now).packets == [b"1"], "one less than 4,096 below the last"
    # The window ends with the packet after it.
    assert b.open(sealed(a, "b", b"after"), A, wire.now).packets == [b"after"]
    assert b.counts["replayed"] == 0
    assert b.open(held[0], A, wire.now).packets == []
    later = sealed(a, "b", b"later")
    for _ in range(WINDOW - 1):
        a.seal(b"to somebody", B, wire.now)
    assert b.open(sealed(a, "b", b"4,096 above it"), A, wire.now).packets
    assert b.open(later, A, wire.now).packets == []
    assert b.counts["replayed"] == 2


def test_a_packet_that_was_held_back_is_of_no_use_after_a_restart_of_its_receiver():
    _, a, _ = session()
    held = sealed(a, "b", b"held")
    assert sealer().open(held, A, 0.0).packets == []


def test_an_authentic_packet_may_come_from_another_address_once():
    _, a, b = session()
    data = sealed(a, "b", b"moved")
    assert b.open(data, C, 0.0).packets == [b"moved"]
    assert b.open(data, A, 0.0).packets == []


def test_who_leads_a_handshake_astray_chooses_which_member_opens_what_follows():
    a, b, c = sealer(), sealer(), sealer()
    [(hello, _)] = a.seal(b"for b", B, 0.0)
    [(welcome, _)] = c.open(hello, A, 0.0).outgoing  # it was sent to b
    [(data, to)] = a.open(welcome, B, 0.0).outgoing  # it came from c
    assert to == B
    assert c.open(data, A, 0.0).packets == [b"for b"]
    assert b.open(data, A, 0.0).packets == [], "and at that one alone"


def test_ids_of_keys_and_boots_are_in_the_clear_and_the_label_is_not():
    wire = Wire(a=sealer(label=b"production"), b=sealer(label=b"production"))
    wire.send("a", "b", b"one")
    wire.send("a", "b", b"two")
    datagrams = [data for data, source, _ in wire.recorded if source == A]
    assert {data[1:5] for data in datagrams} == {Keyring([K1]).list()[0].id}
    assert not any(b"production" in data for data in datagrams)


def test_the_figures_of_limits_in_messages():
    year = 365.25 * 86_400
    assert 3.4 < COUNTER_MAX / 10_000 / year < 3.6
    starts = 1 << 20
    assert starts**2 / 2 ** (8 * BOOT_BYTES + 1) == pytest.approx(1 / 33e6, rel=0.02)
    assert 24.5 < 2**32 / 2_000 / 86_400 < 25.0


# -- keys ---------------------------------------------------------------------------------


async def test_who_has_a_key_makes_who_dials_it_believe_in_keys_of_its_own(autojump_clock):
    network, ring = MemoryNetwork(), Keyring([K1])
    async with trio.open_nursery() as nursery:
        thief = transport(network, "b", Keyring([K3, K1]))
        serve(nursery, thief)
        async with transport(network, "a", ring) as member, thief:
            await (await member.open_stream(HERE)).aclose()
        nursery.cancel_scope.cancel()
    assert ring.list() == Keyring([K3, K1]).list()


@pytest.mark.parametrize(("leaked", "ring"), [(False, [K2]), (True, [K1])])
async def test_who_has_a_removed_key_gets_the_new_one_unless_it_was_removed_as_leaked(
    leaked, ring, autojump_clock
):
    network, thief, members = MemoryNetwork(), Keyring([K1]), Keyring([K1, K2])
    members.use(K2)
    members.remove(K1, grace=0.0 if leaked else None)
    async with trio.open_nursery() as nursery:
        there = transport(network, "b", members)
        serve(nursery, there)
        async with transport(network, "a", thief) as here, there:
            if leaked:
                with pytest.raises(DialError, match="does not know our key"):
                    await here.open_stream(HERE)
            else:
                await (await here.open_stream(HERE)).aclose()
        nursery.cancel_scope.cancel()
    assert thief.list() == Keyring(ring).list()


async def test_a_stream_that_is_open_when_its_key_is_removed_stays_open(autojump_clock):
    network, rings = MemoryNetwork(), [Keyring([K1, K2]) for _ in "ab"]
    async with trio.open_nursery() as nursery:
        there = transport(network, "b", rings[1])
        heard = serve(nursery, there)
        async with transport(network, "a", rings[0]) as here, there:
            stream = await here.open_stream(HERE)
            await stream.send_all(b"before")
            for ring in rings:
                ring.use(K2)
                ring.remove(K1, grace=0.0)
            await stream.send_all(b"after")
            await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert b"".join(heard) == b"beforeafter"


def test_a_removed_key_stays_in_its_file_until_the_change_after_its_grace(tmp_path):
    path, now = tmp_path / "keys", [0.0]
    ring = Keyring([K1, K2], path=path, clock=lambda: now[0])
    old = ring.list()[1]
    ring.remove(K2)
    now[0] = GRACE_SECONDS + 1
    assert ring.find_retired(old.id) is None
    assert old.text in path.read_text()
    ring.install(K3)
    assert old.text not in path.read_text()


# -- memberlist ---------------------------------------------------------------------------


async def test_in_the_memberlist_format_nobody_is_brought_up(autojump_clock):
    network, away, members = MemoryNetwork(), Keyring([K1]), Keyring([K1, K2])
    members.use(K2)
    members.remove(K1)
    async with trio.open_nursery() as nursery:
        there = transport(network, "b", members, sealing="memberlist")
        heard = serve(nursery, there)
        async with transport(network, "a", away, sealing="memberlist") as here, there:
            stream = await here.open_stream(HERE)
            await stream.send_all(b"I was away")
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some(1)
        nursery.cancel_scope.cancel()
    assert heard == []
    assert away.list() == Keyring([K1]).list()


async def test_the_warning_about_an_open_address_does_not_ask_for_the_format():
    network = MemoryNetwork()
    for name in ("native", "memberlist"):
        assert transport(network, name, Keyring([K1]), sealing=name).is_protected


# -- TLS ----------------------------------------------------------------------------------


async def test_a_connection_for_packets_that_its_maker_keeps_ends_with_its_hour(autojump_clock):
    async with Street() as street:
        b = street.member("b")
        stream = await connection(street, "b", "z")
        began = trio.current_time()

        async def keep_it_busy() -> None:
            await stream.send_all(hello())
            while True:
                await stream.send_all(frame(b"still here"))
                await received(b)
                await trio.sleep(20)

        with pytest.raises(trio.BrokenResourceError):
            await keep_it_busy()
        life = tls_packets.LIFE_SECONDS + tls_packets.GRACE_SECONDS
        assert life - 1 < trio.current_time() - began < life + 21


@pytest.mark.parametrize("sender", ["b", "z"])
def test_a_message_by_stream_is_taken_in_the_name_of_the_certificate_alone(sender):
    bench = Bench()
    bench.know("b", "z")
    exchange = bench.engine.new_exchange()
    where = Address("h-z", 40_000)
    bench.take(bench.engine.exchange_accepted(exchange, where, ("z",), now=bench.now))
    bench.frames(exchange, MessageOpen(sender, "me", 2), MessageChunk(b"hi"))
    if sender == "b":
        assert refusal_of(bench, exchange).text == "your certificate does not name b"
    messages = [event for event in bench.events if isinstance(event, MessageReceived)]
    assert [message.sender for message in messages] == (["z"] if sender == "z" else [])
