"""Steps that write versioned state: keys of members, shared keys, many at once, long ones."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from trio_gossip.errors import LocalProtocolError
from trio_gossip.testing.checkers.sealed import sealed
from trio_gossip.testing.scenarios.kind import Kind, Span

if TYPE_CHECKING:
    from trio_gossip.testing.scenarios.kind import Step
    from trio_gossip.testing.scenarios.stage import Stage

KEYS: Final = 4
"""Keys among which single steps choose, so that they often write what was written before."""

BURST_MAX: Final = 200
"""Keys in one burst."""

GENTLE_MOST: Final = 12
"""As many as are drawn at all: writing harms nobody."""

_BURST_BYTES: Final = 60
_NEWS_BYTES: Final = 900


def _write(stage: Stage, name: str, key: str, value: bytes | None, *, shared: bool = False) -> None:
    """Write; what is over a limit is refused at the call, and not written."""
    stage.present(name)
    with suppress(LocalProtocolError):
        stage.simulation.write(name, key, value, shared=shared)


def _value(stage: Stage, step: Step, name: str, size: int) -> bytes:
    mark = f"{name} {step.kind} {step.at!r} {stage.simulation.seed} "
    return sealed(mark.encode(), size)


def _key(stage: Stage, step: Step) -> str:
    return f"key {stage.rng(step).randrange(KEYS)}"


def _set(stage: Stage, step: Step) -> None:
    (name,) = step.names
    _write(stage, name, _key(stage, step), _value(stage, step, name, int(step.amount)))


def _delete(stage: Stage, step: Step) -> None:
    """All that it has of the few keys."""
    (name,) = step.names
    for number in range(KEYS):
        _write(stage, name, f"key {number}", None)


def _set_shared(stage: Stage, step: Step) -> None:
    """All that are named write the same key, none knowing of the others."""
    for name in step.names:
        stage.present(name)
    for name in step.names:
        value = _value(stage, step, name, int(step.amount))
        _write(stage, name, _key(stage, step), value, shared=True)


def _delete_shared(stage: Stage, step: Step) -> None:
    (name,) = step.names
    for number in range(KEYS):
        _write(stage, name, f"key {number}", None, shared=True)


def _burst(stage: Stage, step: Step) -> None:
    (name,) = step.names
    shared = stage.rng(step).random() < 0.5
    for number in range(int(step.amount)):
        value = _value(stage, step, f"{number}", _BURST_BYTES)
        _write(stage, name, f"burst {number}", value, shared=shared)


KINDS: Final = (
    Kind(
        name="write-state",
        about="a member writes one of its keys, this many bytes",
        gentle_most=GENTLE_MOST,
        begin=_set,
        names=(1, 1),
        amount=Span(0.0, _NEWS_BYTES),
        amounts=Span(10.0, _NEWS_BYTES),
        weight=4.0,
    ),
    Kind(
        name="delete-state",
        about="a member deletes its keys",
        gentle_most=GENTLE_MOST,
        begin=_delete,
        names=(1, 1),
    ),
    Kind(
        name="write-shared",
        about="members write one shared key at the same time, this many bytes",
        gentle_most=GENTLE_MOST,
        begin=_set_shared,
        names=(1, 3),
        amount=Span(0.0, _NEWS_BYTES),
        amounts=Span(10.0, _NEWS_BYTES),
        weight=4.0,
    ),
    Kind(
        name="delete-shared",
        about="a member deletes the shared keys that it knows",
        gentle_most=GENTLE_MOST,
        begin=_delete_shared,
        names=(1, 1),
    ),
    Kind(
        name="write-burst",
        about="a member writes this many keys at once",
        gentle_most=GENTLE_MOST,
        begin=_burst,
        names=(1, 1),
        amount=Span(1.0, BURST_MAX),
        amounts=Span(5.0, 80.0),
        counts=True,
    ),
    Kind(
        name="write-long",
        about="a member writes one of its keys, too long for a packet",
        gentle_most=GENTLE_MOST,
        begin=_set,
        names=(1, 1),
        amount=Span(1000.0, 65_536.0),
        amounts=Span(30_000.0, 60_000.0),
    ),
)
"""Kinds of this theme."""
