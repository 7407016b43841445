"""The shared table: it behaves as a table of one's own, and the base stays as it is."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gossip.addresses import Address
from trio_gossip.engine.membership import Entry, Membership
from trio_gossip.members import Member, MemberState
from trio_gossip.testing.simulation.shared_table import SharedTable, TableBase

BASE = 6
NAMES = [f"n{number}" for number in range(10)]
PLACES = [Address(f"h{number}", 1) for number in range(12)]


def members(count: int) -> list[Member]:
    return [
        Member(f"n{number}", Address(f"h{number}", 1), MemberState.ALIVE, 5)
        for number in range(count)
    ]


def table_of(size: int, seed: int = 1) -> tuple[SharedTable, random.Random]:
    rng = random.Random(seed)
    return SharedTable(TableBase.of(members(size)), rng), rng


def snapshot(base: TableBase) -> object:
    def rows(entries) -> list:
        return [(id(row), row.member, row.evidence, row.changed_at) for row in entries]

    return rows(base.entries), list(base.rows), rows(base.rows.values()), dict(base.names)


def anybody(_: Entry) -> bool:
    return True


def walk(table: Membership, rng: random.Random, steps: int) -> list[str]:
    found = []
    for _ in range(steps):
        entry = table.next_in_walk(anybody, rng)
        assert entry is not None
        found.append(entry.member.name)
    return found


# -- the same as a table of one's own ---------------------------------------------------


class Pair:
    """A shared table beside a plain one that is told the same."""

    def __init__(self, base: TableBase, me: str, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = 3.0
        self.shared = SharedTable(base, self.rng)
        self.plain = Membership()
        for entry in base.entries:
            self.plain.insert(entry.member, now=entry.changed_at, rng=self.rng)
        mine = base.rows[me].member
        self.me = self.shared.adopt(mine, now=3.0, rng=self.rng)
        self.plain.adopt(mine, now=3.0, rng=self.rng)

    def both(self, change: Callable[[Membership], object]) -> None:
        for table in (self.shared, self.plain):
            change(table)

    def insert(self, member: Member) -> None:
        if self.plain.get(member.name) is None:
            self.both(lambda table: table.insert(member, now=self.now, rng=self.rng))

    def replace(self, member: Member) -> None:
        if self.plain.get(member.name) is not None:
            for table in (self.shared, self.plain):
                row = table.replace(table.get(member.name), member, now=self.now)
                assert row is table.get(member.name)
                assert row.member is member

    def witness(self, member: Member) -> None:
        if self.plain.get(member.name) is not None:
            self.both(lambda table: table.witness(table.get(member.name), member.incarnation))

    def touch(self, member: Member) -> None:
        if self.plain.get(member.name) is not None:
            self.both(lambda table: table.touch(table.get(member.name), now=self.now))

    def bury(self, member: Member) -> None:
        if member.name != self.me.member.name and self.plain.get(member.name) is not None:
            self.both(lambda table: table.bury(table.get(member.name), now=self.now, keep=4.0))

    def pick(self, member: Member) -> None:
        wanted = member.incarnation

        def even(entry: Entry) -> bool:
            return entry.evidence % 2 == 0

        for table in (self.shared, self.plain):
            chosen = table.pick(wanted, even, self.rng)
            assert len({row.member.name for row in chosen}) == len(chosen) <= wanted
            assert all(even(row) and row is table.get(row.member.name) for row in chosen)
            if len(table) < 3 * wanted:
                assert len(chosen) == min(wanted, sum(map(even, table)))

    def walk(self, member: Member) -> None:
        entry = self.shared.next_in_walk(anybody, self.rng)
        assert entry is not None
        assert entry is self.shared.get(entry.member.name)

    def check(self) -> None:
        shared, plain = self.shared, self.plain
        views = []
        for table in (shared, plain):
            rows = {row.member.name: (row.member, row.evidence, row.changed_at) for row in table}
            assert len(rows) == len(table)
            for name in NAMES:
                assert (table.get(name) is None) == (name not in rows)
            owners = [(table.name_at(place), table.knows_address(place)) for place in PLACES]
            stones = [table.tombstone(name, now=self.now) for name in NAMES]
            views.append((rows, owners, stones, table.active, list(table.tombstones())))
        assert views[0] == views[1]
        assert shared.get(self.me.member.name) is self.me
        assert {id(row) for row in shared} == {id(shared.get(row.member.name)) for row in shared}


CLAIMS = st.builds(
    Member,
    st.sampled_from(NAMES),
    st.sampled_from(PLACES),
    st.sampled_from(list(MemberState)),
    st.integers(0, 9),
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from([*("insert", "replace", "witness"), *("touch", "bury", "pick", "walk")]),
        CLAIMS,
    ),
    max_size=40,
)


@given(STEPS, st.integers(0, 2**32))
def test_any_sequence_of_changes_does_what_it_does_to_a_plain_table_and_stays_private(
    steps: list[tuple[int, str, Member]], seed: int
) -> None:
    base = TableBase.of(members(BASE), now=2.0)
    before = snapshot(base)
    pairs = (Pair(base, "n0", seed), Pair(base, "n1", seed + 1))
    for which, change, member in steps:
        pairs[which].now += 1.0
        getattr(pairs[which], change)(member)
        for pair in pairs:
            pair.check()
    assert snapshot(base) == before


def test_a_row_that_went_stale_in_the_hand_still_stands_for_its_member() -> None:
    table, _ = table_of(3)
    stale = table.get("n1")
    moved = Member("n1", Address("other", 1), MemberState.ALIVE, 6)
    row = table.replace(stale, moved, now=1.0)
    assert stale.member.incarnation == 5
    table.touch(stale, now=7.0)
    table.witness(stale, 9)
    assert (row.changed_at, row.evidence) == (7.0, 9)
    table.bury(stale, now=8.0, keep=9.0)
    assert table.get("n1") is None
    assert table.tombstone("n1", now=8.0).incarnation == 9
    assert not table.knows_address(Address("other", 1))


def test_a_shared_row_cannot_be_changed() -> None:
    table, _ = table_of(2)
    for name in ("member", "evidence", "changed_at"):
        with pytest.raises(AttributeError, match="n1: a shared row never changes"):
            setattr(table.get("n1"), name, 9)


def test_reading_copies_no_row() -> None:
    table, rng = table_of(200)
    for name in list(table._base.rows):
        table.get(name)
        table.witness(table.get(name), 5)
    walk(table, rng, 400)
    table.pick(150, anybody, rng)
    assert len(list(table)) == len(table) == table.active == 200
    assert not table._rows
    me = table.adopt(members(200)[7], now=0.0, rng=rng)
    assert list(table._rows.values()) == [me]


def bad_bases() -> list[tuple[list[Member], str]]:
    one, two, three = members(3)
    dead = Member("x", Address("x", 1), MemberState.SUSPECT, 1)
    return [
        ([], "needs members"),
        ([one, two, three, one], "its own name"),
        ([one, Member("x", two.address, MemberState.ALIVE, 1), two], "own name and address"),
        ([one, dead], "x is suspect, not alive"),
    ]


@pytest.mark.parametrize(("those", "message"), bad_bases())
def test_a_base_that_no_cluster_at_rest_can_have_is_refused(
    those: list[Member], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        TableBase.of(those)


def test_another_subclass_can_be_mixed_in_and_sees_every_change() -> None:
    class Watch(Membership):
        __slots__ = ("seen",)

        def replace(self, entry: Entry, member: Member, *, now: float) -> Entry:
            self.seen.append((entry.member.incarnation, member.incarnation))
            return super().replace(entry, member, now=now)

    class Both(Watch, SharedTable):
        pass

    rng = random.Random(1)
    table = Both(TableBase.of(members(2)), rng)
    table.seen = []
    newer = Member("n1", Address("h1", 1), MemberState.FAILED, 6)
    row = table.replace(table.get("n1"), newer, now=1.0)
    table.replace(row, members(2)[1], now=2.0)
    assert table.seen == [(5, 6), (6, 5)]
