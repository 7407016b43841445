"""Lies about who does not answer: each is counted and does no more than one member may do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.bench import CODEC, Bench, address_of, alive
from tests.engine.detecting import (
    OTHERS,
    accuse,
    at_rest,
    helpers_of,
    in_private,
    in_public,
    is_suspected,
    look,
    nack,
    suspicion_of,
    watching,
)
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import (
    ACCUSERS_MAX,
    Ack,
    Dead,
    IndirectPing,
    Nack,
    Ping,
    Suspect,
)
from trio_gossip.events import MemberFailed, MemberSuspected
from trio_gossip.failures import DialFailure, Evidence
from trio_gossip.members import MemberState

SILENT, STALLED, REFUSED = Evidence.SILENT, Evidence.STALLED, Evidence.REFUSED
GHOSTS = tuple(f"ghost{number}" for number in range(ACCUSERS_MAX - 1))


# -- answers ----------------------------------------------------------------------------


def test_a_forged_ack_ends_no_attempt() -> None:
    bench = watching("x", *OTHERS)
    ping = look(bench)
    for sequence in (ping.sequence ^ 1, 0, 2**32 - 1):
        bench.receive("x", Ack(sequence))
    assert bench.count("ack_unexpected") == 3
    nack(bench, ping.sequence)
    assert is_suspected(bench, "x")


def test_a_nack_of_a_stranger_confirms_nothing() -> None:
    bench = watching("x", *OTHERS)
    ping = look(bench)
    asked = {sent.address for sent in helpers_of(bench, ping.sequence)}
    bench.receive(Address("h-stranger", 1), Nack(ping.sequence, REFUSED))
    for name in OTHERS:
        if address_of(name) not in asked:
            bench.receive(name, Nack(ping.sequence, REFUSED))
    bench.receive("x", Nack(ping.sequence, REFUSED))
    assert bench.count("nack_unexpected") == 6
    bench.wait(3.5)
    assert not is_suspected(bench, "x"), "nobody who was asked has said so"


def test_a_helper_that_says_no_many_times_is_one_witness() -> None:
    bench = watching("x", *OTHERS)
    ping = look(bench)
    helper = helpers_of(bench, ping.sequence)[0].address
    for evidence in (SILENT, REFUSED, REFUSED, STALLED):
        bench.receive(helper, Nack(ping.sequence, evidence))
    assert bench.count("nack_unexpected") == 3
    bench.wait(1.1)
    assert len(suspicion_of(bench, "x").found) == 2
    assert suspicion_of(bench, "x").evidence is SILENT


def test_one_lying_helper_cannot_make_a_silent_member_refused() -> None:
    bench = watching("x", *OTHERS)
    ping = look(bench)
    nack(bench, ping.sequence, REFUSED, SILENT)
    assert suspicion_of(bench, "x").evidence is SILENT
    assert suspicion_of(bench, "x").private


# -- accusers ---------------------------------------------------------------------------


def test_an_accuser_that_is_failed_or_left_begins_nothing() -> None:
    for goodbye in (True, False):
        bench = watching("x", *OTHERS)
        bench.receive("b", Dead(1, "a", "a" if goodbye else "b"))
        bench.receive("a", accuse("x", "a"))
        assert not is_suspected(bench, "x")
        assert bench.count("accuser_inactive") == 1


def test_of_several_accusers_only_those_count_that_are_members_here() -> None:
    bench = watching("x", *OTHERS)
    bench.receive("b", Dead(1, "a", "b"))
    others = (("b", 0), ("ghost", 2), ("me", 2), ("x", 2), ("c", 1))
    bench.receive("a", Suspect(1, "x", "a", REFUSED, 0, others))
    assert suspicion_of(bench, "x").found == {"b": SILENT, "c": STALLED}
    for counter in ("accuser_inactive", "accuser_unknown", "accuser_is_me", "suspect_of_itself"):
        assert bench.count(counter) == 1, counter


def test_nobody_speaks_through_us() -> None:
    bench = watching("x", *OTHERS)
    bench.receive("a", accuse("x", "me"))
    assert not is_suspected(bench, "x")
    bench.receive("a", accuse("x", "me", "a"))
    assert list(suspicion_of(bench, "x").found) == ["a"]
    assert bench.count("accuser_is_me") == 2
    bench.wait(2.0)
    assert not bench.messages(Ping, to="x"), "it did not become an accuser"


def test_an_accuser_that_is_not_known_may_begin_a_suspicion_and_adds_nothing_to_one() -> None:
    """Names are free: invented ones brought a verdict within a second once."""
    bench = watching("x", *OTHERS)
    bench.receive("a", accuse("x", *GHOSTS, evidence=REFUSED))
    assert suspicion_of(bench, "x").found == {GHOSTS[0]: SILENT}
    due = suspicion_of(bench, "x").due
    for ghost in GHOSTS:
        bench.receive("a", accuse("x", ghost, evidence=REFUSED))
        bench.receive("a", accuse("x", ghost, *GHOSTS, evidence=STALLED))
    assert suspicion_of(bench, "x").found == {GHOSTS[0]: SILENT}
    assert suspicion_of(bench, "x").due == due
    assert bench.count("accuser_unknown") > len(GHOSTS)
    bench.wait(24.0)
    assert bench.state("x") is MemberState.SUSPECT, "it has the longest time there is"


def test_of_two_members_an_invented_third_one_cannot_say_that_the_other_is_gone() -> None:
    bench = watching("x")
    bench.receive(Address("h-ghost", 1), accuse("x", "ghost", evidence=REFUSED))
    assert suspicion_of(bench, "x").evidence is SILENT


def test_a_member_that_accuses_itself_is_not_suspected() -> None:
    bench = watching("x", *OTHERS)
    bench.receive("x", accuse("x", "x", "a", "b"))
    assert not is_suspected(bench, "x")
    assert bench.count("suspect_of_itself") == 1


def test_an_accusation_of_us_is_refuted_whoever_is_named() -> None:
    bench = watching("x", *OTHERS)
    bench.receive("a", Suspect(10, "me", "ghost", 2, 600_000, (("me", 2), ("x", 2), ("x", 1))))
    assert bench.engine.local.incarnation == 11
    assert bench.state("me") is MemberState.ALIVE
    assert len(bench.sent) <= 8


def test_the_kernel_of_others_is_not_heard_where_ours_is_not() -> None:
    bench = watching("x", *OTHERS, kernel_evidence=False)
    bench.receive("a", accuse("x", "a", "b", "c", evidence=REFUSED))
    assert suspicion_of(bench, "x").evidence is SILENT
    bench.wait(4.0)
    assert bench.state("x") is MemberState.SUSPECT


def test_one_liar_hastens_no_verdict_beyond_the_floor_of_a_class() -> None:
    """All that a liar can: invent what helpers found. A live member refutes within the second."""
    bench = watching("x", *OTHERS)
    bench.receive("a", accuse("x", "a", *OTHERS[1:], evidence=REFUSED, age=600.0))
    bench.wait(0.79)
    assert bench.state("x") is MemberState.SUSPECT
    assert bench.messages(Ping, to="x") or bench.messages(Suspect)
    bench.receive("x", alive("x", 2))
    bench.wait(30.0)
    assert not bench.seen(MemberFailed)
    at_rest(bench)


def test_a_liar_who_says_stalled_delays_a_verdict_to_that_of_the_longest_class() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c")
    for _ in range(20):
        bench.wait(0.4)
        bench.receive("g", accuse("x", "g", evidence=STALLED))
    bench.wait(2.7)
    assert bench.state("x") is MemberState.FAILED


def test_an_accusation_of_an_impossible_incarnation_changes_nothing() -> None:
    bench = watching("x", *OTHERS)
    in_private(bench)
    bench.receive("a", accuse("x", "a", incarnation=2**50))
    assert suspicion_of(bench, "x").incarnation == 1
    assert suspicion_of(bench, "x").private
    assert bench.count("accusation_implausible") == 1


# -- floods -----------------------------------------------------------------------------


def test_a_flood_of_accusations_is_bounded_by_the_members_there_are() -> None:
    names = [f"n{number}" for number in range(30)]
    bench = watching(*names)
    for incarnation in range(1, 6):
        for name in names[1:]:
            bench.receive("n0", accuse(name, "n0", *GHOSTS, incarnation=incarnation))
            bench.receive("n0", accuse(f"{name}-ghost", "n0"))
    parts = bench.engine._parts
    assert len(parts.claims.suspicions) == 29
    assert bench.count("suspect_unknown") == 5 * 29
    bench.wait(0.2)
    for name in names:
        bench.receive(name, alive(name, 9))
    bench.wait(1.0)
    at_rest(bench)


def test_a_flood_of_the_same_accusation_is_told_once() -> None:
    bench = watching("x", *OTHERS)
    for _ in range(200):
        bench.receive("a", accuse("x", "a"))
    bench.wait(3.0)
    one = len(bench.messages(Suspect))
    bench = watching("x", *OTHERS)
    bench.receive("a", accuse("x", "a"))
    bench.wait(3.0)
    assert one == len(bench.messages(Suspect))


def test_a_suspect_that_only_answers_pings_stays_suspect_and_costs_little() -> None:
    """A liar may live on that way; it gains nothing by it, and refuting would be cheaper."""
    bench = watching("x", *OTHERS, quiet=0.0)
    nack(bench, look(bench).sequence)
    bench.answer("x")
    bench.clear()
    bench.wait(100.0)
    assert bench.state("x") is MemberState.SUSPECT
    assert len(bench.messages(Ping, to="x")) < 100
    assert not bench.seen(MemberFailed)


def test_a_flood_of_requests_to_help_is_bounded() -> None:
    bench = watching("x", *OTHERS)
    for number in range(100):
        bench.receive("a", IndirectPing(number, "x", address_of("x"), "a", 600_000))
    assert bench.count("relay_refused") == 84
    bench.wait(8.1)
    assert len(bench.messages(Nack, to="a")) == 16, "and none of them lasts ten minutes"
    at_rest(bench)


def test_a_request_to_help_against_ourselves_or_the_requester_is_harmless() -> None:
    bench = watching("x", *OTHERS)
    bench.receive("a", IndirectPing(1, "me", address_of("me"), "a", 1000))
    bench.receive("a", IndirectPing(2, "a", address_of("a"), "a", 1000))
    bench.receive("a", IndirectPing(3, "ghost", address_of("ghost"), "a", 1000))
    assert bench.count("relay_refused") == 2
    bench.wait(2.0)
    at_rest(bench)


# -- anything ---------------------------------------------------------------------------

everybody = st.sampled_from(["x", "y", "a", "b", "c", "me", "ghost"])
numbers = st.integers(0, 2)
incarnations = st.integers(1, 4)


@st.composite
def messages(draw: st.DrawFn) -> object:
    kind = draw(st.sampled_from(["suspect", "suspect", "dead", "alive", "ack", "nack", "help"]))
    name = draw(everybody)
    if kind == "suspect":
        others = draw(st.lists(st.tuples(everybody, numbers), max_size=8))
        return Suspect(
            draw(incarnations),
            name,
            draw(everybody),
            draw(numbers),
            draw(st.integers(0, 600_000)),
            tuple(others),
        )
    if kind == "dead":
        return Dead(draw(incarnations), name, draw(everybody))
    if kind == "alive":
        address = draw(st.sampled_from([address_of(name), address_of("a"), Address("h-new", 1)]))
        return alive(name, draw(incarnations), address=address)
    if kind == "help":
        return IndirectPing(1, name, address_of(name), draw(everybody), draw(st.integers(0, 2000)))
    return kind, draw(numbers)


steps = st.one_of(
    st.tuples(st.just("receive"), everybody, messages()),
    st.tuples(st.just("refuse"), everybody, st.none()),
    st.tuples(st.just("stream"), st.sampled_from(["open", "refuse", "reset"]), st.none()),
    st.tuples(st.just("wait"), st.floats(0.0, 3.0), st.none()),
    st.tuples(st.just("stall"), st.floats(0.0, 3.0), st.none()),
    st.tuples(st.just("leave"), st.none(), st.none()),
)


def play(bench: Bench, kind: str, who: object, what: object) -> None:
    engine = bench.engine
    if kind == "receive" and isinstance(what, tuple):
        answer, number = what
        asked = sorted(engine._node.questions._open)
        sequence = asked[number % len(asked)] if asked else number
        message = Ack(sequence) if answer == "ack" else Nack(sequence, number)
        bench.receive(str(who), message)
    elif kind == "receive":
        bench.receive(str(who), what)  # type: ignore[arg-type]  # a message
    elif kind == "refuse":
        bench.take(engine.packet_refused(address_of(str(who)), now=bench.now))
    elif kind == "stream":
        for exchange in list(engine._parts.streams._open)[:1]:
            if who == "open":
                bench.take(engine.exchange_opened(exchange, now=bench.now))
            else:
                failure = DialFailure.REFUSED if who == "refuse" else DialFailure.RESET
                bench.take(engine.exchange_failed(exchange, failure, now=bench.now))
    elif kind == "wait":
        bench.wait(who)  # type: ignore[arg-type]  # seconds
    elif kind == "stall":
        bench.now = max(bench.now, min(bench.now + 5.0, engine.next_deadline)) + who  # type: ignore[operator]
        bench.take(engine.handle_timeout(now=bench.now))
    else:
        token = 2 * len(bench.outputs)
        bench.take(engine.leave(token=token, now=bench.now))
        bench.take(engine.join(address_of("a"), token=token + 1, now=bench.now))


def check(bench: Bench) -> None:
    """Each suspicion has a timer or an attempt that ends it, and nothing is left of the others."""
    engine = bench.engine
    parts, live = engine._parts, engine._node.timers._live
    judge = parts.claims.judge
    for name in parts.claims.suspicions:
        assert bench.state(name) is MemberState.SUSPECT
        assert ("suspicion", name) in live or name in judge._recheck._running
    members = [row.member for row in engine._node.table]
    suspects = {each.name for each in members if each.state is MemberState.SUSPECT}
    assert suspects == set(parts.claims.suspicions)
    for kind, name in live:
        if kind in ("suspicion", "reprobe"):
            assert name in parts.claims.suspicions
    attempts = parts.prober._attempts
    assert {key[1] for key in live if key[0] == "attempt"} == set(attempts._open)
    running = [*parts.prober._busy.values(), *judge._recheck._running.values()]
    assert {id(each) for each in running} == {id(each) for each in attempts._open.values()}
    assert judge._private == sum(each.private for each in parts.claims.suspicions.values())


@given(st.lists(steps, max_size=30), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_whatever_comes_no_suspicion_loses_its_timer_and_all_end(
    played: list[tuple[str, object, object]], seed: int
) -> None:
    bench = Bench(detector="evidence", seed=seed, reap_time=5.0, gossip_to_dead_time=1.0)
    bench.know("x", "y", "a", "b", "c")
    for step in played:
        play(bench, *step)
        check(bench)
    for _ in range(60):
        bench.wait(10.0)
        check(bench)
    left = [name for name in ("x", "y", "a", "b", "c") if bench.engine.member(name) is not None]
    assert not [name for name in left if bench.state(name) is MemberState.ALIVE], (
        "nobody has answered for ten minutes"
    )


def test_a_packet_of_the_longest_accusations_is_read() -> None:
    bench = watching("x", *OTHERS)
    claims = [accuse("x", "a", *[f"{n}" * 20 for n in range(8)]) for _ in range(6)]
    assert len(CODEC.pack([CODEC.encode(each) for each in claims])) < 1400
    bench.receive("a", *claims)
    assert bench.seen(MemberSuspected)


@pytest.mark.parametrize("age", [0.0, 1.0, 4.0, 600.0])
def test_a_suspicion_that_was_heard_of_is_passed_on_with_an_age_that_can_be(age: float) -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", age=age)
    bench.wait(0.05)
    for told in bench.messages(Suspect):
        assert told.age <= 1000 * min(age, 4.0) + 100
