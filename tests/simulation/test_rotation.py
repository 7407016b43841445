"""Keys are rotated while the cluster works: nothing is lost and nobody is suspected.

Two hundred seeds: ``pytest -m slow tests/simulation/test_rotation.py``.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import partial

import pytest

from tests.simulation.rotation import (
    NAMES,
    ROTATIONS,
    Listener,
    Outcome,
    rotate,
    rotate_under_load,
    sealed_cluster,
)
from trio_gossip.testing import Simulation
from trio_gossip.testing.sealed import key_of

SOME = range(3)
ALL = range(200)
PART = 20
LOSS = 0.05


def check(outcome: Outcome) -> None:
    """What holds with lost packets, too: streams repeat what is lost, gossip repeats news."""
    assert outcome.changes == [each for each in outcome.changes if each.endswith(": None")]
    assert len(outcome.changes) == 3 * ROTATIONS
    assert outcome.rings == {(key_of(outcome.seed, ROTATIONS).fingerprint,)}
    assert not outcome.errors
    assert not outcome.lost_reliables
    assert not outcome.missing_broadcasts
    assert not outcome.suspicions
    assert not outcome.failures


def check_lossless(seed: int) -> None:
    outcome = rotate_under_load(seed)
    check(outcome)
    assert not outcome.drops, "no packet was sealed with a key that its receiver lacked"
    assert outcome.packets > 3000


def check_lossy(seed: int) -> None:
    outcome = rotate_under_load(seed, loss=LOSS)
    check(outcome)
    assert set(outcome.drops) <= {"waiting_dropped"}, "what waited for a hello that was lost"


@pytest.mark.parametrize("seed", SOME)
def test_a_rotation_under_load_loses_nothing_and_raises_no_suspicion(seed: int) -> None:
    check_lossless(seed)


@pytest.mark.parametrize("seed", SOME)
def test_nor_does_one_while_a_twentieth_of_all_packets_is_lost(seed: int) -> None:
    check_lossy(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", ALL[::PART])
@pytest.mark.parametrize("check_one", [check_lossless, check_lossy])
def test_two_hundred_rotations(first: int, check_one) -> None:
    for seed in range(first, first + PART):
        check_one(seed)


def test_a_rotation_is_a_function_of_its_seed() -> None:
    assert rotate_under_load(7).digest == rotate_under_load(7).digest
    assert rotate_under_load(7).digest != rotate_under_load(8).digest


# -- who was away -----------------------------------------------------------------------


def rotated_without(simulation: Simulation, *away: str) -> Outcome:
    """All others have failed ``away``, and have changed their key for another one."""
    outcome = Outcome(simulation.seed)
    others = set(NAMES) - set(away)

    def know() -> bool:
        processes = simulation.processes
        return all(processes[name].active_names() == others for name in others)

    assert simulation.run_until(know, 60.0)
    rotate(simulation, "n0", 1, outcome, random.Random(f"{simulation.seed} rotation"))
    assert all(each.endswith(": None") for each in outcome.changes)
    return outcome


def back_with_the_new_key(simulation: Simulation, limit: float = 90.0) -> None:
    assert simulation.run_until(simulation.agree, limit)
    new = (key_of(simulation.seed, 1).fingerprint,)
    assert {process.seal.key_ids for process in simulation.processes.values()} == {new}


@pytest.mark.parametrize("seed", range(3))
def test_a_member_that_was_down_during_a_rotation_is_brought_up_when_it_joins(seed: int) -> None:
    simulation = sealed_cluster(seed)
    simulation.crash("n4")
    rotated_without(simulation, "n4")
    simulation.start("n4")
    simulation.join("n4", "n1")
    back_with_the_new_key(simulation, 5.0)


@pytest.mark.parametrize("seed", range(3))
def test_a_member_that_was_cut_off_during_a_rotation_is_brought_up(seed: int) -> None:
    simulation = sealed_cluster(seed)
    cut = [(a, b) for a in NAMES for b in NAMES if (a == "n4") != (b == "n4")]
    simulation.links.cut(cut)
    rotated_without(simulation, "n4")
    simulation.links.heal()
    back_with_the_new_key(simulation)


@pytest.mark.parametrize("seed", range(3))
def test_a_member_that_stood_still_during_a_rotation_is_brought_up(seed: int) -> None:
    simulation = sealed_cluster(seed)
    simulation.pause("n4")
    rotated_without(simulation, "n4")
    simulation.resume("n4")
    back_with_the_new_key(simulation)


@pytest.mark.parametrize("seed", range(3))
def test_members_that_were_away_together_do_not_lose_each_other_when_one_comes_home(
    seed: int,
) -> None:
    """The first one to get the new key must hear those that still have its former one."""
    simulation = sealed_cluster(seed)
    away = {"n4", "n5", "n6"}
    simulation.links.cut([(a, b) for a in NAMES for b in NAMES if (a in away) != (b in away)])
    rotated_without(simulation, *sorted(away))
    simulation.run(90.0)  # now both sides are at rest
    listened = Outcome(seed)
    simulation.observe(Listener(listened))
    simulation.links.heal()
    back_with_the_new_key(simulation)
    assert not [each for each in listened.failures if set(each.split(" gives up ")) <= away]


def test_a_member_that_comes_back_before_the_old_key_is_removed_gets_the_new_one() -> None:
    """Its old key still opens everything: nothing but its deafness shows what it lacks."""
    simulation = sealed_cluster(2)
    simulation.links.cut([("n4", name) for name in NAMES if name != "n4"])
    simulation.links.cut([(name, "n4") for name in NAMES if name != "n4"])
    others = set(NAMES) - {"n4"}
    assert simulation.run_until(
        lambda: all(simulation.processes[name].active_names() == others for name in others), 60.0
    )
    for operation in ("install", "use"):
        token = simulation.keys("n0", operation, key_of(2, 1).secret)
        simulation.run(2.0)
        assert simulation.processes["n0"].results[token].error is None
    simulation.links.heal()
    assert simulation.run_until(simulation.agree, 90.0)
    primaries = {process.seal.key_ids[0] for process in simulation.processes.values()}
    assert primaries == {key_of(2, 1).fingerprint}
    simulation.run(60.0)
    assert simulation.agree(), "and it stays"


def test_a_leaked_key_brings_nobody_up() -> None:
    simulation = sealed_cluster(1)
    simulation.crash("n4")
    rotated_without(simulation, "n4")
    token = simulation.keys("n0", "remove", key_of(1, 0).secret, leaked=True)
    simulation.run(2.0)
    assert simulation.processes["n0"].results[token].error is None
    simulation.start("n4")
    (joining,) = simulation.join("n4", "n1")
    simulation.run(20.0)
    assert simulation.processes["n4"].results[joining].error is not None
    assert simulation.processes["n4"].active_names() == {"n4"}
    counts = Counter[str]()
    for process in simulation.processes.values():
        counts.update(process.seal.counts)
    assert counts["senders_admitted"], "the others still talk"


def test_a_change_is_refused_while_a_member_does_not_answer() -> None:
    simulation = sealed_cluster(1)
    simulation.crash("n4")
    token = simulation.keys("n0", "install", key_of(1, 1).secret)
    simulation.run(20.0)
    error = simulation.processes["n0"].results[token].error
    assert "n4" in str(error)
    assert {process.seal.key_ids for process in simulation.processes.values()} == {
        (key_of(1, 0).fingerprint,)
    }
    assert key_of(1, 1).secret not in repr(error).encode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("n0", "renew", b""), "keys\\(\\) knows list, install, use, remove; not 'renew'"),
        (("n0", "install", b"short"), "16, 24 or 32 bytes"),
        (("nobody", "list"), "nobody is not running"),
    ],
)
def test_what_is_no_change_of_keys_is_refused_in_one_line(arguments, message: str) -> None:
    simulation = sealed_cluster(1, NAMES[:2])
    with pytest.raises(ValueError, match=message):
        simulation.keys(*arguments)
    plain = Simulation(1)
    plain.start("n0")
    with pytest.raises(ValueError, match="not sealed"):
        plain.keys("n0", "list")


def test_the_keys_of_all_are_listed() -> None:
    simulation = sealed_cluster(3, NAMES[:3])
    token = simulation.keys("n1", "list")
    assert simulation.run_until(partial(simulation.processes["n1"].results.get, token), 5.0)
    report = simulation.processes["n1"].results[token].result
    assert {name: each.keys for name, each in report.answers.items()} == {
        name: (key_of(3).fingerprint,) for name in NAMES[:3]
    }
