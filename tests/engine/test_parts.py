"""The small parts by themselves: formulas, suspicion, awareness, timers, clock, seen."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gossip.engine.awareness import Awareness
from trio_gossip.engine.bucket import TokenBucket
from trio_gossip.engine.clock import StallClock
from trio_gossip.engine.formulas import (
    confirmations_wanted,
    push_pull_scale,
    retransmit_limit,
    suspicion_minimum,
)
from trio_gossip.engine.seen import ORIGINS_MAX, WINDOW, Seen
from trio_gossip.engine.suspicion import Suspicion
from trio_gossip.engine.timers import Timers
from trio_gossip.errors import LocalProtocolError


@pytest.mark.parametrize(
    ("n", "limit"),
    [(0, 0), (1, 4), (9, 4), (10, 8), (99, 8), (100, 12), (999, 12), (1000, 16), (9999, 16)],
)
def test_the_retransmit_limit_is_memberlists(n: int, limit: int) -> None:
    assert retransmit_limit(4, n) == limit


@pytest.mark.parametrize(
    ("n", "lan", "wan"),
    [
        (0, 4.0, 30.0),
        (1, 4.0, 30.0),
        (10, 4.0, 30.0),
        (50, 6.792, 50.94),
        (100, 8.0, 60.0),
        (1000, 12.0, 90.0),
        (10000, 16.0, 120.0),
    ],
)
def test_the_shortest_suspicion_is_memberlists(n: int, lan: float, wan: float) -> None:
    assert suspicion_minimum(4, n, 1.0) == pytest.approx(lan)
    assert suspicion_minimum(6, n, 5.0) == pytest.approx(wan)


@pytest.mark.parametrize(
    ("mult", "n", "wanted"),
    [(4, 3, 0), (4, 4, 2), (4, 30, 2), (6, 5, 0), (6, 6, 4), (3, 3, 1), (2, 30, 0), (1, 30, 0)],
)
def test_small_clusters_want_no_confirmation(mult: int, n: int, wanted: int) -> None:
    assert confirmations_wanted(mult, n) == wanted


@pytest.mark.parametrize(
    ("n", "scale"),
    [(1, 1), (32, 1), (33, 2), (64, 2), (65, 3), (128, 3), (129, 4), (1000, 6), (5000, 9)],
)
def test_the_push_pull_scale_is_memberlists(n: int, scale: int) -> None:
    assert push_pull_scale(n) == scale


def suspicion(wanted: int = 3, minimum: float = 2.0, maximum: float = 30.0) -> Suspicion:
    return Suspicion(1, 100.0, minimum, maximum, wanted, ["first"])


@pytest.mark.parametrize(
    ("minimum", "maximum", "timeouts"),
    [
        (2.0, 30.0, [30.0, 16.0, 7.81, 2.0]),
        (0.5, 2.0, [2.0, 1.25, 0.81, 0.5]),
    ],
)
def test_the_deadline_shrinks_with_the_logarithm_of_the_accusers(
    minimum: float, maximum: float, timeouts: list[float]
) -> None:
    """memberlist's own table (k=3)."""
    subject = suspicion(3, minimum, maximum)
    found = [subject.timeout]
    for accuser in "abc":
        assert subject.confirm(accuser)
        found.append(subject.timeout)
    assert found == pytest.approx(timeouts, abs=0.006)
    assert subject.deadline == 100.0 + subject.timeout


@pytest.mark.parametrize(("confirmations", "timeout"), [(0, 1.0), (1, 0.75), (2, 0.6037), (3, 0.5)])
def test_memberlists_dogpile_table(confirmations: int, timeout: float) -> None:
    """Its whole-path test: mult 5, maximum twice the minimum, interval 100 ms, N = 6."""
    minimum = suspicion_minimum(5, 6, 0.1)
    subject = suspicion(confirmations_wanted(5, 6), minimum, 2 * minimum)
    for accuser in range(confirmations):
        assert subject.confirm(str(accuser))
    assert subject.timeout == pytest.approx(timeout, abs=0.001)


def test_a_confirmation_from_the_same_accuser_counts_once() -> None:
    subject = suspicion()
    assert not subject.confirm("first")
    assert subject.confirm("a")
    assert not subject.confirm("a")
    assert subject.confirmations == 1


def test_confirmations_beyond_the_wanted_ones_are_no_news() -> None:
    subject = suspicion(wanted=1)
    assert subject.confirm("a")
    assert not subject.confirm("b")
    assert subject.accusers == ["first", "a"]


def test_without_possible_confirmations_the_minimum_holds() -> None:
    assert suspicion(wanted=0).timeout == 2.0


def test_the_health_score_stays_within_its_bounds_and_scales() -> None:
    awareness = Awareness(8)
    awareness.apply(-1)
    assert (awareness.score, awareness.scale(1.0)) == (0, 1.0)
    awareness.apply(3)
    assert awareness.scale(0.5) == 2.0
    awareness.apply(100)
    assert awareness.score == 7


def drain(timers: Timers, now: float) -> list[tuple[str, int | str]]:
    found = []
    while (key := timers.pop_due(now, timers.mark)) is not None:
        found.append(key)
    return found


def test_timers_fire_in_order_of_time_then_of_setting() -> None:
    timers = Timers()
    timers.set(("b", 0), 2.0)
    timers.set(("c", 0), 1.0)
    timers.set(("a", 0), 1.0)
    assert timers.earliest() == (1.0, ("c", 0))
    assert drain(timers, 1.5) == [("c", 0), ("a", 0)]
    assert drain(timers, 2.0) == [("b", 0)]
    assert timers.earliest() == (math.inf, None)


def test_a_timer_can_be_moved_and_cancelled() -> None:
    timers = Timers()
    timers.set(("a", 0), 1.0)
    timers.set(("a", 0), 3.0)
    timers.set(("b", 0), 2.0)
    timers.cancel(("b", 0))
    timers.cancel(("never", 0))
    assert timers.deadline(("a", 0)) == 3.0
    assert timers.deadline(("b", 0)) == math.inf
    assert ("a", 0) in timers
    assert drain(timers, 2.9) == []
    assert drain(timers, 3.0) == [("a", 0)]
    assert len(timers) == 0


def test_a_timer_set_for_now_waits_for_the_next_turn() -> None:
    timers = Timers()
    timers.set(("a", 0), 1.0)
    mark = timers.mark
    timers.set(("b", 0), 0.5)
    assert timers.pop_due(1.0, mark) is None, "b is first and newer than the mark"
    assert drain(timers, 1.0) == [("b", 0), ("a", 0)]


def test_cancelled_timers_do_not_pile_up() -> None:
    timers = Timers()
    for number in range(10_000):
        timers.set(("a", 0), float(number))
    assert len(timers._heap) < 100
    assert drain(timers, 1e9) == [("a", 0)]


@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.floats(0, 9)))))
def test_timers_agree_with_a_simple_model(steps: list[tuple[int, float | None]]) -> None:
    timers, model = Timers(), {}
    for order, (key, at) in enumerate(steps):
        if at is None:
            timers.cancel(("k", key))
            model.pop(key, None)
        else:
            timers.set(("k", key), at)
            model[key] = (at, order)
    wanted = [("k", key) for key, _ in sorted(model.items(), key=lambda item: item[1])]
    assert drain(timers, 10.0) == wanted


def test_a_late_turn_stops_the_clock_for_as_long_as_it_was_late() -> None:
    clock = StallClock(0.1)
    assert clock.advance(10.0, math.inf) == (10.0, 0.0)
    assert clock.advance(11.05, 11.0) == (11.05, 0.0), "a little late is in time"
    time, late = clock.advance(14.0, 12.0)
    assert (time, late) == (12.0, 2.0)
    assert clock.outside(12.5) == 14.5
    assert clock.advance(14.2, 12.5) == (pytest.approx(12.2), 0.0)
    assert (clock.stalls, clock.stalled, clock.lateness_max) == (1, 2.0, 2.0)


@pytest.mark.parametrize("now", [9.999, math.inf, math.nan])
def test_a_clock_that_runs_backwards_is_the_callers_fault(now: float) -> None:
    clock = StallClock(0.1)
    clock.advance(10.0, math.inf)
    with pytest.raises(LocalProtocolError, match="backwards"):
        clock.advance(now, math.inf)


def test_each_broadcast_is_new_once() -> None:
    seen = Seen()
    assert [seen.is_new("a", 1, c) for c in (5, 5, 3, 3, 6, 4, 5)] == [
        True,
        False,
        True,
        False,
        True,
        True,
        False,
    ]


def test_a_broadcast_older_than_the_window_is_not_new() -> None:
    """A delayed message must not be delivered twice because its memory is gone."""
    seen = Seen()
    assert seen.is_new("a", 1, WINDOW + 10)
    assert not seen.is_new("a", 1, 10)
    assert seen.is_new("a", 1, 11)
    assert seen.is_new("a", 1, 5 * WINDOW)
    assert seen.is_new("a", 1, 5 * WINDOW - 1)


def test_a_restarted_origin_counts_anew_and_its_former_life_is_over() -> None:
    seen = Seen()
    assert seen.is_new("a", 1, 100)
    assert seen.is_new("a", 2, 1)
    assert not seen.is_new("a", 1, 101)
    assert not seen.is_new("a", 2, 1)


def test_the_memory_of_origins_is_bounded() -> None:
    seen = Seen()
    for number in range(ORIGINS_MAX + 10):
        assert seen.is_new(f"o{number}", 1, 1)
    assert len(seen._windows) == ORIGINS_MAX
    assert not seen.is_new(f"o{ORIGINS_MAX + 9}", 1, 1)


@given(st.integers(0, 2**32), st.integers(1, 400))
def test_seen_agrees_with_a_set_inside_the_window(seed: int, size: int) -> None:
    rng = random.Random(seed)
    seen, model = Seen(), set()
    for _ in range(size):
        counter = rng.randint(1, WINDOW)
        assert seen.is_new("a", 1, counter) == (counter not in model)
        model.add(counter)


def test_a_bucket_admits_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.ready_at(0.0) == 0.5
    assert not bucket.take(0.25)
    assert bucket.take(0.5)
    assert not bucket.take(0.5)
    assert sum(bucket.take(100.0) for _ in range(9)) == 3, "a long pause saves up no more"


def test_a_bucket_gives_several_tokens_at_once_and_never_asks_for_more_than_a_burst() -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0)
    assert bucket.take(0.0, 2.5)
    assert not bucket.take(0.0, 1.0)
    assert bucket.ready_at(0.0, 2.0) == 0.75
    assert bucket.ready_at(0.0, 1000.0) == 1.25, "a burst is all that there ever is"
    assert bucket.take(1.25, 1000.0)
    assert bucket.ready_at(1.25) == 1.75


def test_two_turns_at_one_moment_are_no_stall_however_late_the_first_was() -> None:
    clock = StallClock(0.1)
    clock.advance(10.0, math.inf)
    assert clock.advance(10.0, 5.0) == (10.0, 0.0)
    assert clock.stalls == 0
    assert clock.lateness_max == 5.0
