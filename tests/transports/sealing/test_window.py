"""The replay window: every counter once, and nothing below it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trio_gossip_transports.sealing.window import WINDOW, Window


def take(window: Window, counter: int) -> bool:
    new = window.is_new(counter)
    if new:
        window.admit(counter)
    return new


def test_a_counter_is_admitted_once():
    window = Window()
    assert take(window, 0)
    assert not take(window, 0)
    assert take(window, 1)
    assert not take(window, 0)


def test_the_edges_of_the_window():
    window = Window()
    top = 10 * WINDOW
    assert take(window, top)
    assert not window.is_new(top - WINDOW)
    assert not window.is_new(0)
    assert take(window, top - WINDOW + 1)
    assert not take(window, top - WINDOW + 1)
    assert take(window, top + 1)
    assert not window.is_new(top - WINDOW + 1)
    assert window.is_new(top - WINDOW + 2)


def test_a_jump_over_the_whole_window_leaves_nothing_of_it():
    for jump in (WINDOW - 1, WINDOW, WINDOW + 1, 1 << 47):
        window = Window()
        assert take(window, 0)
        assert take(window, jump)
        assert not take(window, 0)
        assert not take(window, jump)
        assert take(window, jump - 1)


def test_what_is_too_old_leaves_no_trace_and_takes_no_memory():
    window = Window()
    window.admit(1 << 40)
    window.admit(0)
    assert window._seen == 1


@given(st.lists(st.integers(0, 3 * WINDOW), max_size=300))
def test_it_is_a_set_with_a_lower_end(counters: list[int]):
    window = Window()
    seen: set[int] = set()
    for counter in counters:
        expected = counter not in seen and (not seen or counter > max(seen) - WINDOW)
        assert take(window, counter) is expected
        if expected:
            seen.add(counter)
        assert window._seen.bit_length() <= WINDOW
