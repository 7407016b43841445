"""Streams on the workbench: tables, joins, refusals."""

from __future__ import annotations

from tests.engine.bench import Bench, address_of
from trio_gossip.codec.messages import (
    Frame,
    Record,
    Refusal,
    SyncEnd,
    SyncMembers,
    SyncOpen,
)
from trio_gossip.engine import CloseExchange
from trio_gossip.members import VERSIONS_DEFAULT


def record(name: str, incarnation: int = 1, state: int = 0, **changes: object) -> Record:
    values: dict = {
        "address": address_of(name),
        "meta": b"",
        "versions": VERSIONS_DEFAULT,
        "incarnation": incarnation,
        "state": state,
    }
    return Record(name, **(values | changes))


def table(*records: Record, source: str = "peer", joining: bool = False) -> list[Frame]:
    return [
        SyncOpen(source, address_of(source), joining),
        SyncMembers(list(records)),
        SyncEnd(len(records)),
    ]


def closes(bench: Bench, exchange: int) -> list[CloseExchange]:
    return [
        output
        for output in bench.outputs
        if isinstance(output, CloseExchange) and output.exchange == exchange
    ]


def join(bench: Bench, seed: str = "peer", token: int = 1) -> int:
    bench.take(bench.engine.join(address_of(seed), token=token, now=bench.now))
    exchange = bench.opened()[-1].exchange
    bench.take(bench.engine.exchange_opened(exchange, now=bench.now))
    return exchange


def refusal_of(bench: Bench, exchange: int) -> Refusal:
    frames = bench.frames_sent(exchange)
    assert isinstance(frames[-1], Refusal)
    assert closes(bench, exchange) == [CloseExchange(exchange, drain=True)]
    return frames[-1]
