"""Checkers of what is told and kept notice a broken engine: events, bounds, numbers."""

from __future__ import annotations

import attrs
import pytest

from tests.simulation.test_checkers_proofs import after, breaking, notices, patch
from trio_gossip.engine import claims
from trio_gossip.engine.awareness import Awareness
from trio_gossip.engine.claims import Claims
from trio_gossip.engine.clock import StallClock
from trio_gossip.engine.core import Engine
from trio_gossip.engine.counters import Counters
from trio_gossip.engine.gossiper import Gossiper
from trio_gossip.engine.lane import Lane
from trio_gossip.engine.node import Node
from trio_gossip.engine.outbox import Outbox
from trio_gossip.engine.outputs import Complete
from trio_gossip.engine.questions import Questions
from trio_gossip.engine.timers import Timers
from trio_gossip.events import MemberFailed

breaks, CASES = breaking()


# -- what the application is told -------------------------------------------------------


@breaks("versions-without-gap")
def a_version_is_skipped(monkeypatch):
    def skip(self, *arguments):
        self._node.table.version += 1

    patch(monkeypatch, Claims, "_changed", after(skip))
    return "form"


@breaks("legal-transitions")
def the_wrong_event(monkeypatch):
    monkeypatch.setattr(claims, "MemberSuspected", MemberFailed)
    return "form ends"


@breaks("reap-time")
def reaped_too_soon(monkeypatch):
    def soon(self, claim, *arguments):
        self._node.timers.set(("reap", claim.name), self._node.now + 1.0)

    patch(monkeypatch, Claims, "_end", after(soon))
    return "form ends"


@breaks("reap-time")
def never_reaped(monkeypatch):
    def never(self, claim, *arguments):
        self._node.timers.cancel(("reap", claim.name))

    patch(monkeypatch, Claims, "_end", after(never))
    return "form ends isolate"


@breaks("events-match-table")
def a_failure_is_not_told(monkeypatch):
    def make(original):
        def notify(self, event):
            if not isinstance(event, MemberFailed):
                original(self, event)

        return notify

    patch(monkeypatch, Outbox, "notify", make)
    return "form ends"


# -- bounds -----------------------------------------------------------------------------


@breaks("queue-bounds")
def old_news_stay(monkeypatch):
    def tell(self, claim):
        self.queue.membership.put(len(self.queue), self.codec.encode(claim))

    monkeypatch.setattr(Node, "tell", tell)
    monkeypatch.setattr(Lane, "fill", lambda *arguments: [])
    return "form work ends"


@breaks("memory-bounds")
def questions_stay(monkeypatch):
    def leak(self, *arguments):
        for _ in range(8):
            self._open[self._rng.getrandbits(32)] = next(iter(self._open.values()))

    patch(monkeypatch, Questions, "ask", after(leak))
    return "form work ends"


@breaks("timers-kept")
def suspicions_have_no_end(monkeypatch):
    def make(original):
        def set_timer(self, key, at):
            if key[0] != "suspicion":
                original(self, key, at)

        return set_timer

    patch(monkeypatch, Timers, "set", make)
    return "form ends"


@breaks("commands-complete")
def told_twice(monkeypatch):
    def twice(self, token, *arguments):
        self._outputs.append(Complete(token))

    patch(monkeypatch, Outbox, "complete", after(twice))
    return "form"


@breaks("commands-complete")
def a_leave_is_forgotten(monkeypatch):
    def forget(self, token, result=None, error=None):
        self.commands.pop(token)

    monkeypatch.setattr(Outbox, "complete", forget)
    return "form ends"


# -- numbers ----------------------------------------------------------------------------


@breaks("statistics-match-trace")
def one_too_many(monkeypatch):
    def make(original):
        def statistics(self):
            said = original(self)
            return attrs.evolve(said, active=said.active + 1)

        return statistics

    patch(monkeypatch, Engine, "statistics", make)
    return "form work"


@breaks("statistics-match-trace")
def health_has_no_bound(monkeypatch):
    def apply(self, delta):
        self.score -= delta

    monkeypatch.setattr(Awareness, "apply", apply)
    return "form work"


@breaks("counters-monotone")
def counted_backwards(monkeypatch):
    patch(
        monkeypatch,
        Counters,
        "bump",
        lambda original: lambda self, name, by=1: original(self, name, -by),
    )
    return "form work"


@breaks("progress")
def turn_after_turn(monkeypatch):
    def again(gossiper):
        gossiper._node.timers.set(("gossip", 0), gossiper._node.now)

    patch(monkeypatch, Gossiper, "tick", after(again))
    return "form"


@breaks("progress")
def never_woken_again(monkeypatch):
    monkeypatch.setattr(Engine, "next_deadline", property(lambda self: float("inf")))
    return "form work"


@breaks("stall-is-real")
def a_stall_that_was_none(monkeypatch):
    def stall(self, *arguments):
        if not self.stalls:
            self.stalls += 1
            self.stalled += 5.0

    patch(monkeypatch, StallClock, "advance", after(stall))
    return "form work"


@pytest.mark.parametrize(("name", "break_it"), CASES)
def test_a_checker_notices_what_it_is_there_for(name, break_it, monkeypatch: pytest.MonkeyPatch):
    assert notices(name, break_it, monkeypatch)
