"""Membership rules: what an alive, a suspect or a dead message changes."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of, alive
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import Alive, Dead, Leave, Suspect
from trio_gossip.engine.node import ANSWERS_MAX
from trio_gossip.events import (
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberReaped,
    MemberRecovered,
    MemberSuspected,
    MemberUpdated,
    Reason,
)
from trio_gossip.members import (
    ALIVE_JUMP_MAX,
    FIRST_INCARNATION_MAX,
    INCARNATION_JUMP_MAX,
    OWN_JUMP_MAX,
    MemberState,
)


def bench_with(*names: str, **changes: object) -> Bench:
    bench = Bench(**changes)
    bench.know(*names)
    bench.answer(*names)
    bench.clear()
    return bench


def test_an_unknown_member_joins_and_is_told_on() -> None:
    bench = Bench()
    bench.receive("a", alive("a", 5, meta=b"m"))
    [event] = bench.seen(MemberJoined)[1:]
    assert event.member == bench.member("a")
    assert (event.member.incarnation, event.member.meta, event.reason) == (5, b"m", "announced")
    bench.know("b")
    bench.wait(1.0)
    assert bench.messages(Alive, to="b")


def test_the_same_alive_again_changes_nothing() -> None:
    bench = bench_with("a")
    bench.receive("a", alive("a"))
    assert not bench.events
    assert not bench.sent, "an echo is not answered"


@pytest.mark.parametrize(
    "other", [{"address": Address("elsewhere", 7946)}, {"meta": b"other"}], ids=["address", "meta"]
)
def test_two_views_of_one_incarnation_are_brought_before_the_member_itself(
    other: dict[str, object],
) -> None:
    # Two members held one at two addresses, both at incarnation 7, and neither could ever win.
    bench = bench_with("a", "b")
    claim = alive("a", 1, **other)
    bench.receive("b", claim)
    assert bench.messages(Alive, to="a") == [claim], "it has to outbid both"
    assert not bench.messages(Alive, to="b")
    assert not bench.events
    bench.clear()
    bench.receive("b", Suspect(1, "a", "b"), Suspect(1, "a", "me"), Dead(1, "a", "b"), claim)
    assert not bench.messages(Alive, to="a"), "a failed one is told what is held against it"


def test_one_packet_of_contradictions_does_not_make_us_flood_anybody() -> None:
    bench = bench_with("a", "b")
    bench.receive("b", *(alive("a", 1, meta=bytes((n,))) for n in range(100)))
    assert len(bench.messages(Alive, to="a")) == ANSWERS_MAX


def test_a_higher_incarnation_updates_the_meta() -> None:
    bench = bench_with("a")
    bench.receive("a", alive("a", 2, meta=b"new"))
    [event] = bench.seen(MemberUpdated)
    assert event.previous.meta == b""
    assert bench.member("a").meta == b"new"


def test_a_higher_incarnation_without_a_change_is_silent() -> None:
    bench = bench_with("a")
    bench.receive("a", alive("a", 2))
    assert not bench.events
    assert bench.member("a").incarnation == 2


def test_a_changed_version_is_an_update() -> None:
    bench = bench_with("a")
    bench.receive("a", alive("a", 2, versions=bytes((1, 2, 1, 0, 0, 0))))
    assert len(bench.seen(MemberUpdated)) == 1


def test_an_equal_incarnation_does_not_clear_a_suspicion_and_a_higher_one_does() -> None:
    bench = bench_with("a", "b")
    bench.receive("b", Suspect(1, "a", "b"))
    bench.receive("a", alive("a", 1))
    assert bench.state("a") is MemberState.SUSPECT
    bench.receive("a", alive("a", 2, meta=b"x"))
    assert bench.state("a") is MemberState.ALIVE
    [event] = bench.seen(MemberRecovered)
    assert (event.reason, event.accusers) == (Reason.REFUTED, ("b",))
    assert len(bench.seen(MemberUpdated)) == 1, "recovered, and with another meta"
    bench.wait(60.0 - 35.0)
    assert not bench.seen(MemberFailed)


def test_an_accusation_of_an_unknown_member_is_counted_and_dropped() -> None:
    bench = bench_with("a")
    bench.receive("a", Suspect(1, "ghost", "a"), Dead(1, "ghost", "a"))
    assert bench.engine.member("ghost") is None
    assert (bench.count("suspect_unknown"), bench.count("dead_unknown")) == (1, 1)


def test_a_suspect_that_does_not_refute_fails() -> None:
    bench = bench_with("a", "b")
    bench.receive("b", Suspect(1, "a", "b"))
    [suspected] = bench.seen(MemberSuspected)
    assert (suspected.reason, suspected.accusers) == (Reason.ACCUSED, ("b",))
    bench.wait(30.0)
    [failed] = [e for e in bench.seen(MemberFailed) if e.member.name == "a"]
    assert failed.reason is Reason.SUSPICION_EXPIRED
    assert failed.accusers[0] == "b"


def test_an_old_accusation_is_ignored_and_the_accuser_told() -> None:
    bench = bench_with("b")
    bench.know("a", incarnation=7)
    bench.clear()
    bench.receive("b", Suspect(6, "a", "b"))
    bench.receive("b", Dead(6, "a", "b"))
    assert bench.state("a") is MemberState.ALIVE
    told = [message for message in bench.messages(Alive, to="b") if message.name == "a"]
    assert [message.incarnation for message in told][:2] == [7, 7]
    assert bench.count("accusation_stale") == 2


def test_an_old_accusation_passed_on_by_another_is_not_answered() -> None:
    bench = bench_with("b", "c")
    bench.know("a", incarnation=7)
    bench.clear()
    bench.receive("c", Suspect(6, "a", "b"))
    assert not bench.messages(Alive, to="c")
    bench.receive("c", Suspect(6, "a", "nobody"))
    assert not bench.sent


def test_a_member_that_accuses_itself_is_no_accuser() -> None:
    bench = bench_with("a")
    bench.receive("a", Suspect(1, "a", "a"))
    assert bench.state("a") is MemberState.ALIVE
    assert bench.count("suspect_of_itself") == 1


def test_a_dead_member_is_failed_and_reaped() -> None:
    bench = bench_with("a", "b")
    bench.receive("b", Dead(1, "a", "b"))
    [failed] = bench.seen(MemberFailed)
    assert (failed.reason, failed.accusers) == (Reason.REPORTED, ("b",))
    assert {member.name for member in bench.engine.members()} == {"me", "b"}
    assert {member.name for member in bench.engine.members(all=True)} == {"me", "a", "b"}
    bench.wait(bench.config.reap_time + 0.1)
    assert [event.member.name for event in bench.seen(MemberReaped)][:1] == ["a"]
    assert bench.engine.member("a") is None


def test_dead_twice_does_not_renew_the_time_of_death() -> None:
    bench = bench_with("a", "b")
    bench.receive("b", Dead(1, "a", "b"))
    bench.wait(20.0)
    bench.know("c")
    bench.receive("c", Dead(1, "a", "c"), Dead(2, "a", "c"))
    bench.wait(bench.config.reap_time - 20.0 + 0.1)
    assert any(event.member.name == "a" for event in bench.seen(MemberReaped))


def test_a_dead_member_returns_with_a_higher_incarnation() -> None:
    bench = bench_with("a", "b")
    bench.receive("b", Dead(1, "a", "b"))
    bench.receive("a", alive("a", 1))
    assert bench.state("a") is MemberState.FAILED
    bench.receive("a", alive("a", 2))
    assert bench.state("a") is MemberState.ALIVE
    assert len(bench.seen(MemberJoined)) == 1
    bench.wait(bench.config.reap_time + 1.0)
    assert not bench.seen(MemberReaped), "a timer of the former death went off"


def test_the_accusers_of_a_suspicion_are_named_when_another_declares_the_death() -> None:
    bench = bench_with("a", "b", "c")
    bench.receive("b", Suspect(1, "a", "b"))
    bench.receive("c", Dead(1, "a", "c"))
    [failed] = bench.seen(MemberFailed)
    assert failed.accusers == ("b", "c")


@pytest.mark.parametrize("first", ["failed", "left"])
def test_only_the_member_itself_says_that_it_left(first: str) -> None:
    """In memberlist the message that comes first wins."""
    bench = bench_with("a", "b")
    goodbye, death = Dead(1, "a", "a"), Dead(1, "a", "b")
    bench.receive("b", *((death, goodbye) if first == "failed" else (goodbye, death)))
    assert bench.state("a") is MemberState.LEFT
    assert len(bench.seen(MemberLeft)) == 1


def test_a_suspect_that_leaves_has_left_and_does_not_fail_later() -> None:
    bench = bench_with("a", "b")
    bench.receive("b", Suspect(1, "a", "b"))
    bench.receive("a", Leave(77, 1, "a"))
    assert bench.state("a") is MemberState.LEFT
    bench.wait(25.0)
    assert not [event for event in bench.seen(MemberFailed) if event.member.name == "a"]


def test_a_claim_about_a_failed_member_with_a_higher_incarnation_is_remembered() -> None:
    bench = bench_with("a", "b")
    bench.receive("b", Dead(1, "a", "b"))
    bench.receive("b", Suspect(9, "a", "b"))
    bench.receive("a", alive("a", 8))
    assert bench.state("a") is MemberState.FAILED
    bench.receive("a", alive("a", 10))
    assert bench.state("a") is MemberState.ALIVE


def test_an_accusation_at_a_higher_incarnation_starts_the_suspicion_anew() -> None:
    bench = bench_with("a", "b", "c", "d", "e")
    bench.receive("b", Suspect(1, "a", "b"))
    bench.wait(3.0)
    bench.receive("c", Suspect(2, "a", "c"))
    assert len(bench.seen(MemberSuspected)) == 1
    bench.receive("d", Suspect(2, "a", "d"))
    bench.receive("e", Suspect(2, "a", "e"))
    bench.wait(3.9)
    assert bench.state("a") is MemberState.SUSPECT, "four seconds from the new accusation"
    bench.wait(0.2)
    assert bench.state("a") is MemberState.FAILED


def test_implausible_claims_are_refused() -> None:
    bench = bench_with("a", "b")
    bench.receive("b", Suspect(2 + INCARNATION_JUMP_MAX, "a", "b"))
    bench.receive("b", Dead(2 + INCARNATION_JUMP_MAX, "a", "b"))
    assert bench.state("a") is MemberState.ALIVE
    assert bench.count("accusation_implausible") == 2
    bench.clear()
    bench.receive("b", alive("a", 2 + ALIVE_JUMP_MAX))
    assert bench.messages(Suspect, to="a") == [Suspect(1, "a", "me")], "it is asked itself"
    bench.receive("x", alive("x", 1 + FIRST_INCARNATION_MAX))
    assert bench.count("alive_implausible") == 2
    assert bench.engine.member("x") is None
    bench.receive("a", alive("a", 2 + ALIVE_JUMP_MAX))
    assert bench.member("a").incarnation == 2 + ALIVE_JUMP_MAX, "at first hand"
    bench.receive("a", alive("a", 2 * OWN_JUMP_MAX))
    assert bench.count("alive_implausible") == 3


def test_a_reaped_member_is_not_brought_back_by_old_news() -> None:
    """Zombies: alive entries of members that missed a death circulate for hours."""
    bench = bench_with("a", "b")
    bench.receive("b", Dead(5, "a", "b"))
    bench.wait(bench.config.reap_time + 0.1)
    bench.know("b", incarnation=50)
    bench.clear()
    bench.receive("b", alive("a", 5))
    assert bench.engine.member("a") is None
    assert not bench.messages(Dead), "who only passes it on is not answered"
    bench.receive("a", alive("a", 5))
    assert [(m.incarnation, m.accuser) for m in bench.messages(Dead, to="a")] == [(5, "me")]
    bench.receive("a", alive("a", 6))
    assert bench.state("a") is MemberState.ALIVE


def test_a_reaped_member_that_had_left_is_told_that_it_left() -> None:
    bench = bench_with("a", "b")
    bench.receive("a", Dead(5, "a", "a"))
    bench.wait(bench.config.reap_time + 0.1)
    bench.clear()
    bench.receive("a", alive("a", 5))
    assert [message.accuser for message in bench.messages(Dead, to="a")] == ["a"]


def test_a_tombstone_expires() -> None:
    bench = bench_with("a", "b", reap_time=30.0, tombstone_time=40.0)
    bench.receive("b", Dead(5, "a", "b"))
    bench.wait(71.0)
    bench.receive("a", alive("a", 5))
    assert bench.state("a") is MemberState.ALIVE


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ([Suspect(3, "a", "b")], Suspect),
        ([Dead(3, "a", "b")], Dead),
        ([Dead(3, "a", "a")], Dead),
        ([Alive(3, "a", Address("h-o", 7946), b"", b"\1\1\1\0\0\0", "b")], Alive),
    ],
)
def test_a_restarted_member_hears_what_is_held_against_it(
    claims: list[Alive | Suspect | Dead], kind: type
) -> None:
    """Black hole after a mass restart: dead@100 never reaches the member restarted at 1."""
    bench = bench_with("a", "b")
    bench.receive("b", *claims)
    bench.clear()
    bench.receive("a", alive("a", 2))
    answers = [message for message in bench.messages(kind, to="a") if message.name == "a"]
    assert answers[0].incarnation == 3


def test_the_answer_to_a_stranger_is_no_longer_than_its_packet() -> None:
    bench = bench_with("b")
    long_name = "a" * 200
    bench.receive("b", alive(long_name, 9, meta=b"x" * 500, address=address_of("a")))
    bench.clear()
    stranger = Address("h-stranger", 9)
    bench.receive(stranger, alive(long_name, 8, address=stranger))
    assert not [sent for sent in bench.sent if sent.address == stranger]
    assert bench.count("answer_withheld") == 1


def test_a_confirmation_that_ends_a_suspicion_at_once_is_no_stall() -> None:
    """The shorter deadline was set in the past, which looked like a wake-up that came late: the
    node's time stood still for as long, so that it probed nobody, and its health went down."""
    bench = Bench()
    names = ["a", "b", "c", "d", "e"]
    bench.know(*names)
    bench.answer("b", "c", "d", "e")
    bench.receive("b", Suspect(1, "a", "b"))
    bench.wait(9.0)
    assert bench.state("a") is MemberState.SUSPECT
    bench.receive("c", Suspect(1, "a", "c"))
    bench.receive("d", Suspect(1, "a", "d"))
    assert bench.engine.next_deadline >= bench.now
    bench.wait(0.0)
    assert bench.state("a") is MemberState.FAILED
    statistics = bench.engine.statistics()
    assert statistics.stalls == 0
    assert bench.count("stalled") == 0
