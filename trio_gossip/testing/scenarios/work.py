"""Steps of ordinary work: what applications do while the faults go on around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.testing.scenarios.kind import Kind, SkipStep, Span

if TYPE_CHECKING:
    from trio_gossip.testing.scenarios.kind import Step
    from trio_gossip.testing.scenarios.stage import Stage
    from trio_gossip.testing.simulation.process import Process

FLOOD_MAX: Final = 2000
"""Broadcasts in one flood."""

FLOOD_BYTES: Final = 100
"""Of each of them."""

_PAYLOAD_BYTES: Final = 600
_RELIABLE_BYTES: Final = 300_000
"""A few times what one frame carries."""


def _payload(stage: Stage, step: Step, size: int) -> bytes:
    """Bytes of that length which no other step of the run has, if they are long enough."""
    mark = f"{step.kind} {step.at!r} {','.join(step.names)} {stage.simulation.seed} "
    return mark.encode().ljust(size, b".")[:size]


def _pair(stage: Stage, step: Step) -> tuple[Process, str]:
    """Who does it, and another member that it knows to be there.

    Raises:
        SkipStep: one of them is not.
    """
    name, other = step.names
    process = stage.present(name)
    member = process.engine.member(other)
    if member is None or not member.is_active:
        raise SkipStep(f"{name} does not know {other}")
    return process, other


def _broadcast(stage: Stage, step: Step) -> None:
    (name,) = step.names
    stage.present(name)
    stage.simulation.do(name, "broadcast", _payload(stage, step, int(step.amount)))


def _flood(stage: Stage, step: Step) -> None:
    (name,) = step.names
    stage.present(name)
    for number in range(int(step.amount)):
        payload = b"%d " % number + _payload(stage, step, FLOOD_BYTES)
        stage.simulation.do(name, "broadcast", payload)


def _meta(stage: Stage, step: Step) -> None:
    (name,) = step.names
    stage.present(name)
    stage.simulation.do(name, "update_meta", _payload(stage, step, int(step.amount)))


def _send(stage: Stage, step: Step) -> None:
    process, other = _pair(stage, step)
    stage.simulation.do(process.name, "send", other, _payload(stage, step, int(step.amount)))


def _reliable(stage: Stage, step: Step) -> None:
    process, other = _pair(stage, step)
    payload = _payload(stage, step, int(step.amount))
    stage.simulation.command(process.name, "send_reliable", other, payload)


def _ping(stage: Stage, step: Step) -> None:
    process, other = _pair(stage, step)
    stage.simulation.command(process.name, "ping", other)


KINDS: Final = (
    Kind(
        name="broadcast",
        about="a member tells all others this many bytes",
        begin=_broadcast,
        names=(1, 1),
        amount=Span(1.0, _PAYLOAD_BYTES),
        amounts=Span(40.0, _PAYLOAD_BYTES),
        gentle_most=6,
        weight=2.0,
    ),
    Kind(
        name="flood",
        about="a member broadcasts this many messages at once",
        begin=_flood,
        names=(1, 1),
        amount=Span(1.0, FLOOD_MAX),
        amounts=Span(10.0, 150.0),
        counts=True,
        gentle_most=1,
        weight=0.4,
    ),
    Kind(
        name="meta",
        about="a member changes its metadata to this many bytes",
        begin=_meta,
        names=(1, 1),
        amount=Span(0.0, 512.0),
        amounts=Span(40.0, 300.0),
        gentle_most=4,
        weight=1.5,
    ),
    Kind(
        name="send",
        about="a member sends another this many bytes by datagram",
        begin=_send,
        names=(2, 2),
        amount=Span(1.0, _PAYLOAD_BYTES),
        amounts=Span(40.0, _PAYLOAD_BYTES),
    ),
    Kind(
        name="send-reliable",
        about="a member sends another this many bytes by stream",
        begin=_reliable,
        names=(2, 2),
        amount=Span(0.0, _RELIABLE_BYTES),
        amounts=Span(40.0, _RELIABLE_BYTES),
    ),
    Kind(
        name="ping",
        about="a member asks another if it is there",
        begin=_ping,
        names=(2, 2),
    ),
)
"""Kinds of this theme."""
