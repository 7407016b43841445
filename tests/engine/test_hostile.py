"""Whatever arrives: counted by reason, dropped, no exception, bounded, no amplification."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.bench import CODEC, Bench, address_of, alive
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import (
    Ack,
    Alive,
    Announce,
    Broadcast,
    Conflict,
    Dead,
    IndirectPing,
    Leave,
    Message,
    MessageChunk,
    MessageOpen,
    Nack,
    Ping,
    Refusal,
    ServiceAnswer,
    ServiceRequest,
    StreamPing,
    Suspect,
    SyncEnd,
    SyncMembers,
    SyncOpen,
    UserMessage,
)
from trio_gossip.members import VERSIONS_DEFAULT

NAMES = st.sampled_from(["me", "a", "b", "c", "ghost", "n" * 255])
INCARNATIONS = st.sampled_from([1, 2, 9, 10, 11, 50, 2**32, 2**40, 2**62])
SEQUENCES = st.integers(0, 2**32 - 1)
PLACES = st.sampled_from(
    [address_of(name) for name in ("me", "a", "b", "x")]
    + [Address("10.0.0.1", 1), Address("0.0.0.0", 1), Address("::1", 65535)]
)
METAS = st.sampled_from([b"", b"m", b"x" * 512])
PAYLOADS = st.sampled_from([b"", b"p", b"x" * 700])
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(Ping, SEQUENCES, NAMES, NAMES, st.none() | PLACES),
    st.builds(
        IndirectPing,
        SEQUENCES,
        NAMES,
        PLACES,
        NAMES,
        st.integers(0, 1000),
        st.booleans(),
        st.none() | PLACES,
    ),
    st.builds(Ack, SEQUENCES, PAYLOADS),
    st.builds(Nack, SEQUENCES),
    st.builds(
        Alive,
        INCARNATIONS,
        NAMES,
        PLACES,
        METAS,
        st.sampled_from([VERSIONS_DEFAULT, bytes((1, 9, 9, 9, 9, 9))]),
        st.just("") | NAMES,
    ),
    st.builds(Suspect, INCARNATIONS, NAMES, NAMES),
    st.builds(Dead, INCARNATIONS, NAMES, NAMES),
    st.builds(Broadcast, NAMES, INCARNATIONS, INCARNATIONS, PAYLOADS),
    st.builds(UserMessage, NAMES, PAYLOADS),
    st.builds(Leave, SEQUENCES, INCARNATIONS, NAMES),
    st.builds(Conflict, NAMES, PLACES, PLACES),
    st.builds(Announce, NAMES, INCARNATIONS, INCARNATIONS, st.integers(1, 65536)),
)
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100)


def check_invariants(bench: Bench) -> None:
    node = bench.engine._node
    table = node.table
    rows = list(table)
    assert table.active == sum(entry.member.is_active for entry in rows)
    assert len(table._order) == len(rows)
    assert {id(entry) for entry in table._order} == {id(entry) for entry in rows}
    assert bench.engine.local.incarnation <= 2**62
    for entry in rows:
        member = entry.member
        assert entry.evidence >= member.incarnation
        suspected = member.name in bench.engine._parts.claims.suspicions
        assert suspected == (member.state == "suspect")
        assert suspected == (("suspicion", member.name) in node.timers)
        ended = not member.is_active and entry is not node.me
        assert ended == (("reap", member.name) in node.timers)
    versions = [event.version for event in bench.events if hasattr(event, "version")]
    assert versions == sorted(set(versions))


@SLOW
@given(
    st.lists(
        st.tuples(PLACES, st.lists(MESSAGES, min_size=1, max_size=4), st.floats(0, 3)),
        max_size=25,
    )
)
def test_any_sequence_of_well_formed_packets_keeps_the_invariants(
    steps: list[tuple[Address, list[Message], float]],
) -> None:
    bench = Bench(members_max=8, broadcast_queue_max=16)
    bench.know("a", "b", "c")
    for source, messages, pause in steps:
        data = CODEC.pack([CODEC.encode(message) for message in messages])
        known = bench.engine._node.table.knows_address(source)
        before = len(bench.sent)
        bench.take(bench.engine.receive_packet(data, source, now=bench.now))
        back = sum(s.size for s in bench.sent[before:] if s.address == source)
        if not known and not bench.engine._node.table.knows_address(source):
            assert back <= len(data), "a stranger got more than it sent"
        check_invariants(bench)
        bench.wait(pause)
    check_invariants(bench)
    statistics = bench.engine.statistics()
    assert statistics.members <= 8
    assert statistics.user_queue <= 16


@given(st.binary(max_size=200))
def test_random_bytes_are_counted_and_dropped(data: bytes) -> None:
    bench = Bench()
    bench.clear()
    outputs = bench.engine.receive_packet(data, Address("10.0.0.9", 5), now=bench.now)
    counters = bench.engine.statistics().counters
    assert outputs == []
    assert sum(count for name, count in counters.items() if name.startswith("packet_")) == 1


@given(st.integers(0, 2**32), MESSAGES)
def test_mutated_packets_do_no_harm(seed: int, message: Message) -> None:
    rng = random.Random(seed)
    data = bytearray(CODEC.pack([CODEC.encode(message)]))
    for _ in range(rng.randint(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    bench = Bench()
    bench.know("a")
    bench.take(bench.engine.receive_packet(bytes(data), address_of("a"), now=bench.now))
    check_invariants(bench)


@SLOW
@given(
    st.lists(
        st.one_of(
            st.builds(SyncOpen, NAMES, PLACES, st.booleans()),
            st.just(SyncMembers([])),
            st.builds(SyncEnd, st.integers(0, 3)),
            st.builds(Refusal, st.integers(0, 300), st.just("no")),
            st.builds(StreamPing, SEQUENCES, NAMES, NAMES),
            st.builds(MessageOpen, NAMES, NAMES, st.integers(0, 20)),
            st.builds(MessageChunk, st.binary(max_size=30)),
            st.builds(ServiceRequest, NAMES, NAMES, st.integers(0, 2), st.binary(max_size=30)),
            st.builds(ServiceAnswer, st.binary(max_size=30)),
            st.binary(max_size=20),
        ),
        max_size=8,
    ),
    st.booleans(),
)
def test_any_bytes_on_a_stream_end_in_an_orderly_way(frames: list[Any], dialled: bool) -> None:
    bench = Bench()
    bench.know("a")
    if dialled:
        bench.take(bench.engine.join(address_of("a"), token=1, now=bench.now))
        exchange = bench.opened()[-1].exchange
        bench.take(bench.engine.exchange_opened(exchange, now=bench.now))
    else:
        exchange = bench.accept()
    for frame in frames:
        data = frame if isinstance(frame, bytes) else CODEC.encode_frame(frame)
        bench.take(bench.engine.exchange_received(exchange, data, now=bench.now))
        bench.frames_sent(exchange)
    bench.wait(130.0)
    assert bench.engine._parts.streams.find(exchange) is None
    assert bench.engine._parts.sync.answering == 0
    assert not dialled or 1 in bench.results


def test_a_flood_of_new_names_stops_at_the_cap() -> None:
    bench = Bench(members_max=50)
    for number in range(500):
        bench.receive("x", alive(f"flood{number}"))
    statistics = bench.engine.statistics()
    assert statistics.members == 50
    assert statistics.counters["refused_table_full"] == 451


def test_a_flood_of_reaped_names_keeps_a_bounded_number_of_tombstones(monkeypatch: Any) -> None:
    monkeypatch.setattr("trio_gossip.engine.membership.TOMBSTONES_MAX", 20)
    bench = Bench()
    for number in range(60):
        bench.receive("x", alive(f"n{number}"), Dead(1, f"n{number}", f"n{number}"))
    bench.wait(31.0)
    assert len(list(bench.engine._node.table.tombstones())) == 20
    assert bench.count("tombstone_dropped") == 40


def test_a_network_outside_the_allowed_ones_is_refused() -> None:
    bench = Bench(allowed_networks=("10.0.0.0/8",))
    bench.receive("x", alive("in", address=Address("10.1.2.3", 1)))
    bench.receive("x", alive("out", address=Address("11.1.2.3", 1)), alive("host"))
    assert {member.name for member in bench.engine.members()} == {"me", "in"}
    assert bench.count("refused_network") == 2


def test_an_address_that_nobody_can_reach_is_refused() -> None:
    bench = Bench()
    bench.receive("x", alive("a", address=Address("0.0.0.0", 1)))
    assert bench.count("refused_wildcard_address") == 1


def test_a_member_that_speaks_another_version_is_not_learned_and_blocks_nobody() -> None:
    bench = Bench()
    bench.receive("x", alive("old", versions=bytes((2, 3, 2, 0, 0, 0))), alive("good"))
    assert {member.name for member in bench.engine.members()} == {"me", "good"}
    assert bench.count("refused_versions") == 1


def test_a_message_of_a_later_version_is_counted_and_the_rest_of_the_packet_read() -> None:
    from cbor2 import dumps

    bench = Bench()
    data = CODEC.pack([dumps([99, "what"]), CODEC.encode(alive("a"))])
    bench.take(bench.engine.receive_packet(data, address_of("a"), now=bench.now))
    assert bench.count("message_unknown") == 1
    assert bench.engine.member("a") is not None


def test_an_admission_hook_that_raises_stops_the_engine_with_its_error() -> None:
    def hook(_: object) -> bool:
        raise KeyError("hook")

    bench = Bench(admit=hook)
    with pytest.raises(KeyError, match="hook"):
        bench.receive("a", alive("a"))


@pytest.mark.parametrize("verdict", [None, 1, "yes"])
def test_a_hook_that_answers_neither_yes_nor_no_is_told_so(verdict: object) -> None:
    """An ``async def`` hook let everybody in, for a coroutine is true."""
    bench = Bench(admit=lambda _: verdict)
    with pytest.raises(TypeError, match="must return True or False"):
        bench.receive("a", alive("a"))


def test_a_newer_claim_that_is_not_admitted_changes_nothing() -> None:
    bench = Bench(admit=lambda member: member.meta != b"bad")
    bench.know("a")
    bench.receive("a", alive("a", 2, meta=b"bad"))
    assert bench.member("a").incarnation == 1


def test_a_dialled_peer_that_seals_its_stream_is_told_apart_from_one_that_sends_garbage() -> None:
    bench = Bench()
    bench.take(bench.engine.join(Address("h-seed", 9), token=1, now=bench.now))
    [opened] = bench.opened()
    bench.take(bench.engine.exchange_opened(opened.exchange, now=bench.now))
    sealed = b"\xe9" + bytes(40)
    bench.take(bench.engine.exchange_received(opened.exchange, sealed, now=bench.now))
    assert bench.count("frame_sealed") == 1
    assert bench.count("dial_handshake") == 1
