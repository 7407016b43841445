"""Comparing two tables bucket by bucket."""

from __future__ import annotations

from struct import pack
from typing import Any

import pytest

from tests.engine.bench import Bench, address_of, alive
from tests.engine.clusters import cluster
from tests.engine.test_repair import bench
from trio_gossip.codec.messages import (
    Alive,
    BucketRows,
    BucketSums,
    BucketWants,
    Dead,
    Leave,
    SyncOpen,
)
from trio_gossip.codec.summary import BUCKETS
from trio_gossip.engine import buckets
from trio_gossip.engine.buckets import ANSWERS_PER_SECOND, EVERYTHING, RECORDS_MAX
from trio_gossip.engine.changelog import ChangeLog
from trio_gossip.engine.tally import bucket_of, id_of, mark_of
from trio_gossip.testing import Simulation
from trio_gossip.testing.checkers.inside import node_of


def sums_of(made: Bench, **changed: int) -> bytes:
    """Our own sums, with something added in the buckets of these names."""
    sums = list(made.engine._node.table.tally.buckets)
    for name, more in changed.items():
        at = bucket_of(mark_of(name))
        sums[at] = (sums[at] + more) % 2**32
    return pack(f">{BUCKETS}I", *sums)


def bits(*names: str) -> int:
    found = 0
    for name in names:
        found |= 1 << bucket_of(mark_of(name))
    return found


def row(name: str, incarnation: int) -> bytes:
    return id_of(mark_of(name)).to_bytes(3, "big") + (incarnation % 2**32).to_bytes(4, "big")


def ids(*names: str) -> bytes:
    return b"".join(id_of(mark_of(name)).to_bytes(3, "big") for name in names)


def rows_in(answer: BucketRows) -> set[bytes]:
    return {answer.rows[at : at + 7] for at in range(0, len(answer.rows), 7)}


def begin(made: Bench, peer: str = "a") -> tuple[int, list[bool]]:
    """Begin a comparison; returns its number, and what it will come to."""
    made.clear()
    ended: list[bool] = []
    made.engine._parts.buckets.start(peer, ended.append)
    made.take(made.engine._node.outbox.take())
    ((sent, sums),) = [(sent, message) for sent in made.sent for message in sent.messages]
    assert sent.address == address_of(peer)
    assert sums == BucketSums(sums.sequence, "me", sums_of(made))
    made.clear()
    return sums.sequence, ended


def answered(made: Bench, *changed: str) -> list[BucketRows]:
    """What is said to a peer in whose tables these differ."""
    made.clear()
    made.receive("a", BucketSums(1, "a", sums_of(made, **dict.fromkeys(changed, 1))))
    return made.messages(BucketRows, "a")


# -- the answering side ---------------------------------------------------------------------------


def test_equal_sums_are_answered_with_nothing() -> None:
    assert answered(bench("a", "b")) == [BucketRows(1, "me", 0, b"")]


def test_the_rows_of_a_bucket_that_differs_are_told() -> None:
    made = bench("a", "b")
    (answer,) = answered(made, "b")
    assert answer.buckets == bits("b")
    there = [name for name in ("a", "b", "me") if bits(name) == bits("b")]
    assert rows_in(answer) == {row(name, made.member(name).incarnation) for name in there}


def test_who_is_gone_has_no_row() -> None:
    made = bench("a", "b")
    made.receive("b", Leave(1, 1, "b"))
    (answer,) = answered(made, "b")
    assert row("b", 1) not in rows_in(answer)


def test_many_rows_come_in_several_packets_with_whole_buckets() -> None:
    made = bench("a")
    names = [f"n{number}" for number in range(400)]
    made.know(*names)
    answers = answered(made, *names)
    assert 2 < len(answers) <= buckets.ROW_PACKETS_MAX
    assert sum(len(answer.rows) for answer in answers) == 7 * 402
    together = 0
    for answer in answers:
        assert not together & answer.buckets
        together |= answer.buckets
    for sent in made.sent:
        assert sent.size <= 1400


@pytest.mark.parametrize("most", [1, 8])
def test_when_there_is_too_much_whole_tables_are_asked_for(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "ROW_PACKETS_MAX", most)
    if most > 1:  # all in one bucket, which then does not fit a packet
        monkeypatch.setattr(buckets, "bucket_of", lambda mark: bucket_of(mark_of("a")))
    made = bench("a")
    names = [f"n{number}" for number in range(400)]
    made.know(*names)
    assert answered(made, *names) == [BucketRows(1, "me", EVERYTHING, b"")]


def test_only_peers_are_answered_and_not_too_often() -> None:
    made = bench("a", "b")
    sums = sums_of(made, b=1)
    made.receive("stranger", BucketSums(1, "stranger", sums))
    made.receive("b", BucketSums(1, "a", sums))
    assert not made.sent
    assert made.count("repair_refused") == 2
    for number in range(6):
        made.receive("a", BucketSums(number, "a", sums))
    assert len(made.messages(BucketRows)) == ANSWERS_PER_SECOND
    assert made.count("repair_busy") == 2


def wants(made: Bench, wanted: bytes = b"", told: bytes = b"", sequence: int = 1) -> list[Any]:
    made.clear()
    made.receive("a", BucketWants(sequence, "a", wanted, told))
    return [message for sent in made.sent for message in sent.messages]


def test_who_is_wanted_is_told_of_and_whose_end_is_not_known_as_well() -> None:
    made = bench("a", "b", "c", "d", "e")
    made.receive("d", Leave(1, 1, "d"))
    made.receive("a", Dead(1, "e", "a"))
    answered(made, "b")
    told = wants(made, ids("b", "nobody"), ids("c", "d", "e"))
    assert told == [alive("b"), Dead(1, "d", "d"), Dead(1, "e", "me")]
    assert made.count("repair_told") == 3
    # One packet of rows, one packet of wants.
    assert wants(made, ids("b")) == []
    assert made.count("repair_refused") == 1


def test_who_wants_nobody_that_is_known_is_sent_nothing() -> None:
    made = bench("a", "b")
    answered(made, "b")
    assert wants(made, ids("nobody"), b"") == []
    assert not made.sent


def test_an_end_is_remembered_as_long_as_the_tombstone() -> None:
    made = bench("a", "b")
    made.receive("b", Leave(1, 1, "b"))
    made.answer("a")
    made.wait(60.0)
    assert made.engine.member("b") is None
    answered(made, "b")
    assert wants(made, told=ids("b")) == [Dead(1, "b", "b")]


def test_each_packet_of_rows_may_be_followed_by_wants() -> None:
    made = bench("a")
    names = [f"n{number}" for number in range(400)]
    made.know(*names)
    count = len(answered(made, *names))
    for _ in range(count):
        assert len(wants(made, ids(*names))) == RECORDS_MAX
    assert wants(made, ids(*names)) == []


def test_wants_that_follow_no_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "COMPARISONS_MAX", 1)
    made = bench("a", "b")
    assert wants(made, ids("b")) == []
    answered(made, "b")
    assert wants(made, ids("b"), sequence=2) == []
    made.receive("b", BucketWants(1, "a", ids("b"), b""))
    made.receive("b", BucketSums(5, "b", sums_of(made, b=1)))  # the other is forgotten
    assert wants(made, ids("b")) == []
    assert made.count("repair_refused") == 4
    assert made.count("repair_told") == 0


# -- the asking side ------------------------------------------------------------------------------


def test_rows_are_compared_and_both_hear_what_they_lack() -> None:
    made = Bench()
    for name, incarnation in (("a", 1), ("b", 5), ("c", 5), ("d", 5)):
        made.know(name, incarnation=incarnation)
    sequence, ended = begin(made)
    everybody = bits("me", "a", "b", "c", "d", "new")
    rows = row("me", 10) + row("a", 1) + row("b", 4) + row("c", 6) + row("new", 1)
    made.receive("a", BucketRows(sequence, "a", everybody, rows))
    told = [message for sent in made.sent for message in sent.messages]
    assert told[:-1] == [alive("b", 5), alive("d", 5)]
    want = told[-1]
    assert want == BucketWants(sequence, "me", want.wanted, ids("b", "d"))
    assert want.wanted == ids("c", "new")
    assert ended == [True]


def test_buckets_that_are_equal_are_none_of_the_matter() -> None:
    made = bench("a", "b")
    sequence, _ = begin(made)
    names = [name for name in ("me", "a") if bits(name) == bits("a")]
    rows = b"".join(row(name, made.member(name).incarnation) for name in names)
    made.receive("a", BucketRows(sequence, "a", bits("a"), rows + row("new", 1)))
    (want,) = made.messages(BucketWants)
    assert want == BucketWants(sequence, "me", ids("new"), b"")


def test_incarnations_are_compared_as_serial_numbers() -> None:
    made = Bench()
    made.know("a", incarnation=2**32 + 5)
    sequence, _ = begin(made)
    made.receive("a", BucketRows(sequence, "a", bits("a"), row("a", 2**32 - 5)))
    (want,) = made.messages(BucketWants)
    assert (want.wanted, want.told[:3]) == (b"", ids("a"))


def test_nothing_found_is_said_so() -> None:
    made = bench("a")
    sequence, ended = begin(made)
    made.receive("a", BucketRows(sequence, "a", 0, b""))
    assert ended == [False]
    assert not made.sent


def test_so_much_that_a_stream_is_better_goes_over_a_stream() -> None:
    made = bench("a")
    sequence, ended = begin(made)
    made.receive("a", BucketRows(sequence, "a", EVERYTHING, b""))
    (opened,) = made.opened()
    assert (opened.address, opened.peer_name) == (address_of("a"), "a")
    assert ended == [True]
    made.take(made.engine.exchange_opened(opened.exchange, now=made.now))
    assert isinstance(made.frames_sent(opened.exchange)[0], SyncOpen)


def test_rows_of_others_or_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "COMPARISONS_MAX", 1)
    made = bench("a", "b")
    begin(made)
    sequence, ended = begin(made)
    rows = BucketRows(sequence, "a", bits("new"), row("new", 1))
    made.receive("a", BucketRows(sequence + 1, "a", bits("new"), row("new", 1)))
    made.receive("b", BucketRows(sequence, "b", bits("new"), row("new", 1)))
    made.receive("b", rows)
    assert made.count("repair_refused") == 3
    assert not made.sent
    for _ in range(buckets.ROW_PACKETS_MAX + 2):
        made.receive("a", rows)
    assert made.count("repair_refused") == 5
    assert len(ended) == buckets.ROW_PACKETS_MAX


# -- together -------------------------------------------------------------------------------------


def missed(world: Simulation, victim: str, subject: str, *, logged: bool) -> None:
    """All but one member hear that another is at a higher incarnation; nobody gossips of it."""
    for name, process in world.processes.items():
        node = node_of(process)
        entry = node.table.get(subject)
        assert entry is not None
        if name != victim:
            newer = alive_again(entry.member)
            node.table.replace(entry, newer, now=node.now)
        if not logged:
            node.table.tally.log = ChangeLog()


def alive_again(member: Any) -> Any:
    return type(member)(
        member.name,
        member.address,
        member.state,
        member.incarnation + 1,
        member.meta,
        member.versions,
    )


@pytest.mark.parametrize("logged", [True, False])
def test_a_missed_update_is_repaired_within_some_probes(logged: bool) -> None:
    world = cluster("a", "b", "c", "d", push_pull_interval=1e6)
    world.run(10.0)
    missed(world, "d", "b", logged=logged)
    assert not world.agree()
    assert world.run_until(world.agree, 8.0)
    started = [
        process.engine.statistics().counters.get("repair_started", 0)
        for process in world.processes.values()
    ]
    assert (sum(started) > 0) is not logged


def test_without_summaries_a_missed_update_stays_missed_until_tables_are_exchanged() -> None:
    world = cluster("a", "b", "c", "d", push_pull_interval=1e6, summaries=False)
    world.run(10.0)
    missed(world, "d", "b", logged=True)
    world.run(60.0)
    assert not world.agree()


def test_a_member_that_one_has_missed_is_repaired_without_a_log() -> None:
    world = cluster("a", "b", "c", "d", push_pull_interval=1e6)
    world.run(10.0)
    node = node_of(world.processes["d"])
    entry = node.table.get("b")
    assert entry is not None
    node.table.bury(entry, now=node.now, keep=0.0)
    for process in world.processes.values():
        node_of(process).table.tally.log = ChangeLog()
    assert world.run_until(world.agree, 10.0)


def test_alive_is_told_of_alive_members_only() -> None:
    made = bench("a", "b")
    answered(made, "b")
    assert [type(each) for each in wants(made, ids("b"))] == [Alive]
