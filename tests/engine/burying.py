"""A bench that has buried members, and what is then said of them."""

from __future__ import annotations

from typing import Any

from tests.engine.bench import Bench, Sent
from tests.engine.exchanging import record, table
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import Ack, Dead, Ping, Record

NEVER = 1e6
QUIET = {
    "probe_interval": NEVER,
    "probe_timeout": 1.0,
    "push_pull_interval": NEVER,
    "rejoin_interval": NEVER,
    "reap_time": 0.2,
    "gossip_to_dead_time": 0.1,
}


def buried(*names: str, left: bool = False, **changes: Any) -> Bench:
    """A bench that knows "b" and has reaped ``names``, by default "a", at incarnation 1."""
    bench = Bench(**(QUIET | changes))
    names = names or ("a",)
    bench.know("b", *names)
    for name in names:
        bench.receive("b", Dead(1, name, name if left else "b"))
    bench.wait(20.0)
    assert all(bench.engine.member(name) is None for name in names)
    bench.clear()
    return bench


def told(bench: Bench, *records: Record, peer: str = "b") -> None:
    """A peer opens an exchange and tells of these members and of itself."""
    own = record(peer, bench.member(peer).incarnation if bench.engine.member(peer) else 1)
    exchange = bench.accept(peer)
    known = {each.name for each in records}
    bench.frames(exchange, *table(*records, *([] if peer in known else [own]), source=peer))
    bench.frames_sent(exchange)
    bench.wait(0.01)


def asked(bench: Bench, name: str = "a") -> list[Sent]:
    """The packets in which a member was asked."""
    return [
        sent
        for sent in bench.sent
        if any(type(message) is Ping and message.target == name for message in sent.messages)
    ]


def ack(bench: Bench, name: str = "a", source: str | Address = "a") -> None:
    """Answer the last ping of a member."""
    (ping,) = (each for each in asked(bench, name)[-1].messages if type(each) is Ping)
    bench.receive(source, Ack(ping.sequence))
