"""Packets of a trace as journeys: their kinds, and what was sent meets what arrived."""

from __future__ import annotations

import pytest

from tests.testing.page_traces import packed, simulated
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Ack, Alive, IndirectPing, Leave, Nack, Ping, Suspect
from trio_gossip.members import VERSIONS_DEFAULT
from trio_gossip.testing.page.packets import LOST, Journeys, Kind, kind_of
from trio_gossip.testing.page.story import Story

PLACE = Address("10.0.0.1", 7946)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (Ping(1, "b", "a"), Kind.PROBE),
        (Ping(1, "b", "c"), Kind.INDIRECT),
        (Ack(1), Kind.PROBE),
        (Nack(1), Kind.INDIRECT),
        (IndirectPing(1, "b", PLACE, "a", 500), Kind.INDIRECT),
        (Suspect(1, "b", "a"), Kind.GOSSIP),
        (Leave(1, 1, "a"), Kind.OTHER),
    ],
)
def test_a_packet_has_the_kind_of_its_message(message, kind):
    assert kind_of(packed(message), "a", NativeCodec()) is kind


def test_news_that_rides_on_a_ping_makes_it_no_gossip():
    codec = NativeCodec()
    alive = Alive(1, "c", PLACE, b"", VERSIONS_DEFAULT)
    both = codec.pack([codec.encode(Ping(1, "b", "a")), codec.encode(alive)])
    assert kind_of(both, "a", codec) is Kind.PROBE


def test_what_cannot_be_decoded_is_no_error():
    assert kind_of(b"\xff\xff", "a", NativeCodec()) is Kind.OTHER


def test_a_packet_meets_its_own_arrival_also_when_it_is_overtaken():
    one, two = packed(Ack(1)), packed(Ack(2))
    journeys = Journeys()
    journeys.send(1.0, "a", "b", one)
    journeys.send(1.1, "a", "b", two)
    journeys.deliver(1.2, "a", "b", two)
    journeys.deliver(1.5, "a", "b", one)
    assert [journey.took for journey in journeys.all] == pytest.approx([0.5, 0.1])


def test_a_lost_packet_does_not_take_the_arrival_of_its_twin():
    same = packed(Ack(1))
    journeys = Journeys()
    journeys.send(1.0, "a", "b", same)
    journeys.lose(1.0, "a", "b")
    journeys.send(1.1, "a", "b", same)
    journeys.deliver(1.2, "a", "b", same)
    assert [journey.took for journey in journeys.all] == pytest.approx([LOST, 0.1])


def test_a_copy_is_one_more_packet_and_a_damaged_one_is_still_the_same():
    journeys = Journeys()
    journeys.send(1.0, "a", "b", packed(Ack(1)))
    journeys.deliver(1.1, "a", "b", packed(Ack(1)))
    journeys.deliver(1.3, "a", "b", packed(Ack(1)))
    journeys.send(2.0, "a", "b", packed(Ack(2)))
    journeys.deliver(2.2, "a", "b", b"damaged")
    journeys.deliver(2.4, "a", "b", b"from nowhere")
    assert [journey.took for journey in journeys.all] == pytest.approx([0.1, 0.3, 0.2])


def test_every_packet_of_a_simulation_has_arrived_or_was_lost():
    simulation, trace = simulated(act=lambda simulation: simulation.crash("n3"))
    journeys = [each for each in Story().read(trace).journeys if each.kind is not Kind.STREAM]
    assert len(journeys) == sum(kind == "send" for _, kind, *_ in trace)
    # What was under way at the end, or to a process that crashed meanwhile, has not arrived.
    lost = [each for each in journeys if each.took == LOST]
    told = sum(kind == "lose" for _, kind, *_ in trace)
    assert simulation.injected["loss"] > 10
    assert told <= len(lost) <= told + 4
    assert all(0 < each.took <= 0.0011 for each in journeys if each.took != LOST)
