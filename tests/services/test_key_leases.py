"""Two operators at once, calls that are given up, and leases that end."""

from __future__ import annotations

import random

import pytest

from tests.services.wired import NEW, OLD, OTHER, World, id_of
from trio_gossip.services.key_change import CHECK_SECONDS
from trio_gossip.services.key_keeper import LEASE_SECONDS
from trio_gossip.services.key_report import KeyChangeError
from trio_gossip.services.key_wire import KeyOperation, KeyRequest, Phase, encode_request

LIST, INSTALL, USE, REMOVE = KeyOperation


def test_a_second_operator_is_told_who_is_changing_the_keys() -> None:
    world = World("abc", OLD)
    first = world.begin("b", INSTALL, NEW)
    world.deliver()  # a has given its lease to b
    second = world.begin("a", INSTALL, OTHER)
    assert str(world.error(second)).endswith("nothing was changed: a: b is changing the keys")
    world.settle()
    world.report(first)
    assert world.rings_are(OLD, NEW)


def test_two_operators_who_block_each_other_both_fail_and_a_third_succeeds() -> None:
    world = World("abc", OLD)
    first, second = world.begin("a", INSTALL, NEW), world.begin("b", INSTALL, OTHER)
    world.settle()
    assert "b: b is changing the keys" in str(world.error(first))
    assert "c: a is changing the keys" in str(world.error(second))
    assert world.rings_are(OLD)
    world.run("c", INSTALL, NEW)
    assert world.rings_are(OLD, NEW)


@pytest.mark.parametrize("seed", range(200))
def test_operators_in_any_order_lock_nobody_out(seed: int) -> None:
    """Rotations of several operators, answers in any order: at every moment, what each member
    seals with is known to all others.
    """
    rng = random.Random(seed)
    world = World("abcd", OLD)
    steps = [(INSTALL, NEW), (USE, NEW), (REMOVE, OLD), (INSTALL, OTHER), (USE, OTHER)]
    steps += [(REMOVE, NEW), (USE, OLD), (REMOVE, OTHER)]
    changes = 0
    for _ in range(60):
        if rng.random() < 0.3:
            operation, key = rng.choice(steps)
            world.begin(rng.choice("abcd"), operation, key)
        for _ in range(rng.randrange(6)):
            if world.letters:
                world.letters.rotate(rng.randrange(len(world.letters)))
                world.deliver()
                primaries = {ring.keys[0] for ring in world.rings.values()}
                assert all(primaries <= set(ring.keys) for ring in world.rings.values())
    world.settle()
    for _, error in world.results.values():
        changes += error is None
        assert error is None or (isinstance(error, KeyChangeError) and error.refused)
    assert changes or seed  # most of these runs change something
    world.run("a", INSTALL, next(iter(world.rings["a"].secrets.values())))


def test_one_member_makes_one_change_at_a_time() -> None:
    world = World("abc", OLD)
    first = world.begin("a", INSTALL, NEW)
    second = world.begin("a", INSTALL, OTHER)
    assert "a: a is changing the keys already" in str(world.error(second))
    world.settle()
    world.report(first)
    world.run("a", INSTALL, OTHER)


def test_a_call_that_is_given_up_while_it_is_checked_changes_nothing() -> None:
    world = World("abc", OLD)
    token = world.begin("a", INSTALL, NEW)
    world.deliver()
    world.keys["a"].abandon(token)
    world.settle()
    assert world.rings_are(OLD)
    assert world.error(token).refused
    world.run("c", INSTALL, OTHER)  # no lease is left


def test_a_call_that_is_given_up_asks_nobody_else() -> None:
    names = [f"n{number:02}" for number in range(40)]
    world = World(names, OLD)
    tokens = [world.begin("n00", LIST), world.begin("n00", INSTALL, NEW)]
    for token in tokens:
        world.keys["n00"].abandon(token)
    asked = []
    while world.letters:
        asked.append(world.deliver().request.phase)
    assert len(asked) == 16 + 16 + 16  # the list, the checks, and the leases given back
    assert asked.count(Phase.RELEASE) == 16
    assert world.rings_are(OLD)


def test_a_call_that_is_given_up_while_leases_are_given_back_gives_back_all() -> None:
    names = [f"n{number:02}" for number in range(40)]
    world = World(names, OLD)
    world.rings["n39"].reason = "not here"
    token = world.begin("n00", INSTALL, NEW)
    while world.letters[0].request.phase is Phase.CHECK:
        world.deliver()
    world.keys["n00"].abandon(token)
    world.settle()
    world.rings["n39"].reason = ""
    world.run("n01", INSTALL, OTHER)


def test_a_call_that_is_given_up_while_it_is_done_is_done_to_the_end() -> None:
    world = World("abc", OLD)
    token = world.begin("a", INSTALL, NEW)
    while world.letters[0].request.phase is Phase.CHECK:
        world.deliver()
    world.keys["a"].abandon(token)
    world.settle()
    assert world.rings_are(OLD, NEW)


def test_giving_up_what_is_not_under_way_does_nothing() -> None:
    world = World("abc", OLD)
    token = world.begin("a", INSTALL, NEW)
    world.keys["a"].abandon(token + 1)
    world.settle()
    world.keys["a"].abandon(token)
    world.report(token)


def test_the_lease_of_an_operator_that_stopped_runs_out() -> None:
    world = World("abc", OLD)
    world.begin("a", INSTALL, NEW)
    world.deliver()
    world.letters.clear()  # a hangs
    with pytest.raises(KeyChangeError, match="b: a is changing the keys"):
        world.run("b", INSTALL, NEW)
    world.now += LEASE_SECONDS - 0.1
    with pytest.raises(KeyChangeError, match="b: a is changing the keys"):
        world.run("b", INSTALL, NEW)
    world.now += 0.1
    world.run("b", INSTALL, NEW)


def test_the_lease_of_a_member_that_is_gone_is_void() -> None:
    world = World("abc", OLD)
    world.begin("a", INSTALL, NEW)
    world.deliver()
    world.letters.clear()
    world.active.remove("a")
    world.run("b", INSTALL, NEW)


def test_a_change_whose_lease_ran_out_is_not_made() -> None:
    world = World("abc", OLD)
    token = world.begin("a", INSTALL, NEW)
    while world.letters[0].request.phase is Phase.CHECK:
        world.deliver()
    world.now += LEASE_SECONDS
    world.settle()
    error = world.error(token)
    assert error.report.failed == ("b", "c")
    assert "the lease for this change has run out" in str(error)
    world.run("a", INSTALL, NEW)


def test_checks_that_take_too_long_end_without_a_change() -> None:
    world = World("abc", OLD)
    token = world.begin("a", INSTALL, NEW)
    world.now += CHECK_SECONDS
    world.settle()
    assert "a: checking took more than 30 seconds" in str(world.error(token))
    assert world.error(token).refused
    assert world.rings_are(OLD)
    world.run("b", INSTALL, NEW)


def test_a_deed_without_a_check_is_not_done() -> None:
    world = World("ab", OLD)
    for change in (0, 7):
        request = KeyRequest(INSTALL, Phase.DO, change, id_of(NEW), NEW)
        world.keys["a"].answer_untrusted(encode_request(request), "b")
    assert world.rings["a"].keys == [id_of(OLD)]


def test_a_deed_of_another_than_was_checked_is_not_done() -> None:
    world = World("abc", OLD)
    keys = world.keys["a"]
    keys.answer_untrusted(encode_request(KeyRequest(INSTALL, Phase.CHECK, 7, id_of(NEW))), "b")
    deed = encode_request(KeyRequest(INSTALL, Phase.DO, 7, id_of(NEW), NEW))
    keys.answer_untrusted(deed, "c")
    other = encode_request(KeyRequest(INSTALL, Phase.DO, 8, id_of(NEW), NEW))
    keys.answer_untrusted(other, "b")
    swapped = encode_request(KeyRequest(INSTALL, Phase.DO, 7, id_of(NEW), OTHER))
    keys.answer_untrusted(swapped, "b")
    assert world.rings["a"].keys == [id_of(OLD)]
    keys.answer_untrusted(deed, "b")
    assert world.rings["a"].keys == [id_of(OLD)], "the lease ended with the first attempt"


def test_only_the_holder_gives_a_lease_back() -> None:
    world = World("abc", OLD)
    keys = world.keys["a"]
    keys.answer_untrusted(encode_request(KeyRequest(USE, Phase.CHECK, 7, id_of(OLD))), "b")
    keys.answer_untrusted(encode_request(KeyRequest(USE, Phase.RELEASE, 7, id_of(OLD))), "c")
    keys.answer_untrusted(encode_request(KeyRequest(USE, Phase.RELEASE, 8, id_of(OLD))), "b")
    with pytest.raises(KeyChangeError, match="b is changing the keys"):
        world.run("a", USE, OLD)
    keys.answer_untrusted(encode_request(KeyRequest(USE, Phase.RELEASE, 7, id_of(OLD))), "b")
    world.run("a", USE, OLD)


def test_who_checks_again_has_the_lease_for_the_later_change() -> None:
    """A member that restarted in the middle of a change need not wait for its own lease."""
    world = World("ab", OLD)
    keys = world.keys["a"]
    for change in (7, 8):
        request = KeyRequest(INSTALL, Phase.CHECK, change, id_of(NEW))
        keys.answer_untrusted(encode_request(request), "b")
    late = KeyRequest(INSTALL, Phase.DO, 7, id_of(NEW), NEW)
    keys.answer_untrusted(encode_request(late), "b")
    assert world.rings["a"].keys == [id_of(OLD)]
    deed = KeyRequest(INSTALL, Phase.DO, 8, id_of(NEW), NEW)
    keys.answer_untrusted(encode_request(deed), "b")
    assert world.rings["a"].keys == [id_of(OLD), id_of(NEW)]
