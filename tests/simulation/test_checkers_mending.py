"""Checkers of what repair tells notice a broken engine, and have nothing to say of a sound one."""

from __future__ import annotations

import pytest

from tests.simulation.test_checkers import Story
from tests.simulation.test_checkers_proofs import patch
from trio_gossip.codec.messages import Suspect
from trio_gossip.engine.buckets import Buckets
from trio_gossip.engine.changelog import ChangeLog
from trio_gossip.engine.hearsay import Hearsay
from trio_gossip.engine.repair import Repair
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.mending import (
    ComparedIsTold,
    ExplainedIsTold,
    GoodbyesToldAsSuch,
)

PROVED = ("explained-is-told", "compared-is-told", "goodbyes-told-as-such")
"""Each objects in a test here: they need members that have missed something, and at once."""


def repaired(*checkers):
    """A member is deaf while others change, and one of them leaves; then it hears again. What it
    missed was told as often as it is told: only repair tells it now.
    """
    story = Story(*checkers)
    story.form()
    simulation = story.simulation
    simulation.run(5.0)
    others = [name for name in story.names if name != "h"]
    story.simulation.links.cut([(other, "h") for other in others])
    simulation.leave("b")
    for number in range(7):
        for name in "acde":
            simulation.do(name, "update_meta", b"%d" % number)
        simulation.run(0.2)
    simulation.run(2.5)
    simulation.links.heal()
    simulation.run(20.0)
    simulation.do("a", "update_meta", b"at last")
    story.settle(30.0)
    return story.findings


CHECKERS = (ExplainedIsTold, ComparedIsTold, GoodbyesToldAsSuch)


def test_a_sound_repair_troubles_no_checker_and_gives_each_something_to_check():
    findings = repaired(*CHECKERS)
    assert not findings.violations
    assert findings.idle() == []


def test_an_explanation_that_is_not_told_is_noticed(monkeypatch):
    def make(original):
        return lambda self, ping, source: (original(self, ping, source)[0], ())

    patch(monkeypatch, Repair, "answer", make)
    assert repaired(ExplainedIsTold).counts["explained-is-told"]


def test_an_explanation_that_is_no_news_is_noticed(monkeypatch):
    def make(original):
        def explain(self, difference):
            found = original(self, difference)
            return ["f"] if found else found

        return explain

    patch(monkeypatch, ChangeLog, "explain", make)
    assert repaired(ExplainedIsTold).counts["explained-is-told"]


@pytest.mark.parametrize("leg", ["_rows", "on_wants"])
def test_a_comparison_that_is_not_answered_is_noticed(leg, monkeypatch):
    def make(original):
        if leg == "_rows":
            return lambda self, buckets: original(self, buckets[:1])
        return lambda self, message, source: None

    patch(monkeypatch, Buckets, leg, make)
    monkeypatch.setattr(ChangeLog, "explain", lambda self, difference: [])
    assert repaired(ComparedIsTold).counts["compared-is-told"]


def test_a_goodbye_that_is_told_as_an_accusation_is_noticed(monkeypatch):
    def make(original):
        def about(self, name):
            entry = self._node.table.get(name)
            if entry is not None and entry.member.state is MemberState.LEFT:
                return Suspect(entry.member.incarnation, name, self._node.name)
            return original(self, name)

        return about

    patch(monkeypatch, Hearsay, "about", make)
    assert repaired(GoodbyesToldAsSuch).counts["goodbyes-told-as-such"]
