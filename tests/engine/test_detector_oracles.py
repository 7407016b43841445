"""What the evidence detector promises, in clusters of engines: whom it forgives, when all know."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.clusters import active, cluster, split
from trio_gossip.events import MemberFailed, MemberRecovered, MemberSuspected
from trio_gossip.failures import Evidence
from trio_gossip.members import MemberState
from trio_gossip.testing import Simulation


def peace(count: int, seed: int, **changes: Any) -> Simulation:
    """A cluster at rest for a few seconds; not all seeds end at the same phase of the probes."""
    world = Simulation(seed)
    world.start_converged([f"n{number:03}" for number in range(count)], **changes)
    world.run(3.0 + seed * 0.137)
    return world


def failures(world: Simulation) -> list[tuple[str, str]]:
    """Who declared whom failed, or heard of it."""
    return [
        (name, event.member.name)
        for name, process in world.processes.items()
        for event in process.seen(MemberFailed)
    ]


def seconds_until_all_know(world: Simulation, name: str) -> float:
    began = world.now
    others = [process for other, process in world.processes.items() if other != name]

    def known() -> bool:
        return all(process.engine.member(name).state is MemberState.FAILED for process in others)

    assert world.run_until(known, 60.0)
    return world.now - began


def isolate(world: Simulation, name: str, *, hears: bool = False, speaks: bool = False) -> None:
    for other in sorted(set(world.processes) - {name}):
        if not hears:
            world.links.cut([(other, name)])
        if not speaks:
            world.links.cut([(name, other)])


# -- when all know ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "runs"), [(5, 6), (30, 6), pytest.param(30, 100, marks=pytest.mark.slow)]
)
def test_all_know_of_a_killed_process_within_two_and_a_half_seconds(count: int, runs: int) -> None:
    took: list[float] = []
    for seed in range(runs):
        world = peace(count, seed)
        world.crash("n002")
        took.append(seconds_until_all_know(world, "n002"))
        events = [e for p in world.processes.values() for e in p.seen(MemberFailed)]
        assert {event.evidence for event in events if event.evidence is not None} == {
            Evidence.REFUSED
        }
    assert max(took) < 2.5
    assert sum(took) / runs < 2.0


@pytest.mark.parametrize(
    ("count", "runs"), [(5, 4), (30, 4), pytest.param(30, 60, marks=pytest.mark.slow)]
)
def test_all_know_of_a_host_that_is_gone_within_five_and_a_half_seconds(
    count: int, runs: int
) -> None:
    took: list[float] = []
    for seed in range(runs):
        world = peace(count, seed)
        world.crash("n002", host=True)
        took.append(seconds_until_all_know(world, "n002"))
    assert max(took) < 5.5
    assert min(took) > 4.0


@pytest.mark.parametrize("host", [False, True])
@pytest.mark.parametrize("count", [2, 3, 4, 6])
def test_who_is_left_alone_knows_it_in_the_end(count: int, host: bool) -> None:
    """Nobody confirms anything then; a member of three waited for ever once."""
    world = peace(count, 1)
    for number in range(1, count):
        world.crash(f"n{number:03}", host=host)
    limit = 300.0 if host and count > 2 else 30.0
    assert world.run_until(lambda: active(world, "n000") == {"n000"}, limit)


# -- who is forgiven --------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0.5, 2.0, 5.0, 9.0])
def test_a_process_that_stands_still_for_nine_seconds_is_forgiven(seconds: float) -> None:
    for seed in range(3):
        world = peace(12, seed)
        world.pause("n003")
        world.run(seconds)
        world.resume("n003")
        world.run(15.0)
        assert not failures(world)
        assert world.agree()


def test_a_process_that_hangs_is_declared_failed_after_ten_seconds() -> None:
    world = peace(12, 1)
    world.pause("n003")
    took = seconds_until_all_know(world, "n003")
    assert 10.0 < took < 12.5
    (event, *_) = world.processes["n000"].seen(MemberFailed)
    assert event.evidence in (Evidence.STALLED, None)


@pytest.mark.parametrize("seconds", [1.0, 2.0, 3.9])
def test_a_network_that_is_silent_for_four_seconds_is_forgiven(seconds: float) -> None:
    for seed in range(3):
        world = peace(12, seed)
        isolate(world, "n003")
        world.run(seconds)
        world.links.heal()
        world.run(15.0)
        assert not failures(world)
        assert world.agree()


def test_a_short_outage_is_told_to_nobody() -> None:
    world = peace(12, 1)
    isolate(world, "n003")
    world.run(1.9)
    world.links.heal()
    world.run(10.0)
    suspected = [p for p in world.processes.values() if p.seen(MemberSuspected)]
    assert suspected
    reasons = {e.reason for p in suspected for e in p.seen(MemberRecovered)}
    assert reasons <= {"answered", "unconfirmed"}


@pytest.mark.parametrize(
    ("count", "seconds"), [(30, 30.0), pytest.param(30, 600.0, marks=pytest.mark.slow)]
)
def test_a_network_that_loses_a_packet_in_four_kills_nobody(count: int, seconds: float) -> None:
    world = peace(count, 1)
    world.links.change(loss=0.25)
    world.run(seconds)
    assert not failures(world)


@pytest.mark.parametrize(
    ("count", "blocked", "seconds"),
    [(24, 6, 8.0), pytest.param(128, 32, 32.0, marks=pytest.mark.slow)],
)
def test_members_that_are_blocked_together_take_no_healthy_one_for_dead(
    count: int, blocked: int, seconds: float
) -> None:
    """Lifeguard's experiment: their timers run, and nothing comes in or goes out; then all does."""
    world = peace(count, 1)
    names = sorted(world.processes)
    victims = names[:blocked]
    pairs = [(a, b) for a in victims for b in names if a != b]
    world.links.clog(pairs + [(b, a) for a, b in pairs], world.now + seconds)
    world.run(seconds)
    world.links.forget_clogs(world.now)
    world.run(13.0)
    assert not [(who, whom) for who, whom in failures(world) if whom not in victims]


def test_a_deaf_member_kills_nobody_but_is_dead_to_others() -> None:
    world = peace(20, 1)
    isolate(world, "n003", speaks=True)
    world.run(60.0)
    assert {whom for _, whom in failures(world)} == {"n003"}


def test_a_member_that_can_only_hear_kills_nobody_either() -> None:
    world = peace(20, 1)
    isolate(world, "n003", hears=True)
    world.run(60.0)
    assert {whom for _, whom in failures(world)} <= {"n003"}


def test_one_cut_link_kills_nobody() -> None:
    world = peace(12, 1)
    world.links.cut([("n001", "n002"), ("n002", "n001"), ("n003", "n004")])
    world.run(60.0)
    assert not failures(world)


def test_a_restart_within_a_second_is_no_death() -> None:
    world = cluster("a", "b", "c", "d", "e")
    world.run(5.0)
    world.crash("c")
    world.run(0.5)
    world.start("c")
    world.join("c", "a")
    world.run(10.0)
    assert world.agree()
    assert not failures(world)


# -- wrong verdicts ---------------------------------------------------------------------


def test_a_member_wrongly_buried_is_back_within_two_probe_intervals() -> None:
    for seed in range(4):
        world = peace(12, seed)
        isolate(world, "n003")
        world.run(8.0)
        others = [p for name, p in world.processes.items() if name != "n003"]
        states = {process.engine.member("n003").state for process in others}
        assert states == {MemberState.FAILED}
        world.links.heal()
        began = world.now
        assert world.run_until(world.agree, 10.0)
        assert world.now - began < 2.0


def test_a_half_that_is_cut_off_knows_its_own_half() -> None:
    world = peace(8, 1)
    names = sorted(world.processes)
    split(world, *names[:4])
    assert world.run_until(lambda: all(len(active(world, name)) == 4 for name in names), 30.0)
