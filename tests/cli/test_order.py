"""Lines of several pipes come out in the order in which they were printed."""

from __future__ import annotations

import math

import pytest
import trio

from trio_gossip.cli import order
from trio_gossip.cli.order import HOLD_SECONDS, InOrder, OwnTimes
from trio_gossip.cli.phases import Seen


def seen(observer: str, at: float) -> Seen:
    return Seen(observer, at, {"event": "started"})


async def test_what_happened_first_comes_out_first_whoever_is_read_first(autojump_clock):
    send, receive = trio.open_memory_channel[Seen](math.inf)
    lines = InOrder(receive, trio.current_time)
    send.send_nowait(seen("late", 0.05))

    async def arrive_later() -> None:
        await trio.sleep(HOLD_SECONDS / 2)
        send.send_nowait(seen("early", 0.01))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(arrive_later)
        assert [(await lines.receive()).observer for _ in range(2)] == ["early", "late"]
    assert trio.current_time() == pytest.approx(0.05 + HOLD_SECONDS)


async def test_lines_of_one_moment_keep_the_order_of_their_arrival(autojump_clock):
    send, receive = trio.open_memory_channel[Seen](math.inf)
    lines = InOrder(receive, trio.current_time)
    for name in "cab":
        send.send_nowait(seen(name, 0.0))
    assert "".join([(await lines.receive()).observer for _ in range(3)]) == "cab"


async def test_a_receive_that_is_cancelled_loses_no_line(autojump_clock):
    send, receive = trio.open_memory_channel[Seen](math.inf)
    lines = InOrder(receive, trio.current_time)
    send.send_nowait(seen("a", 0.0))
    with trio.move_on_after(HOLD_SECONDS / 2) as scope:
        await lines.receive()
    assert scope.cancelled_caught
    assert (await lines.receive()).observer == "a"


async def test_without_a_hold_a_line_comes_out_at_once(mock_clock):
    send, receive = trio.open_memory_channel[Seen](math.inf)
    send.send_nowait(seen("a", 0.0))
    assert (await InOrder(receive, trio.current_time).receive(0.0)).observer == "a"


def test_the_own_time_of_an_event_counts_within_reason(monkeypatch):
    monkeypatch.setattr(order.time, "time", lambda: 1000.0)
    now = 0.0
    times = OwnTimes(lambda: now)
    now = 5.0
    assert times.at("a", {"time": 1003.0}) == 3.0
    assert times.at("a", {"time": 900.0}) == 3.0  # the machine's clock was set back
    assert times.at("b", {"time": 2000.0}) == 5.0  # and forward
    assert times.at("c", {}) == 5.0
