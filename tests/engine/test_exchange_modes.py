"""Exchanges that move both tables, only what changed, or only the other's table."""

from __future__ import annotations

from collections import Counter

import cbor2
import pytest

from tests.engine.bench import CODEC, Bench, alive
from tests.engine.exchanging import closes, join, record, refusal_of, table
from trio_gossip.codec.base import DecodeError
from trio_gossip.codec.frames import frame_header
from trio_gossip.codec.messages import SyncMembers, SyncOpen
from trio_gossip.codec.version import WIRE_VERSION
from trio_gossip.config import Config
from trio_gossip.engine.changes import Changes
from trio_gossip.engine.formulas import push_rounds
from trio_gossip.engine.sync import PUSH_WHOLE
from trio_gossip.errors import ConfigError
from trio_gossip.failures import RefusalReason
from trio_gossip.members import EXCHANGE_MODES, MemberState
from trio_gossip.services.state_records import Plane
from trio_gossip.testing import Simulation

PUSH_PULL, PUSH, PULL = range(3)
NEVER = 1e6
QUIET = {
    "probe_interval": NEVER,
    "probe_timeout": 1.0,
    "scan_interval": NEVER,
    "ring_interval": None,
    "rejoin_interval": NEVER,
}


def bench_in(mode: str, *names: str) -> Bench:
    bench = Bench(**QUIET, push_pull_interval=10.0, exchange=mode)
    bench.know(*names)
    bench.clear()
    return bench


def names_in(frames: list) -> list[str]:
    return [
        each.name for frame in frames if isinstance(frame, SyncMembers) for each in frame.records
    ]


def next_exchange(bench: Bench, *answer: str, mode: int) -> list:
    """Let the periodic exchange come, answered with these members; returns what was sent."""
    before = len(bench.opened())
    bench.wait(10.0)
    opened = bench.opened()[before]
    bench.take(bench.engine.exchange_opened(opened.exchange, now=bench.now))
    sent = bench.frames_sent(opened.exchange)
    peer = opened.address.host.removeprefix("h-")
    opening, *rest = table(record(peer), *map(record, answer), source=peer)
    opening.mode = mode
    bench.frames(opened.exchange, opening, *rest)
    return sent


def answered(bench: Bench, *names: str, mode: int) -> list:
    """An exchange that a peer opens; returns our answer."""
    exchange = bench.accept("b")
    opening, *rest = table(*map(record, names), source="b")
    opening.mode = mode
    bench.frames(exchange, opening, *rest)
    return bench.frames_sent(exchange)


def test_a_push_brings_the_whole_table_at_first_and_then_what_changed() -> None:
    bench = bench_in("push", "a", "b")
    first = next_exchange(bench, mode=PUSH)
    assert first[0].mode == PUSH
    assert sorted(names_in(first)) == ["a", "b", "me"]
    sizes = []
    for _ in range(push_rounds(3) + 1):
        sizes.append(len(names_in(next_exchange(bench, mode=PUSH))))
    bench.receive("a", alive("a", 2))
    bench.receive("c", alive("c"))
    assert sizes[-1] == 1, "by then everybody knows"
    assert names_in(next_exchange(bench, mode=PUSH)) == ["me", "a", "c"]


def test_each_fourth_push_brings_the_whole_table() -> None:
    bench = bench_in("push", "a", "b")
    for _ in range(2 * PUSH_WHOLE):
        next_exchange(bench, mode=PUSH)
    sizes = [len(names_in(next_exchange(bench, mode=PUSH))) for _ in range(2 * PUSH_WHOLE)]
    assert sizes == [3, 1, 1, 1] * 2


def test_a_change_is_pushed_in_as_many_rounds_as_it_needs_to_reach_all() -> None:
    bench = bench_in("push", "a", "b")
    for _ in range(PUSH_WHOLE):
        next_exchange(bench, mode=PUSH)
    bench.receive("a", alive("a", 2))
    pushed = sum("a" in names_in(next_exchange(bench, mode=PUSH)) for _ in range(8))
    assert push_rounds(3) == 4
    assert pushed == 4 + 1  # of which one was whole anyway, and another one later


def test_members_that_are_reaped_are_not_pushed() -> None:
    bench = bench_in("push", "a", "b")
    next_exchange(bench, mode=PUSH)
    bench.engine._node.changes.note("gone", 3)
    assert "gone" not in names_in(next_exchange(bench, mode=PUSH))


def test_a_pull_tells_only_who_asks_and_brings_the_table_of_the_other() -> None:
    bench = bench_in("pull", "a", "b")
    sent = next_exchange(bench, "x", mode=PULL)
    assert sent[0].mode == PULL
    assert names_in(sent) == ["me"]
    assert bench.state("x") is MemberState.ALIVE


def test_a_push_is_answered_by_who_we_are_alone_and_is_believed() -> None:
    bench = bench_in("push-pull", "a", "b")
    answer = answered(bench, "b", "x", mode=PUSH)
    assert answer[0] == SyncOpen("me", bench.engine._node.me.member.address, False, PUSH)
    assert names_in(answer) == ["me"]
    assert bench.state("x") is MemberState.ALIVE


def test_a_pull_is_answered_by_the_whole_table() -> None:
    bench = bench_in("push-pull", "a", "b")
    answer = answered(bench, "b", mode=PULL)
    assert answer[0].mode == PULL
    assert sorted(names_in(answer)) == ["a", "b", "me"]


@pytest.mark.parametrize("mode", EXCHANGE_MODES)
def test_who_joins_and_who_looks_for_lost_members_does_both(mode: str) -> None:
    bench = bench_in(mode, "a", "b")
    exchange = join(bench, "seed")
    sent = bench.frames_sent(exchange)
    assert sent[0].mode == PUSH_PULL
    assert sorted(names_in(sent)) == ["a", "b", "me"]


def test_an_answer_in_another_mode_is_refused() -> None:
    bench = bench_in("pull", "a")
    next_exchange(bench, "x", mode=PUSH)
    exchange = bench.opened()[-1].exchange
    assert refusal_of(bench, exchange).reason == RefusalReason.MALFORMED
    assert bench.engine.member("x") is None
    assert closes(bench, exchange)


@pytest.mark.parametrize("mode", [0, 3, -1, 2**40, "1", None, 1.0])
def test_a_mode_that_nobody_knows_ends_the_stream(mode: object) -> None:
    def decoded(mode: object) -> list:
        body = cbor2.dumps([WIRE_VERSION, SyncOpen.code, "b", b"\n\0\0\2\x1f\n", mode])
        return CODEC.stream_decoder(accepted=True).feed_untrusted(frame_header(len(body)) + body)

    assert decoded(2)[0].mode == PULL
    with pytest.raises(DecodeError, match="field"):
        decoded(mode)


def test_the_mode_takes_no_byte_more_and_comes_through() -> None:
    sizes = set()
    for mode in (PUSH_PULL, PUSH, PULL):
        data = CODEC.encode_frame(SyncOpen("b", alive("b").address, False, mode))
        sizes.add(len(data))
        assert CODEC.stream_decoder(accepted=True).feed_untrusted(data)[0].mode == mode
    assert len(sizes) == 1


def test_changes_to_push_are_bounded_and_the_oldest_goes() -> None:
    dropped: list[int] = []
    changes = Changes(2, lambda: dropped.append(1))
    for name in ("a", "b", "a", "c"):
        changes.note(name, 1)
    assert dropped == [1]
    assert len(changes) == 2
    assert changes.take() == ["a", "c"]
    assert changes.take() == []


@pytest.mark.parametrize("mode", ["", "both", 1, None, ["push"]])
def test_other_modes_are_no_setting(mode: object) -> None:
    with pytest.raises(ConfigError, match="exchange"):
        Config.lan(name="a", exchange=mode)


@pytest.mark.parametrize("mode", EXCHANGE_MODES)
def test_exchanges_alone_bring_a_change_to_everybody(mode: str) -> None:
    world = Simulation(3, loss=1.0)
    names = [f"n{number:02}" for number in range(30)]
    world.start_converged(names, exchange=mode, push_pull_interval=1.0, **QUIET)
    world.run(5.0)
    world.do("n07", "update_meta", b"new")

    def known() -> bool:
        return all(
            process.engine.member("n07").meta == b"new" for process in world.processes.values()
        )

    assert world.run_until(known, 60.0)


@pytest.mark.parametrize("mode", EXCHANGE_MODES)
def test_a_cluster_in_each_mode_forms_and_heals(mode: str) -> None:
    world = Simulation(4, loss=0.02)
    names = [f"n{number}" for number in range(8)]
    for name in names:
        world.start(name, exchange=mode, push_pull_interval=3.0, rejoin_interval=5.0)
    for name in names[1:]:
        world.join(name, "n0")
    assert world.run_until(world.agree, 60.0)
    pairs = [
        pair for one in names[:4] for other in names[4:] for pair in ((one, other), (other, one))
    ]
    world.links.cut(pairs)
    world.run(90.0)
    assert len(world.processes["n0"].engine.members()) == 4
    world.links.mend(pairs)
    assert world.run_until(world.agree, 60.0)


@pytest.mark.parametrize("mode", EXCHANGE_MODES)
def test_without_summaries_state_follows_the_exchanges_of_tables_in_their_mode(mode: str) -> None:
    world = Simulation(3, loss=1.0)
    names = [f"n{number:02}" for number in range(30)]
    world.start_converged(names, exchange=mode, summaries=False, push_pull_interval=1.0, **QUIET)
    world.run(5.0)
    world.write("n07", "long", b"x" * 5000)
    world.write("n08", "short", b"x")
    slots = [("n07", "long"), ("n08", "short")]

    def known() -> bool:
        replicas = [process.state.replica(Plane.STATE) for process in world.processes.values()]
        return all(replica.get(slot) for replica in replicas for slot in slots)

    assert world.run_until(known, 60.0)
    counts: Counter[str] = Counter()
    for process in world.processes.values():
        counts.update(process.engine.statistics().counters)
    assert (counts["state_offered"] > 0) == (mode == "push")
    assert (counts["state_pushed"] > 0) == (mode == "push")
