"""The probe order and the random picks of the shared table, which stores neither."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.simulation.test_shared_table import PLACES, anybody, members, table_of, walk
from trio_gossip.addresses import Address
from trio_gossip.members import Member, MemberState


@given(st.integers(1, 40), st.integers(0, 5), st.integers(0, 2**32))
def test_each_round_of_the_walk_meets_every_member_once(size: int, more: int, seed: int) -> None:
    table, rng = table_of(size, seed)
    assert sorted(walk(table, rng, size)) == sorted(table._base.rows)
    for member in members(size + more)[size:]:
        table.insert(member, now=0.0, rng=rng)
    walk(table, rng, more)  # the round that is under way grew at its end
    for _ in range(3):
        names = walk(table, rng, size + more)
        assert sorted(names) == sorted(row.member.name for row in table)


def test_each_round_has_another_order() -> None:
    table, rng = table_of(101)
    rounds = {tuple(walk(table, rng, 101)) for _ in range(20)}
    assert len(rounds) == 20


@given(st.integers(1, 30), st.lists(st.integers(0, 4), max_size=9), st.integers(0, 2**32))
def test_a_newcomer_is_met_in_this_round_or_in_the_next_and_nobody_is_left_out_for_it(
    size: int, pauses: list[int], seed: int
) -> None:
    table, rng = table_of(size, seed)
    met: list[str] = []
    come = members(size + 9)[size:]
    for pause in pauses:
        if len(met) + pause >= size:
            break
        met += walk(table, rng, pause)
        table.insert(come.pop(), now=0.0, rng=rng)
    met += walk(table, rng, len(table) - len(met))  # the rest of this round
    assert set(met) >= {f"n{number}" for number in range(size)}
    everybody = {row.member.name for row in table}
    assert set(walk(table, rng, len(table))) == everybody


def test_a_newcomer_has_any_place_in_the_round() -> None:
    waits = []
    for seed in range(300):
        table, rng = table_of(60, seed)
        walk(table, rng, 20)
        table.insert(members(61)[60], now=0.0, rng=rng)
        waits.append(walk(table, rng, 110).index("n60"))
    assert sum(wait < 20 for wait in waits) > 50
    assert sum(20 <= wait < 41 for wait in waits) > 50
    assert sum(wait >= 41 for wait in waits) > 50  # its place was passed: the next round


@given(
    st.integers(2, 20),
    st.integers(0, 5),
    st.integers(0, 24),
    st.integers(0, 40),
    st.integers(0, 2**32),
)
def test_a_burial_in_the_middle_of_a_round_skips_nobody(
    size: int, more: int, victim: int, walked: int, seed: int
) -> None:
    table, rng = table_of(size, seed)
    for member in members(size + more)[size:]:
        table.insert(member, now=0.0, rng=rng)
    walk(table, rng, size + more)
    total = size + more
    walked %= total
    met = walk(table, rng, walked)
    dead = f"n{victim % total}"
    table.bury(table.get(dead), now=0.0, keep=10.0)
    met += walk(table, rng, total - walked - (dead not in met))
    assert set(met) | {dead} == {f"n{number}" for number in range(total)}
    assert sorted(walk(table, rng, total - 1)) == sorted(row.member.name for row in table)


def test_a_round_begins_anywhere_and_goes_on_anywhere() -> None:
    tables = [table_of(7, seed) for seed in range(600)]
    starts = [tuple(walk(table, rng, 2)) for table, rng in tables]
    assert len(set(starts)) == 7 * 6
    first = [one for one, _ in starts]
    assert all(60 < first.count(name) < 115 for name in tables[0][0]._base.rows)


def test_a_member_of_the_base_that_comes_back_has_its_old_place() -> None:
    table, rng = table_of(5)
    table.bury(table.get("n2"), now=0.0, keep=9.0)
    assert sorted(walk(table, rng, 4)) == ["n0", "n1", "n3", "n4"]
    back = Member("n2", Address("other", 1), MemberState.ALIVE, 6)
    row = table.insert(back, now=1.0, rng=rng)
    assert table.get("n2") is row
    assert len(table) == len(list(table)) == 5
    assert set(walk(table, rng, 9)) == {"n0", "n1", "n2", "n3", "n4"}
    table.bury(row, now=2.0, keep=9.0)
    assert table.get("n2") is None
    assert len(table) == len(list(table)) == 4


def test_newcomers_that_come_and_go_take_the_places_of_those_that_went() -> None:
    table, rng = table_of(10)
    for number in range(10, 500):
        member = Member(f"n{number}", Address(f"h{number}", 1), MemberState.ALIVE, 1)
        table.insert(member, now=0.0, rng=rng)
        if number >= 13:
            table.bury(table.get(f"n{number - 3}"), now=0.0, keep=1.0)
    assert len(table) == 13
    assert len(table._order) == 4
    assert len(table._swaps) <= 8
    walk(table, rng, 13)
    assert sorted(walk(table, rng, 13)) == sorted(row.member.name for row in table)


def test_nobody_wanted_ends_the_search() -> None:
    table, rng = table_of(5)
    assert table.next_in_walk(lambda _: False, rng) is None
    assert table.pick(1, lambda _: False, rng) == []
    assert table.pick(3, lambda _: False, rng) == []
    assert table.pick(0, anybody, rng) == []


def test_every_member_is_picked_about_equally_often() -> None:
    table, rng = table_of(24)
    for member in members(34)[24:]:
        table.insert(member, now=0.0, rng=rng)
    for name in ("n3", "n11", "n30", "n32"):
        table.bury(table.get(name), now=0.0, keep=1.0)
    table.replace(table.get("n5"), Member("n5", PLACES[5], MemberState.ALIVE, 9), now=1.0)
    counts = {row.member.name: 0 for row in table}
    for _ in range(3000):
        for entry in table.pick(3, anybody, rng):
            counts[entry.member.name] += 1
    assert len(counts) == 30
    assert min(counts.values()) > 200
    assert max(counts.values()) < 400
