"""Sessions: restarts, lost messages, and tables that no flood makes larger."""

from __future__ import annotations

import random

import pytest

from tests.transports.sealing.helpers import A, B, C, Wire, sealed, sealer, session
from trio_gossip import Address
from trio_gossip_transports.sealing import native, receivers, senders
from trio_gossip_transports.sealing.native import DATA, HELLO, NOTICE, RESET, WELCOME
from trio_gossip_transports.sealing.receivers import HELLO_RETRY_SECONDS, WAITING_SECONDS

ENOUGH = bytes(20)
"""Content that makes a packet as long as a reset."""


def hello_of_a_new_boot() -> bytes:
    [(hello, _)] = sealer().seal(b"x", B, 0.0)
    return hello


# -- ordinary life ----------------------------------------------------------------------


def test_packets_wait_for_the_answer_in_order_and_the_oldest_is_dropped():
    a, b = sealer(), sealer()
    hellos = [each for n in range(10) for each in a.seal(b"%d" % n, B, 0.0)]
    assert len(hellos) == 1
    [(welcome, _)] = b.open(hellos[0][0], A, 0.0).outgoing
    outgoing = a.open(welcome, B, 0.1).outgoing
    assert [b.open(data, A, 0.1).packets for data, _ in outgoing] == [
        [b"%d" % n] for n in range(2, 10)
    ]
    assert a.counts["waiting_dropped"] == 2


def test_a_hello_is_said_again_with_a_later_packet():
    a, b = sealer(), sealer()
    assert len(a.seal(b"1", B, 0.0)) == 1
    assert a.seal(b"2", B, HELLO_RETRY_SECONDS / 2) == []
    [(second, _)] = a.seal(b"3", B, HELLO_RETRY_SECONDS)
    [(welcome, _)] = b.open(second, A, 1.0).outgoing
    assert len(a.open(welcome, B, 1.0).outgoing) == 3


def test_a_packet_that_waited_for_too_long_is_not_sent():
    a, b = sealer(), sealer()
    a.seal(b"old", B, 0.0)
    late = WAITING_SECONDS + 0.1
    [(hello, _)] = a.seal(b"new", B, late)
    [(welcome, _)] = b.open(hello, A, late).outgoing
    [(data, _)] = a.open(welcome, B, late).outgoing
    assert b.open(data, A, late).packets == [b"new"]


@pytest.mark.parametrize("lost", [HELLO, WELCOME])
def test_a_lost_message_of_the_handshake_costs_a_moment(lost: int):
    a, b = sealer(), sealer()
    wire = Wire(a=a, b=b)
    [(hello, _)] = a.seal(b"1", Address("b", 1), 0.0)
    if lost == WELCOME:
        b.open(hello, Address("a", 1), 0.0)
    wire.now = 0.3
    wire.send("a", "b", b"2")
    assert [data for _, data in wire.delivered] == [b"1", b"2"]
    assert b.counts["senders_admitted"] == 1


def test_a_receiver_that_restarted_is_reached_again_after_its_reset():
    wire, _, _ = session()
    wire.at[Address("b", 1)] = sealer()
    wire.now = 1.0
    wire.send("a", "b", ENOUGH)
    wire.send("a", "b", b"second")
    assert wire.delivered == [(Address("b", 1), b"second")]
    assert [data[0] for data, _, _ in wire.recorded[3:]] == [DATA, RESET, HELLO, WELCOME, DATA]


def test_a_receiver_that_restarted_is_known_by_its_own_first_packet_too():
    wire, _a, _ = session()
    new = wire.at[Address("b", 1)] = sealer()
    wire.now = 1.0
    while new._resets.take(wire.now):
        """A flood of garbage uses its resets up."""
    wire.send("a", "b", ENOUGH)
    assert wire.delivered == []
    wire.send("b", "a", b"here I am")
    wire.send("a", "b", b"welcome back")
    assert [data for _, data in wire.delivered] == [b"here I am", b"welcome back"]


def test_a_reset_that_a_third_member_was_made_to_send_ends_no_session():
    _, a, b = session()
    misled = sealed(a, "b", ENOUGH)
    [(reset, _)] = sealer().open(misled, Address("a", 1), 1.0).outgoing
    assert reset[0] == RESET
    [(hello, target)] = a.open(reset, Address("c", 1), 1.0).outgoing
    assert (hello[0], target) == (HELLO, Address("b", 1))
    assert b.open(sealed(a, "b", b"as before"), Address("a", 1), 1.0).packets == [b"as before"]


def test_both_ways_have_their_own_sessions():
    wire, a, b = session()
    wire.send("b", "a", b"back")
    assert wire.delivered == [(Address("a", 1), b"back")]
    assert len(a._senders) == len(b._senders) == 1


# -- bounds -----------------------------------------------------------------------------


def test_a_flood_of_hellos_fills_the_table_of_newcomers_only(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(senders, "NEWCOMERS_MAX", 16)
    _, a, b = session()
    for number in range(200):
        assert b.open(hello_of_a_new_boot(), Address(f"h{number}", 1), 1.0).outgoing
    assert len(b._senders) == 17
    assert b.counts["newcomers_forgotten"] == 200 - 16
    assert b.open(sealed(a, "b", b"still known"), A, 1.0).packets == [b"still known"]


def test_senders_are_bounded_and_the_silent_one_goes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(senders, "SENDERS_MAX", 2)
    b = sealer()
    wire = Wire(a=sealer(), b=b, c=sealer(), d=sealer())
    wire.send("a", "b", b"1")
    wire.send("c", "b", b"2")
    wire.send("a", "b", b"3")  # so that c is the silent one
    wire.send("d", "b", b"4")
    assert (len(b._senders), b.counts["senders_forgotten"]) == (2, 1)
    wire.send("a", "b", b"5")
    assert len(wire.delivered) == 5
    assert b.counts["unknown_token"] == 0
    wire.send("c", "b", ENOUGH)
    assert b.counts["unknown_token"] == 1


def test_a_receiver_with_two_addresses_that_restarted_was_lost_at_one_of_them():
    """Both have one token, and the other address was forgotten with it: for ever, where the
    receiver never sends from that address.
    """
    wire = Wire(a=sealer(), b=(b := sealer()), also_b=b)
    for target in ("b", "also_b"):
        wire.send("a", target, b"first")
    wire.at[Address("b", 1)] = wire.at[Address("also_b", 1)] = sealer()
    wire.delivered.clear()
    for wire.now in (1.0, 2.0):
        for target in ("b", "also_b"):
            wire.send("a", target, ENOUGH)
    assert wire.delivered.count((Address("b", 1), ENOUGH)) >= 1
    assert wire.delivered.count((Address("also_b", 1), ENOUGH)) >= 1


@pytest.mark.parametrize("gone", ["b", "also_b"])
def test_a_receiver_that_lost_one_of_two_addresses_is_found_at_the_other(gone: str):
    wire = Wire(a=sealer(), b=(b := sealer()), also_b=b)
    for target in ("b", "also_b"):
        wire.send("a", target, b"first")
    del wire.at[Address(gone, 1)]
    [there] = [address for address in wire.at if address.host != "a"]
    wire.at[there] = sealer()
    for wire.now in (1.0, 2.0):
        wire.send("a", there.host, ENOUGH)
    assert (there, ENOUGH) in wire.delivered


def test_the_addresses_of_one_receiver_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(receivers, "ADDRESSES_OF_TOKEN_MAX", 2)
    a, b = sealer(), sealer()
    wire = Wire(a=a, b=b, c=b, d=b)
    for target in "bcd":
        wire.send("a", target, b"x")
    assert [address.host for address in a._tokens] == ["c", "d"]
    assert a.counts["receivers_forgotten"] == 1
    wire.now = 1.0
    wire.send("a", "b", b"again")
    assert wire.delivered[-1] == (Address("b", 1), b"again")


def test_receivers_are_bounded_and_the_one_not_written_to_goes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(receivers, "RECEIVERS_MAX", 2)
    a = sealer()
    wire = Wire(a=a, b=sealer(), c=sealer(), d=sealer())
    for target in "bcbd":
        wire.send("a", target, b"x")
    assert [address.host for address in a._tokens] == ["b", "d"]
    assert len(a._receivers._addresses) == 2
    assert a.counts["receivers_forgotten"] == 1
    wire.now = 1.0
    wire.send("a", "c", b"again")
    assert wire.delivered[-1] == (Address("c", 1), b"again")


def test_addresses_that_never_answer_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(receivers, "WAITING_ADDRESSES_MAX", 8)
    a = sealer()
    for number in range(100):
        a.seal(b"x", Address("h", number), 0.0)
    assert len(a._receivers._waiting) == len(a._receivers._nonces) == 8
    assert a.counts["handshake_given_up"] == 92


def test_the_same_hello_again_makes_nothing_new_and_is_not_answered():
    b, hello = sealer(), hello_of_a_new_boot()
    assert b.open(hello, A, 0.0).outgoing
    for number in range(1000):
        assert b.open(hello, Address("h", number), 0.0).outgoing == []
    assert len(b._senders) == 1
    assert b.counts["replayed"] == 1000


def test_garbage_that_looks_like_hellos_costs_a_bounded_number_of_openings_and_answers():
    b, hello = sealer(), hello_of_a_new_boot()
    chance = random.Random(1)
    answers = 0
    for number in range(6000):
        junk = hello[:5] + chance.randbytes(len(hello) - 5)
        answers += len(b.open(junk, Address("h", number), 0.0).outgoing)
    assert len(b._senders) == 0
    assert answers <= 5
    assert b.counts["handshake_forged"] == 4000
    assert b.counts["handshake_over_rate"] == 2000
    assert b.open(hello, A, 1.0).outgoing  # a second later there is room again


def test_a_flood_of_hellos_does_not_hold_up_the_answers_to_ours():
    a, b = sealer(), sealer()
    [(hello, _)] = a.seal(b"x", B, 0.0)
    [(welcome, _)] = b.open(hello, A, 0.0).outgoing
    for _ in range(5000):
        a.open(hello[:5] + bytes(len(hello) - 5), C, 0.0)
    assert a.counts["handshake_over_rate"] > 0
    assert len(a.open(welcome, B, 0.0).outgoing) == 1


def test_resets_and_notices_are_limited_by_rate():
    _, a, _b = session()
    data = sealed(a, "b", ENOUGH)
    for answering, expected, junk in (
        (sealer(), 200, data[:5] + b"\1" * 8 + data[13:]),
        (sealer(), 5, data[:1] + b"????" + data[5:]),
    ):
        sent = sum(len(answering.open(junk, A, 0.0).outgoing) for _ in range(1000))
        assert sent == expected


def test_resets_that_are_repeated_bring_few_hellos():
    wire, a, b = session()
    b.after_fork()
    wire.now = 1.0
    wire.send("a", "b", ENOUGH)
    [reset] = [data for data, _, _ in wire.recorded if data[0] == RESET]
    outgoing = [each for _ in range(1000) for each in a.open(reset, A, 2.0).outgoing]
    assert len(outgoing) <= 1
    assert {data[0] for data, _ in outgoing} <= {HELLO}


# -- nobody is an amplifier -------------------------------------------------------------


def test_no_answer_is_longer_than_what_it_answers():
    wire, a, b = session()
    recording = [data for data, _, _ in wire.recorded]
    restarted = sealer()
    other = sealer(b"9" * 16)
    labelled = sealer(label=b"x")
    chance = random.Random(2)
    samples = [*recording, sealed(a, "b", b""), sealed(a, "b", ENOUGH)]
    samples += [
        bytes((kind,)) + chance.randbytes(n) for kind in range(256) for n in range(0, 60, 3)
    ]
    samples += [data[:size] for data in recording for size in range(len(data))]
    answered = set()
    for receiver in (b, restarted, other, labelled):
        for now, data in enumerate(samples):
            outgoing = receiver.open(data, C, float(now)).outgoing
            assert sum(len(answer) for answer, _ in outgoing) <= len(data)
            assert len(outgoing) <= 1
            answered |= {answer[0] for answer, _ in outgoing}
    assert answered == {WELCOME, RESET, NOTICE}
    assert len(native._NOTICES) == 3


def test_a_plain_packet_is_told_of_and_answered_with_a_notice():
    a, b = sealer(), sealer()
    plain = bytes((0x82,)) + bytes(10)
    opened = b.open(plain, A, 0.0)
    assert opened.trouble == "sends without sealing"
    assert b.counts["unsealed"] == 1
    [(notice, _)] = opened.outgoing
    assert a.open(notice, B, 0.0).trouble == "says that it takes sealed packets only"
