"""Pings on behalf of others: who is helped, with whom, how soon, and how many at once."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import Ack, IndirectPing, Nack, Ping


def relaying() -> tuple[Bench, Ping]:
    bench = Bench()
    bench.know("asker", "target")
    bench.clear()
    request = IndirectPing(99, "target", address_of("target"), "asker", 500)
    bench.receive("asker", request)
    [ping] = bench.messages(Ping, to="target")
    return bench, ping


def test_a_relay_passes_the_answer_on() -> None:
    bench, ping = relaying()
    assert ping.sequence != 99
    bench.receive("target", Ack(ping.sequence))
    assert bench.messages(Ack, to="asker") == [Ack(99)]
    bench.clear()
    bench.wait(0.45)
    assert not bench.messages(Nack)


def test_a_relay_without_an_answer_nacks_at_eighty_percent_of_the_time_left() -> None:
    bench, _ = relaying()
    bench.wait(0.39)
    assert not bench.messages(Nack)
    bench.wait(0.02)
    assert bench.messages(Nack, to="asker") == [Nack(99)]


def test_a_relay_nacks_only_when_asked_to() -> None:
    bench = Bench()
    bench.know("asker", "target")
    request = IndirectPing(99, "target", address_of("target"), "asker", 500, want_nack=False)
    bench.receive("asker", request)
    bench.wait(0.6)
    assert not bench.messages(Nack)


def test_a_relay_pings_members_at_their_own_address_only() -> None:
    bench = Bench()
    bench.know("asker", "target")
    bench.clear()
    victim = Address("h-victim", 9)
    bench.receive("asker", IndirectPing(1, "target", address_of("target"), "asker", 500))
    bench.receive("asker", IndirectPing(2, "nobody", victim, "asker", 500))
    bench.receive("asker", IndirectPing(3, "me", address_of("me"), "asker", 500))
    bench.receive(victim, IndirectPing(4, "target", address_of("target"), "asker", 500))
    assert {sent.address for sent in bench.sent} == {address_of("target")}
    assert bench.count("relay_refused") == 3


@pytest.mark.parametrize("want_nack", [True, False])
def test_a_relay_does_not_say_that_a_member_answers_at_an_address_where_it_is_not(
    want_nack: bool,
) -> None:
    # One member believed a forged move. Its helpers pinged the name where it really was and passed
    # on the answers, so it never suspected what it held, and kept the wrong address for good.
    bench = Bench()
    bench.know("asker", "target")
    bench.clear()
    request = IndirectPing(1, "target", Address("h-forged", 9), "asker", 500, want_nack)
    bench.receive("asker", request)
    assert {sent.address for sent in bench.sent} <= {address_of("asker")}
    assert bench.messages(Nack, to="asker") == [Nack(1)] * want_nack
    assert bench.count("relay_elsewhere") == 1
    bench.wait(1.0)
    assert len(bench.messages(Nack)) == want_nack


def test_the_number_of_relayed_pings_is_bounded() -> None:
    bench = Bench()
    askers = [f"asker{number}" for number in range(20)]
    bench.know("target", *askers)
    for asker in askers:
        for number in range(20):
            request = IndirectPing(number, "target", address_of("target"), asker, 600_000)
            bench.receive(asker, request)
    assert bench.count("relay_refused") == 400 - 256, "16 for each, 256 in all"
    bench.answer("target", *askers)
    bench.wait(8.1)
    bench.receive(askers[0], IndirectPing(1, "target", address_of("target"), askers[0], 500))
    assert bench.count("relay_refused") == 400 - 256, "no budget holds a place for minutes"
