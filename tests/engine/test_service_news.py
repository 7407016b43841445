"""News that services gossip or send to each other, and what the engine tells them of members."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engine.bench import alive
from tests.engine.test_requests import ECHO, Echo, ServiceBench
from trio_gossip.codec.messages import Dead, ServiceNews, Suspect
from trio_gossip.engine.requests import NEWS_OVERHEAD
from trio_gossip.errors import LocalProtocolError
from trio_gossip.services.base import Host


def act(bench: ServiceBench, does: Callable[[Host], None]) -> None:
    def command(host: Host, token: int) -> None:
        does(host)
        host.complete(token)

    bench.call(command)


def test_news_of_a_service_are_gossiped_to_members_and_replaced_by_newer_ones() -> None:
    bench = ServiceBench()
    act(bench, lambda host: host.tell("key", b"old"))
    act(bench, lambda host: host.tell("key", b"new"))
    act(bench, lambda host: host.tell("other", b"more"))
    bench.wait(1.0)
    assert {m.payload for m in bench.messages(ServiceNews, to="a")} == {b"new", b"more"}
    assert {m.service for m in bench.messages(ServiceNews)} == {ECHO}


def test_news_to_one_member_go_at_once_and_to_nobody_else() -> None:
    bench = ServiceBench()
    bench.know("b")
    bench.clear()
    act(bench, lambda host: host.send("a", b"you"))
    assert bench.messages(ServiceNews, to="a") == [ServiceNews(ECHO, b"you")]
    assert not bench.messages(ServiceNews, to="b")
    for name in ("me", "ghost"):
        with pytest.raises(LocalProtocolError, match="no other alive or suspect member"):
            act(bench, lambda host, name=name: host.send(name, b"you"))


def test_news_that_fill_a_packet_are_sent_and_longer_ones_are_refused() -> None:
    bench = ServiceBench()
    host = bench.echo.host
    assert host is not None
    payload = bytes(host.room)
    act(bench, lambda host: host.send("a", payload))
    [packet] = [each for each in bench.sent if ServiceNews(ECHO, payload) in each.messages]
    assert packet.size <= 1400
    assert packet.size >= 1400 - NEWS_OVERHEAD
    act(bench, lambda host: host.tell(1, payload))
    bench.clear()
    bench.wait(1.0)
    assert ServiceNews(ECHO, payload) in bench.messages(ServiceNews)
    for call in (
        lambda host: host.send("a", payload + b"!"),
        lambda host: host.tell(1, payload + b"!"),
    ):
        with pytest.raises(LocalProtocolError, match="over the room of"):
            act(bench, call)


def test_news_reach_the_service_with_the_name_of_who_told_them() -> None:
    bench = ServiceBench()
    bench.receive("a", ServiceNews(ECHO, b"hear"))
    assert bench.echo.news == [(b"hear", "a")]


def test_news_of_strangers_and_for_services_that_we_have_not_are_counted_and_dropped() -> None:
    bench = ServiceBench()
    bench.receive("stranger", ServiceNews(ECHO, b"hear"))
    bench.receive("a", ServiceNews(ECHO + 1, b"hear"))
    assert bench.echo.news == []
    assert bench.count("news_of_stranger") == 1
    assert bench.count("news_for_unknown_service") == 1


def test_a_service_is_told_of_members_that_are_reaped() -> None:
    bench = ServiceBench()
    host = bench.echo.host
    assert host is not None
    assert host.is_known("a")
    assert host.is_known("me")
    assert not host.is_known("ghost")
    bench.receive("a", Dead(1, "a", "a"))
    assert host.is_known("a")
    assert bench.echo.forgotten == []
    bench.wait(bench.config.reap_time + 1.0)
    assert bench.echo.forgotten == ["a"]
    assert not host.is_known("a")


def test_a_service_is_told_who_is_active_and_who_is_so_no_more() -> None:
    bench = ServiceBench()
    bench.know("b")
    assert bench.echo.counts == [("a", True), ("b", True)]
    del bench.echo.counts[:]
    bench.receive("b", alive("a", 2))
    bench.receive("b", Suspect(2, "a", "b"))
    assert bench.echo.counts == [], "a suspect counts"
    bench.receive("b", Dead(2, "a", "b"))
    assert bench.echo.counts == [("a", False)]
    bench.receive("b", alive("a", 3))
    assert bench.echo.counts == [("a", False), ("a", True)]
    bench.receive("a", Dead(3, "a", "a"))
    bench.wait(bench.config.reap_time + 1.0)
    counts = [is_active for name, is_active in bench.echo.counts[2:] if name == "a"]
    assert counts == [False], "that it is reaped changes nothing"


def test_services_without_planes_have_nothing_to_compare() -> None:
    assert Echo().planes == ()
    assert [plane.code for plane in ServiceBench().engine._parts.planes] == [0]
