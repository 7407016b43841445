"""Saying goodbye, and coming back."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of, alive
from trio_gossip.codec.messages import Ack, Alive, Dead, Leave, Ping
from trio_gossip.errors import LocalProtocolError
from trio_gossip.events import MemberJoined, MemberLeft, Reason
from trio_gossip.members import MemberState


def leaving(*names: str, **changes: object) -> Bench:
    bench = Bench(**changes)
    bench.know(*names)
    bench.clear()
    bench.take(bench.engine.leave(token=1, now=bench.now))
    return bench


def acknowledge(bench: Bench, limit: int = 99) -> None:
    for sent in list(bench.sent):
        for message in sent.messages:
            if isinstance(message, Leave) and limit:
                limit -= 1
                bench.receive(sent.address, Ack(message.sequence))


def test_a_leave_is_told_directly_and_completes_after_acknowledgements_and_a_linger() -> None:
    bench = leaving("a", "b", "c", "d", "e")
    assert len({sent.address for sent in bench.sent}) == 5
    acknowledge(bench, 3)
    assert 1 not in bench.results
    bench.wait(0.49)
    assert 1 not in bench.results, "it still answers pings for a while"
    bench.clear()
    bench.receive("a", Ping(9, "me", "a"))
    assert bench.messages(Ack) == [Ack(9)]
    bench.wait(0.02)
    assert bench.results[1].result == 3
    [event] = [e for e in leaving("a").seen(MemberLeft) if e.member.name == "me"]
    assert event.reason is Reason.GOODBYE


def test_without_acknowledgements_others_are_told_until_the_time_is_up() -> None:
    bench = leaving("a", "b", "c", "d", "e")
    bench.wait(4.9)
    assert len(bench.messages(Leave)) > 50
    assert 1 not in bench.results
    bench.wait(0.2)
    assert bench.results[1].result == 0
    assert bench.engine.statistics().questions == 0
    bench.clear()
    bench.wait(10.0)
    assert not bench.messages(Leave)


def test_in_a_small_cluster_all_others_are_enough() -> None:
    bench = leaving("a")
    acknowledge(bench)
    bench.wait(0.51)
    assert bench.results[1].result == 1


def test_who_has_acknowledged_is_not_told_again() -> None:
    bench = leaving("a", "b", "c")
    acknowledge(bench, 1)
    told = bench.engine._parts.leaving._acked
    assert len(told) == 1
    bench.clear()
    bench.wait(1.0)
    assert not bench.messages(Leave, to=next(iter(told)))


def test_alone_a_leave_is_immediate() -> None:
    bench = leaving()
    assert bench.results[1].result == 0
    assert bench.engine.local.state is MemberState.LEFT


def test_a_second_leave_waits_for_the_first_and_a_third_is_immediate() -> None:
    bench = leaving("a")
    bench.take(bench.engine.leave(token=2, now=bench.now))
    assert 2 not in bench.results
    acknowledge(bench)
    bench.wait(0.51)
    bench.take(bench.engine.leave(token=3, now=bench.now))
    assert [bench.results[token].result for token in (1, 2, 3)] == [1, 1, 1]
    assert len([e for e in bench.seen(MemberLeft) if e.member.name == "me"]) == 1


def test_who_has_left_does_not_probe_gossip_or_exchange_tables() -> None:
    bench = leaving("a", "b")
    acknowledge(bench)
    bench.wait(5.0)
    bench.clear()
    bench.wait(200.0)
    assert not bench.messages(Ping)
    assert not bench.opened()


def test_who_has_left_and_comes_back_is_above_its_goodbye() -> None:
    bench = leaving("a")
    acknowledge(bench)
    bench.wait(1.0)
    goodbye = next(m for m in bench.messages(Leave))
    bench.clear()
    bench.take(bench.engine.join(address_of("a"), token=2, now=bench.now))
    assert bench.engine.local.incarnation > goodbye.incarnation
    assert bench.engine.local.state is MemberState.ALIVE
    assert [event.member.name for event in bench.seen(MemberJoined)] == ["me"]
    bench.wait(3.0)
    assert bench.messages(Ping), "it probes again"
    announced = [m for m in bench.messages(Alive) if m.name == "me"]
    assert announced[0].incarnation == bench.engine.local.incarnation


def test_a_join_during_a_leave_ends_the_leave() -> None:
    bench = leaving("a", "b")
    bench.take(bench.engine.join(address_of("a"), token=2, now=bench.now))
    assert bench.results[1].result == 0
    assert bench.engine.local.state is MemberState.ALIVE
    bench.clear()
    bench.wait(5.0)
    assert not bench.messages(Leave)
    assert not [m for m in bench.messages(Dead) if m.name == "me" and m.is_goodbye]


def test_a_leave_in_the_middle_of_a_probe_forgets_the_probe() -> None:
    bench = Bench()
    bench.know("a")
    bench.wait_for(Ping)
    bench.take(bench.engine.leave(token=1, now=bench.now))
    bench.wait(3.0)
    assert bench.state("a") is MemberState.ALIVE


def test_a_goodbye_is_acknowledged_also_when_it_comes_twice_or_from_a_stranger() -> None:
    bench = Bench()
    bench.know("a", "b")
    bench.clear()
    bench.receive("a", Leave(5, 1, "a"))
    bench.receive("a", Leave(5, 1, "a"))
    bench.receive("x", Leave(6, 1, "x"))
    assert [type(sent.messages[0]) for sent in bench.sent] == [Ack] * 3
    assert len(bench.seen(MemberLeft)) == 1


def test_after_a_leave_commands_that_need_membership_say_so() -> None:
    bench = leaving("a")
    for call in (
        lambda: bench.engine.broadcast(b"x", now=bench.now),
        lambda: bench.engine.update_meta(b"x", now=bench.now),
    ):
        with pytest.raises(LocalProtocolError, match="join again"):
            call()


def test_who_is_not_a_member_any_more_is_not_told() -> None:
    bench = Bench()
    bench.know("a", "b")
    bench.receive("b", Dead(1, "a", "b"))
    bench.receive("c", alive("c"))
    bench.clear()
    bench.take(bench.engine.leave(token=1, now=bench.now))
    assert {sent.address for sent in bench.sent} <= {address_of("b"), address_of("c")}


def test_who_wants_no_acknowledgement_still_tells() -> None:
    bench = leaving("a", "b", leave_acks=0)
    assert {sent.address for sent in bench.sent} == {address_of("a"), address_of("b")}
    assert bench.results[1].result == 0
    assert bench.engine.statistics().questions == 0


def test_members_that_have_not_heard_are_told_again_while_we_linger() -> None:
    bench = leaving("a", "b", "c", "d", "e")
    acknowledge(bench, 3)
    bench.clear()
    bench.wait(0.45)
    assert len(bench.messages(Leave)) == 4, "two members, two more rounds"
