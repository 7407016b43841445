"""Checkers of what travels notice a broken engine: probes, gossip, messages, packets."""

from __future__ import annotations

import attrs
import pytest

from tests.simulation.test_checkers_proofs import after, breaking, nothing, notices, patch
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import MessageAck
from trio_gossip.engine import relay
from trio_gossip.engine.claims import Claims
from trio_gossip.engine.gossiper import Gossiper
from trio_gossip.engine.lane import Lane
from trio_gossip.engine.mail import Mail, Receiver
from trio_gossip.engine.membership import Membership
from trio_gossip.engine.node import Node
from trio_gossip.engine.outbox import Outbox
from trio_gossip.engine.prober import Prober
from trio_gossip.engine.rejoin import Rejoin
from trio_gossip.engine.relay import Relay
from trio_gossip.engine.seen import Seen
from trio_gossip.engine.stale import Stale

breaks, CASES = breaking()


# -- probes -----------------------------------------------------------------------------


@breaks("probe-rate")
def too_many_probes(monkeypatch):
    def sooner(prober):
        node = prober._node
        node.timers.set(("probe_tick", 0), node.now + node.config.probe_interval / 3)

    patch(monkeypatch, Prober, "tick", after(sooner))
    return "form work"


@breaks("probe-rate")
def too_few_probes(monkeypatch):
    def later(prober):
        node = prober._node
        node.timers.set(("probe_tick", 0), node.now + 9 * node.config.probe_interval)

    patch(monkeypatch, Prober, "tick", after(later))
    return "form work"


@breaks("probe-coverage")
def always_the_same(monkeypatch):
    def first(self, wanted, rng):
        return next((entry for entry in self._order if wanted(entry)), None)

    monkeypatch.setattr(Membership, "next_in_walk", first)
    return "form work ends"


@breaks("suspect-is-told")
def suspects_are_not_told(monkeypatch):
    def make(original):
        def packet(self, address, peer_name, *messages, piggyback=True):
            original(self, address, peer_name, messages[0], piggyback=piggyback)

        return packet

    patch(monkeypatch, Outbox, "packet", make)
    return "form ends isolate time isolate time isolate settle"


@breaks("relay-in-time")
def nacks_come_late(monkeypatch):
    monkeypatch.setattr(relay, "NACK_FRACTION", 3.0)
    return "form ends"


@breaks("relay-in-time")
def relays_ask_a_name_wherever_it_is(monkeypatch):
    def make(original):
        def request(self, message, source):
            entry = self._node.table.get(message.target)
            message.address = message.address if entry is None else entry.member.address
            original(self, message, source)

        return request

    patch(monkeypatch, Relay, "request", make)
    return "form misled"


@breaks("relay-in-time")
def nacks_never_come(monkeypatch):
    monkeypatch.setattr(Relay, "timeout", nothing)
    return "form ends"


# -- after the faults -------------------------------------------------------------------


@breaks("healing")
def lost_members_are_forgotten(monkeypatch):
    monkeypatch.setattr(Rejoin, "tick", Rejoin._schedule)
    return "form lone wait"


@breaks("convergence")
def changes_are_ignored(monkeypatch):
    monkeypatch.setattr(Claims, "accept", nothing)
    return "form work settle"


@breaks("quiescence")
def news_never_end(monkeypatch):
    def make(original):
        return lambda self, room, pace, now, peer=None: original(
            self, room, attrs.evolve(pace, copies=10**6), now, peer
        )

    patch(monkeypatch, Lane, "fill", make)
    return "form rest"


@breaks("quiescence")
def answers_bring_news(monkeypatch):
    def tell_more(self, message, source):
        self._node.outbox.packet(source, None, self._node.own_claim())

    patch(monkeypatch, Relay, "ping", after(tell_more))
    return "form settle"


# -- gossip and messages ----------------------------------------------------------------


@breaks("sends-per-rumour")
def once_too_often(monkeypatch):
    def make(original):
        return lambda self, room, pace, now, peer=None: original(
            self, room, attrs.evolve(pace, copies=pace.copies + 1), now, peer
        )

    patch(monkeypatch, Lane, "fill", make)
    return "form work"


@breaks("sends-enough")
def sent_but_once(monkeypatch):
    patch(
        monkeypatch,
        Lane,
        "fill",
        lambda original: (
            lambda self, room, pace, now, peer=None: original(
                self, room, attrs.evolve(pace, copies=1), now, peer
            )
        ),
    )
    return "form flood rest"


@breaks("packet-limit")
def gossip_to_oneself(monkeypatch):
    monkeypatch.setattr(Gossiper, "_wanted", lambda self, entry: True)
    return "form work"


@breaks("broadcast-once")
def nothing_is_remembered(monkeypatch):
    monkeypatch.setattr(Seen, "is_new", lambda *arguments: True)
    return "form work"


@breaks("broadcast-to-all")
def broadcasts_are_swallowed(monkeypatch):
    monkeypatch.setattr(Mail, "broadcast_received", nothing)
    return "form work ends settle"


@breaks("reliable-delivery")
def acknowledged_and_not_delivered(monkeypatch):
    def lie(self, exchange):
        if self._come == self._size:
            self._streams.send(exchange, MessageAck())
            self._streams.close(exchange)

    monkeypatch.setattr(Receiver, "_deliver_if_complete", lie)
    return "form work"


# -- packets ----------------------------------------------------------------------------


@breaks("packet-limit")
def too_large(monkeypatch):
    patch(
        monkeypatch,
        NativeCodec,
        "pack",
        lambda original: lambda self, parts: original(self, parts) + bytes(1400),
    )
    return "form"


@breaks("well-formed")
def cut_short(monkeypatch):
    patch(
        monkeypatch,
        NativeCodec,
        "pack",
        lambda original: lambda self, parts: original(self, parts)[:-1],
    )
    return "form"


@breaks("replay-idempotent")
def old_news_are_written_again(monkeypatch):
    def again(self, claim, entry, origin):
        self._node.table.replace(entry, entry.member, now=self._node.now)

    patch(monkeypatch, Stale, "alive", after(again))
    return "form work"


@breaks("amplification")
def strangers_are_told_more(monkeypatch):
    def more(self, source, peer_name, message, also=()):
        for _ in range(5):
            self.outbox.packet(source, peer_name, message, piggyback=False)

    monkeypatch.setattr(Node, "answer", more)
    return "form stranger"


@pytest.mark.parametrize(("name", "break_it"), CASES)
def test_a_checker_notices_what_it_is_there_for(name, break_it, monkeypatch: pytest.MonkeyPatch):
    assert notices(name, break_it, monkeypatch)
