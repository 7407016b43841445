"""A suspicion that everybody knows: how long it lasts, and who accuses."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench
from tests.engine.detecting import (
    OTHERS,
    ROUND,
    accuse,
    doubt,
    fails_after,
    in_public,
    look,
    nack,
    stream_fails,
    suspicion_of,
    watching,
)
from trio_gossip.codec.messages import (
    Dead,
    Ping,
    Suspect,
)
from trio_gossip.failures import DialFailure, Evidence

SILENT, STALLED, REFUSED = Evidence.SILENT, Evidence.STALLED, Evidence.REFUSED


def accusing(*changed: Evidence, **changes: object) -> Bench:
    """A bench that accuses a member in public itself, with two helpers."""
    bench = watching("x", *OTHERS, quiet=0.0, helpers=2, **changes)
    nack(bench, doubt(bench).sequence, *changed)
    assert not suspicion_of(bench, "x").private
    bench.clear()
    return bench


# -- how long ---------------------------------------------------------------------------


@pytest.mark.parametrize(("evidence", "seconds"), [(REFUSED, 1.0), (SILENT, 4.0), (STALLED, 10.0)])
def test_each_kind_of_silence_has_its_time_once_it_is_confirmed(
    evidence: Evidence, seconds: float
) -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c", evidence=evidence)
    assert seconds + 0.3 <= fails_after(bench) <= seconds + 0.6 + 0.01


@pytest.mark.parametrize(
    ("evidence", "accusers", "seconds"),
    [
        (SILENT, 1, 24.0),
        (SILENT, 2, 24.0 - 20.0 * 0.6309),
        (SILENT, 3, 4.0),
        (STALLED, 1, 60.0),
        (STALLED, 3, 10.0),
        (REFUSED, 1, 24.0),
        (REFUSED, 2, 1.0),
    ],
)
def test_the_fewer_accuse_the_longer_it_takes(
    evidence: Evidence, accusers: int, seconds: float
) -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", *OTHERS[:accusers], evidence=evidence)
    assert seconds + 0.3 <= fails_after(bench) <= seconds + 0.61


def test_who_accuses_declares_it_and_others_only_step_in_later() -> None:
    bench = accusing()
    assert fails_after(bench) == pytest.approx(4.0, abs=0.001)
    assert bench.messages(Dead) or bench.engine.statistics().membership_queue
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c")
    assert 0.3 <= suspicion_of(bench, "x").patience <= 0.6


def test_the_age_of_an_accusation_counts() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c", age=2.0)
    assert 2.3 <= fails_after(bench) <= 2.61


@pytest.mark.parametrize("age", [4.001, 60.0, 600.0])
def test_an_absurd_age_counts_no_further_than_any_can_be(age: float) -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c", age=age)
    assert bench.count("suspect_age_capped") == 1
    took = fails_after(bench)
    assert 0.5 + 0.3 <= took <= 0.5 + 0.61, "never before it was on the air for half a second"


def test_two_members_have_no_third_opinion() -> None:
    for refused, seconds in ((False, 8.0), (True, 1.0)):
        bench = watching("x", quiet=0.0, solo_factor=2.0)
        look(bench)
        if refused:
            stream_fails(bench, "x", DialFailure.REFUSED)
        bench.wait(ROUND)
        started = suspicion_of(bench, "x").started
        fails_after(bench)
        assert bench.now - started == pytest.approx(seconds, abs=0.01)


def test_our_own_bad_health_gives_others_more_time() -> None:
    bench = watching("x", *OTHERS)
    bench.engine._node.awareness.apply(1)
    in_public(bench, "x", "a", "b", "c")
    assert 8.3 <= fails_after(bench) <= 8.61


def test_health_that_gets_worse_before_the_verdict_puts_it_off() -> None:
    bench = accusing()
    bench.wait(3.0)
    bench.engine._node.awareness.apply(1)
    assert fails_after(bench) == pytest.approx(5.0, abs=0.01)


def test_health_that_gets_better_does_not_put_it_off() -> None:
    bench = watching("x", *OTHERS, quiet=0.0, helpers=2)
    bench.engine._node.awareness.apply(2)
    nack(bench, look(bench).sequence)
    bench.wait(1.0)
    bench.engine._node.awareness.apply(-7)
    bench.clear()
    assert fails_after(bench) <= 8.0


# -- accusers ---------------------------------------------------------------------------


def test_each_confirmation_moves_the_verdict_forward_and_is_told() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a")
    due = [suspicion_of(bench, "x").due]
    for name in ("b", "c"):
        bench.wait(0.5)
        bench.clear()
        bench.receive(name, accuse("x", name))
        due.append(suspicion_of(bench, "x").due)
        bench.wait(0.1)
        assert any(name in dict(each.others) for each in bench.messages(Suspect))
    assert due == sorted(due, reverse=True)
    assert due[0] > due[1] > due[2]
    assert bench.count("suspicion_confirmed") == 2


def test_more_accusers_than_count_are_not_told_again() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c")
    bench.wait(0.3)
    due = suspicion_of(bench, "x").due
    queued = bench.engine.statistics().membership_queue
    before = bench.count("suspicion_confirmed")
    bench.wait(0.5)
    for name in ("d", "e", "f", "g"):
        bench.receive(name, accuse("x", name))
    assert bench.count("suspicion_confirmed") == before
    assert bench.engine.statistics().membership_queue <= queued
    assert suspicion_of(bench, "x").due == due
    assert list(suspicion_of(bench, "x").found) == ["a", "b", "c", "d", "e"]


def test_who_accuses_twice_counts_once() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a")
    due = suspicion_of(bench, "x").due
    for _ in range(10):
        bench.receive("a", accuse("x", "a"))
        bench.receive("b", accuse("x", "a", "a", "a"))
    assert suspicion_of(bench, "x").due == due
    assert suspicion_of(bench, "x").confirmations == 0


def test_an_accusation_never_delays_the_verdict_though_our_health_got_worse_meanwhile() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b")
    due = suspicion_of(bench, "x").due
    bench.engine._node.awareness.apply(3)
    bench.receive("a", accuse("x", "a"))
    bench.receive("c", accuse("x", "c"))
    assert suspicion_of(bench, "x").due <= due


def test_two_probes_of_one_dead_member_never_delay_its_verdict() -> None:
    bench = accusing()
    due = suspicion_of(bench, "x").due
    for seconds in (0.5, 1.0, 1.0, 0.9):
        bench.wait(seconds)
        nack(bench, look_again(bench).sequence)
        assert suspicion_of(bench, "x").due == due
    bench.clear()
    fails_after(bench)
    assert bench.now == pytest.approx(due)


def look_again(bench: Bench) -> Ping:
    """Ask a suspect once more, as the scan does."""
    scanner = bench.engine._parts.prober
    entry = bench.engine._node.table.get("x")
    bench.take(bench.engine.handle_timeout(now=bench.now))
    scanner._begin(entry, 1)
    bench.take(bench.engine._node.outbox.take())
    (attempt,) = scanner._attempts._open.values()
    scanner._attempts.hurry(attempt)
    bench.take(bench.engine._node.outbox.take())
    return bench.messages(Ping, to="x")[-1]


def test_a_process_that_turns_out_to_be_stalled_gets_more_time_from_the_beginning() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c")
    started = suspicion_of(bench, "x").started
    bench.wait(3.0)
    bench.receive("a", accuse("x", "a", evidence=STALLED))
    suspicion = suspicion_of(bench, "x")
    assert suspicion.evidence is STALLED
    assert suspicion.due == pytest.approx(started + 10.0 + suspicion.patience)
    fails_after(bench)
    assert bench.now == pytest.approx(suspicion.due, abs=0.001)


def test_it_gets_that_time_even_when_the_final_ping_is_under_way() -> None:
    bench = accusing()
    started = suspicion_of(bench, "x").started
    while suspicion_of(bench, "x").final is None:
        bench.wait(0.05)
    bench.receive("b", accuse("x", "b", evidence=STALLED))
    assert suspicion_of(bench, "x").final is None
    fails_after(bench)
    assert bench.now == pytest.approx(started + 10.0, abs=0.001)


def test_a_paused_process_that_is_killed_then_dies_at_once() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", "c", evidence=STALLED)
    bench.wait(5.0)
    bench.receive("a", accuse("x", "a", evidence=REFUSED))
    bench.receive("b", accuse("x", "b", evidence=REFUSED))
    assert suspicion_of(bench, "x").evidence is REFUSED
    assert fails_after(bench) <= 0.61


def test_what_an_accuser_found_never_becomes_less() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b", evidence=REFUSED)
    bench.receive("a", accuse("x", "a", "b", evidence=STALLED))
    bench.receive("a", accuse("x", "a", "b"))
    assert suspicion_of(bench, "x").evidence is REFUSED


def test_accusations_of_two_members_of_one_incarnation_are_merged() -> None:
    bench = watching("x", *OTHERS)
    in_public(bench, "x", "a", "b")
    bench.receive("c", accuse("x", "c", "d", evidence=STALLED))
    assert suspicion_of(bench, "x").found == {
        "a": SILENT,
        "b": SILENT,
        "c": STALLED,
        "d": STALLED,
    }
