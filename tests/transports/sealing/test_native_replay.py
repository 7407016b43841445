"""A recording of everything that three members sent is played to them again: none is accepted."""

from __future__ import annotations

import random
from functools import cache

import pytest

from tests.transports.sealing.helpers import Wire, sealer
from trio_gossip import Address
from trio_gossip_transports.sealing.native import DATA, HELLO, RESET, WELCOME, NativeSealer

PACKETS = 12_000
"""In one recording. Each is played nine times below: more than 100,000 datagrams."""

Recording = list[tuple[bytes, Address, Address]]


@cache
def recorded() -> tuple[Wire, Recording]:
    """A run with restarts and handshakes in it, and the members as they are at its end."""
    wire = Wire(a=sealer(), b=sealer(), c=sealer())
    chance = random.Random(4)
    for number in range(PACKETS):
        source, target = chance.sample("abc", 2)
        wire.send(source, target, b"packet %010d" % number)
        wire.now += 0.01
        if number % 3000 == 2999:
            wire.at[Address(source, 1)] = sealer()
    kinds = {data[0] for data, _, _ in wire.recorded}
    assert kinds == {HELLO, WELCOME, DATA, RESET}
    assert len(wire.delivered) > PACKETS - 50  # a restart costs the packets of a moment
    wire.now += 1000.0
    return wire, list(wire.recorded)


def play(wire: Wire, recording: Recording, *, to: str | None = None) -> int:
    """How many are accepted. What the members answer is carried as on a real network."""
    wire.delivered.clear()
    for data, source, target in recording:
        wire.arrive(data, source, Address(to, 1) if to else target)
        wire.now += 0.001
    return len(wire.delivered)


def copy_of(wire: Wire) -> Wire:
    """The members as they are, a long while later; a recording of its own."""
    wire.now += 100_000.0
    other = Wire()
    other.at, other.now = dict(wire.at), wire.now
    return other


def test_in_order_none_is_accepted():
    wire, recording = recorded()
    assert play(copy_of(wire), recording) == 0


def test_out_of_order_none_is_accepted():
    wire, recording = recorded()
    shuffled = random.Random(1).sample(recording, len(recording))
    assert play(copy_of(wire), shuffled) == 0
    assert play(copy_of(wire), recording[::-1]) == 0


@pytest.mark.parametrize("other", "abc")
def test_to_other_members_none_is_accepted(other: str):
    wire, recording = recorded()
    elsewhere = [entry for entry in recording if entry[2] != Address(other, 1)]
    assert len(elsewhere) > PACKETS / 2
    assert play(copy_of(wire), elsewhere, to=other) == 0


def test_to_a_receiver_that_started_later_none_is_accepted():
    _, recording = recorded()
    assert play(Wire(d=sealer()), recording, to="d") == 0


def test_to_members_that_have_all_restarted_none_is_accepted():
    _, recording = recorded()
    wire = Wire(a=sealer(), b=sealer(), c=sealer())
    assert play(wire, recording) == 0
    assert play(wire, recording) == 0  # now that they know the senders by their old hellos


def test_to_a_sender_that_was_forgotten_and_came_again_none_is_accepted():
    wire, _ = recorded()
    wire = copy_of(wire)
    a: NativeSealer = wire.at[Address("a", 1)]
    start = len(wire.recorded)
    for _ in range(500):
        wire.send("b", "a", b"new before the flood" + bytes(16))
    a._senders.clear()
    wire.now += 1.0
    wire.send("b", "a", b"lost, and brings a reset" + bytes(16))
    wire.now += 1.0
    wire.send("b", "a", b"again")
    assert wire.delivered[-1][1] == b"again"
    assert play(wire, wire.recorded[start:]) == 0


def test_from_another_address_none_is_accepted():
    wire, recording = recorded()
    elsewhere = [(data, Address("e", 9), target) for data, _, target in recording]
    assert play(copy_of(wire), elsewhere) == 0


def test_a_welcome_of_the_past_leads_no_packet_astray():
    wire, recording = recorded()
    wire = copy_of(wire)
    a = wire.at[Address("a", 1)]
    wire.send("a", "nobody", b"waits for an answer")
    before = dict(a._tokens)
    welcomes = [data for data, _, _ in recording if data[0] == WELCOME]
    for data in welcomes:
        assert a.open(data, Address("nobody", 1), wire.now).outgoing == []
    assert dict(a._tokens) == before


def test_replayed_resets_change_no_session():
    wire, recording = recorded()
    wire = copy_of(wire)
    a = wire.at[Address("a", 1)]
    before = dict(a._tokens)
    for data, source, _ in recording:
        if data[0] == RESET:
            wire.arrive(data, source, Address("a", 1))
            assert a._tokens.keys() == before.keys()
