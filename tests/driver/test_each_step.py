"""Cancelled, killed and broken at each step of a short life: nothing may be left behind.

The life of ``a`` (open, join, read events, send reliably, ping, leave) takes some hundred steps
of trio's scheduler. Each run ends it at another one, and then looks for tasks, endpoints,
streams and warnings that outlived it. ``b`` must go on as if nothing had been.
"""

from __future__ import annotations

import errno
import gc
import warnings
from collections.abc import Iterator
from typing import Literal

import pytest
import trio

from tests.driver.life import run
from tests.driver.world import config_of, seed_of
from trio_gossip import (
    JoinError,
    LocalProtocolError,
    PeerUnreachableError,
    RemoteProtocolError,
    open_cluster,
)
from trio_gossip_transports import MemoryNetwork

SLICES = 4
"""Each test takes every fourth step, so that they share the work among processes."""


@pytest.fixture(autouse=True)
def _collect_garbage() -> Iterator[None]:
    """What is only noticed when it is collected (a coroutine, a socket) fails this test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()


def test_an_undisturbed_life_ends_well() -> None:
    for how in ("open", "serve"):
        outcome = run(how=how)
        assert outcome.error is None
        assert not outcome.cancelled
        assert outcome.steps > 100
    assert run(ask=10_000).asked > 1


@pytest.mark.parametrize("part", range(SLICES))
@pytest.mark.parametrize("how", ["open", "serve"])
def test_a_life_that_is_cancelled_at_any_step_leaves_nothing(
    how: Literal["open", "serve"], part: int
) -> None:
    step, cancelled = part + 1, 0
    while True:
        outcome = run(step, how=how)
        assert outcome.error is None, f"cancelled at step {step}: {outcome.error!r}"
        if outcome.steps < step:
            break
        cancelled += outcome.cancelled
        step += SLICES
    assert cancelled > 20


@pytest.mark.parametrize("part", range(SLICES))
def test_a_peer_that_is_killed_at_any_step_is_told_by_the_right_error(part: int) -> None:
    step, errors = part + 1, set()
    while True:
        outcome = run(step, action="kill")
        if outcome.error is not None:
            assert isinstance(outcome.error, ALLOWED), repr(outcome.error)
            errors.add(type(outcome.error))
        if outcome.steps < step:
            break
        step += SLICES
    assert errors


ALLOWED = (
    JoinError,
    PeerUnreachableError,
    RemoteProtocolError,
    LocalProtocolError,
    ExceptionGroup,  # of the test's own nursery around two calls
)


@pytest.mark.parametrize("part", range(SLICES))
@pytest.mark.parametrize("how", ["open", "serve"])
def test_a_transport_that_dies_at_any_call_ends_the_life_with_its_own_error(
    how: Literal["open", "serve"], part: int
) -> None:
    last = run(how=how).calls
    assert last > 20
    for call in range(part + 1, last + 1, SLICES):
        error = OSError(errno.EIO, f"broken at call {call}")
        outcome = run(how=how, call=call, error=error)
        # In groups only where the life has a nursery of its own; test_errors looks at that.
        assert leaves(outcome.error) == [error], f"call {call}: {outcome.error!r}"


def leaves(error: BaseException | None) -> list[BaseException | None]:
    """The errors in a group, without the groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


def test_a_hook_that_raises_at_any_time_ends_the_life_with_its_own_error() -> None:
    for kind in (KeyError, OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        times = 0
        while True:
            times += 1
            error = kind("from the hook")
            outcome = run(ask=times, error=error)
            if outcome.asked < times:
                break
            assert outcome.error is error, f"{kind} at {times}: {outcome.error!r}"
            assert outcome.asked == times
        assert times > 1


@pytest.mark.parametrize("step", range(0, 40, 3))
async def test_an_error_raised_in_the_block_after_any_step_arrives_as_itself(step: int) -> None:
    network = MemoryNetwork(seed=7)
    error = KeyError(step)
    caught: BaseException | None = None
    async with (
        network.transport("10.0.0.2") as other,
        open_cluster(config_of("b"), other) as b,
        network.transport("10.0.0.1") as transport,
    ):
        before = trio.lowlevel.current_statistics().tasks_living
        try:
            async with open_cluster(config_of("a"), transport) as cluster:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(cluster.join, [seed_of("b")])
                    for _ in range(step):
                        await trio.lowlevel.checkpoint()
                    nursery.cancel_scope.cancel()
                raise error
        except BaseException as raised:
            caught = raised
        with trio.fail_after(5):
            while b.statistics().streams:
                await trio.sleep(0.01)
        assert trio.lowlevel.current_statistics().tasks_living == before
    assert caught is error
