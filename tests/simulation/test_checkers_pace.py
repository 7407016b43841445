"""Checkers of long broadcasts and of the pace of gossip notice a broken engine."""

from __future__ import annotations

import pytest

from tests.simulation.test_checkers_proofs import after, breaking, nothing, notices, patch
from trio_gossip.engine.pacing import Pace
from trio_gossip.engine.parcels import Parcels
from trio_gossip.engine.relay import Relay

breaks, CASES = breaking()


# -- long broadcasts --------------------------------------------------------------------


@breaks("announced-to-all")
def nobody_asks(monkeypatch):
    monkeypatch.setattr(Parcels, "announced", nothing)
    return "form work letters rest"


@breaks("announced-to-all")
def answers_are_dropped(monkeypatch):
    monkeypatch.setattr(Parcels, "_answered", nothing)
    return "form work letters time rest"


@breaks("announced-is-held")
def what_was_fetched_is_not_kept(monkeypatch):
    def lose(parcels, mark, teller, answer):
        held = parcels._held.pop(mark, None)
        if held is not None:
            parcels.bytes -= len(held[0])

    patch(monkeypatch, Parcels, "_answered", after(lose))
    return "form work letters rest"


# -- the pace of gossip -----------------------------------------------------------------


@breaks("news-is-paced")
def no_gaps(monkeypatch):
    monkeypatch.setattr(Pace, "gap", lambda self, sent: 0.0)
    return "form work rest"


@breaks("news-is-hot")
def no_eager_copies(monkeypatch):
    monkeypatch.setattr(Pace, "gap", lambda self, sent: self.gaps[0] if sent else 0.0)
    return "form work work rest"


# -- helpers ----------------------------------------------------------------------------


@breaks("relay-in-time")
def who_knows_better_is_silent(monkeypatch):
    def make(original):
        def request(self, message, source):
            entry = self._node.table.get(message.target)
            if entry is not None and entry.member.address != message.address:
                message.want_nack = False
            original(self, message, source)

        return request

    patch(monkeypatch, Relay, "request", make)
    return "form misled rest"


@pytest.mark.parametrize(("name", "break_it"), CASES)
def test_a_broken_engine_is_noticed(name, break_it, monkeypatch):
    assert notices(name, break_it, monkeypatch)
