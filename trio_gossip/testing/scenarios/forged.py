"""Steps in which strangers open streams at a member and say what no member would say.

A sound member refuses every one of these streams and believes nothing of it, so that the other
rules bind as before: unlike packets, these do not count as strangers that were let in.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.frames import RECORDS_MAX
from trio_gossip.codec.messages import (
    MessageAck,
    MessageChunk,
    MessageOpen,
    Record,
    StreamAck,
    StreamPing,
    SyncEnd,
    SyncMembers,
    SyncOpen,
)
from trio_gossip.failures import DialFailure
from trio_gossip.members import Versions
from trio_gossip.testing.scenarios.kind import Kind, Span

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from trio_gossip.codec.messages import Frame
    from trio_gossip.testing.scenarios.kind import Step
    from trio_gossip.testing.scenarios.stage import Stage
    from trio_gossip.testing.simulation.process import Process

HELD_RECORDS: Final = 512
"""Most records of a table that is held: more than that takes too long to make. Only where
``members_max`` is not above it does a member have to refuse some."""

HELD_TRIED: Final = 6
"""Tables that are begun at once: more than may be held."""

_CODEC: Final = NativeCodec()
_STRANGER: Final = Address("stranger", 40_000)
_VERSIONS: Final = Versions().pack()
_GHOSTS: Final = 6
_READ_SECONDS: Final = 0.05
"""Between two frames."""


def open_stream(
    stage: Stage, victim: Process, frames: Sequence[Frame | bytes], *, breaks: bool = False
) -> None:
    """Open a stream at ``victim``, send frames one after the other, and go, or stay in silence.

    Args:
        stage: the cluster.
        victim: who accepts it.
        frames: or bytes that are none.
        breaks: whether the stream breaks after them.
    """
    simulation = stage.simulation
    runtime = simulation._runtime  # pyright: ignore[reportPrivateUsage] - no call has no peer
    engine = victim.engine
    exchange = engine.new_exchange()
    simulation.injected["stream_forged"] += 1
    runtime.give(victim, engine.exchange_accepted, exchange, _STRANGER)

    def come(frame: Frame | bytes) -> None:
        data = frame if isinstance(frame, bytes) else _CODEC.encode_frame(frame)
        runtime.give(victim, engine.exchange_received, exchange, data)

    for number, frame in enumerate(frames):
        simulation.at(number * _READ_SECONDS, partial(come, frame))
    if breaks:
        simulation.at(
            len(frames) * _READ_SECONDS,
            partial(runtime.give, victim, engine.exchange_failed, exchange, DialFailure.RESET),
        )


def _ghosts(rng: random.Random, count: int) -> list[Record]:
    """Members that never were, alive."""
    first = rng.getrandbits(32)
    return [
        Record(f"ghost{first + each}", Address(f"ghost{first + each}", 7946), b"", _VERSIONS, 1, 0)
        for each in range(count)
    ]


def _table(rng: random.Random) -> tuple[SyncOpen, list[Record]]:
    records = _ghosts(rng, _GHOSTS)
    return SyncOpen(records[0].name, records[0].address, rng.random() < 0.5), records


def _record_missing(_victim: Process, rng: random.Random) -> list[Frame]:
    opening, records = _table(rng)
    return [opening, SyncMembers(records[:-1]), SyncEnd(len(records))]


def _record_doubled(_victim: Process, rng: random.Random) -> list[Frame]:
    opening, records = _table(rng)
    return [opening, SyncMembers([*records, records[-1]]), SyncEnd(len(records) + 1)]


def _more_than_announced(_victim: Process, rng: random.Random) -> list[Frame]:
    opening, records = _table(rng)
    return [opening, SyncMembers(records), SyncEnd(len(records) - 1)]


def _not_in_its_table(_victim: Process, rng: random.Random) -> list[Frame]:
    opening, records = _table(rng)
    return [opening, SyncMembers(records[1:]), SyncEnd(len(records) - 1)]


def _no_opening(_victim: Process, rng: random.Random) -> list[Frame]:
    _, records = _table(rng)
    return [SyncMembers(records), SyncEnd(len(records))]


def _two_openings(_victim: Process, rng: random.Random) -> list[Frame]:
    opening, records = _table(rng)
    return [opening, opening, SyncMembers(records), SyncEnd(len(records))]


def _wrong_target(_victim: Process, _rng: random.Random) -> list[Frame]:
    return [MessageOpen("stranger", "nobody", 5), MessageChunk(b"lost!")]


def _too_many_bytes(victim: Process, _rng: random.Random) -> list[Frame]:
    return [MessageOpen("stranger", victim.name, 4), MessageChunk(b"more!")]


def _too_large(victim: Process, _rng: random.Random) -> list[Frame]:
    size = victim.config.message_bytes_max + 1
    return [MessageOpen("stranger", victim.name, size), MessageChunk(b"begin")]


def _answer_unasked(_victim: Process, rng: random.Random) -> list[Frame]:
    return [StreamAck(rng.getrandbits(32)) if rng.random() < 0.5 else MessageAck()]


def _ping_for_another(_victim: Process, rng: random.Random) -> list[Frame]:
    return [StreamPing(rng.getrandbits(32), "nobody", "stranger")]


_WHOLE: Final[tuple[Callable[[Process, random.Random], list[Frame]], ...]] = (
    _record_missing,
    _record_doubled,
    _more_than_announced,
    _not_in_its_table,
    _no_opening,
    _two_openings,
    _wrong_target,
    _too_many_bytes,
    _too_large,
    _answer_unasked,
    _ping_for_another,
)


def _forged_streams(stage: Stage, step: Step) -> None:
    (name,) = step.names
    stage.running(name)
    rng = stage.rng(step)

    def open_one() -> None:
        victim = stage.simulation.processes.get(name)
        if victim is not None:
            open_stream(stage, victim, rng.choice(_WHOLE)(victim, rng), breaks=True)

    for _ in range(int(step.amount)):
        stage.simulation.at(step.seconds * rng.random(), open_one)


def _half_streams(stage: Stage, step: Step) -> None:
    """Streams that end, or fall silent, after the opening of a table or in the middle of it."""
    (name,) = step.names
    stage.running(name)
    rng = stage.rng(step)

    def open_one() -> None:
        victim = stage.simulation.processes.get(name)
        if victim is not None:
            opening, records = _table(rng)
            frames: list[Frame] = [opening, SyncMembers(records)]
            open_stream(stage, victim, frames[: rng.randint(0, 2)], breaks=rng.random() < 0.5)

    for _ in range(int(step.amount)):
        stage.simulation.at(step.seconds * rng.random(), open_one)


def _held_tables(stage: Stage, step: Step) -> None:
    (name,) = step.names
    victim = stage.present(name)
    size = min(victim.config.members_max, HELD_RECORDS)
    rng = stage.rng(step)
    for _ in range(HELD_TRIED):
        records = _ghosts(rng, size)
        frames: list[Frame] = [SyncOpen(records[0].name, records[0].address, False)]
        frames += [
            SyncMembers(records[at : at + RECORDS_MAX]) for at in range(0, size, RECORDS_MAX)
        ]
        open_stream(stage, victim, frames)


KINDS: Final = (
    Kind(
        name="forged-streams",
        about="this many streams of strangers with broken tables and messages",
        begin=_forged_streams,
        names=(1, 1),
        amount=Span(1.0, 1000.0),
        amounts=Span(3.0, 20.0),
        counts=True,
        seconds=Span(0.0, 3600.0),
        durations=Span(0.0, 10.0),
    ),
    Kind(
        name="half-streams",
        about="this many streams of strangers that end, or fall silent, in the middle of a table",
        begin=_half_streams,
        names=(1, 1),
        amount=Span(1.0, 1000.0),
        amounts=Span(1.0, 8.0),
        counts=True,
        seconds=Span(0.0, 3600.0),
        durations=Span(0.0, 10.0),
        weight=0.7,
    ),
    Kind(
        name="held-tables",
        about="strangers send a member several large tables at once, and never their ends",
        begin=_held_tables,
        names=(1, 1),
        gentle_most=1,
        weight=0.1,
    ),
)
"""Kinds of this theme."""
