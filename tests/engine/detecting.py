"""A bench with the evidence detector, and what happens to the questions that it asks."""

from __future__ import annotations

from typing import Any

from tests.engine.bench import Bench, Sent, address_of
from trio_gossip.codec.messages import Ack, IndirectPing, Nack, Ping, Suspect
from trio_gossip.engine.graded import GradedSuspicion
from trio_gossip.events import MemberFailed, MemberRecovered, Reason
from trio_gossip.failures import DialFailure, Evidence

NEVER = 1e6
CALM: dict[str, Any] = {
    "detector": "evidence",
    "ring_interval": None,
    "push_pull_interval": NEVER,
    "rejoin_interval": NEVER,
    "summaries": False,
}
"""One loop of probes, and nothing but probes and gossip."""

OTHERS = ("a", "b", "c", "d", "e", "f", "g")
"""Members beside the one that is asked for."""

ROUND = 1.02
"""Seconds of one round through helpers where no time of answers is known: twice the timeout."""


def watching(*names: str, **changes: Any) -> Bench:
    """A bench that knows these members, and whose loops do nothing."""
    bench = Bench(**(CALM | {"scan_interval": NEVER} | changes))
    bench.know(*names)
    bench.wait(20.0)  # the gossip of that is over
    bench.clear()
    return bench


def refuse_packet(bench: Bench, name: str) -> None:
    """The network says that nobody listens there: the bench asks at once, on all paths."""
    bench.take(bench.engine.packet_refused(address_of(name), now=bench.now))


def look(bench: Bench, name: str = "x") -> Ping:
    """Have the bench ask for a member on all paths; returns the question."""
    refuse_packet(bench, name)
    return last_ping(bench, name)


def doubt(bench: Bench, name: str = "x", accused: int = 1, *, wide: bool = True) -> Ping:
    """The same, whatever the settings say of the kernel."""
    node = bench.engine._node
    bench.take(bench.engine.handle_timeout(now=bench.now))
    bench.engine._parts.prober.look(node.table.get(name), accused, wide=wide)
    bench.take(node.outbox.take())
    return last_ping(bench, name)


def last_ping(bench: Bench, name: str) -> Ping:
    """The last ping that was sent to a member."""
    return bench.messages(Ping, to=name)[-1]


def helpers_of(bench: Bench, sequence: int) -> list[Sent]:
    """The packets with which helpers were asked that question, one for each of them."""
    found = {
        sent.address: sent
        for sent in bench.sent
        for message in sent.messages
        if isinstance(message, IndirectPing) and message.sequence == sequence
    }
    return list(found.values())


def nack(bench: Bench, sequence: int, *found: Evidence, missing: int = 0) -> list[str]:
    """Helpers answer that they failed as well; returns their names.

    Args:
        bench: who asked them.
        sequence: the question.
        found: what the helpers found, one after another; the last one holds for the others.
        missing: so many of them say nothing.
    """
    asked = helpers_of(bench, sequence)
    found = found or (Evidence.SILENT,)
    for at, sent in enumerate(asked[missing:]):
        evidence = found[min(at, len(found) - 1)]
        bench.receive(sent.address, Nack(sequence, int(evidence)))
    return [sent.address.host.removeprefix("h-") for sent in asked]


def streams_to(bench: Bench, name: str) -> list[int]:
    """The exchanges that were opened to a member."""
    return [each.exchange for each in bench.opened() if each.address == address_of(name)]


def stream_fails(bench: Bench, name: str, failure: DialFailure) -> None:
    """The last stream to a member could not be opened."""
    exchange = streams_to(bench, name)[-1]
    bench.take(bench.engine.exchange_failed(exchange, failure, now=bench.now))


def stream_connects(bench: Bench, name: str) -> int:
    """The kernel of a member accepts the last stream."""
    exchange = streams_to(bench, name)[-1]
    bench.take(bench.engine.exchange_opened(exchange, now=bench.now))
    return exchange


def in_private(bench: Bench, name: str = "x", *found: Evidence) -> None:
    """Have the bench suspect a member, with nacks of all helpers, and tell nobody."""
    ping = look(bench, name)
    nack(bench, ping.sequence, *found)
    assert suspicion_of(bench, name).private


def in_public(bench: Bench, name: str = "x", *accusers: str, **changes: Any) -> None:
    """Others accuse a member that the bench has not asked itself."""
    accusation = accuse(name, *accusers, **changes)
    bench.receive(accusation.accuser, accusation)
    assert not suspicion_of(bench, name).private


def accuse(
    name: str,
    *accusers: str,
    evidence: Evidence = Evidence.SILENT,
    incarnation: int = 1,
    age: float = 0.0,
) -> Suspect:
    """An accusation; all of these accusers found the same."""
    first, *others = accusers
    rest = tuple((other, int(evidence)) for other in others)
    return Suspect(incarnation, name, first, int(evidence), int(1000 * age), rest)


def suspicion_of(bench: Bench, name: str) -> GradedSuspicion:
    """What the bench holds against a member."""
    suspicion = bench.engine._parts.claims.suspicions[name]
    assert isinstance(suspicion, GradedSuspicion)
    return suspicion


def is_suspected(bench: Bench, name: str) -> bool:
    """Whether there is a suspicion of a member."""
    return name in bench.engine._parts.claims.suspicions


def timers(bench: Bench, kind: str) -> set[Any]:
    """For what the timers of a kind are set."""
    return {key[1] for key in bench.engine._node.timers._live if key[0] == kind}


def ack(bench: Bench, name: str) -> None:
    """A member answers the last ping."""
    bench.receive(name, Ack(last_ping(bench, name).sequence))


def at_rest(bench: Bench) -> None:
    """Fails unless nothing of any suspicion or attempt is left."""
    parts = bench.engine._parts
    assert not parts.claims.suspicions
    assert not len(parts.prober._attempts)
    assert not parts.prober._busy
    assert not parts.prober._loops
    judge = parts.claims.judge
    assert not judge._private
    assert not judge._recheck._running
    assert not judge.interview._asked
    assert not len(bench.engine._node.questions)
    assert not len(parts.streams)
    for kind in ("attempt", "suspicion", "reprobe", "exchange"):
        assert not timers(bench, kind), f"a timer of {kind} is left"


def fails_after(bench: Bench, name: str = "x", limit: float = 100.0) -> float:
    """Seconds from now until a member is declared failed."""
    began = bench.now
    while not bench.seen(MemberFailed):
        assert bench.now - began < limit, "it never failed"
        bench.now = max(bench.now, bench.engine.next_deadline)
        bench.take(bench.engine.handle_timeout(now=bench.now))
    assert bench.seen(MemberFailed)[0].member.name == name
    return bench.now - began


def accusing(*changed: Evidence, **changes: object) -> Bench:
    """A bench that accuses a member in public itself, with two helpers."""
    bench = watching("x", *OTHERS, quiet=0.0, helpers=2, **changes)
    nack(bench, doubt(bench).sequence, *changed)
    assert not suspicion_of(bench, "x").private
    bench.clear()
    return bench


def told(bench: Bench, name: str = "x") -> list[Suspect]:
    """The accusations of a member that the others heard."""
    return [
        message
        for sent in bench.sent
        for message in sent.messages
        if isinstance(message, Suspect)
        and message.name == name
        and sent.address != address_of(name)
    ]


def recovered(bench: Bench) -> list[Reason]:
    """Why suspicions ended well."""
    return [event.reason for event in bench.seen(MemberRecovered)]


def rechecking(bench: Bench) -> Ping:
    """Let the quiet time pass, until helpers are asked again; returns the question."""
    bench.clear()
    _, request = bench.wait_for(IndirectPing, limit=3.0)
    return last_ping(bench, request.target)


def probing(*names: str, **changes: object) -> tuple[Bench, Ping]:
    """A bench just after its first probe was sent, before any answer has been measured."""
    bench = Bench(**(CALM | changes))
    bench.know(*names)
    bench.clear()
    _, ping = bench.wait_for(Ping)
    return bench, ping
