"""A name that turns up at a new address."""

from __future__ import annotations

from tests.engine.bench import Bench, address_of, alive
from tests.engine.exchanging import record, table
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import Ack, Alive, Conflict, Dead, Ping, StreamAck, Suspect
from trio_gossip.engine.takeover import PENDING_MAX
from trio_gossip.events import MemberJoined, MemberRecovered, MemberUpdated, NameConflict, Reason
from trio_gossip.members import MemberState

NEW = Address("h-new-place", 9)


def claimed(incarnation: int = 5, **changes: object) -> Bench:
    """A bench that has just heard of "a" at a new address."""
    bench = Bench(**changes)
    bench.know("a", "b")
    bench.clear()
    bench.receive("b", alive("a", incarnation, address=NEW))
    return bench


def test_the_old_address_is_asked_by_three_pings_and_a_stream() -> None:
    bench = claimed()
    bench.wait(0.45)
    pings = [p for p in bench.messages(Ping, to="a") if p.target == "a"]
    assert len(pings) >= 3
    assert [opened.address for opened in bench.opened()][:1] == [address_of("a")]
    assert bench.member("a").address == address_of("a")


def test_silence_gives_the_name_to_the_new_address() -> None:
    bench = claimed()
    bench.wait(0.51)
    assert bench.member("a").address == NEW
    [event] = bench.seen(MemberUpdated)
    assert event.reason is Reason.TAKEOVER
    assert event.previous.address == address_of("a")
    assert bench.count("takeover_accepted") == 1


def test_the_news_of_a_takeover_says_who_checked() -> None:
    bench = claimed()
    bench.clear()
    bench.wait(1.0)
    news = [m for m in bench.messages(Alive, to="b") if m.name == "a" and m.address == NEW]
    assert news
    assert all(message.vouched_by == "me" for message in news)


def test_an_answer_keeps_the_name_where_it_is_and_tells_both() -> None:
    bench = Bench()
    bench.know("a", "b")
    bench.clear()
    bench.receive(NEW, alive("a", 5, address=NEW, meta=b"some meta to make it longer"))
    ping = bench.messages(Ping, to="a")[-1]
    bench.receive("a", Ack(ping.sequence))
    assert bench.member("a").address == address_of("a")
    [event] = bench.seen(NameConflict)
    assert (event.existing.name, event.other) == ("a", NEW)
    assert bench.messages(Conflict, to="a") == [Conflict("a", address_of("a"), NEW)]
    assert bench.messages(Conflict, to=NEW) == [Conflict("a", address_of("a"), NEW)]
    bench.wait(2.0)
    assert bench.member("a").address == address_of("a")


def test_a_claimant_that_others_told_us_of_gets_no_packet() -> None:
    bench = claimed()
    bench.receive("a", Ack(bench.messages(Ping, to="a")[-1].sequence))
    assert not [sent for sent in bench.sent if sent.address == NEW]


def test_a_claimant_that_has_a_stream_with_us_is_told() -> None:
    bench = Bench()
    bench.know("a", "b")
    exchange = bench.accept("twin")
    twin = Address("h-twin", 8)
    bench.frames(exchange, *table(record("a", 5, address=twin), source="a"))
    bench.frames_sent(exchange)
    bench.receive("a", Ack(bench.messages(Ping, to="a")[-1].sequence))
    assert bench.messages(Conflict, to=twin)


def test_an_answer_by_stream_counts_too() -> None:
    bench = claimed()
    exchange = bench.opened()[0].exchange
    bench.take(bench.engine.exchange_opened(exchange, now=bench.now))
    [question] = bench.frames_sent(exchange)
    bench.frames(exchange, StreamAck(question.sequence))
    assert len(bench.seen(NameConflict)) == 1
    bench.wait(1.0)
    assert bench.member("a").address == address_of("a")


def test_a_verdict_holds_for_a_while() -> None:
    bench = claimed()
    bench.receive("a", Ack(bench.messages(Ping, to="a")[-1].sequence))
    bench.clear()
    bench.receive("b", alive("a", 6, address=NEW))
    assert not bench.messages(Ping, to="a")
    assert bench.count("takeover_refused") == 2
    bench.answer("a", "b")
    bench.wait(10.1)
    bench.clear()
    bench.answering.clear()
    bench.receive("b", alive("a", 7, address=NEW))
    assert bench.messages(Ping, to="a")


def test_the_highest_claim_heard_meanwhile_counts() -> None:
    bench = claimed()
    bench.receive("b", alive("a", 4, address=NEW), alive("a", 7, address=NEW))
    bench.wait(0.51)
    assert bench.member("a").incarnation == 7


def test_a_member_that_speaks_up_meanwhile_keeps_its_name() -> None:
    bench = claimed()
    bench.receive("a", alive("a", 8))
    bench.wait(0.51)
    assert bench.member("a").address == address_of("a")


def test_a_suspect_is_verified_too_and_recovers_at_its_new_address() -> None:
    bench = Bench()
    bench.know("a", "b")
    bench.receive("b", Suspect(1, "a", "b"))
    bench.receive("b", alive("a", 5, address=NEW))
    assert bench.state("a") is MemberState.SUSPECT
    bench.wait(0.51)
    assert bench.member("a").address == NEW
    assert [event.reason for event in bench.seen(MemberRecovered)] == [Reason.TAKEOVER]


def test_a_failed_or_left_member_moves_without_a_question() -> None:
    bench = Bench()
    bench.know("a", "b", "c")
    bench.receive("c", Dead(1, "a", "c"), Dead(1, "b", "b"))
    bench.clear()
    bench.receive("c", alive("a", 5, address=NEW), alive("b", 5, address=Address("h-x", 1)))
    assert bench.member("a").address == NEW
    assert [event.reason for event in bench.seen(MemberJoined)] == [Reason.TAKEOVER] * 2
    assert not bench.messages(Ping)


def test_the_admission_rule_is_asked_before_the_name_moves() -> None:
    bench = claimed(admit=lambda member: member.address != NEW)
    bench.wait(0.6)
    assert bench.member("a").address == address_of("a")
    assert bench.count("refused_by_hook") == 1


def test_a_member_reaped_meanwhile_is_forgotten_here_too() -> None:
    bench = Bench(reap_time=30.0)
    bench.know("a", "b")
    bench.wait(0.0)
    bench.receive("b", Dead(1, "a", "b"))
    bench.wait(29.9)
    takeover = bench.engine._parts.takeover
    entry = bench.engine._node.table.get("a")
    from trio_gossip.engine.origin import OWN

    takeover.verify(alive("a", 5, address=NEW), entry, OWN)
    bench.wait(0.2)
    assert bench.engine.member("a") is None
    bench.wait(1.0)
    assert not takeover._pending


def test_the_number_of_names_being_verified_is_bounded() -> None:
    bench = Bench()
    names = [f"n{number}" for number in range(PENDING_MAX + 5)]
    bench.know("b", *names)
    for name in names:
        bench.receive("b", alive(name, 5, address=Address(f"h-new-{name}", 1)))
    assert bench.count("takeover_full") == 5


def test_the_memory_of_verdicts_is_bounded() -> None:
    bench = Bench()
    bench.know("a", "b")
    for port in range(1, PENDING_MAX + 20):
        bench.receive("b", alive("a", 5, address=Address("h-x", port)))
        bench.receive("a", Ack(bench.messages(Ping, to="a")[-1].sequence))
    assert len(bench.engine._parts.takeover._verdicts) == PENDING_MAX


def test_a_leave_ends_what_is_being_verified() -> None:
    bench = claimed()
    bench.take(bench.engine.leave(token=1, now=bench.now))
    bench.wait(2.0)
    assert bench.member("a").address == address_of("a")


def test_without_stream_pings_only_pings_are_sent() -> None:
    bench = claimed(stream_pings=False)
    assert not bench.opened()
    bench.wait(0.51)
    assert bench.member("a").address == NEW


# -- when the row moves while its old address is asked ---------------------------------------

THIRD = Address("h-third-place", 9)


def moved_meanwhile(incarnation: int = 3, address: Address = THIRD) -> Bench:
    """We ask where "a" was, as it may be at NEW; then c, that has asked, says where it is."""
    bench = Bench()
    bench.know("a", "b", "c")
    bench.clear()
    bench.receive("b", alive("a", 5, address=NEW))
    bench.receive("c", alive("a", incarnation, address=address, vouched_by="c"))
    assert bench.member("a").address == address
    bench.clear()
    return bench


def asked_there(bench: Bench, place: Address | str = THIRD) -> int:
    return len([ping for ping in bench.messages(Ping, to=place) if ping.target == "a"])


def test_silence_of_the_address_before_says_nothing_of_the_present_one() -> None:
    bench = moved_meanwhile()
    bench.wait(0.51)
    assert bench.member("a").address == THIRD
    bench.wait(0.51)
    assert asked_there(bench) >= 3
    assert bench.member("a").address == NEW


def test_an_answer_of_the_address_before_says_nothing_of_the_present_one() -> None:
    bench = Bench()
    bench.know("a", "b", "c")
    bench.receive("b", alive("a", 5, address=NEW))
    ping = [ping for ping in bench.messages(Ping, to="a") if ping.target == "a"][-1]
    bench.receive("c", alive("a", 3, address=THIRD, vouched_by="c"))
    bench.clear()
    bench.receive("a", Ack(ping.sequence))
    assert not bench.seen(NameConflict)
    assert asked_there(bench) == 1
    bench.receive(THIRD, Ack(bench.messages(Ping, to=THIRD)[-1].sequence))
    [event] = bench.seen(NameConflict)
    assert (event.existing.address, event.other) == (THIRD, NEW)


def test_a_further_claim_has_the_present_address_asked_at_once() -> None:
    bench = moved_meanwhile()
    bench.receive("b", alive("a", 6, address=NEW))
    assert asked_there(bench) == 1
    bench.wait(0.3)
    assert bench.member("a").address == THIRD
    bench.wait(0.3)
    assert bench.member("a").address == NEW
    assert bench.member("a").incarnation == 6


def test_one_that_was_moved_where_it_is_said_to_be_is_asked_no_further() -> None:
    bench = moved_meanwhile(4, NEW)
    bench.wait(0.51)
    assert bench.member("a").address == NEW
    assert bench.member("a").incarnation == 5
    bench = Bench()
    bench.know("a", "b", "c")
    bench.receive("b", alive("a", 5, address=NEW))
    ping = [ping for ping in bench.messages(Ping, to="a") if ping.target == "a"][-1]
    bench.receive("c", alive("a", 4, address=NEW, vouched_by="c"))
    bench.receive("a", Ack(ping.sequence))
    assert not bench.seen(NameConflict)
    assert len(bench.engine._parts.takeover._pending) == 0
