"""Push/pull that we begin: joins and periodic exchanges."""

from __future__ import annotations

import attrs
import pytest

from tests.engine.bench import Bench, address_of, alive
from tests.engine.exchanging import closes, join, record, table
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import (
    Alive,
    Refusal,
    SyncEnd,
    SyncMembers,
    SyncOpen,
)
from trio_gossip.engine import CloseExchange
from trio_gossip.engine.core import COMMANDS_MAX
from trio_gossip.errors import LocalProtocolError, PeerUnreachableError, RemoteProtocolError
from trio_gossip.events import (
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberSuspected,
    Reason,
)
from trio_gossip.failures import DialFailure, RefusalReason
from trio_gossip.members import Member, MemberState


def test_a_join_sends_our_table_and_merges_the_seeds() -> None:
    bench = Bench()
    exchange = join(bench)
    sent = bench.frames_sent(exchange)
    assert [type(frame) for frame in sent] == [SyncOpen, SyncMembers, SyncEnd]
    assert sent[0].joining
    assert [r.name for r in sent[1].records] == ["me"]
    bench.frames(exchange, *table(record("peer"), record("a", 4)))
    assert bench.results[1].result == 2
    assert {member.name for member in bench.engine.members()} == {"me", "peer", "a"}
    joined = [event for event in bench.seen(MemberJoined) if event.member.name == "a"]
    assert joined[0].reason is Reason.SYNCED
    assert closes(bench, exchange) == [CloseExchange(exchange)]


def test_a_large_table_goes_in_chunks_one_for_each_turn() -> None:
    bench = Bench(sync_chunk_members=100)
    for number in range(250):
        bench.receive("x", alive(f"n{number}"))
    exchange = join(bench)
    sent = bench.frames_sent(exchange)
    assert [len(f.records) for f in sent if isinstance(f, SyncMembers)] == [100, 100, 51]
    assert sent[-1].count == 251


def test_a_large_table_is_merged_in_slices() -> None:
    bench = Bench()
    exchange = join(bench)
    records = [record("peer")] + [record(f"n{number}") for number in range(299)]
    frames = [
        SyncOpen("peer", address_of("peer"), False),
        SyncMembers(records[:150]),
        SyncMembers(records[150:]),
        SyncEnd(300),
    ]
    bench.frames(exchange, *frames)
    known = len(bench.engine.members())
    assert 1 < known < 301, "one slice in each turn"
    assert bench.engine.next_deadline <= bench.now
    bench.wait(0.0)
    assert len(bench.engine.members()) == 301
    assert bench.results[1].result == 300


def test_the_states_of_a_table_become_claims() -> None:
    bench = Bench()
    bench.know("suspected", "failed", "left")
    bench.clear()
    bench.frames(
        join(bench),
        *table(
            record("peer"),
            record("suspected", 1, 1),
            record("failed", 1, 2),
            record("left", 1, 3),
            record("unknown1", 1, 1),
            record("unknown2", 1, 2),
            record("unknown3", 1, 3),
        ),
    )
    assert bench.state("suspected") is MemberState.SUSPECT
    assert bench.state("failed") is MemberState.SUSPECT, "hearsay never declares a failure"
    assert bench.state("left") is MemberState.LEFT
    assert not bench.seen(MemberFailed)
    assert {event.reason for event in bench.seen(MemberSuspected)} == {Reason.SYNCED}
    assert len(bench.seen(MemberLeft)) == 1
    assert len(bench.engine.members(all=True)) == 5


def test_a_table_with_another_view_of_one_incarnation_reaches_the_member_itself() -> None:
    bench = Bench()
    bench.know("a", "b")
    bench.clear()
    moved = attrs.evolve(record("a"), address=Address("elsewhere", 7946))
    bench.frames(join(bench), *table(record("peer"), moved, record("b")))
    [claim] = [claim for claim in bench.messages(Alive, to="a") if claim.name == "a"]
    assert claim.address == moved.address
    assert not [claim for claim in bench.messages(Alive, to="b") if claim.name == "b"]


@pytest.mark.parametrize("failure", list(DialFailure))
def test_a_join_that_cannot_be_dialled_says_why(failure: DialFailure) -> None:
    bench = Bench()
    bench.take(bench.engine.join(address_of("peer"), token=1, now=bench.now))
    exchange = bench.opened()[-1].exchange
    bench.take(bench.engine.exchange_failed(exchange, failure, now=bench.now))
    error = bench.results[1].error
    assert isinstance(error, PeerUnreachableError)
    assert failure.value.replace("_", " ") in str(error)
    assert bench.count(f"dial_{failure.value}") == 1


def test_a_join_that_is_refused_says_why() -> None:
    bench = Bench()
    exchange = join(bench)
    bench.frames(exchange, Refusal(RefusalReason.BUSY, "come back later"))
    error = bench.results[1].error
    assert isinstance(error, RemoteProtocolError)
    assert "busy" in str(error)
    assert "come back later" in str(error)


def test_a_refusal_of_a_later_version_is_understood_as_one() -> None:
    bench = Bench()
    bench.frames(join(bench), Refusal(77, "because"))
    assert "unknown" in str(bench.results[1].error)


def test_a_peer_that_we_do_not_admit_is_told() -> None:
    bench = Bench(admit=lambda member: member.name != "peer")
    exchange = join(bench)
    bench.frames_sent(exchange)
    bench.frames(exchange, *table(record("peer"), record("a")))
    assert isinstance(bench.results[1].error, RemoteProtocolError)
    assert [type(f) for f in bench.frames_sent(exchange)][-1] is Refusal
    assert closes(bench, exchange) == [CloseExchange(exchange, drain=True)]
    assert [member.name for member in bench.engine.members()] == ["me"]


def test_a_seed_without_progress_times_out() -> None:
    bench = Bench()
    exchange = join(bench)
    bench.wait(bench.config.stream_timeout + 0.1)
    assert "timed out" in str(bench.results[1].error)
    assert closes(bench, exchange) == [CloseExchange(exchange)]
    assert bench.count("exchange_timed_out") == 1


def test_a_seed_that_drips_does_not_hold_its_place_for_ever() -> None:
    bench = Bench()
    exchange = join(bench)
    bench.frames(exchange, SyncOpen("peer", address_of("peer"), False))
    for _ in range(15):
        bench.wait(9.0)
        bench.frames(exchange, SyncMembers([]))
    assert "timed out" in str(bench.results[1].error)


def test_an_abandoned_join_closes_its_stream_and_tells_nobody() -> None:
    bench = Bench()
    exchange = join(bench)
    bench.take(bench.engine.abandon(1, now=bench.now))
    bench.take(bench.engine.abandon(1, now=bench.now))
    assert closes(bench, exchange) == [CloseExchange(exchange)]
    bench.frames(exchange, *table(record("peer")))
    assert not bench.results


def test_tokens_are_used_once_at_a_time_and_bounded() -> None:
    bench = Bench()
    bench.take(bench.engine.join(address_of("a"), token=1, now=bench.now))
    with pytest.raises(LocalProtocolError, match="in use"):
        bench.engine.join(address_of("a"), token=1, now=bench.now)
    for token in range(2, COMMANDS_MAX + 1):
        bench.engine.join(address_of("a"), token=token, now=bench.now)
    with pytest.raises(LocalProtocolError, match="under way"):
        bench.engine.join(address_of("a"), token=COMMANDS_MAX + 1, now=bench.now)


def test_tables_are_exchanged_periodically_and_rarer_in_large_clusters() -> None:
    bench = Bench(probe_interval=1e6, probe_timeout=1.0, rejoin_interval=1e6)
    bench.know("a")
    bench.clear()
    bench.wait(121.0)
    assert len(bench.opened()) in (4, 5)
    for number in range(99):
        bench.receive("x", alive(f"n{number}"))
    bench.wait(60.0)
    bench.clear()
    bench.wait(361.0)
    assert len(bench.opened()) == 4, "every 90 seconds at 101 members"


def test_alone_no_tables_are_exchanged() -> None:
    bench = Bench()
    bench.wait(100.0)
    assert not bench.opened()


def test_an_exchange_with_ourselves_is_harmless() -> None:
    bench = Bench()
    asking = join(bench, "me")
    answering = bench.accept("me")
    bench.frames(answering, *bench.frames_sent(asking))
    bench.frames(asking, *bench.frames_sent(answering))
    assert bench.results[1].result == 1
    assert bench.engine.members() == (Member("me", address_of("me"), MemberState.ALIVE, 10),)


def test_a_join_that_succeeds_during_a_leave_introduces_nobody() -> None:
    bench = Bench()
    bench.know("a")
    exchange = join(bench)
    bench.frames_sent(exchange)
    bench.take(bench.engine.leave(token=2, now=bench.now))
    bench.clear()
    bench.frames(exchange, *table(record("peer"), record("a")))
    assert bench.results[1].result == 2
    assert not [message for message in bench.messages(Alive) if message.name == "me"]


def test_a_newcomer_tells_members_itself() -> None:
    bench = Bench()
    exchange = join(bench)
    bench.frames_sent(exchange)
    bench.clear()
    bench.frames(exchange, *table(record("peer"), record("a"), record("b")))
    told = {
        sent.address
        for sent in bench.sent
        if any(m == bench.engine._node.own_claim() for m in sent.messages)
    }
    assert told == {address_of("peer"), address_of("a"), address_of("b")}
