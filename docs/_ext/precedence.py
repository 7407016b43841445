"""Asks a real engine what each claim does to each state, for the table in ``concepts``.

Nothing here knows the rules: an engine is put into a state, is given one packet, and what it
then says is written down.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Alive, Claim, Dead, Suspect
from trio_gossip.config import Config
from trio_gossip.engine import Engine, Notify
from trio_gossip.members import VERSIONS_DEFAULT

HELD: Final = ("unknown", "alive", "suspect", "failed", "left")
CLAIMS: Final = ("alive", "suspect", "dead", "goodbye")
ORDERS: Final = {"lower": 999, "equal": 1000, "higher": 1001}

_INCARNATION: Final = 1000
_CODEC: Final = NativeCodec()
_EVENTS: Final = {
    "MemberJoined": "alive again",
    "MemberSuspected": "suspected",
    "MemberRecovered": "recovered",
    "MemberFailed": "failed",
    "MemberLeft": "left",
}
_COUNTED: Final = {
    "suspicion_confirmed": "confirmed",
    "alive_stale": "old news",
    "accusation_stale": "old news",
    "suspect_unknown": "ignored",
    "dead_unknown": "ignored",
}


def table() -> Iterator[list[str]]:
    """Rows of text: the state that is held, then a cell for each kind of claim.

    A cell gives the outcome for a lower, an equal and a higher incarnation, or one word when all
    three are the same.
    """
    for held in HELD:
        row = [held]
        for claim in CLAIMS:
            outcomes = [outcome(held, claim, order) for order in ORDERS]
            same = len(set(outcomes)) == 1
            row.append(outcomes[0] if same else " / ".join(outcomes))
        yield row


def outcome(held: str, claim: str, order: str) -> str:
    """What a claim about the member ``x`` does, in a word or two."""
    engine = _engine_that_holds(held)
    before = dict(engine.statistics().counters)
    known = engine.member("x")
    outputs = _tell(engine, _claim(claim, ORDERS[order]))
    events = [type(output.event).__name__ for output in outputs if isinstance(output, Notify)]
    if events == ["MemberJoined"] and known is None:
        return "joined"
    if events:
        return ", ".join(_EVENTS[event] for event in events)
    counters = engine.statistics().counters
    for name, word in _COUNTED.items():
        if counters.get(name, 0) > before.get(name, 0):
            return word
    after = engine.member("x")
    if known is not None and after is not None and known.incarnation != after.incarnation:
        return "suspected anew" if after.state == "suspect" else "noted"
    return "only noted"


def _engine_that_holds(held: str) -> Engine:
    """An engine that knows four others and holds ``x`` in a state, at incarnation 1000."""
    engine = Engine(
        Config(name="me"),
        Address("10.0.0.1", 7946),
        rng=random.Random(0),
        packet_limit=1400,
    )
    engine.start(now=0.0)
    for number, name in enumerate(("b", "c", "d"), start=2):
        _tell(engine, _alive(name, number, _INCARNATION))
    if held != "unknown":
        _tell(engine, _claim("alive", _INCARNATION))
    if held == "suspect":
        _tell(engine, Suspect(_INCARNATION, "x", "b"))
    elif held == "failed":
        _tell(engine, Dead(_INCARNATION, "x", "b"))
    elif held == "left":
        _tell(engine, Dead(_INCARNATION, "x", "x"))
    return engine


def _claim(kind: str, incarnation: int) -> Claim:
    if kind == "alive":
        return _alive("x", 9, incarnation)
    if kind == "suspect":
        return Suspect(incarnation, "x", "c")
    return Dead(incarnation, "x", "c" if kind == "dead" else "x")


def _alive(name: str, number: int, incarnation: int) -> Alive:
    address = Address(f"10.0.0.{number}", 7946)
    return Alive(incarnation, name, address, b"", VERSIONS_DEFAULT)


def _tell(engine: Engine, claim: Claim) -> list[object]:
    packet = _CODEC.pack([_CODEC.encode(claim)])
    return list(engine.receive_packet(packet, Address("10.0.0.2", 7946), now=0.0))
