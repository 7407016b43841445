"""Merging is commutative, associative and idempotent in what is shown."""

from __future__ import annotations

import copy
import random
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from trio_gossip.services.state_clock import HybridClock
from trio_gossip.services.state_intake import Intake
from trio_gossip.services.state_records import Plane, Record, StateLimits
from trio_gossip.services.state_replica import Replica
from trio_gossip.services.state_sending import make_chunk

NAMES = "abc"
KEYS = "xyz"
WRITERS = st.sampled_from(NAMES)
STEP = st.one_of(
    st.tuples(st.just("set"), WRITERS, st.sampled_from(KEYS)),
    st.tuples(st.just("delete"), WRITERS, st.sampled_from(KEYS)),
    st.tuples(st.just("pull"), WRITERS, WRITERS),
    st.tuples(st.just("collect"), WRITERS, st.just("")),
)
SCRIPTS = st.lists(STEP, max_size=25)
PLANES = st.sampled_from(Plane)


def replica(plane: Plane, name: str) -> Replica:
    return Replica(
        plane,
        name,
        1 + ord(name),
        rng=random.Random(1),
        clock=HybridClock(60_000),
        limits=StateLimits(tombstone_ms=2000),
    )


def merge(target: Replica, source: Replica, now_ms: int, chunk_bytes: int = 150) -> None:
    """One whole exchange: ``target`` asks, ``source`` answers."""
    intake, vector = Intake(target), target.vector()
    while not intake.is_done:
        chunk = make_chunk(source, vector, intake.cursor, chunk_bytes)
        intake.take(chunk, now_ms=now_ms)
    assert intake.is_adopted


def play(plane: Plane, script: list[tuple[str, str, str]]) -> tuple[dict[str, Replica], int]:
    world = {name: replica(plane, name) for name in NAMES}
    now = 1_000_000
    for number, (what, who, other) in enumerate(script):
        now += 500
        if what == "set":
            world[who].set(other, b"%d" % number, now_ms=now)
        elif what == "delete":
            world[who].delete(other, now_ms=now)
        elif what == "pull":
            merge(world[who], world[other], now)
        else:
            world[who].collect(now_ms=now)
    return world, now


def shown(one: Replica) -> list[Record]:
    return one.items()


@given(PLANES, SCRIPTS)
def test_the_order_of_exchanges_makes_no_difference(plane, script) -> None:
    world, now = play(plane, script)
    outcomes = []
    for order in permutations(NAMES):
        newcomer = replica(plane, "d")
        for name in order:
            merge(newcomer, world[name], now)
        outcomes.append(shown(newcomer))
    assert all(outcome == outcomes[0] for outcome in outcomes)


@given(PLANES, SCRIPTS)
def test_an_exchange_twice_is_an_exchange_once(plane, script) -> None:
    world, now = play(plane, script)
    newcomer = replica(plane, "d")
    for name in NAMES:
        merge(newcomer, world[name], now)
    before = shown(newcomer), newcomer.digest, newcomer.vector()
    for name in NAMES:
        merge(newcomer, world[name], now)
    assert (shown(newcomer), newcomer.digest, newcomer.vector()) == before


@given(PLANES, SCRIPTS)
def test_what_is_merged_first_makes_no_difference(plane, script) -> None:
    world, now = play(plane, script)
    left, right = replica(plane, "d"), replica(plane, "d")
    middle = copy.deepcopy(world["b"])
    # (a, b), then c.
    merge(middle, world["a"], now)
    merge(left, middle, now)
    merge(left, world["c"], now)
    # a, then (b, c).
    middle = copy.deepcopy(world["b"])
    merge(middle, world["c"], now)
    merge(right, world["a"], now)
    merge(right, middle, now)
    assert shown(left) == shown(right)


@settings(max_examples=50)
@given(PLANES, SCRIPTS, st.integers(1, 2000))
def test_the_size_of_chunks_makes_no_difference(plane, script, chunk_bytes) -> None:
    world, now = play(plane, script)
    one, other = replica(plane, "d"), replica(plane, "d")
    for name in NAMES:
        merge(one, world[name], now, chunk_bytes)
        merge(other, world[name], now, 10**6)
    assert shown(one) == shown(other)
    assert one.digest == other.digest


@given(PLANES, SCRIPTS, st.randoms(use_true_random=False))
def test_single_records_in_any_order_show_what_an_exchange_shows(plane, script, chance) -> None:
    world, now = play(plane, script)
    newcomer, late = replica(plane, "d"), replica(plane, "d")
    merge(newcomer, world["a"], now)
    records = [held.record for held in world["a"].slots.after(0)]
    chance.shuffle(records)
    for record in records + records:
        late.receive(record, now_ms=now)
    assert shown(late) == shown(newcomer)
