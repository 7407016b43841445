"""The table: probe order, random picks, addresses, aliases."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.bench import CODEC, Bench, address_of, alive
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import Dead, IndirectPing, Message, Ping, Suspect
from trio_gossip.config import Config
from trio_gossip.engine import Engine, Notify
from trio_gossip.engine.membership import Membership
from trio_gossip.errors import LocalProtocolError
from trio_gossip.members import Member, MemberState


def table_of(size: int, rng: random.Random) -> Membership:
    table = Membership()
    for number in range(size):
        name = f"n{number}"
        member = Member(name, address_of(name), MemberState.ALIVE, 1)
        table.insert(member, now=0.0, rng=rng)
    return table


@given(st.integers(1, 40), st.integers(0, 2**32))
def test_each_round_of_the_walk_meets_every_member_once(size: int, seed: int) -> None:
    rng = random.Random(seed)
    table = table_of(size, rng)
    table._walk = size  # a new round
    for _ in range(3):
        names = []
        for _ in range(size):
            entry = table.next_in_walk(lambda _: True, rng)
            assert entry is not None
            names.append(entry.member.name)
        assert len(set(names)) == size


@given(st.integers(1, 60), st.integers(0, 8), st.integers(0, 2**32))
def test_a_pick_finds_different_wanted_members_and_all_of_them_in_small_tables(
    size: int, count: int, seed: int
) -> None:
    rng = random.Random(seed)
    table = table_of(size, rng)

    def even(entry) -> bool:
        return int(entry.member.name[1:]) % 2 == 0

    chosen = table.pick(count, even, rng)
    assert len({entry.member.name for entry in chosen}) == len(chosen)
    assert all(even(entry) for entry in chosen)
    if size < 3 * count:
        assert len(chosen) == min(count, (size + 1) // 2)
    else:
        assert len(chosen) <= count


def test_a_pick_finds_somebody_in_a_large_table_however_few_are_wanted() -> None:
    table = table_of(60, random.Random(1))

    def last(entry) -> bool:
        return entry.member.name == "n59"

    # One in twenty of these picks draws three times for each row and never the one.
    for seed in range(200):
        (entry,) = table.pick(6, last, random.Random(seed))
        assert entry.member.name == "n59"
    assert table.pick(6, lambda _: False, random.Random(1)) == []


def test_every_member_is_picked_about_equally_often() -> None:
    rng = random.Random(1)
    table = table_of(30, rng)
    counts = dict.fromkeys((f"n{number}" for number in range(30)), 0)
    for _ in range(3000):
        for entry in table.pick(3, lambda _: True, rng):
            counts[entry.member.name] += 1
    assert min(counts.values()) > 200
    assert max(counts.values()) < 400


@given(st.integers(2, 30), st.integers(0, 29), st.integers(0, 40), st.integers(0, 2**32))
def test_a_burial_in_the_middle_of_a_round_skips_nobody(
    size: int, victim: int, walked: int, seed: int
) -> None:
    rng = random.Random(seed)
    table = table_of(size, rng)
    table._walk = size  # a new round
    names = [f"n{number}" for number in range(size)]
    walked = min(walked, size - 1)
    met = [table.next_in_walk(lambda _: True, rng).member.name for _ in range(walked)]
    dead = names[victim % size]
    table.bury(table.get(dead), now=0.0, keep=10.0)
    rest = size - walked - (dead not in met)
    met += [table.next_in_walk(lambda _: True, rng).member.name for _ in range(rest)]
    assert set(met) | {dead} == set(names)


def test_an_address_is_known_as_long_as_its_last_owner_has_it() -> None:
    bench = Bench()
    table = bench.engine._node.table
    shared = Address("h-shared", 1)
    bench.receive("x", alive("a", address=shared), alive("b", address=shared))
    assert table.name_at(shared) == "b"
    bench.receive("x", Dead(1, "a", "b"))
    bench.wait(31.0)
    assert table.get("a") is None
    assert table.knows_address(shared)


def test_without_helpers_configured_nobody_is_asked() -> None:
    bench = Bench(indirect_probes=0)
    bench.know("a", "b", "c")
    bench.wait_for(Ping)
    bench.wait(1.0)
    assert not bench.messages(IndirectPing)


def test_a_request_too_long_for_a_small_packet_is_counted_and_left_out() -> None:
    bench = Bench(name="m" * 100, packet_limit=560)
    name = "n" * 250
    bench.receive("x", alive(name, address=Address("h" * 200, 1)), alive("helper"))
    bench.answer("helper")
    bench.wait(4.0)
    assert bench.count("message_too_large") >= 1
    assert all(sent.size <= 560 for sent in bench.sent)


@pytest.mark.parametrize("extra", [0, 3])
def test_follow_ups_of_an_exchange_that_found_two_views_are_bounded(extra: int) -> None:
    bench = Bench()
    rejoin = bench.engine._parts.rejoin
    for port in range(1, 65 + extra):
        rejoin.diverged(Address("h-x", port))
        rejoin.diverged(Address("h-x", port))
    rejoin.diverged(Address("h-y", 1), 0)
    bench.wait(1.1)
    dialled = [opened.address for opened in bench.opened()]
    assert dialled == [Address("h-x", port) for port in range(1, 65)]


def engine_on(table: Membership, **changes: int) -> Engine:
    values = {"incarnation": 10} | changes
    config = Config.lan(name="me")
    rng = random.Random(1)
    return Engine(config, address_of("me"), rng=rng, packet_limit=1400, table=table, **values)


def test_an_engine_uses_the_table_that_it_is_given_even_when_that_is_empty() -> None:
    table = Membership()
    engine = engine_on(table)
    assert [entry.member for entry in table] == [engine.local]
    assert engine.local.incarnation == 10


def test_an_engine_takes_the_row_that_its_table_has_for_it_already() -> None:
    rng = random.Random(1)
    table = table_of(3, rng)
    me = Member("me", address_of("me"), MemberState.ALIVE, 10)
    row = table.insert(me, now=0.0, rng=rng)
    engine = engine_on(table)
    engine.start(now=5.0)
    assert engine._node.me is row
    assert row.changed_at == 5.0
    assert {member.name for member in engine.members()} == {"n0", "n1", "n2", "me"}


@pytest.mark.parametrize(
    "mine",
    [
        Member("me", address_of("me"), MemberState.ALIVE, 9),
        Member("me", address_of("other"), MemberState.ALIVE, 10),
        Member("me", address_of("me"), MemberState.SUSPECT, 10),
        Member("me", address_of("me"), MemberState.ALIVE, 10, b"meta"),
    ],
)
def test_a_table_with_another_claim_of_the_engines_name_is_refused(mine: Member) -> None:
    table = Membership()
    table.insert(mine, now=0.0, rng=random.Random(1))
    with pytest.raises(LocalProtocolError, match=r"the table has Member.* where this member is"):
        engine_on(table)
    assert [entry.member for entry in table] == [mine]


def test_a_member_that_everybody_knows_already_announces_nothing() -> None:
    rng = random.Random(1)
    engine = engine_on(table_of(3, rng))
    outputs = engine.start(now=0.0, known=True)
    assert [type(output) for output in outputs] == [Notify]
    assert outputs[0].event.member == engine.local
    assert engine.statistics().membership_queue == 0
    assert engine.statistics().timers == 4  # ring, scan, exchanges and rejoins, but no gossip
    engine = engine_on(table_of(3, rng))
    engine.start(now=0.0)
    assert engine.statistics().membership_queue == 1


def test_evidence_only_grows() -> None:
    table = table_of(1, random.Random(1))
    entry = table.get("n0")
    for incarnation, evidence in ((5, 5), (3, 5), (6, 6)):
        table.witness(entry, incarnation)
        assert entry.evidence == evidence
    assert (
        table.replace(entry, Member("n0", address_of("n0"), MemberState.ALIVE, 2), now=1.0) is entry
    )
    assert (entry.evidence, entry.member.incarnation) == (6, 2)


def test_a_subclass_sees_every_change_that_the_engine_makes() -> None:
    seen = []

    def watched(name: str):
        def method(self, *args, **values):
            seen.append(name)
            return getattr(Membership, name)(self, *args, **values)

        return method

    names = ("insert", "replace", "witness", "touch", "bury")
    table = type("Watched", (Membership,), {name: watched(name) for name in names})()
    engine = engine_on(table)

    def receive(*messages: Message) -> None:
        data = CODEC.pack([CODEC.encode(message) for message in messages])
        engine.receive_packet(data, address_of("x"), now=1.0)

    engine.start(now=0.0)
    assert seen == ["insert", "touch"]
    receive(alive("a"), Suspect(1, "a", "x"), Dead(1, "a", "a"), Dead(2, "a", "a"))
    assert seen[2:] == ["insert", "replace", "replace", "witness"]
    receive(Suspect(3, "a", "x"), Suspect(10, "me", "x"))
    assert seen[6:] == ["witness", "replace"]
    while engine.next_deadline < 40.0:
        engine.handle_timeout(now=engine.next_deadline)
    assert seen[8:] == ["bury"]
