"""Checkers of single turns notice a broken engine: probes, answers, claims, what is passed on."""

from __future__ import annotations

import pytest

from tests.simulation.test_checkers_proofs import breaking, nothing, notices, patch
from trio_gossip.codec.messages import Ack, Dead
from trio_gossip.engine import claims as claims_of_engine
from trio_gossip.engine.claims import Claims
from trio_gossip.engine.core import Engine
from trio_gossip.engine.lane import Lane
from trio_gossip.engine.node import Node
from trio_gossip.engine.origin import Origin
from trio_gossip.engine.outbox import Outbox
from trio_gossip.engine.probe import Probe
from trio_gossip.engine.prober import Prober
from trio_gossip.engine.questions import Questions
from trio_gossip.engine.refutation import Refutation
from trio_gossip.engine.rejoin import Rejoin
from trio_gossip.engine.relay import Relay
from trio_gossip.engine.takeover import Takeover
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers import passing

breaks, CASES = breaking()

# -- a round of the detector ------------------------------------------------------------


@breaks("helpers-asked")
def nobody_is_asked(monkeypatch):
    monkeypatch.setattr(Node, "peers", lambda self, count, *, besides=None: [])
    return "form ends wait"


@breaks("helpers-asked")
def the_target_is_asked(monkeypatch):
    def make(original):
        return lambda self, count, *, besides=None: original(self, count)

    patch(monkeypatch, Node, "peers", make)
    return "form ends isolate"


@breaks("helpers-asked")
def one_too_few_is_asked(monkeypatch):
    def make(original):
        return lambda self, count, *, besides=None: original(self, count - 1, besides=besides)

    patch(monkeypatch, Node, "peers", make)
    return "form isolate ends"


@breaks("health-score")
def failures_are_not_felt(monkeypatch):
    monkeypatch.setattr(Probe, "health_delta", lambda self: 0)
    return "form ends isolate"


@breaks("health-score")
def nacks_are_not_noted(monkeypatch):
    monkeypatch.setattr(Probe, "nacked", lambda self, helper: True)
    return "form ends"


@breaks("acks-match")
def any_ack_is_good(monkeypatch):
    def make(original):
        def on_ack(self, message, source):
            if message.sequence not in self._open and self._open:
                message = Ack(next(iter(self._open)))
            original(self, message, source)

        return on_ack

    patch(monkeypatch, Questions, "on_ack", make)
    return "form work ends"


@breaks("pings-go-home")
def requests_say_where(monkeypatch):
    def make(original):
        def packet(self, address, peer_name, *messages, piggyback=True):
            head = type(messages[0]).__name__
            address = self.asker if head == "Ping" and self.asker else address
            original(self, address, peer_name, *messages, piggyback=piggyback)

        return packet

    def ask(original):
        def request(self, message, source):
            Outbox.asker = source
            original(self, message, source)
            Outbox.asker = None

        return request

    monkeypatch.setattr(Outbox, "__slots__", (), raising=False)
    monkeypatch.setattr(Outbox, "asker", None, raising=False)
    patch(monkeypatch, Outbox, "packet", make)
    patch(monkeypatch, Relay, "request", ask)
    return "form ends"


@breaks("accused-was-asked")
def the_row_is_read_again(monkeypatch):
    def make(original):
        def end(self):
            claim = self._probe.target
            self._probe.target = claims_of_engine.with_state(
                claim, claim.state, claim.incarnation + 1
            )
            original(self)

        return end

    patch(monkeypatch, Prober, "end", make)
    return "form ends"


@breaks("accused-was-asked")
def rounds_are_cut_short(monkeypatch):
    def make(original):
        def begin(self, entry):
            original(self, entry)
            node = self._node
            node.timers.set(("probe_end", 0), node.now + 0.9 * node.config.probe_interval)

        return begin

    patch(monkeypatch, Prober, "_begin", make)
    return "form isolate ends"


# -- answers ----------------------------------------------------------------------------


@breaks("pings-answered")
def the_dead_are_not_told(monkeypatch):
    def make(original):
        def answer(self, source, peer_name, message, also=()):
            if type(message) is not Dead:
                original(self, source, peer_name, message, also)

        return answer

    patch(monkeypatch, Node, "answer", make)
    return "form deafen wait"


@breaks("pings-answered")
def pings_are_not_answered(monkeypatch):
    monkeypatch.setattr(Relay, "ping", nothing)
    return "form"


@breaks("answers-owed")
def accusers_are_not_answered(monkeypatch):
    def make(original):
        def accused(self, incarnation, origin, accusers=()):
            original(self, incarnation, Origin(origin.reason), accusers)

        return accused

    patch(monkeypatch, Refutation, "accused", make)
    return "form isolate wait"


# -- claims -----------------------------------------------------------------------------


@breaks("claims-weighed")
def nobody_is_suspected_by_others(monkeypatch):
    def make(original):
        def suspect(self, claim, origin, tried=()):
            if tried:
                original(self, claim, origin, tried)

        return suspect

    patch(monkeypatch, Claims, "suspect", make)
    return "form ends"


@breaks("alive-is-heard")
def suspects_are_deaf(monkeypatch):
    def make(original):
        def alive(self, claim, origin):
            row = self._node.table.get(claim.name)
            if row is None or row.member.state is MemberState.ALIVE:
                original(self, claim, origin)

        return alive

    patch(monkeypatch, Claims, "alive", make)
    return "form isolate wait"


@breaks("alive-is-heard")
def nobody_moves(monkeypatch):
    monkeypatch.setattr(Takeover, "_silent", lambda self, name: self._drop(name))
    return "form ends"


@breaks("moved-was-asked")
def nobody_is_asked_before_a_move(monkeypatch):
    monkeypatch.setattr(Takeover, "must_verify", lambda *arguments: False)
    return "form ends"


@breaks("first-incarnation")
def everybody_begins_at_one(monkeypatch):
    def make(original):
        def init(self, *arguments, incarnation=1, **keywords):
            original(self, *arguments, **keywords)

        return init

    patch(monkeypatch, Engine, "__init__", make)
    return "form"


# -- what is passed on ------------------------------------------------------------------


@breaks("news-is-queued")
def newcomers_are_kept_secret(monkeypatch):
    def make(original):
        def put(self, key, data, subject=None, source=None):
            if subject is None:
                original(self, key, data, subject, source)

        return put

    patch(monkeypatch, Lane, "put", make)
    return "form"


@breaks("lost-are-tried")
def nobody_is_looked_for(monkeypatch):
    monkeypatch.setattr(passing, "TRIES_EXPECTED", 1.0)
    monkeypatch.setattr(Rejoin, "lost", lambda self: [])
    return "form ends wait"


@breaks("exchange-rate")
def one_exchange_follows_another(monkeypatch):
    def make(original):
        def open_one(self, address, name, left=3):
            self._sync.open(address, name, done=lambda *outcome: self.diverged(address, 3))

        return open_one

    patch(monkeypatch, Rejoin, "_open", make)
    return "form ends lone wait"


@pytest.mark.parametrize(("name", "break_it"), CASES)
def test_a_checker_notices_what_it_is_there_for(name, break_it, monkeypatch: pytest.MonkeyPatch):
    assert notices(name, break_it, monkeypatch)
