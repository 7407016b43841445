"""Sums over a member table: equal for equal tables, in O(1) for a change."""

from __future__ import annotations

import random

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_gossip.addresses import Address
from trio_gossip.codec.summary import BUCKETS
from trio_gossip.engine.membership import Membership
from trio_gossip.engine.tally import BUCKET_MASK, Tally, bucket_of, id_of, mark_of, term_of
from trio_gossip.members import Member, MemberState
from trio_gossip.plane import SUM_MASK
from trio_gossip.testing.simulation.shared_table import SharedTable, TableBase

NAMES = tuple(f"m{number}" for number in range(6))


def member(name: str, incarnation: int = 1, state: MemberState = MemberState.ALIVE) -> Member:
    return Member(name, Address(f"h-{name}", 7946), state, incarnation)


def check(table: Membership) -> None:
    """The tally is what it would be if it were made anew."""
    anew = Tally.of(entry.member for entry in table)
    assert (table.tally.digest, table.tally.buckets) == (anew.digest, anew.buckets)
    assert sum(table.tally.buckets) & BUCKET_MASK == table.tally.digest & BUCKET_MASK


def play(table: Membership, steps: list[tuple[int, int, int]]) -> None:
    """Change rows as the steps say: of which member, how, to which state."""
    rng = random.Random(1)
    for now, (which, kind, number) in enumerate(steps):
        name = NAMES[which]
        entry = table.get(name)
        state = list(MemberState)[number]
        if entry is None:
            table.insert(member(name, 1 + kind), now=now, rng=rng)
        elif kind == 0 and not entry.member.is_active:
            table.bury(entry, now=now, keep=10.0)
        elif kind == 1:
            table.witness(entry, entry.evidence + number)
        else:
            incarnation = max(1, entry.member.incarnation + kind - 2)
            newer = attrs.evolve(entry.member, state=state, incarnation=incarnation)
            table.replace(entry, newer, now=now)
        check(table)


steps_drawn = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 3)))


@settings(max_examples=60, deadline=None)
@given(steps=steps_drawn)
def test_the_tally_follows_every_change_of_a_table(steps: list[tuple[int, int, int]]) -> None:
    own = Membership()
    play(own, [(which, 0, 0) for which in range(6)] + steps)
    shared = SharedTable(TableBase.of([member(name) for name in NAMES]), random.Random(1))
    check(shared)
    play(shared, steps)
    assert shared.tally.digest == own.tally.digest
    assert shared.tally.buckets == own.tally.buckets


def test_hashes_are_part_of_the_wire() -> None:
    assert f"{term_of(member('a', 1_700_000_000)):016x}" == "3f4c201d31592b04"
    mark = mark_of("a")
    assert (bucket_of(mark), id_of(mark)) == (25, 0xD4619A)
    for number in range(1000):
        assert bucket_of(mark_of(f"n{number}")) < BUCKETS
        assert id_of(mark_of(f"n{number}")) < 2**24


def test_only_who_is_alive_or_suspect_counts() -> None:
    alive = term_of(member("a", 5))
    assert alive == term_of(member("a", 5, MemberState.SUSPECT))
    assert term_of(member("a", 5, MemberState.FAILED)) == 0
    assert term_of(member("a", 5, MemberState.LEFT)) == 0
    assert alive != term_of(member("a", 6))
    assert alive != term_of(member("b", 5))


def test_meta_evidence_and_time_make_no_difference() -> None:
    one, other = Membership(), Membership()
    for at, table in enumerate((one, other)):
        entry = table.insert(member("a"), now=at, rng=random.Random(at))
        table.witness(entry, 7 * at)
        table.touch(entry, now=9.0 * at)
    assert one.tally.digest == other.tally.digest


def test_a_change_of_nothing_is_no_change() -> None:
    table = Membership()
    entry = table.insert(member("a"), now=1.0, rng=random.Random(1))
    table.replace(entry, member("a", 1, MemberState.SUSPECT), now=2.0)
    assert table.tally.changed_at == 1.0
    assert len(table.tally.log) == 1
    table.replace(entry, member("a", 2), now=3.0)
    assert table.tally.changed_at == 3.0
    assert table.tally.log.explain(term_of(member("a", 2))) == ["a"]
    assert 0 <= table.tally.digest <= SUM_MASK
