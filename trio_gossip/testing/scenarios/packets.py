"""Steps that change what links do to packets: loss, doubling, disorder, delay, damage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trio_gossip.testing.scenarios.kind import Excused, Kind, SkipStep, Span
from trio_gossip.testing.scenarios.layers import LOSS_MILD

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.testing.scenarios.kind import Step, Undo
    from trio_gossip.testing.scenarios.stage import Stage

BURST_CHANCES: Final = Span(0.001, 0.003)
"""Chance of each packet to begin a burst. Bursts are of one link, and a link has few packets."""

ANY_TIME: Final = Span(0.0, 3600.0)
DURATIONS: Final = Span(1.0, 30.0)


def _layer(field: str) -> Callable[[Stage, Step], Undo]:
    """A step whose amount is a field of the faults of all links."""

    def begin(stage: Stage, step: Step) -> Undo:
        return stage.layers.add(**{field: step.amount})

    return begin


def _mild_loss(field: str) -> Callable[[Stage, Step], Undo]:
    """The same, but together with what is lost already it must not be more than is mild."""

    def begin(stage: Stage, step: Step) -> Undo:
        changes: dict[str, Any] = {field: step.amount}
        if stage.layers.loss_with(**changes) > LOSS_MILD and not stage.may_err(step):
            raise SkipStep("too much is lost already")
        return stage.layers.add(**changes)

    return begin


def _delay(stage: Stage, step: Step) -> Undo:
    return stage.layers.add(latency=(step.amount / 2.0, step.amount))


def _mtu(stage: Stage, step: Step) -> Undo:
    return stage.layers.add(mtu=int(step.amount))


def _lossy_link(stage: Stage, step: Step) -> Undo:
    source, target = step.names
    return stage.layers.add_one((source, target), loss=step.amount, tail=0.2)


KINDS: Final = (
    Kind(
        name="loss",
        about="all links lose a share of packets, at most a tenth in all",
        begin=_mild_loss("loss"),
        amount=Span(0.0, LOSS_MILD),
        amounts=Span(0.01, 0.05),
        seconds=ANY_TIME,
        durations=DURATIONS,
        gentle_most=2,
    ),
    Kind(
        name="heavy-loss",
        about="all links lose a share of packets",
        begin=_layer("loss"),
        amount=Span(0.0, 1.0),
        amounts=Span(0.15, 0.6),
        seconds=ANY_TIME,
        durations=DURATIONS,
        excused=Excused.EVERYBODY,
    ),
    Kind(
        name="burst-loss",
        about="packets begin bursts of losses with this chance",
        begin=_mild_loss("burst"),
        amount=Span(0.0, 0.01),
        amounts=BURST_CHANCES,
        seconds=ANY_TIME,
        durations=DURATIONS,
        gentle_most=1,
    ),
    Kind(
        name="duplication",
        about="a share of packets arrives twice",
        begin=_layer("duplicate"),
        amount=Span(0.0, 1.0),
        amounts=Span(0.05, 0.5),
        seconds=ANY_TIME,
        durations=DURATIONS,
    ),
    Kind(
        name="reordering",
        about="a share of packets is held back for up to 50 ms",
        begin=_layer("reorder"),
        amount=Span(0.0, 1.0),
        amounts=Span(0.05, 0.5),
        seconds=ANY_TIME,
        durations=DURATIONS,
    ),
    Kind(
        name="heavy-tail",
        about="a share of packets takes a delay with a heavy tail, up to 3 s",
        begin=_layer("tail"),
        amount=Span(0.0, 1.0),
        amounts=Span(0.02, 0.3),
        seconds=ANY_TIME,
        durations=DURATIONS,
    ),
    Kind(
        name="delay",
        about="all packets take up to this many seconds longer",
        begin=_delay,
        amount=Span(0.0, 0.1),
        amounts=Span(0.005, 0.05),
        seconds=ANY_TIME,
        durations=DURATIONS,
        gentle_most=2,
    ),
    Kind(
        name="corruption",
        about="a share of packets is changed on its way; what is left well-formed is dropped",
        begin=_mild_loss("corrupt"),
        amount=Span(0.0, LOSS_MILD),
        amounts=Span(0.005, 0.03),
        seconds=ANY_TIME,
        durations=DURATIONS,
        gentle_most=1,
    ),
    Kind(
        name="truncation",
        about="a share of packets arrives without its end",
        begin=_mild_loss("truncate"),
        amount=Span(0.0, LOSS_MILD),
        amounts=Span(0.005, 0.03),
        seconds=ANY_TIME,
        durations=DURATIONS,
        gentle_most=1,
    ),
    Kind(
        name="mtu",
        about="packets of more than this many bytes vanish",
        begin=_mtu,
        amount=Span(1.0, 65507.0),
        amounts=Span(300.0, 1300.0),
        seconds=ANY_TIME,
        durations=DURATIONS,
        excused=Excused.EVERYBODY,
    ),
    Kind(
        name="lossy-link",
        about="one direction of one link loses a share of packets and delays others",
        begin=_lossy_link,
        names=(2, 2),
        amount=Span(0.0, 1.0),
        amounts=Span(0.2, 0.9),
        seconds=ANY_TIME,
        durations=DURATIONS,
        gentle_most=1,
    ),
)
"""Kinds of this theme."""
