"""Steps that disturb one process in its running: pauses, slowness, clocks that go wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.testing.scenarios.kind import Excused, Kind, SkipStep, Span

if TYPE_CHECKING:
    from trio_gossip.testing.scenarios.kind import Step, Undo
    from trio_gossip.testing.scenarios.stage import Stage

PAUSE_MILD_SECONDS: Final = 1.5
"""A pause up to this long harms nobody: a suspicion lasts longer."""

CRAWL_INBOX: Final = 16
"""Packets that may wait for a process that crawls: a small socket buffer."""

_ANY_TIME: Final = Span(0.0, 3600.0)


def pause(stage: Stage, step: Step) -> Undo:
    """Stop a process for as long as the step lasts."""
    (name,) = step.names
    process = stage.running(name)
    if not process.can_run:
        raise SkipStep(f"{name} is paused or slow already")
    stage.simulation.pause(name)

    def resume() -> None:
        if process.running:
            stage.simulation.resume(name)

    return resume


def _slow(stage: Stage, step: Step) -> Undo:
    (name,) = step.names
    process = stage.running(name)
    if not process.can_run and not stage.may_err(step):
        raise SkipStep(f"{name} is paused or slow already")
    return stage.slow_down(process, step.amount)


def _crawl(stage: Stage, step: Step) -> Undo:
    (name,) = step.names
    process = stage.running(name)
    before = process.inbox_limit
    process.inbox_limit = min(before, CRAWL_INBOX)
    faster = stage.slow_down(process, step.amount)

    def undo() -> None:
        process.inbox_limit = before
        faster()

    return undo


def _jump(stage: Stage, step: Step) -> None:
    (name,) = step.names
    stage.running(name)
    stage.simulation.skew(name, jump=step.amount)


def _drift(stage: Stage, step: Step) -> Undo:
    (name,) = step.names
    process = stage.running(name)
    if process.clock_rate != 1.0:
        raise SkipStep(f"the clock of {name} drifts already")
    stage.simulation.skew(name, rate=step.amount)

    def back() -> None:
        if process.running:
            stage.simulation.skew(name, rate=1.0)

    return back


KINDS: Final = (
    Kind(
        name="pause",
        about="a process stands still for a moment; packets and timers wait",
        begin=pause,
        names=(1, 1),
        seconds=Span(0.0, PAUSE_MILD_SECONDS),
        durations=Span(0.05, PAUSE_MILD_SECONDS),
        weight=1.5,
    ),
    Kind(
        name="long-pause",
        about="a process stands still for so long that others declare it failed",
        begin=pause,
        names=(1, 1),
        seconds=_ANY_TIME,
        durations=Span(2.0, 60.0),
        excused=Excused.MEMBERS,
    ),
    Kind(
        name="slow",
        about="each turn of a process takes this many seconds",
        begin=_slow,
        names=(1, 1),
        amount=Span(0.0, 0.005),
        amounts=Span(0.0005, 0.005),
        seconds=_ANY_TIME,
        durations=Span(2.0, 20.0),
        gentle_most=2,
    ),
    Kind(
        name="crawl",
        about="each turn of a process takes this many seconds, and few packets may wait",
        begin=_crawl,
        names=(1, 1),
        amount=Span(0.0, 1.0),
        amounts=Span(0.02, 0.3),
        seconds=_ANY_TIME,
        durations=Span(2.0, 30.0),
        excused=Excused.EVERYBODY,
    ),
    Kind(
        name="clock-jump",
        about="the monotonic clock of a process jumps forward by this many seconds",
        begin=_jump,
        names=(1, 1),
        amount=Span(0.0, 1e6),
        amounts=Span(0.05, 3600.0),
    ),
    Kind(
        name="clock-drift",
        about="the clock of a process runs at this rate",
        begin=_drift,
        names=(1, 1),
        amount=Span(0.1, 10.0),
        amounts=Span(0.8, 1.25),
        seconds=_ANY_TIME,
        durations=Span(5.0, 40.0),
    ),
)
"""Kinds of this theme."""
