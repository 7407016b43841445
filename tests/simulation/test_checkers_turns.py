"""What a turn learns after it has packed a packet is not held against that packet."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.test_checkers_proofs import after, patch
from trio_gossip.codec.messages import Alive
from trio_gossip.engine.claimed import with_state
from trio_gossip.engine.gossiper import Gossiper
from trio_gossip.engine.node import Node, alive_claim
from trio_gossip.engine.prober import Prober
from trio_gossip.members import MemberState
from trio_gossip.testing import Findings, Simulation, attach
from trio_gossip.testing.checkers.spreading import NoStaleNews

NAMES = "abcdef"
TELLER = "a"


def others(node: Node) -> list[str]:
    return [name for name in NAMES if name != node.name]


def raise_all(node: Node) -> None:
    """All others are a step further than before."""
    for name in others(node):
        entry = node.table.get(name)
        assert entry is not None
        member = with_state(entry.member, MemberState.ALIVE, entry.member.incarnation + 1)
        node.table.replace(entry, member, now=node.now)


def once(does: Callable[[Node], None]) -> Callable[..., None]:
    """Do this at the first call of a part of the teller that comes after a while."""
    left = [does]

    def call(part: Prober | Gossiper) -> None:
        node = part._node
        is_due = node.now > 10.0 and node.name == TELLER
        if left and is_due and (type(part) is Prober or len(node.queue)):
            left.pop()(node)

    return call


def findings_of_a_teller(
    monkeypatch: pytest.MonkeyPatch, tells: Callable[[Node], None], learns: Callable[[Node], None]
) -> Findings:
    """One member tells claims of all others; and learns something in the turn in which these
    leave, once the packet is packed.
    """
    patch(monkeypatch, Prober, "tick", after(once(tells)))
    patch(monkeypatch, Gossiper, "flush", after(once(learns)))
    simulation = Simulation(1)
    findings = Findings()
    attach(simulation, findings, [NoStaleNews])
    for name in NAMES:
        simulation.start(name, detector="memberlist")
        if name != TELLER:
            simulation.join(name, TELLER)
    simulation.run(20.0)
    return findings


def claims(node: Node) -> list[Alive]:
    rows = [node.table.get(name) for name in others(node)]
    return [alive_claim(row.member) for row in rows if row is not None]


def test_what_was_packed_before_the_turn_learned_better_is_not_stale(monkeypatch) -> None:
    learned: list[float] = []

    def tells(node: Node) -> None:
        for claim in claims(node):
            node.tell(claim)

    def learns(node: Node) -> None:
        learned.append(node.now)
        raise_all(node)
        for claim in claims(node):
            node.tell(claim)  # as whoever learns of it does: no later packet has the old one

    findings = findings_of_a_teller(monkeypatch, tells, learns)
    assert learned
    assert not findings.violations
    assert findings.checked["no-stale-news"] > 0


def test_what_was_learned_a_turn_before_makes_the_same_packet_stale(monkeypatch) -> None:
    def tells(node: Node) -> None:
        old = claims(node)
        raise_all(node)
        for claim in old:
            node.tell(claim)

    findings = findings_of_a_teller(monkeypatch, tells, lambda _: None)
    assert findings.counts["no-stale-news"] > 0
