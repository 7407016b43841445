"""Sums on pings and acks: what is answered, told, begun, and let be."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import pytest

from tests.engine.bench import Bench, address_of, alive
from trio_gossip.addresses import Address
from trio_gossip.codec.messages import (
    Ack,
    Alive,
    BucketRows,
    BucketSums,
    Dead,
    Leave,
    Ping,
    Suspect,
    UserMessage,
)
from trio_gossip.codec.summary import EQUAL, EXPLAINED, pack_sum, pack_sums, unpack_sums
from trio_gossip.engine import repair
from trio_gossip.engine.repair import REFUSED_SECONDS, TRIES
from trio_gossip.engine.tally import term_of
from trio_gossip.plane import SUM_MASK, total_of

OLD = 20
"""An age of nine minutes."""
YOUNG = 3
ODD = 0x123456789ABCDEF


def bench(*names: str, **changes: Any) -> Bench:
    """An engine that knows these members, and has told of them."""
    made = Bench(**changes)
    made.know(*names)
    made.answer(*names)
    made.wait(5.0)
    made.answering.clear()
    made.clear()
    return made


def digest(made: Bench) -> int:
    return made.engine._node.table.tally.digest


def term(made: Bench, name: str) -> int:
    return term_of(made.member(name))


def ask(made: Bench, name: str, less: int) -> list[Any]:
    """A member whose sum is ours ``less`` this pings us; returns what it is sent."""
    made.clear()
    total = total_of(made.engine._parts.planes)
    made.receive(name, Ping(7, "me", name, None, pack_sum((total - less) & SUM_MASK)))
    return [message for sent in made.sent for message in sent.messages]


def probe(made: Bench, less: int, age: int = OLD, summary: bytes | None = None) -> str:
    """Wait for a probe and have it answered by a member whose sum is ours ``less`` this."""
    sent, ping = made.wait_for(Ping)
    made.clear()
    if summary is None:
        summary = pack_sums(age, {0: (digest(made) - less) & SUM_MASK}) if less else EQUAL
    made.receive(sent.address, Ack(ping.sequence, b"", summary))
    return ping.target


class State:
    """A plane of a service."""

    code: ClassVar[int] = 5

    def __init__(self) -> None:
        self.digest = 99
        self.changed_at = 0.0
        self.known: dict[int, UserMessage] = {}
        self.asked: list[str] = []

    def explain(self, difference: int) -> list[UserMessage]:
        return [self.known[difference]] if difference in self.known else []

    def reconcile(self, peer: str, ended: Any) -> None:
        self.asked.append(peer)


def with_state(made: Bench) -> State:
    plane = State()
    made.engine._parts.planes.append(plane)
    return plane


# -- who pings us -------------------------------------------------------------------------------


def test_who_knows_the_same_gets_one_byte() -> None:
    assert ask(bench("a", "b"), "a", 0) == [Ack(7, b"", EQUAL)]


def test_who_has_missed_somebody_hears_of_him_with_the_ack() -> None:
    made = bench("a", "b")
    assert ask(made, "a", term(made, "b")) == [Ack(7, b"", EXPLAINED), alive("b")]
    assert made.count("repair_explained") == made.count("repair_told") == 1


def test_who_has_missed_a_failure_a_goodbye_or_a_suspicion_hears_of_it() -> None:
    made = bench("a", "b", "c", "d")
    lost = term(made, "b")
    made.receive("b", Leave(1, 1, "b"))
    assert ask(made, "a", -lost) == [Ack(7, b"", EXPLAINED), Dead(1, "b", "b")]
    lost = term(made, "c")
    made.receive("a", Dead(1, "c", "a"))
    assert ask(made, "a", -lost) == [Ack(7, b"", EXPLAINED), Dead(1, "c", "me")]
    before = term(made, "d")
    made.receive("a", Suspect(2, "d", "a"))
    told = ask(made, "a", term(made, "d") - before)
    assert told == [Ack(7, b"", EXPLAINED), Suspect(2, "d", "a")]


def test_a_failure_of_some_time_ago_is_told_as_a_suspicion() -> None:
    # The peer may have been cut off together with that member.
    made = bench("a", "b")
    lost = term(made, "b")
    made.receive("a", Dead(1, "b", "a"))
    made.answer("a")
    made.wait(9.0)
    assert ask(made, "a", -lost)[1] == Dead(1, "b", "me")
    made.wait(2.0)
    assert ask(made, "a", -lost)[1] == Suspect(1, "b", "me")
    made.wait(30.0)
    assert made.engine.member("b") is None
    made.wait(REFUSED_SECONDS)
    assert ask(made, "a", -lost)[1] == Suspect(1, "b", "me")


def test_of_who_is_forgotten_altogether_nothing_is_told() -> None:
    made = bench("a", "b", tombstone_time=30.0)
    lost = term(made, "b")
    made.receive("a", Dead(1, "b", "a"))
    made.answer("a")
    made.wait(70.0)
    assert [type(message) for message in ask(made, "a", -lost)] == [Ack]


def test_what_no_log_explains_is_answered_with_the_sums_and_their_age() -> None:
    made = bench("a", "b")
    (ack,) = ask(made, "a", ODD)
    age, sums = unpack_sums(ack.summary)
    assert sums == {0: digest(made)}
    assert age == 13  # 4,096 to 8,191 milliseconds since the members came
    made.know("c")
    (ack, *_) = ask(made, "a", ODD)
    assert unpack_sums(ack.summary)[0] == 0


def test_many_records_take_several_packets() -> None:
    made = bench("a")
    known = digest(made)
    for number in range(20):
        made.receive(f"n{number}", alive(f"n{number}", meta=bytes(200)))
    told = ask(made, "a", digest(made) - known)
    assert told[0] == Ack(7, b"", EXPLAINED)
    assert [message.name for message in told[1:]] == [f"n{number}" for number in range(20)]
    assert len(made.sent) == 4
    assert max(sent.size for sent in made.sent) <= 1400


def test_a_record_that_fits_no_packet_of_ours_is_not_told() -> None:
    made = bench("a", packet_limit=900)
    name = "n" * 250
    where = Address("h" * 250, 1)
    made.receive("a", alive(name, address=where, meta=bytes(500)))
    assert made.member(name).address == where
    before = made.count("message_too_large")
    assert ask(made, "a", term(made, name)) == [Ack(7, b"", EXPLAINED)]
    while probe(made, term(made, name)) != "a":
        pass
    assert not made.sent
    assert made.count("message_too_large") - before >= 2


def test_strangers_and_the_dead_and_others_elsewhere_are_told_nothing() -> None:
    made = bench("a", "b")
    difference = term(made, "b")
    summary = pack_sum((digest(made) - difference) & SUM_MASK)

    def told(name: str, source: str) -> list[bytes]:
        made.clear()
        made.receive(source, Ping(7, "me", name, None, summary))
        assert not made.messages(Alive)
        return [ack.summary for ack in made.messages(Ack)]

    assert told("stranger", "stranger") == [b""]
    assert told("a", "elsewhere") == [b""]
    assert told("a", "b") == [b""]
    assert told("me", "a") == [b""]
    # Whose answer is to go elsewhere is not repaired there.
    made.clear()
    made.receive("a", Ping(7, "me", "a", address_of("b"), summary))
    assert [sent.messages for sent in made.sent] == [[Ack(7)]]
    made.receive("b", Dead(1, "a", "b"))
    assert told("a", "a") == [b""]


def test_who_leaves_repairs_nothing() -> None:
    made = bench("a", "b")
    made.take(made.engine.leave(token=1, now=made.now))
    (ack,) = [each for each in ask(made, "a", ODD) if isinstance(each, Ack)]
    assert ack.summary == b""


def test_without_summaries_nothing_is_said_and_nothing_answered() -> None:
    made = bench("a", summaries=False)
    _, ping = made.wait_for(Ping)
    assert ping.summary == b""
    assert ask(made, "a", ODD) == [Ack(7)]


def test_a_ping_without_a_summary_gets_an_ack_without_one() -> None:
    made = bench("a")
    made.receive("a", Ping(7, "me", "a"))
    assert made.messages(Ack) == [Ack(7)]


# -- whom we ping -------------------------------------------------------------------------------


def test_a_probe_says_all_that_we_know_in_eight_bytes() -> None:
    made = bench("a")
    with_state(made)
    _, ping = made.wait_for(Ping)
    assert ping.summary == pack_sum((digest(made) + 99) & SUM_MASK)


def test_who_turns_out_to_lack_somebody_is_told_of_him() -> None:
    made = bench("a", "b")
    asked = probe(made, term(made, "b"))
    (sent,) = made.sent
    assert (sent.address, sent.messages) == (address_of(asked), [alive("b")])


def test_what_comes_with_an_ack_is_believed_as_ever() -> None:
    made = bench("a")
    sent, ping = made.wait_for(Ping)
    made.receive(sent.address, Ack(ping.sequence, b"", EXPLAINED), alive("c", meta=b"new"))
    assert made.member("c").meta == b"new"
    assert not made.messages(BucketSums)


def test_a_quiet_difference_is_looked_into_at_once() -> None:
    made = bench("a")
    probe(made, ODD)
    (sums,) = made.messages(BucketSums)
    assert sums.source == "me"
    assert made.count("repair_started") == made.count("repair_unexplained") == 1


@pytest.mark.parametrize("mine", [True, False])
def test_while_something_changes_on_either_side_gossip_has_its_time(mine: bool) -> None:
    made = bench("a")
    for count in range(1, 4):
        if mine:
            made.wait(0.5)
            made.receive("a", alive("b", 1 + count))
        probe(made, ODD + count, OLD if mine else YOUNG)
        assert made.count("repair_unexplained") == count
        assert len(made.messages(BucketSums)) == (count == 3)


def test_an_equal_answer_ends_the_suspicion() -> None:
    made = bench("a")
    for less in (ODD, ODD, 0, ODD, ODD):
        probe(made, less, YOUNG)
        assert not made.messages(BucketSums)
    probe(made, ODD, YOUNG)
    assert made.messages(BucketSums)


def test_comparisons_begin_at_most_once_a_second() -> None:
    made = bench("a", probe_interval=0.3, probe_timeout=0.2)
    began = []
    for number in range(20):
        probe(made, ODD + number)
        began += [made.now] * len(made.messages(BucketSums))
    assert len(began) > 3
    for one, other in pairwise(began):
        assert 0.75 <= other - one <= 1.25 + 0.6


def test_comparisons_in_vain_become_rare_until_one_finds_something() -> None:
    made = bench("a", awareness_max=1)
    for wait in (2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        while not made.messages(BucketSums):
            probe(made, int(ODD + made.now * 1000))
        (sums,) = made.messages(BucketSums)
        made.receive("a", BucketRows(sums.sequence, "a", 0, b""))
        assert made.engine._parts.repair._hold == wait
    assert made.count("repair_vain") == 6
    while not made.messages(BucketSums):
        probe(made, int(ODD + made.now * 1000))
    (sums,) = made.messages(BucketSums)
    made.receive("a", BucketRows(sums.sequence, "a", 2**64 - 1, bytes(7)))
    assert made.engine._parts.repair._hold == 1.0


def test_a_record_that_a_peer_refuses_is_not_told_it_for_ever() -> None:
    made = bench("a", "b")
    refused = term(made, "b")
    for _ in range(TRIES):
        assert len(ask(made, "a", refused)) == 2
    for _ in range(3):
        assert [type(message) for message in ask(made, "a", refused)] == [Ack]
    assert made.count("repair_held") == 3
    assert len(ask(made, "b", refused)) == 2  # another peer may just have missed it
    made.answer("a", "b")
    for wait in (REFUSED_SECONDS, 2 * REFUSED_SECONDS, 4 * REFUSED_SECONDS):
        made.wait(wait - 1.0)
        assert len(ask(made, "a", refused)) == 1
        made.wait(2.0)
        assert len(ask(made, "a", refused)) == 2


def test_a_difference_that_stays_after_comparing_is_let_be_for_a_while() -> None:
    made = bench("a")
    for _ in range(10):
        probe(made, ODD)
    assert made.count("repair_started") == TRIES
    assert made.count("repair_held") > 0


def test_the_oldest_difference_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "DIFFERENCES_MAX", 2)
    made = bench("a", "b")
    for name in ("a", "b", "me"):
        for _ in range(TRIES):
            ask(made, "a", term(made, name))
    assert len(made.engine._parts.repair._tries) == 2
    assert len(ask(made, "a", term(made, "a"))) == 2


def test_answers_that_nobody_waits_for_begin_nothing() -> None:
    made = bench("a")
    odd = pack_sums(OLD, {0: ODD})
    made.receive("a", Ack(12345, b"", odd))
    probe(made, 0, summary=b"")
    sent, ping = made.wait_for(Ping)
    made.receive("elsewhere", Ack(ping.sequence, b"", odd))
    assert sent.address != address_of("elsewhere")
    assert made.count("repair_unexplained") == 0


# -- planes ---------------------------------------------------------------------------------------


def test_each_plane_is_compared_with_its_own_kind() -> None:
    made = bench("a", "b")
    state = with_state(made)
    state.known[7] = UserMessage("me", b"record")
    assert ask(made, "a", 7) == [Ack(7, b"", EXPLAINED), UserMessage("me", b"record")]
    (ack,) = ask(made, "a", ODD)
    assert unpack_sums(ack.summary)[1] == {0: digest(made), 5: 99}
    # Members and state differ, and both are known.
    sums = {0: (digest(made) - term(made, "b")) & SUM_MASK, 5: 92}
    probe(made, 1, summary=pack_sums(OLD, sums))
    assert [each for sent in made.sent for each in sent.messages] == [
        alive("b"),
        UserMessage("me", b"record"),
    ]
    # State differs, and is not known.
    target = probe(made, 1, summary=pack_sums(OLD, {0: digest(made), 5: 1}))
    assert state.asked == [target]
    assert not made.messages(BucketSums)


def test_planes_that_only_one_side_has_make_no_difference() -> None:
    made = bench("a")
    for sums in ({0: digest(made), 9: 5}, {9: 5}):
        probe(made, 1, summary=pack_sums(OLD, sums))
    assert made.count("repair_unexplained") == 0
    with_state(made)
    probe(made, 1, summary=pack_sums(OLD, {0: digest(made)}))
    assert made.count("repair_unexplained") == 0
