"""What the driver passes on of the network's word, and what it measures of itself."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.driver.world import World, host_of, seed_of
from tests.driver.wrapping import WrappedTransport
from trio_gossip import Address, Cluster, JoinError
from trio_gossip import conduits as conduits_module
from trio_gossip.driver import REFUSALS_PER_SECOND
from trio_gossip.engine import Engine
from trio_gossip.loop_lag import LagMeter, LoopLag
from trio_gossip.transport import Refused, abort_stream
from trio_gossip_transports import EncryptedTransport, Key, Keyring

# -- streams ----------------------------------------------------------------------------


def spy(cluster: Cluster, *names: str) -> list[str]:
    """The names of these inputs of its engine, in the order in which they are called."""
    engine: Engine = cluster._driver.engine
    calls: list[str] = []

    def watched(name: str) -> Any:
        real = getattr(engine, name)

        def call(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            return real(*arguments, **options)

        return call

    for name in names:
        setattr(engine, name, watched(name))
    return calls


STEPS = ("exchange_connected", "exchange_opened", "exchange_failed")


async def test_a_stream_is_connected_before_a_handshake_that_nobody_answers(world: World) -> None:
    ring = Keyring([Key.generate()])
    sealed = EncryptedTransport(world.network.transport(host_of("a")), ring, b"test")
    a = await world.start("a", transport=sealed)
    calls = spy(a, *STEPS)
    async with world.network.transport(host_of("b")):  # takes streams and never answers
        with trio.move_on_after(3):
            await a.join([seed_of("b")])
    assert calls[0] == "exchange_connected"
    assert "exchange_opened" not in calls


async def test_a_stream_that_is_refused_was_never_connected(world: World) -> None:
    a = await world.start("a")
    calls = spy(a, *STEPS)
    with pytest.raises(JoinError):
        await a.join([seed_of("b")])
    assert set(calls) == {"exchange_failed"}


async def test_a_stream_without_a_handshake_is_connected_and_open_at_once(world: World) -> None:
    a, _ = [await world.start(name) for name in "ab"]
    calls = spy(a, *STEPS)
    await a.join([seed_of("b")])
    assert calls[:2] == ["exchange_connected", "exchange_opened"]


async def test_probes_by_stream_are_aborted_and_no_error_for_who_answers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    aborted: list[trio.abc.Stream] = []

    async def abort(stream: trio.abc.Stream) -> None:
        aborted.append(stream)
        await abort_stream(stream)

    monkeypatch.setattr(conduits_module, "abort_stream", abort)
    a, b = await world.cluster_of("ab")
    world.network.set_faults(loss=1.0)  # of datagrams only
    await trio.sleep(20)
    answered = a.statistics().engine.counters["probe_acked_by_stream"]
    assert answered > 5
    assert len(aborted) >= answered
    assert a.statistics().streams == b.statistics().streams == 0
    wrong = ("frame_", "dial_", "exchange_")
    assert [name for name in b.statistics().engine.counters if name.startswith(wrong)] == []


# -- refusals ---------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [True, False])
async def test_refusals_reach_the_engine_unless_the_kernel_is_not_asked(
    world: World, wanted: bool
) -> None:
    a, _ = await world.cluster_of("ab", kernel_evidence=wanted)
    await world.kill("b")
    await trio.sleep(5)
    counters = a.statistics().engine.counters
    assert ("packet_refused" in counters) is wanted
    assert world.lives["a"].transport.refusals_nowait() == [], "fetched in any case"


async def test_a_refusal_is_told_at_once_and_not_with_the_next_packet_or_timer(
    world: World,
) -> None:
    a = await world.start("a")
    calls = spy(a, "packet_refused")
    await trio.sleep(0.5)
    world.lives["a"].transport.send_packet(b"x", Address("10.0.0.9", 7946))
    await trio.sleep(0.001)  # one round trip
    await trio.testing.wait_all_tasks_blocked()
    assert calls == ["packet_refused"]


class Refusing(WrappedTransport):
    """Is told of refusals that the test makes up."""

    made_up: tuple[Refused, ...] = ()

    def refusals_nowait(self) -> list[Refused]:
        made_up, self.made_up = self.made_up, ()
        return [*self.inner.refusals_nowait(), *made_up]


async def test_a_flood_of_refusals_is_bounded_and_counted(world: World) -> None:
    transport = Refusing(world.network.transport(host_of("a")))
    a = await world.start("a", transport=transport)
    number = int(3 * REFUSALS_PER_SECOND)
    transport.made_up = tuple(Refused(Address("10.9.9.9", port)) for port in range(1, number + 1))
    transport.send_packet(b"x", transport.local_address)  # wakes it
    await trio.sleep(0.01)
    statistics = a.statistics()
    assert statistics.engine.counters["packet_refused_stranger"] == REFUSALS_PER_SECOND
    assert statistics.refusals_dropped == 2 * REFUSALS_PER_SECOND


# -- the lag of the loop ----------------------------------------------------------------


class Hands:
    """A clock that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_loop_that_is_blocked_between_two_deadlines_has_a_lag(world: World) -> None:
    a = await world.start("a")
    hands = Hands()
    a._driver.lag.__init__(hands)  # begin anew, on a clock of ours
    await trio.sleep(10)
    lag = a.statistics().loop_lag
    assert (lag.last, lag.smoothed, lag.longest) == (0.0, 0.0, 0.0)
    assert lag.passes > 5
    hands.now += 0.5  # as if this task had computed
    await trio.lowlevel.checkpoint()
    lag = a.statistics().loop_lag
    assert (lag.last, lag.smoothed, lag.longest) == (0.5, 0.5 / 16, 0.5)
    assert a.statistics().engine.stalls == 0, "no deadline was missed"
    await trio.sleep(100)
    lag = a.statistics().loop_lag
    assert (lag.last, lag.longest) == (0.0, 0.5)
    assert 0.0 < lag.smoothed < 0.001


def test_a_process_that_was_stopped_while_it_waited_has_a_lag() -> None:
    hands = Hands()
    meter = LagMeter(hands)
    assert meter.snapshot() == LoopLag()
    meter.before_io_wait(1.0)  # in the middle of a pass: nothing is known of its beginning
    assert meter.snapshot() == LoopLag()
    hands.now += 0.25
    meter.after_io_wait(1.0)  # an event came before the time was over
    meter.before_io_wait(0.5)
    assert meter.snapshot() == LoopLag(passes=1)
    hands.now += 2.5
    meter.after_io_wait(0.5)
    hands.now += 0.125
    meter.before_io_wait(1.0)
    assert meter.snapshot() == LoopLag(2.125, 2.125 / 16, 2.125, 2)


def test_a_meter_that_begins_while_trio_waits_knows_no_lateness() -> None:
    hands = Hands()
    meter = LagMeter(hands)
    meter.after_io_wait(5.0)
    meter.before_io_wait(1.0)
    assert meter.snapshot() == LoopLag(passes=1)


async def test_the_meter_is_gone_with_the_cluster(world: World) -> None:
    a = await world.start("a")
    await trio.sleep(1)
    await world.kill("a")
    passes = a.statistics().loop_lag.passes
    assert passes
    await trio.sleep(10)
    assert a.statistics().loop_lag.passes == passes
