"""Checkers of versioned state notice what goes back, comes back, is too much or does not agree."""

from __future__ import annotations

import attrs
import pytest

from trio_gossip.services.state import State
from trio_gossip.services.state_exchange import StateExchange
from trio_gossip.services.state_plane import StatePlane
from trio_gossip.services.state_records import Plane, StateLimits
from trio_gossip.services.state_replica import Replica
from trio_gossip.testing import Simulation
from trio_gossip.testing.checkers.base import Findings
from trio_gossip.testing.checkers.catalogue import Checkers, attach
from trio_gossip.testing.checkers.keeping import SharedKeysStay, StateOfMembers
from trio_gossip.testing.checkers.quiescence import Quiescence
from trio_gossip.testing.checkers.state import (
    DeletedStaysDeleted,
    StateAgrees,
    StateBounded,
    StateGoesForward,
    StateOwn,
)

STATE = [StateGoesForward, DeletedStaysDeleted, StateOwn, StateBounded, StateAgrees]


PROVED = (
    "state-agrees",
    "state-bounded",
    "state-goes-forward",
    "state-own",
    "deleted-stays-deleted",
    "state-of-members",
    "shared-keys-stay",
)
"""Each has a test here in which it objects, as the stories of the other files write no state."""


def formed(
    checkers: list[type] = STATE,
    names: str = "abcd",
    push_pull_interval: float = 1e6,
    **changes: object,
) -> tuple[Simulation, Findings, Checkers]:
    """Members that know each other, before anything is written."""
    simulation = Simulation(1)
    findings = Findings()
    attached = attach(simulation, findings, checkers)
    for name in names:
        simulation.start(name, push_pull_interval=push_pull_interval, **changes)
        if name != "a":
            simulation.join(name, "a")
    simulation.run(10.0)
    return simulation, findings, attached


def play(checkers: list[type] = STATE, **changes: object) -> Findings:
    """All write, replace and delete; then all is calm."""
    simulation, findings, attached = formed(checkers, **changes)
    for number in range(3):
        for name in simulation.processes:
            for shared in (False, True):
                simulation.write(name, "kept", b"%d" % number, shared=shared)
                simulation.write(name, "gone", b"%d" % number, shared=shared)
        simulation.run(2.0)
    simulation.write("a", "long", b"x" * 40_000)
    for shared in (False, True):
        simulation.write("b", "gone", None, shared=shared)
    attached.calm()
    simulation.run(90.0)
    attached.finish()
    return findings


def test_an_engine_that_keeps_state_breaks_no_rule() -> None:
    findings = play([*STATE, Quiescence])
    assert not findings.violations
    assert findings.idle() == []


def test_nothing_is_demanded_of_members_without_summaries() -> None:
    assert "state-agrees" in play(summaries=False).idle()


def test_state_that_is_not_repaired_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(State, "_tell", lambda *_: None)
    monkeypatch.setattr(StatePlane, "explain", lambda *_: [])
    monkeypatch.setattr(StateExchange, "reconcile", lambda self, peer, ended: ended(False))
    counts = play().counts
    assert counts["state-agrees"] > 0
    assert counts.keys() == {"state-agrees"}


def test_a_digest_that_says_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(State, "_tell", lambda *_: None)
    monkeypatch.setattr(Replica, "digest", property(lambda self: 1))
    assert play().counts["state-agrees"] > 0


def test_records_of_its_own_that_a_member_takes_from_others_are_noticed() -> None:
    simulation, findings, _ = formed()
    simulation.write("a", "k", b"mine")
    simulation.run(5.0)
    replica = simulation.processes["a"].state.replica(Plane.STATE)
    record = replica.get(("a", "k"))
    replica.slots.put(attrs.evolve(record, value=b"theirs", version=9), 1)
    simulation.run(5.0)
    assert findings.counts["state-own"] > 0


@pytest.mark.parametrize("plane", Plane, ids=lambda plane: plane.name)
def test_an_older_record_in_place_of_a_newer_one_is_noticed(plane: Plane) -> None:
    simulation, findings, _ = formed()
    for number in range(2):
        simulation.write("a", "k", b"%d" % number, shared=plane is Plane.SHARED)
        if not number:
            simulation.run(2.0)
            replica = simulation.processes["b"].state.replica(plane)
            [old] = [held.record for held in replica.slots.held.values()]
    simulation.run(3.0)
    replica.slots.put(old, 1)
    simulation.run(2.0)
    assert findings.counts["state-goes-forward"] > 0


@pytest.mark.parametrize("collected", [False, True])
def test_a_deleted_key_that_comes_back_is_noticed(collected: bool) -> None:
    simulation, findings, attached = formed()
    simulation.write("a", "k", b"v", shared=True)
    simulation.run(2.0)
    replica = simulation.processes["b"].state.replica(Plane.SHARED)
    [old] = [held.record for held in replica.slots.held.values()]
    simulation.write("a", "k", None, shared=True)
    simulation.run(3.0)
    attached.finish()
    assert not findings.violations
    if collected:
        replica.slots.remove(("", "k"))
        simulation.run(2.0)
    replica.slots.put(old, 1)
    simulation.run(2.0)
    assert findings.counts["deleted-stays-deleted"] > 0


def test_a_version_that_goes_back_is_noticed() -> None:
    simulation, findings, _ = formed()
    for number in range(3):
        simulation.write("a", "k", b"%d" % number)
    simulation.run(3.0)
    replica = simulation.processes["b"].state.replica(Plane.STATE)
    [((_, gen), _)] = [each for each in replica.seen.tops() if each[0][0] == "a"]
    replica.seen.lives["a"][gen].top = 1
    simulation.run(2.0)
    assert findings.counts["state-goes-forward"] > 0


@pytest.mark.parametrize("limits", [{"records": 1}, {"owner_records": 1}, {"bytes": 3}])
def test_more_than_the_limits_allow_is_noticed(limits: dict[str, int]) -> None:
    simulation, findings, _ = formed()
    for key in ("k1", "k2"):
        simulation.write("a", key, b"v")
    simulation.run(5.0)
    assert not findings.violations
    simulation.processes["b"].state.replica(Plane.STATE).limits = StateLimits(**limits)
    simulation.run(5.0)
    assert findings.counts["state-bounded"] > 0


def test_records_that_are_not_counted_are_noticed() -> None:
    simulation, findings, _ = formed()
    simulation.write("a", "k", b"v")
    simulation.run(5.0)
    simulation.processes["b"].state.replica(Plane.STATE).slots.use.bytes += 1
    simulation.run(5.0)
    assert findings.counts["state-bounded"] > 0


@pytest.mark.parametrize("times", [1, 4])
def test_each_exchange_may_fetch_both_planes_where_pings_do_not_compare(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = State.met

    def more_often(self: State, member: str, mode: str) -> None:
        for _ in range(times):
            met(self, member, mode)
            for exchange in self._exchanges.values():
                exchange._open.clear()

    with monkeypatch.context() as patched:
        patched.setattr(StateExchange, "_close", lambda *_, **__: None)
        patched.setattr(State, "met", more_often)
        simulation, findings, attached = formed(
            [Quiescence], summaries=False, push_pull_interval=5.0
        )
        attached.calm()
        simulation.run(120.0)
    assert bool(findings.violations) == (times > 1)
    assert findings.checked["quiescence"] > 0


def test_news_of_state_in_a_cluster_at_rest_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation, findings, attached = formed([Quiescence])
    attached.calm()
    simulation.run(40.0)
    assert not findings.violations
    host = simulation.processes["b"].state._host
    host.send("a", b"nothing new")
    simulation.run(5.0)
    assert findings.counts["quiescence"] > 0


def late_tombstone(plane: Plane, value: bytes | None) -> Findings:
    """A process holds a record that is older than the tombstone that it held there."""
    simulation, findings, attached = formed()
    shared = plane is Plane.SHARED
    simulation.write("a", "k", b"1", shared=shared)
    simulation.write("a", "k", None, shared=shared)
    simulation.run(1.0)
    replica = simulation.processes["b"].state.replica(plane)
    slot = ("" if shared else "a", "k")
    older = attrs.evolve(replica.slots.held[slot].record, version=1, stamp=5, value=value)
    replica.slots.put(older, 10**15)
    simulation.run(1.5)
    attached.finish()
    return findings


def test_a_late_shared_value_that_was_deleted_is_not_what_came_back() -> None:
    assert not late_tombstone(Plane.SHARED, None).violations


def test_an_older_tombstone_in_state_or_an_older_value_is_noticed() -> None:
    assert "state-goes-forward" in rules(late_tombstone(Plane.STATE, None))
    for plane in Plane:
        broken = rules(late_tombstone(plane, b"1"))
        assert {"state-goes-forward", "deleted-stays-deleted"} <= broken


def rules(findings: Findings) -> set[str]:
    return {violation.checker for violation in findings.violations}


def mourned(checkers: list[type]) -> Findings:
    """One of four members writes, crashes, and is reaped."""
    simulation, findings, attached = formed(checkers, gossip_to_dead_time=6.0, reap_time=12.0)
    for shared in (False, True):
        simulation.write("d", "k", b"v", shared=shared)
    simulation.run(5.0)
    simulation.crash("d")
    simulation.run(60.0)
    assert simulation.processes["a"].engine.member("d") is None
    attached.finish()
    return findings


def test_keys_of_a_reaped_member_go_and_shared_ones_stay() -> None:
    findings = mourned([StateOfMembers, SharedKeysStay])
    assert not findings.violations
    assert findings.idle() == []


def test_keys_of_a_reaped_member_that_stay_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(State, "forget", lambda *_: None)
    assert mourned([StateOfMembers]).counts["state-of-members"] > 0


def test_shared_keys_that_go_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(self: State, name: str) -> None:
        self.replica(Plane.SHARED)._clear(name)

    monkeypatch.setattr(State, "forget", forget)
    assert mourned([SharedKeysStay]).counts["shared-keys-stay"] > 0


def test_shared_keys_may_go_where_tombstones_were_collected() -> None:
    simulation, findings, attached = formed([SharedKeysStay])
    simulation.write("a", "k", b"v", shared=True)
    simulation.run(5.0)
    process = simulation.processes["b"]
    process.state._host.bump("state_collected")
    process.state.replica(Plane.SHARED).slots.remove(("", "k"))
    simulation.run(5.0)
    attached.finish()
    assert not findings.violations
