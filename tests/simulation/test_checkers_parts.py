"""What checkers are made of: formulas, packets at a glance, pace, and what members said."""

from __future__ import annotations

import attrs
import pytest

from tests.simulation.test_checkers import MOVED, Story
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import (
    Ack,
    Broadcast,
    IndirectPing,
    Nack,
    Ping,
    Suspect,
)
from trio_gossip.config import Config
from trio_gossip.engine import formulas
from trio_gossip.engine.pacing import pace_for
from trio_gossip.engine.suspicion import Suspicion
from trio_gossip.members import Member, MemberState
from trio_gossip.testing.checkers import expected
from trio_gossip.testing.checkers.base import Findings, Violation
from trio_gossip.testing.checkers.catalogue import attach
from trio_gossip.testing.checkers.convergence import parts_of
from trio_gossip.testing.checkers.detection import NoFalseFailure
from trio_gossip.testing.checkers.ledger import Ledger
from trio_gossip.testing.checkers.pace import Pace
from trio_gossip.testing.checkers.wire import (
    carries_news,
    first_code,
    is_well_formed,
    messages_of,
)
from trio_gossip.testing.simulation.simulation import Simulation

CONFIGS = [Config.lan(name="a"), Config.wan(name="a"), Config.local(name="a")]
CODEC = NativeCodec()
HOST = Address("h", 1)


def pack(*messages):
    return CODEC.pack([CODEC.encode(message) for message in messages])


# -- formulas ---------------------------------------------------------------------------


@pytest.mark.parametrize("config", CONFIGS, ids=("lan", "wan", "local"))
@pytest.mark.parametrize("n", [1, 2, 3, 4, 9, 10, 32, 33, 99, 100, 999, 1000])
def test_the_formulas_of_checkers_and_engine_were_written_twice_and_agree(config, n: int):
    mult = config.suspicion_mult
    for eager in (0, 6):
        each = attrs.evolve(config, eager_copies=eager)
        assert expected.transmit_limit(each, n) == pace_for(each, n).copies
    assert expected.confirmations(config, n) == formulas.confirmations_wanted(mult, n)
    shortest = formulas.suspicion_minimum(mult, n, config.probe_interval)
    assert expected.suspicion_range(config, n)[0] == pytest.approx(shortest, rel=2e-3)
    scale = formulas.push_pull_scale(n)
    assert expected.push_pull_seconds(config, n) == config.push_pull_interval * scale


@pytest.mark.parametrize("confirmed", [0, 1, 2, 3])
def test_confirmations_shorten_a_suspicion_as_in_the_engine(confirmed: int):
    config = CONFIGS[0]
    shortest, longest = expected.suspicion_range(config, 10)
    accusers = [f"n{number}" for number in range(1 + min(confirmed, 2))]
    suspicion = Suspicion(1, 0.0, shortest, longest, 2, accusers)
    seconds = expected.suspicion_seconds(config, 10, confirmed)
    assert seconds == pytest.approx(suspicion.timeout, abs=2e-3)


def test_where_nobody_can_confirm_the_shorter_time_holds():
    shortest, longest = expected.suspicion_range(CONFIGS[0], 3)
    assert shortest == longest == expected.suspicion_seconds(CONFIGS[0], 3, 0) == 4.0


def test_bounds_grow_with_the_cluster():
    config = CONFIGS[0]
    for bound in (expected.detection_probes, expected.settle_seconds):
        values = [bound(config, n) for n in (2, 5, 20, 100)]
        assert values == sorted(values)
        assert values[0] < values[-1]


# -- packets ----------------------------------------------------------------------------


def test_the_first_code_is_seen_without_decoding():
    ping = Ping(2**31, "a", "b")
    news = [Broadcast("a", 1, number, b"x") for number in range(40)]
    assert first_code(pack(ping)) == Ping.code
    assert first_code(pack(Ack(7))) == Ack.code
    assert first_code(pack(ping, *news)) == Ping.code  # the head of the array takes two bytes
    assert first_code(pack(IndirectPing(1, "a", HOST, "b", 500))) == IndirectPing.code
    assert first_code(b"") == first_code(b"\x82\x01") == -1


def test_only_single_pings_and_answers_carry_no_news():
    assert not carries_news(pack(Ping(1, "a", "b")))
    assert not carries_news(pack(Ack(1)))
    assert not carries_news(pack(Nack(1)))
    assert carries_news(pack(Suspect(1, "a", "b")))
    assert carries_news(pack(Ping(1, "a", "b"), Suspect(1, "a", "b")))
    assert carries_news(b"")


def test_what_cannot_be_read_has_no_messages():
    packet = pack(Ping(1, "a", "b"))
    assert is_well_formed(packet)
    assert messages_of(packet) == (Ping(1, "a", "b"),)
    assert not is_well_formed(packet[:-1])
    assert messages_of(packet[:-1]) == ()


# -- pace and ledger --------------------------------------------------------------------


def test_a_paused_process_has_no_probe_intervals():
    simulation = Simulation(1)
    simulation.start("a")
    simulation.start("b")
    simulation.join("a", "b")
    simulation.run(5.0)
    pace = Pace()
    pace.step(simulation)
    simulation.pause("a")
    simulation.run(20.0)
    pace.step(simulation)
    one, other = (pace.intervals(simulation.processes[name]) for name in "ab")
    assert one == 0.0
    assert 2.0 < other < 20.0  # its probes fail, so it becomes slow
    simulation.resume("a")
    simulation.run(5.0)
    pace.step(simulation)
    assert pace.intervals(simulation.processes["a"]) < 7.0
    assert pace.peak(simulation.processes["a"]) == 2


def test_the_ledger_knows_what_each_life_said_at_each_incarnation():
    simulation = Simulation(1)
    first = simulation.start("a")
    simulation.crash("a")
    second = simulation.start("a", address=MOVED, incarnation=first.first_incarnation)
    ledger = Ledger()
    mine = first.engine.local
    ledger.note(first, "a", mine)
    ledger.note(second, "a", second.engine.local)
    ledger.note(second, "b", Member("b", HOST, MemberState.ALIVE, 9))  # not its own row
    assert ledger.top("a") == mine.incarnation
    assert ledger.top("b") == 0
    assert ledger.lives_at("a", mine.incarnation) == [first, second]
    assert [content[0] for content in ledger.contents("a", mine.incarnation)] == [
        mine.address,
        MOVED,
    ]
    assert ledger.contents("a", 1) == ledger.lives_at("a", 1) == []
    assert not ledger.has_left("a", mine.incarnation)
    left = Member("a", MOVED, MemberState.LEFT, mine.incarnation)
    ledger.note(second, "a", left)
    assert ledger.has_left("a", mine.incarnation)


def test_parts_are_those_of_which_nobody_counts_anybody_of_another():
    simulation = Simulation(1)
    for name in "abcde":
        simulation.start(name)
    simulation.join("a", "b")
    simulation.join("d", "e")
    simulation.run(1.0)
    parts = parts_of(simulation)
    assert parts["a"] == parts["b"]
    assert parts["d"] == parts["e"]
    assert len(set(parts.values())) == 3


# -- tolerance --------------------------------------------------------------------------


def failures_seen(*, excused):
    """A member cut off without and with an excuse."""
    story = Story(NoFalseFailure, detector="memberlist")
    story.form()
    pairs = [pair for other in story.names for pair in (("b", other), (other, "b"))]
    if excused:
        story.simulation.excuses.excuse(["b"], story.simulation.now + 100.0)
    story.simulation.links.cut(pairs)
    story.simulation.run(60.0)
    return story.findings.counts["no-false-failure"]


def test_who_is_excused_may_be_declared_failed_and_may_declare_others_failed():
    assert failures_seen(excused=False) > 9
    assert failures_seen(excused=True) == 0


def test_violations_beyond_the_bound_are_counted_and_not_kept():
    findings = Findings()
    for number in range(150):
        findings.add(Violation(float(number), "some-rule", "again"))
    assert len(findings.violations) == 100
    assert findings.counts["some-rule"] == 150


def test_a_few_checkers_can_be_attached_alone():
    simulation = Simulation(1)
    findings = Findings()
    attached = attach(simulation, findings, [NoFalseFailure])
    assert [type(checker) for checker in attached.members] == [NoFalseFailure]
    assert findings.idle() == ["no-false-failure"]
