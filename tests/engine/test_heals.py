"""What follows when a lost part of the cluster comes back."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of, alive
from tests.engine.burying import QUIET, buried, told
from tests.engine.exchanging import record, table
from trio_gossip.codec.messages import Dead
from trio_gossip.failures import DialFailure


def returned(bench: Bench, *names: str) -> None:
    for name in names:
        bench.receive(name, alive(name, 2))


def test_after_a_heal_one_exchange_finds_what_gossip_missed() -> None:
    bench = buried("a", "c", "d")
    returned(bench, "a", "c", "d")
    bench.wait(1.9)
    assert not bench.opened()
    bench.wait(2.2)
    (opened,) = bench.opened()
    assert opened.address in {address_of(name) for name in "abcd"}
    bench.take(bench.engine.exchange_opened(opened.exchange, now=bench.now))
    bench.frames_sent(opened.exchange)
    peer = opened.address.host.removeprefix("h-")
    incarnation = bench.member(peer).incarnation
    bench.frames(opened.exchange, *table(record(peer, incarnation), source=peer))
    bench.wait(10.0)
    assert len(bench.opened()) == 1
    assert bench.count("settle_tried") == 1


def test_an_exchange_after_a_heal_that_fails_is_tried_with_others_but_not_for_ever() -> None:
    bench = buried("a", "c", "d")
    returned(bench, "a", "c", "d")
    bench.wait(4.1)
    for number in range(3):
        exchange = bench.opened()[number].exchange
        bench.take(bench.engine.exchange_failed(exchange, DialFailure.REFUSED, now=bench.now))
    assert len(bench.opened()) == 3


def test_who_leaves_after_a_heal_does_not_go_on_trying() -> None:
    bench = buried("a", "c")
    returned(bench, "a", "c")
    bench.wait(4.1)
    (opened,) = bench.opened()
    bench.take(bench.engine.leave(token=1, now=bench.now))
    bench.take(bench.engine.exchange_failed(opened.exchange, DialFailure.REFUSED, now=bench.now))
    assert len(bench.opened()) == 1


def test_single_members_that_come_back_now_and_then_are_no_heal() -> None:
    bench = buried("a", "c")
    returned(bench, "a")
    bench.wait(11.0)
    returned(bench, "c")
    bench.wait(11.0)
    assert not bench.opened()


def test_nobody_else_is_tried_while_a_heal_is_under_way() -> None:
    bench = buried("a", "c", rejoin_interval=0.2)
    bench.wait(5.0)
    before = bench.count("rejoin_tried")
    assert before > 5
    bench.clear()
    told(bench, record("a"))
    bench.wait(1.4)
    assert bench.count("rejoin_tried") == before, "while one is asked"
    returned(bench, "a")
    bench.wait(1.9)
    assert bench.count("rejoin_tried") == before, "soon after one came back"
    bench.wait(5.0)
    assert bench.count("rejoin_tried") > before


@pytest.mark.parametrize(("lost", "tries"), [(1, (8, 28)), (5, (170, 330))])
def test_a_split_cluster_looks_for_its_other_half_more_often(
    lost: int, tries: tuple[int, int]
) -> None:
    """Of two halves of five each member tries one of the other half about every ten seconds;
    of six members of whom one is lost, all together one every thirty."""
    bench = Bench(**(QUIET | {"rejoin_interval": 30.0}))
    bench.know("b", "c", "d", "e", "f", "x0", "x1", "x2", "x3", "x4")
    for number in range(5):
        bench.receive("b", Dead(1, f"x{number}", "b" if number < lost else f"x{number}"))
    bench.wait(3000.0)
    low, high = tries
    assert low <= bench.count("rejoin_tried") <= high
