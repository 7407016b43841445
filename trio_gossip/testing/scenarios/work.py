"""Steps of ordinary work: what applications do while the faults go on around them."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from trio_gossip.errors import BroadcastRateError, LocalProtocolError
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.inside import packet_limit_of
from trio_gossip.testing.checkers.sealed import sealed
from trio_gossip.testing.scenarios.cuts import ANY_NUMBER
from trio_gossip.testing.scenarios.kind import Kind, SkipStep, Span

if TYPE_CHECKING:
    from trio_gossip.testing.scenarios.kind import Step
    from trio_gossip.testing.scenarios.stage import Stage
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

FLOOD_MAX: Final = 2000
"""Broadcasts in one flood."""

FLOOD_BYTES: Final = 100
"""Of each of them."""

CHATTER_MAX: Final = 1000
"""Broadcasts in one chatter."""

CHATTER_BYTES: Final = (45, 400)
"""Of each of them: some fill a packet alone, of others there is room for many."""

_PAYLOAD_BYTES: Final = 600
_RELIABLE_BYTES: Final = 300_000
"""A few times what one frame carries."""


def _payload(stage: Stage, step: Step, size: int, number: str = "") -> bytes:
    """Bytes of that length which no other step of the run has, if they are long enough."""
    mark = f"{number}{step.kind} {step.at!r} {','.join(step.names)} {stage.simulation.seed} "
    return sealed(mark.encode(), size)


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


def _tell(simulation: Simulation, name: str, payload: bytes) -> None:
    """Broadcast; what is over the member's own rate is refused at the call, and not sent."""
    with suppress(BroadcastRateError):
        simulation.do(name, "broadcast", payload)


def _broadcast(stage: Stage, step: Step) -> None:
    (name,) = step.names
    stage.present(name)
    _tell(stage.simulation, name, _payload(stage, step, int(step.amount)))


def _flood(stage: Stage, step: Step) -> None:
    (name,) = step.names
    stage.present(name)
    for number in range(int(step.amount)):
        _tell(stage.simulation, name, _payload(stage, step, FLOOD_BYTES, f"{number} "))


def _chatter(stage: Stage, step: Step) -> None:
    """The named members broadcast in turn, some at once and some after each other."""
    rng = stage.rng(step)
    simulation = stage.simulation

    def say(name: str, payload: bytes) -> None:
        process = simulation.processes.get(name)
        if process is None or not process.can_run:
            return
        if process.engine.local.state is MemberState.ALIVE:
            _tell(simulation, name, payload)

    for number in range(int(step.amount)):
        name = rng.choice(step.names)
        payload = _payload(stage, step, rng.randint(*CHATTER_BYTES), f"{number} ")
        simulation.at(step.seconds * rng.random(), partial(say, name, payload))


def _too_long(stage: Stage, step: Step) -> None:
    """The call raises, and nothing else happens; or the message is announced, and fetched."""
    (name,) = step.names
    process = stage.present(name)
    size = packet_limit_of(process) - int(step.amount)
    with suppress(LocalProtocolError):
        stage.simulation.do(name, "broadcast", _payload(stage, step, size))


def _meta(stage: Stage, step: Step) -> None:
    (name,) = step.names
    stage.present(name)
    stage.simulation.do(name, "update_meta", _payload(stage, step, int(step.amount)))


def _churn(stage: Stage, step: Step) -> None:
    """News of many members at once: more than one packet of it."""
    for name in step.names:
        process = stage.simulation.processes.get(name)
        if process is None or not process.can_run:
            continue
        if process.engine.local.state is MemberState.ALIVE:
            payload = _payload(stage, step, int(step.amount), f"{name} ")
            stage.simulation.do(name, "update_meta", payload)


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
        name="chatter",
        about="members broadcast this many messages in any order",
        begin=_chatter,
        names=(1, ANY_NUMBER),
        amount=Span(1.0, CHATTER_MAX),
        amounts=Span(5.0, 60.0),
        counts=True,
        seconds=Span(0.0, 3600.0),
        durations=Span(0.5, 20.0),
        gentle_most=2,
        weight=2.0,
    ),
    Kind(
        name="too-long",
        about="a member tries a broadcast of a whole packet less this many bytes",
        begin=_too_long,
        names=(1, 1),
        amount=Span(0.0, 100.0),
        amounts=Span(0.0, 5.0),
        weight=0.7,
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
        name="churn",
        about="many members change their metadata to this many bytes",
        begin=_churn,
        names=(2, ANY_NUMBER),
        amount=Span(0.0, 512.0),
        amounts=Span(100.0, 400.0),
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
