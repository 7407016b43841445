"""The members that come next on the circle, and what goes to them."""

from __future__ import annotations

from tests.engine.bench import Bench, address_of, alive
from trio_gossip.codec.messages import Broadcast, Dead
from trio_gossip.engine.membership import Entry
from trio_gossip.engine.pacing import Pace
from trio_gossip.engine.successors import REBUILD_SECONDS, SUCCESSORS_MAX, Successors
from trio_gossip.engine.tally import mark_of
from trio_gossip.testing import Observer, Simulation


def anybody(entry: Entry) -> bool:
    return True


def names(found: list[Entry]) -> list[str]:
    return [entry.member.name for entry in found]


def circle(bench: Bench, *members: str) -> list[str]:
    """The members in the order of the circle, from the one after this process on."""
    ordered = sorted(members, key=lambda name: (mark_of(name), name))
    mine = (mark_of("me"), "me")
    return [each for each in ordered if (mark_of(each), each) > mine] + [
        each for each in ordered if (mark_of(each), each) < mine
    ]


MEMBERS = tuple(f"n{number}" for number in range(12))


def quiet(*members: str, **changes: float) -> Bench:
    """An engine that knows these members and has told of all of them."""
    bench = Bench(**changes)
    bench.know(*members)
    bench.wait(20.0)
    bench.clear()
    return bench


def test_the_next_members_are_those_after_this_one_on_the_circle_of_all() -> None:
    bench = quiet(*MEMBERS)
    found = Successors(bench.engine._node)(anybody)
    assert names(found) == circle(bench, *MEMBERS)


def test_every_member_is_the_next_one_of_exactly_one_other() -> None:
    world = Simulation(1)
    processes = world.start_converged(list(MEMBERS))
    nexts = [names(Successors(process.engine._node)(anybody))[0] for process in processes]
    assert sorted(nexts) == sorted(MEMBERS)


def test_who_is_not_wanted_is_passed_over() -> None:
    bench = quiet(*MEMBERS)
    first, second, *_ = circle(bench, *MEMBERS)
    found = Successors(bench.engine._node)(lambda entry: entry.member.name != first)
    assert names(found)[0] == second


def test_a_large_table_is_not_kept_a_second_time() -> None:
    many = [f"m{number}" for number in range(3 * SUCCESSORS_MAX)]
    bench = Bench()
    bench.know(*many)
    found = Successors(bench.engine._node)(anybody)
    assert names(found) == circle(bench, *many)[:SUCCESSORS_MAX]


def test_a_newcomer_has_its_place_after_a_moment_and_who_is_gone_has_none() -> None:
    bench = quiet(*MEMBERS)
    successors = Successors(bench.engine._node)
    assert names(successors(anybody)) == circle(bench, *MEMBERS)
    bench.receive("x", alive("late"))
    assert "late" not in names(successors(anybody)), (
        "a storm would look through the table each time"
    )
    bench.wait(REBUILD_SECONDS)
    assert names(successors(anybody)) == circle(bench, *MEMBERS, "late")
    bench.receive("late", Dead(1, "late", "late"))
    bench.wait(60.0)
    assert "late" not in names(successors(anybody))


def test_the_first_to_hear_news_is_the_next_member() -> None:
    bench = quiet(*MEMBERS)
    for number in range(10):
        bench.clear()
        bench.take(bench.engine.broadcast(b"%d" % number, now=bench.now))
        bench.wait(0.002)
        assert bench.sent[0].address == address_of(circle(bench, *MEMBERS)[0])
        assert len({sent.address for sent in bench.sent}) == 4
        bench.wait(5.0)


def test_amid_other_news_chance_says_who_hears_first() -> None:
    """In a storm all first copies went to one member, which had a thousand packets a second."""
    bench = quiet(*MEMBERS, eager_burst=1, eager_rate=100.0)
    for number in range(60):
        bench.take(bench.engine.broadcast(b"%d" % number, now=bench.now))
        bench.wait(0.004)
    told = [sent.address for sent in bench.sent]
    assert max(map(told.count, told)) < len(told) / 2


def test_copies_that_are_not_hot_go_to_the_next_members_one_after_the_other() -> None:
    bench = quiet(*MEMBERS, probe_interval=1e6, probe_timeout=1.0)
    bench.take(bench.engine.broadcast(b"x", now=bench.now))
    bench.wait(0.01)
    bench.clear()
    bench.wait(5.0)
    told = [sent.address for sent in bench.sent if Broadcast in map(type, sent.messages)]
    assert told == [address_of(name) for name in circle(bench, *MEMBERS)[1:5]]


def test_news_that_the_next_member_told_goes_to_another_one_instead() -> None:
    bench = quiet(*MEMBERS, probe_interval=1e6, probe_timeout=1.0)
    second = circle(bench, *MEMBERS)[1]
    bench.receive(second, Broadcast("n3", 1, 1, b"x"))
    bench.wait(5.0)
    assert len(bench.messages(Broadcast)) == 8
    assert not bench.messages(Broadcast, to=second)


def test_a_round_has_no_more_packets_than_it_may_have() -> None:
    bench = quiet(*MEMBERS, cold_packets=2, cold_gaps=(0.001,), transmit_floor=16)
    for number in range(4):
        bench.take(bench.engine.broadcast(b"%d" % number, now=bench.now))
        bench.wait(0.06)
    most = 0
    for _ in range(20):
        bench.clear()
        bench.take(bench.engine.handle_timeout(now=bench.now))
        told = [sent.address for sent in bench.sent if Broadcast in map(type, sent.messages)]
        assert len(told) == len(set(told)) <= 2
        most = max(most, len(told))
        bench.now = max(bench.now, bench.engine.next_deadline)
    assert most == 2, "they were told differently often, so that each has its own next member"


def test_a_pace_for_one_level_holds_back_the_others_that_are_not_hot() -> None:
    pace = Pace(copies=8, eager=4, gaps=(0.05, 0.1), interval=0.05, packets=6).only(5)
    assert [pace.gap(sent) for sent in range(8)] == [0.0] * 4 + [float("inf"), 0.1] + [
        float("inf")
    ] * 2


class Told(Observer):
    """Who was given each broadcast."""

    def __init__(self) -> None:
        self.count: dict[bytes, int] = {}

    def event(self, process, event) -> None:
        payload = getattr(event, "payload", None)
        if payload is not None:
            self.count[payload] = self.count.get(payload, 0) + 1


def test_without_losses_every_broadcast_reaches_everybody() -> None:
    """With random targets alone, one of a hundred missed somebody."""
    world = Simulation(1, latency=(0.0005, 0.0015))
    members = [f"n{number:02}" for number in range(30)]
    world.start_converged(members)
    told = Told()
    world.observe(told)
    for number in range(150):
        world.do(members[number % 30], "broadcast", b"%d" % number)
        world.run(0.3)
    world.run(3.0)
    assert list(told.count.values()) == [29] * 150
