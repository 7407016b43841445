"""What this member says when others are wrong about it."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of, alive
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import Ack, Alive, Conflict, Dead, Ping, Suspect
from trio_gossip.events import NameConflict
from trio_gossip.members import INCARNATION_MAX, OWN_JUMP_MAX


def test_an_accusation_is_refuted_with_the_next_incarnation() -> None:
    bench = Bench()
    bench.know("a")
    bench.clear()
    for number, claim in enumerate((Suspect(10, "me", "a"), Dead(11, "me", "a"))):
        bench.receive("a", claim)
        assert bench.engine.local.incarnation == 11 + number
        told = [message for message in bench.messages(Alive, to="a") if message.name == "me"]
        assert told[-1].incarnation == 11 + number
    assert bench.engine.health_score == 2
    assert bench.count("refuted") == 2


def test_an_accusation_above_is_outbid() -> None:
    bench = Bench()
    bench.know("a")
    bench.receive("a", Suspect(500, "me", "a"))
    assert bench.engine.local.incarnation == 501


def test_an_old_accusation_is_answered_and_costs_no_health() -> None:
    bench = Bench()
    bench.know("a")
    bench.clear()
    bench.receive("a", Suspect(9, "me", "a"))
    assert bench.engine.local.incarnation == 10
    assert bench.engine.health_score == 0
    assert bench.messages(Alive, to="a")[0].incarnation == 10


def test_an_accusation_far_above_is_refused() -> None:
    bench = Bench()
    bench.know("a")
    bench.receive("a", Suspect(11 + OWN_JUMP_MAX, "me", "a"))
    assert bench.engine.local.incarnation == 10
    assert bench.count("accusation_implausible") == 1


def test_an_echo_of_our_own_announcement_is_ignored() -> None:
    bench = Bench()
    bench.know("a")
    bench.receive("a", alive("me", 10), alive("me", 9, meta=b"old"))
    assert bench.engine.local.incarnation == 10


def test_a_former_life_with_another_meta_or_address_is_outbid() -> None:
    bench = Bench()
    bench.know("a")
    bench.receive("a", alive("me", 10, meta=b"former"))
    assert bench.engine.local.incarnation == 11
    bench.receive("a", alive("me", 20, address=address_of("old")))
    assert bench.engine.local.incarnation == 11, "not in a hurry"
    bench.wait(0.2)
    bench.receive("a", alive("me", 20, address=address_of("old")))
    assert bench.engine.local.incarnation == 21
    assert bench.engine.local.address == address_of("me")
    assert bench.engine.local.meta == b""


def test_an_alive_of_ours_far_above_is_refused() -> None:
    bench = Bench()
    bench.know("a")
    bench.receive("a", alive("me", 11 + OWN_JUMP_MAX))
    assert bench.engine.local.incarnation == 10
    assert bench.count("alive_implausible") == 1


def test_the_last_incarnation_is_never_passed() -> None:
    bench = Bench()
    bench.know("a")
    step = OWN_JUMP_MAX
    bench.engine._parts.refutation.bid(INCARNATION_MAX - step)
    bench.receive("a", alive("me", INCARNATION_MAX, meta=b"x"))
    assert bench.engine.local.incarnation == INCARNATION_MAX - step
    assert bench.count("incarnation_exhausted") == 1


def test_a_leaving_member_refutes_nothing() -> None:
    bench = Bench()
    bench.know("a")
    bench.take(bench.engine.leave(token=1, now=bench.now))
    bench.receive("a", Suspect(10, "me", "a"), alive("me", 10, meta=b"x"), Dead(10, "me", "a"))
    assert bench.engine.local.incarnation == 10


def test_a_conflict_is_reported_once_for_each_claimant() -> None:
    bench = Bench()
    bench.know("a")
    mine, other = address_of("me"), Address("h-twin", 7)
    bench.receive("a", Conflict("me", mine, other), Conflict("me", mine, other))
    bench.receive("a", Conflict("me", other, mine))
    [event] = bench.seen(NameConflict)
    assert (event.existing.name, event.other) == ("me", other)
    bench.wait(61.0)
    bench.know("a", incarnation=100)
    bench.receive("a", Conflict("me", other, mine))
    assert len(bench.seen(NameConflict)) == 2


def test_a_conflict_that_makes_no_sense_is_counted() -> None:
    bench = Bench()
    bench.know("a")
    mine, other = address_of("me"), Address("h-twin", 7)
    bench.receive(Address("h-stranger", 1), Conflict("me", mine, other))
    bench.receive("a", Conflict("you", mine, other))
    bench.receive("a", Conflict("me", mine, mine))
    assert not bench.seen(NameConflict)
    assert bench.count("conflict_ignored") == 2


def test_conflicts_are_reported_so_often_and_no_more() -> None:
    """Fifty packets with invented claimants made six thousand events."""
    bench = Bench()
    bench.know("a")
    for port in range(1, 200):
        bench.receive("a", Conflict("me", address_of("me"), Address("h-twin", port)))
    assert len(bench.seen(NameConflict)) == 64
    assert bench.count("conflict_ignored") == 135
    bench.answer("a")
    bench.wait(61.0)
    bench.receive("a", Conflict("me", address_of("me"), Address("h-twin", 500)))
    assert len(bench.seen(NameConflict)) == 65


@pytest.mark.parametrize("left", [False, True])
def test_a_reaped_member_that_asks_from_elsewhere_hears_what_is_held_against_it(
    left: bool,
) -> None:
    """Its claims were old news, the answer went to its former address, and its pings were only
    acknowledged: it stayed unknown for as long as its tombstone lasted, a day."""
    bench = Bench()
    bench.know("a", "b", incarnation=7)
    bench.answer("b")
    bench.receive("b", Dead(7, "a", "a" if left else "b"))
    bench.wait(40.0)
    assert bench.engine.member("a") is None
    bench.clear()
    elsewhere = Address("h-elsewhere", 7946)
    bench.receive(elsewhere, Ping(1, "me", "a", None))
    (told,) = bench.messages(Dead, to=elsewhere)
    assert (told.incarnation, told.name, told.is_goodbye) == (7, "a", left)
    bench.receive(elsewhere, alive("a", 8, address=elsewhere))
    assert bench.member("a").address == elsewhere
    bench.clear()
    bench.receive(elsewhere, Ping(2, "me", "a", None))
    assert not bench.messages(Dead)
    assert bench.messages(Ack, to=elsewhere)
