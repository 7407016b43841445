"""Virtual time for every test of the driver that is not on real sockets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.driver.world import World
from trio_gossip.testing.scheduling import repeatable_scheduling

HERE = Path(__file__).parent


def run_on_virtual_time(function: Callable[..., Any], *, clock: None, instruments: Any) -> Any:
    """Run a test as pytest-trio does, on a clock that jumps over every wait."""
    assert clock is None
    with repeatable_scheduling(0) as is_repeatable:
        assert is_repeatable
        return trio.run(function, clock=MockClock(autojump_threshold=0), instruments=instruments)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Replace the runner of this folder's tests.

    pytest-trio takes a clock only from the arguments of the test function itself, and its own
    mark names a runner already, so that this one has to stand before it.
    """
    for item in items:
        is_async = item.get_closest_marker("trio") is not None
        on_sockets = item.get_closest_marker("sockets") is not None
        if is_async and not on_sockets and item.path.parent == HERE:
            item.add_marker(pytest.mark.trio(run=run_on_virtual_time), append=False)


@pytest.fixture
async def world(nursery: trio.Nursery) -> World:
    """Members on a perfect network, half a millisecond apart."""
    assert isinstance(trio.lowlevel.current_clock(), MockClock)
    return World(nursery)
