"""Checkers of repair notice sums that are wrong, and members that stay different."""

from __future__ import annotations

import attrs
import pytest

from tests.simulation.test_checkers_proofs import breaking, notices, patch
from trio_gossip.engine.claims import Claims
from trio_gossip.engine.repair import Repair
from trio_gossip.engine.tally import Tally
from trio_gossip.testing import Simulation
from trio_gossip.testing.checkers.base import Findings
from trio_gossip.testing.checkers.catalogue import attach
from trio_gossip.testing.checkers.inside import node_of
from trio_gossip.testing.checkers.repairing import MissedIsRepaired, SumsMatchTable

breaks, CASES = breaking()


@breaks("sums-match-table")
def a_change_is_not_summed(monkeypatch):
    def make(original):
        return lambda self, name, old, new, *, now: original(
            self, name, old, 0 if name == "c" else new, now=now
        )

    patch(monkeypatch, Tally, "change", make)
    return "form work"


@breaks("missed-is-repaired")
def all_say_that_they_have_the_same(monkeypatch):
    def make(original):
        def accept(self, claim, entry, reason):
            if (self._node.name, claim.name) != ("c", "d"):
                original(self, claim, entry, reason)

        return accept

    patch(monkeypatch, Claims, "accept", make)
    monkeypatch.setattr(Repair, "answer", lambda *_: (b"\x00", ()))
    return "form work settle"


@pytest.mark.parametrize(("name", "break_it"), CASES)
def test_a_broken_engine_is_noticed(name, break_it, monkeypatch):
    assert notices(name, break_it, monkeypatch)


def play(**changes: object) -> Findings:
    """Four members form, one misses an update for good, and all is calm."""
    simulation = Simulation(1)
    findings = Findings()
    attached = attach(simulation, findings, [SumsMatchTable, MissedIsRepaired])
    for name in "abcd":
        simulation.start(name, push_pull_interval=1e6, **changes)
        if name != "a":
            simulation.join(name, "a")
    simulation.run(10.0)
    attached.calm()
    for name, process in simulation.processes.items():
        node = node_of(process)
        entry = node.table.get("b")
        if name != "d":
            newer = attrs.evolve(entry.member, incarnation=entry.member.incarnation + 1)
            node.table.replace(entry, newer, now=node.now)
    simulation.run(60.0)
    attached.finish()
    return findings


def test_an_engine_that_repairs_breaks_no_rule() -> None:
    findings = play()
    assert not findings.violations
    assert findings.idle() == []


def test_nothing_is_demanded_of_members_without_summaries() -> None:
    findings = play(summaries=False)
    assert not findings.violations
    assert findings.idle() == ["missed-is-repaired"]


@pytest.mark.parametrize(
    "broken", [{"answer": (b"\x00", ())}, {"summary": b""}, {"answer": (b"", ()), "acked": None}]
)
def test_a_difference_that_stays_is_noticed(
    broken: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, result in broken.items():
        monkeypatch.setattr(Repair, name, lambda *_, result=result: result)
    assert play().counts["missed-is-repaired"] > 0
