"""Long broadcasts: announced by gossip, fetched by stream, delivered once."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench, address_of
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import (
    PARCEL_BYTES_MAX,
    Announce,
    Broadcast,
    Dead,
    Refusal,
    ServiceAnswer,
    ServiceRequest,
)
from trio_gossip.engine import parcels
from trio_gossip.engine.mail import PARCEL_UNIT
from trio_gossip.errors import BroadcastRateError, LocalProtocolError
from trio_gossip.events import Delivery, MessageReceived
from trio_gossip.failures import DialFailure
from trio_gossip.testing import Simulation

LONG = b"long" * 1000
NEWS = Announce("a", 1, 7, len(LONG))


def bench_of_three(**changes: object) -> Bench:
    bench = Bench(push_pull_interval=1e6, **changes)
    bench.know("a", "b", "c")
    bench.answer("a", "b", "c")
    bench.wait(10.0)
    bench.clear()
    return bench


def asked(bench: Bench) -> tuple[int, ServiceRequest, Address]:
    """The request that was made last: its exchange, itself, and of whom."""
    opened = bench.opened()[-1]
    bench.take(bench.engine.exchange_opened(opened.exchange, now=bench.now))
    (request,) = bench.frames_sent(opened.exchange)
    assert isinstance(request, ServiceRequest)
    return opened.exchange, request, opened.address


def give(bench: Bench, payload: bytes = LONG) -> bytes:
    """Answer the last request; returns what it asked for."""
    exchange, request, _ = asked(bench)
    bench.frames(exchange, ServiceAnswer(payload))
    return request.payload


def request_to(bench: Bench, mark: bytes, source: str = "a") -> object:
    """Ask the engine for a long broadcast; returns the answer."""
    exchange = bench.accept(source)
    bench.frames(exchange, ServiceRequest(source, "me", parcels.PARCELS_SERVICE, mark))
    return bench.frames_sent(exchange)[-1]


def test_a_long_broadcast_is_announced_and_given_to_who_asks() -> None:
    bench = bench_of_three()
    bench.take(bench.engine.broadcast(LONG, now=bench.now))
    bench.wait(3.0)
    assert not bench.messages(Broadcast)
    announced = bench.messages(Announce)
    assert set(map(tuple_of, announced)) == {("me", 10, 1, len(LONG))}
    assert len(announced) == bench.config.transmit_floor
    mark = (10).to_bytes(8, "big") + (1).to_bytes(8, "big") + b"me"
    assert request_to(bench, mark) == ServiceAnswer(LONG)
    refused = request_to(bench, mark + b"x")
    assert isinstance(refused, Refusal)
    assert refused.text == "this broadcast is not held here"


def tuple_of(message: Announce) -> tuple[str, int, int, int]:
    return message.origin, message.epoch, message.counter, message.size


def test_what_is_announced_is_fetched_delivered_once_and_announced_again() -> None:
    bench = bench_of_three()
    bench.receive("b", NEWS)
    bench.receive("c", NEWS)
    assert len(bench.opened()) == 1, "one is asked, and not each that announces it"
    assert not bench.messages(Announce), "nobody is told of what is not here"
    assert asked(bench)[2] == address_of("b")
    bench.outputs.pop()  # the frame of the request, read above
    exchange = bench.opened()[-1].exchange
    bench.frames(exchange, ServiceAnswer(LONG))
    assert bench.seen(MessageReceived) == [MessageReceived("a", LONG, Delivery.BROADCAST)]
    bench.receive("c", NEWS)
    bench.wait(3.0)
    assert len(bench.opened()) == 1
    assert bench.count("broadcast_repeated") == 1
    assert len(bench.seen(MessageReceived)) == 1
    assert {tuple_of(message) for message in bench.messages(Announce)} == {tuple_of(NEWS)}
    assert not bench.messages(Announce, to="b"), "it told us"


def test_the_next_teller_is_asked_when_one_refuses_lies_or_is_silent() -> None:
    bench = bench_of_three()
    bench.receive("b", NEWS)
    bench.receive("c", NEWS, NEWS)
    order = [asked(bench)[2]]
    bench.frames(bench.opened()[-1].exchange, ServiceAnswer(b"short"))
    bench.wait(parcels.FETCH_SECONDS)
    order.append(asked(bench)[2])
    late = bench.opened()[-1].exchange
    bench.wait(parcels.FETCH_SECONDS)
    order.append(asked(bench)[2])
    failed = bench.opened()[-1].exchange
    bench.take(bench.engine.exchange_failed(failed, DialFailure.REFUSED, now=bench.now))
    assert bench.count("parcel_refused") == 2
    assert order == [address_of("b"), address_of("c"), address_of("b")]
    assert not bench.seen(MessageReceived)
    bench.frames(late, ServiceAnswer(LONG))
    assert len(bench.seen(MessageReceived)) == 1, "the slow one had it"
    bench.receive("b", NEWS)
    assert bench.count("broadcast_repeated") == 1


def test_an_answer_that_comes_after_another_is_not_delivered_again() -> None:
    bench = bench_of_three()
    bench.receive("b", NEWS)
    first = asked(bench)[0]
    bench.wait(parcels.FETCH_SECONDS)
    give(bench)
    bench.frames(first, ServiceAnswer(LONG))
    assert len(bench.seen(MessageReceived)) == 1
    assert bench.count("parcel_refused") == 0


def test_what_nobody_gives_is_given_up() -> None:
    bench = bench_of_three()
    bench.receive("b", NEWS)
    bench.wait(parcels.GIVE_UP_SECONDS + 1.0)
    assert bench.count("parcel_lost") == 1
    assert len(bench.opened()) == round(parcels.GIVE_UP_SECONDS / parcels.FETCH_SECONDS)
    bench.wait(5.0)
    assert len(bench.opened()) == round(parcels.GIVE_UP_SECONDS / parcels.FETCH_SECONDS)


def test_a_teller_that_is_gone_is_not_dialled() -> None:
    bench = bench_of_three()
    bench.receive("b", NEWS)
    bench.receive("a", Dead(1, "b", "b"))
    bench.wait(parcels.FETCH_SECONDS)
    assert len(bench.opened()) == 1
    assert bench.count("parcel_refused") == 1


def test_nobody_is_asked_for_what_a_stranger_or_an_unknown_origin_announces() -> None:
    bench = bench_of_three()
    bench.receive(Address("h-stranger", 1), NEWS)
    bench.receive("b", Announce("nobody", 1, 1, 5))
    bench.receive("b", Announce("a", 99, 1, 5))
    assert bench.count("broadcast_of_unknown") == 3
    bench.receive("b", Announce("me", 10, 1, 5))
    assert bench.count("broadcast_repeated") == 1
    assert not bench.opened()


def test_no_more_are_fetched_at_once_than_there_is_room_for() -> None:
    bench = bench_of_three()
    for number in range(parcels.WANTED_MAX + 5):
        bench.receive("b", Announce("a", 1, number + 1, 10))
    assert len(bench.opened()) == parcels.WANTED_MAX
    assert bench.count("parcel_not_fetched") == 5
    exchange = bench.opened()[0].exchange
    bench.take(bench.engine.exchange_opened(exchange, now=bench.now))
    bench.frames(exchange, ServiceAnswer(b"0123456789"))
    bench.receive("b", Announce("a", 1, parcels.WANTED_MAX + 3, 10))
    assert len(bench.opened()) == parcels.WANTED_MAX + 1, "it was not taken for delivered"


def test_as_many_tellers_are_remembered_as_there_may_be() -> None:
    bench = Bench()
    names = [f"n{number}" for number in range(parcels.TELLERS_MAX + 4)]
    bench.know("a", *names)
    for name in names:
        bench.receive(name, NEWS)
    (wanted,) = bench.engine._parts.mail.parcels._wanted.values()
    assert wanted.tellers == [*names[parcels.TELLERS_MAX - 1 :: -1]]


def test_what_is_held_goes_after_its_time_or_when_there_is_too_much() -> None:
    bench = bench_of_three(broadcast_burst=1048576)
    held = bench.engine._parts.mail.parcels
    size = PARCEL_BYTES_MAX
    for _ in range(parcels.HELD_BYTES_MAX // size + 2):
        bench.take(bench.engine.broadcast(bytes(size), now=bench.now))
    assert held.bytes == parcels.HELD_BYTES_MAX
    assert bench.count("parcel_dropped") == 2
    bench.wait(parcels.HOLD_SECONDS + 1.0)
    assert held.bytes == 0
    assert not held._held


def test_what_fits_no_packet_is_announced_even_if_it_is_short() -> None:
    bench = Bench(packet_limit=900)
    bench.know("a", "b")
    bench.take(bench.engine.broadcast(bytes(1000), now=bench.now))
    bench.take(bench.engine.broadcast(bytes(800), now=bench.now))
    bench.wait(3.0)
    assert {message.size for message in bench.messages(Announce)} == {1000}
    assert {len(message.payload) for message in bench.messages(Broadcast)} == {800}


def test_each_is_fetched_at_its_own_time() -> None:
    bench = bench_of_three()
    bench.receive("b", NEWS)
    bench.wait(0.4)
    bench.receive("b", Announce("a", 1, 8, 10))
    assert len(bench.opened()) == 2
    bench.wait(0.7)
    assert len(bench.opened()) == 3
    bench.wait(0.4)
    assert len(bench.opened()) == 4


def test_a_long_broadcast_has_a_limit_and_a_rate() -> None:
    bench = Bench(broadcast_burst=100)
    with pytest.raises(LocalProtocolError, match="over the limit of 65536 bytes"):
        bench.engine.broadcast(bytes(PARCEL_BYTES_MAX + 1), now=bench.now)
    for _ in range(100 * PARCEL_UNIT // 50_000):
        bench.take(bench.engine.broadcast(bytes(50_000), now=bench.now))
    with pytest.raises(BroadcastRateError):
        bench.engine.broadcast(bytes(50_000), now=bench.now)


def test_a_newer_long_broadcast_of_a_key_replaces_the_announcement() -> None:
    bench = Bench()
    for number in range(3):
        bench.take(bench.engine.broadcast(bytes([number]) * 2000, key=b"k", now=bench.now))
    assert bench.engine.statistics().user_queue == 1


def test_of_two_members_none_announces_what_the_other_one_gave() -> None:
    bench = Bench()
    bench.know("a")
    bench.receive("a", NEWS)
    give(bench)
    assert bench.engine.statistics().user_queue == 0


def test_a_service_of_the_application_has_no_commands_for_it() -> None:
    bench = Bench()
    with pytest.raises(LocalProtocolError, match="sent by broadcast"):
        bench.engine.call_service(parcels.PARCELS_SERVICE, None, token=1, now=bench.now)


def test_a_long_broadcast_reaches_all_and_crosses_each_member_about_once() -> None:
    simulation = Simulation(5, latency=(0.0005, 0.0015), loss=0.05)
    names = [f"n{number:02}" for number in range(40)]
    simulation.start_converged(names)
    simulation.run(1.0)
    payload = bytes(range(256)) * 200
    began = simulation.now
    simulation.do("n03", "broadcast", payload)
    simulation.run(10.0)
    last = 0.0
    given = 0
    for name, process in simulation.processes.items():
        got = [time for time, event in process.events if isinstance(event, MessageReceived)]
        assert len(got) == (name != "n03")
        last = max(last, *got, 0.0)
        counters = process.engine.statistics().counters
        assert "parcel_lost" not in counters
        given += counters.get("parcel_given", 0)
    assert last - began < 2.0
    assert given == len(names) - 1, "once for each member"


def test_what_is_held_is_not_fetched_again_even_if_its_window_was_forgotten() -> None:
    bench = bench_of_three()
    bench.receive("b", NEWS)
    give(bench)
    bench.engine._parts.mail._seen._windows.clear()
    bench.receive("c", NEWS)
    assert len(bench.opened()) == 1
    assert bench.count("broadcast_repeated") == 1
