"""Checkers of membership notice a broken engine: incarnations, goodbyes, the detector."""

from __future__ import annotations

import attrs
import pytest

from tests.simulation.test_checkers_proofs import after, breaking, nothing, notices, patch
from trio_gossip.codec.messages import Dead
from trio_gossip.engine import claims
from trio_gossip.engine.claimed import claimed_member, with_state
from trio_gossip.engine.claims import Claims
from trio_gossip.engine.lifeguard import Lifeguard
from trio_gossip.engine.membership import Membership
from trio_gossip.engine.prober import Prober
from trio_gossip.engine.refutation import Refutation
from trio_gossip.engine.suspicion import Suspicion
from trio_gossip.events import Reason
from trio_gossip.members import MemberState

breaks, CASES = breaking()


# -- incarnations and states ------------------------------------------------------------


@breaks("incarnation-monotone")
def evidence_falls(monkeypatch):
    def forget(table, entry, member):
        entry.evidence = member.incarnation - 1

    patch(monkeypatch, Membership, "replace", after(forget))
    return "form work"


ECHO_SECONDS = 0.2
"""Between two claims of a name that say nothing new and are told on: at once they would be a storm
in which a test takes minutes."""


def equal_alive_is_news(original):
    told = {}

    def alive(self, claim, origin):
        entry = self._node.table.get(claim.name)
        if entry is None or entry is self._node.me or claim.incarnation > entry.evidence:
            original(self, claim, origin)
        elif claim.incarnation == entry.member.incarnation:
            now = self._node.now
            if entry.member.state is MemberState.ALIVE:
                if now - told.get((self, claim.name), -ECHO_SECONDS) < ECHO_SECONDS:
                    return
                told[self, claim.name] = now
            self.accept(claim, entry, origin.reason)

    return alive


@breaks("claim-order")
def alive_beats_suspect(monkeypatch):
    patch(monkeypatch, Claims, "alive", equal_alive_is_news)
    return "form split"


@breaks("no-resurrection")
def alive_beats_failed(monkeypatch):
    patch(monkeypatch, Claims, "alive", equal_alive_is_news)
    return "form split split work ends wait"


@breaks("own-incarnation")
def others_raise_it(monkeypatch):
    def make(original):
        def accept(self, claim, entry, reason):
            claim.incarnation += 5
            original(self, claim, entry, reason)

        return accept

    patch(monkeypatch, Claims, "accept", make)
    return "form work"


@breaks("one-content")
def meta_is_lost(monkeypatch):
    def forgetful(claim):
        return attrs.evolve(claimed_member(claim), meta=b"")

    monkeypatch.setattr(claims, "claimed_member", forgetful)
    return "form work"


@breaks("no-own-death")
def death_is_accepted(monkeypatch):
    def accused(self, incarnation, origin, accusers=()):
        node = self._node
        dead = with_state(node.me.member, MemberState.SUSPECT, incarnation)
        node.table.replace(node.me, dead, now=node.now)

    monkeypatch.setattr(Refutation, "accused", accused)
    return "form isolate settle"


@breaks("refutation")
def nobody_refutes(monkeypatch):
    monkeypatch.setattr(Refutation, "bid", lambda self, incarnation: False)
    return "form isolate settle"


# -- goodbyes ---------------------------------------------------------------------------


@breaks("own-goodbye")
def failed_is_left(monkeypatch):
    def fail(self, claim, entry, *arguments):
        self._leave(Dead(claim.incarnation, claim.name, claim.name), entry)

    monkeypatch.setattr(Claims, "_fail", fail)
    return "form ends"


@breaks("goodbye-believed")
def a_goodbye_is_a_failure(monkeypatch):
    def leave(self, claim, entry):
        self._fail(claim, entry, Reason.REPORTED)

    monkeypatch.setattr(Claims, "_leave", leave)
    return "form ends"


@breaks("leave-is-left")
def goodbyes_are_ignored(monkeypatch):
    monkeypatch.setattr(Claims, "_leave", nothing)
    return "form ends settle"


# -- detector ---------------------------------------------------------------------------


@breaks("no-false-failure")
def answers_are_ignored(monkeypatch):
    for method in ("_acked", "_stream_answered"):
        monkeypatch.setattr(Prober, method, nothing)
    monkeypatch.setattr(Refutation, "accused", nothing)
    return "form time"


@breaks("detection-bound")
def suspects_are_never_failed(monkeypatch):
    monkeypatch.setattr(Lifeguard, "expired", nothing)
    return "form ends isolate"


@breaks("detection-bound")
def nobody_is_suspected(monkeypatch):
    monkeypatch.setattr(Claims, "suspect", nothing)
    return "form ends isolate"


@breaks("suspicion-duration")
def too_short(monkeypatch):
    monkeypatch.setattr(Suspicion, "timeout", property(lambda self: self.minimum / 2))
    return "form ends"


@breaks("suspicion-duration")
def confirmations_shorten_nothing(monkeypatch):
    monkeypatch.setattr(Suspicion, "confirm", lambda self, accuser: False)
    return "form ends"


@breaks("suspicion-duration")
def too_long(monkeypatch):
    monkeypatch.setattr(Suspicion, "timeout", property(lambda self: self.maximum + 3.0))
    return "form ends"


@pytest.mark.parametrize(("name", "break_it"), CASES)
def test_a_checker_notices_what_it_is_there_for(name, break_it, monkeypatch: pytest.MonkeyPatch):
    assert notices(name, break_it, monkeypatch)
