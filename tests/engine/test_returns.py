"""Buried members of which others say that they live."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of, alive
from tests.engine.burying import QUIET, ack, asked, buried, told
from tests.engine.exchanging import record
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import Dead, Ping
from trio_gossip.engine import returns
from trio_gossip.engine.returns import AWAY_SECONDS, BATCH, TRIES
from trio_gossip.events import MemberJoined, Reason
from trio_gossip.members import MemberState


def test_a_buried_member_that_a_peer_holds_alive_is_told_until_it_speaks() -> None:
    bench = buried()
    told(bench, record("a"))
    (first,) = asked(bench)
    assert first.address == address_of("a")
    assert first.messages[0] == Dead(1, "a", "me")
    bench.wait(0.5)
    assert len(asked(bench)) == 2
    bench.receive("a", alive("a", 2))
    assert bench.state("a") is MemberState.ALIVE
    bench.wait(10.0)
    assert len(asked(bench)) == 2
    assert not bench.messages(Dead, to="b"), "nobody else hears of the death"


def test_one_that_never_answers_is_told_a_few_times_and_stays_buried() -> None:
    bench = buried()
    told(bench, record("a"))
    bench.wait(20.0)
    assert len(asked(bench)) == TRIES
    assert bench.engine.member("a") is None
    assert bench.count("return_unanswered") == 1
    assert len(bench.engine._parts.returns) == 0
    assert not len(bench.engine._node.questions)


def test_an_ack_says_nothing_of_the_incarnation_so_old_news_stays_old() -> None:
    bench = buried()
    told(bench, record("a"))
    ack(bench)
    assert bench.engine.member("a") is None
    bench.wait(2.0)
    assert len(asked(bench)) == TRIES


def test_a_failed_member_that_is_not_reaped_yet_is_told_as_well() -> None:
    bench = Bench(**(QUIET | {"reap_time": 100.0}))
    bench.know("b", "a")
    bench.receive("b", Dead(1, "a", "b"))
    told(bench, record("a"))
    (sent,) = asked(bench)
    assert sent.messages[0] == Dead(1, "a", "me")


@pytest.mark.parametrize("reap_time", [0.2, 100.0])
def test_old_news_of_another_place_is_no_reason_to_ask(reap_time: float) -> None:
    bench = Bench(**(QUIET | {"reap_time": reap_time}))
    bench.know("b", "a")
    bench.receive("b", Dead(1, "a", "b"))
    bench.wait(1.0)
    told(bench, record("a", address=Address("h-x", 1)))
    bench.wait(1.0)
    assert not asked(bench)


def test_hearsay_above_the_tombstone_brings_nobody_back_before_it_has_answered() -> None:
    bench = buried()
    told(bench, record("a", 5))
    assert bench.engine.member("a") is None
    ack(bench)
    assert bench.member("a").incarnation == 5
    (event,) = bench.seen(MemberJoined)
    assert (event.member.name, event.reason) == ("a", Reason.SYNCED)
    assert bench.count("return_verified") == 1
    bench.wait(1.0)
    assert [m for m in bench.messages(type(alive("a")), to="b") if m.name == "a"]


def test_hearsay_of_a_member_that_is_silent_is_forgotten() -> None:
    bench = buried()
    told(bench, record("a", 5))
    bench.wait(10.0)
    assert bench.engine.member("a") is None
    assert not bench.seen(MemberJoined)
    assert len(asked(bench)) == TRIES


def test_an_ack_from_elsewhere_is_no_answer() -> None:
    bench = buried()
    told(bench, record("a", 5))
    ack(bench, source="b")
    assert bench.engine.member("a") is None
    bench.wait(0.5)
    ack(bench)
    assert bench.state("a") is MemberState.ALIVE


def test_a_member_that_says_so_itself_is_believed_at_once() -> None:
    by_packet, by_exchange = buried(), buried()
    by_packet.receive("a", alive("a", 2))
    told(by_exchange, record("a", 2), peer="a")
    for bench in (by_packet, by_exchange):
        assert bench.state("a") is MemberState.ALIVE
        assert not asked(bench)


def test_gossip_of_a_member_that_was_here_is_believed_at_once() -> None:
    bench = buried()
    bench.receive("b", alive("a", 2))
    assert bench.state("a") is MemberState.ALIVE


def test_strangers_are_believed_at_once_unless_the_teller_was_away_itself() -> None:
    bench = buried()
    bench.receive("b", alive("x"))
    told(bench, record("y"))
    bench.receive("nobody", alive("z"))
    assert {"x", "y", "z"} <= {member.name for member in bench.engine.members()}
    bench.receive("a", alive("a", 2))
    bench.receive("a", alive("p"))
    told(bench, record("q"), record("a", 2), peer="a")
    assert bench.engine.member("p") is None
    assert bench.engine.member("q") is None
    (of_p,) = asked(bench, "p")
    assert [type(message) for message in of_p.messages] == [Ping]
    ack(bench, "p", "p")
    ack(bench, "q", "q")
    assert bench.seen(MemberJoined)[-2].reason is Reason.ANNOUNCED
    assert bench.seen(MemberJoined)[-1].reason is Reason.SYNCED


def test_a_member_that_is_back_for_long_is_believed_like_any_other() -> None:
    bench = buried()
    bench.receive("a", alive("a", 2))
    bench.wait(AWAY_SECONDS)
    bench.receive("a", alive("p"))
    assert bench.state("p") is MemberState.ALIVE


def test_the_newest_hearsay_is_believed_after_an_answer() -> None:
    bench = buried()
    for incarnation in (1, 1, 5, 7, 6):
        told(bench, record("a", incarnation))
    bench.wait(0.5)
    ack(bench)
    assert bench.member("a").incarnation == 7


def test_hearsay_of_another_place_has_the_member_asked_there() -> None:
    bench, new = buried(), Address("h-new", 9)
    told(bench, record("a"))
    told(bench, record("a", 5, address=new))
    bench.wait(0.5)
    assert asked(bench)[-1].address == new
    ack(bench, source=new)
    assert bench.member("a").address == new


def test_who_left_is_asked_without_an_accusation() -> None:
    bench = buried(left=True)
    told(bench, record("a", 5))
    (sent,) = asked(bench)
    assert [type(message) for message in sent.messages] == [Ping]


def test_who_came_back_by_itself_is_not_asked_further() -> None:
    bench = buried(left=True)
    told(bench, record("a", 5))
    bench.receive("a", alive("a", 6))
    ack(bench)
    assert bench.member("a").incarnation == 6
    told(bench, record("a", 5))
    bench.wait(5.0)
    assert len(asked(bench)) == 1


def test_one_that_is_asked_when_it_comes_back_by_itself_is_left_alone() -> None:
    bench = buried(left=True)
    told(bench, record("a", 5))
    bench.receive("a", alive("a", 6))
    bench.wait(5.0)
    assert len(asked(bench)) == 1
    assert bench.count("return_unanswered") == 0


def test_an_answer_that_comes_after_another_death_is_too_late() -> None:
    bench = buried(left=True)
    told(bench, record("a", 5))
    bench.receive("a", alive("a", 6))
    bench.receive("b", Dead(6, "a", "b"))
    bench.wait(0.3)
    assert bench.engine.member("a") is None, "reaped again"
    ack(bench)
    assert bench.engine.member("a") is None


def test_who_is_not_admitted_when_it_answers_stays_out() -> None:
    open_door = [True]
    bench = buried(admit=lambda candidate: open_door[0])
    told(bench, record("a", 5))
    open_door[0] = False
    ack(bench)
    assert bench.engine.member("a") is None
    assert bench.count("refused_by_hook") == 1


def test_a_lost_half_is_asked_at_a_bounded_rate() -> None:
    names = [f"x{number}" for number in range(2 * BATCH + 3)]
    bench = buried(*names)
    told(bench, *(record(name) for name in names))
    assert len(bench.messages(Dead)) == BATCH
    bench.wait(0.05)
    assert len(bench.messages(Dead)) == 2 * BATCH
    bench.wait(0.05)
    assert {sent.address for sent in bench.sent} == set(map(address_of, names))


def test_one_more_need_not_wait_for_those_that_are_asked_again() -> None:
    bench = buried("a", "c")
    told(bench, record("a"))
    bench.wait(0.2)
    told(bench, record("c"))
    assert len(asked(bench, "c")) == 1


def test_no_more_are_asked_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returns, "ASKED_MAX", 3)
    names = [f"x{number}" for number in range(5)]
    bench = buried(*names)
    told(bench, *(record(name, 1 + number % 2) for number, name in enumerate(names)))
    assert bench.count("returns_full") == 2
    assert len(bench.engine._parts.returns) == 3
    assert [name in bench.engine._parts.returns for name in names].count(True) == 3


def test_without_room_for_questions_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = buried()
    monkeypatch.setattr("trio_gossip.engine.questions.QUESTIONS_MAX", 0)
    told(bench, record("a"))
    assert not asked(bench)
    monkeypatch.undo()
    bench.wait(0.5)
    assert len(asked(bench)) == 1


def test_who_leaves_asks_nobody_any_more() -> None:
    bench = buried()
    told(bench, record("a"))
    bench.take(bench.engine.leave(token=1, now=bench.now))
    bench.clear()
    bench.wait(10.0)
    assert not asked(bench)


def test_the_returned_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returns, "BACK_MAX", 1)
    bench = buried("a", "c")
    bench.receive("a", alive("a", 2))
    bench.receive("c", alive("c", 2))
    bench.receive("a", alive("x"))
    bench.receive("c", alive("y"))
    assert bench.engine.member("x") is not None
    assert bench.engine.member("y") is None
