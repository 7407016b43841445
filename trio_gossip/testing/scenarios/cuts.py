"""Steps that keep members apart: cuts of one direction, partitions of several shapes, clogs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from trio_gossip.testing.scenarios.kind import Excused, Kind, SkipStep, Span
from trio_gossip.testing.scenarios.stage import WAYS_LEAST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trio_gossip.testing.scenarios.kind import Step, Undo
    from trio_gossip.testing.scenarios.stage import Stage

Pair = tuple[str, str]

CLOG_MILD_SECONDS: Final = 1.0
"""A clog of everything that one member sends is like a pause of it: this much is harmless."""

ANY_NUMBER: Final = 100_000
_DURATIONS: Final = Span(2.0, 60.0)
_ANY_TIME: Final = Span(0.0, 3600.0)


def _both_ways(pairs: Iterable[Pair]) -> Iterator[Pair]:
    for one, other in pairs:
        yield one, other
        yield other, one


def _cast(stage: Stage) -> list[str]:
    """Everybody who may be hit: the members of the scenario, and who came in a storm."""
    return sorted({*stage.names, *stage.simulation.processes})


def _sides(stage: Stage, step: Step) -> tuple[list[str], list[str]]:
    return list(step.names), [name for name in _cast(stage) if name not in step.names]


def _one_way(stage: Stage, step: Step) -> Undo:
    if not stage.may_err(step):
        if stage.simulation.links.cut_pairs:
            raise SkipStep("another link is cut")
        if len(stage.lasting()) < 2 + WAYS_LEAST:
            raise SkipStep("too few can pass on what does not get through")
    source, target = step.names
    return stage.layers.cut([(source, target)])


def isolate(stage: Stage, step: Step) -> Undo:
    """Keep the named members apart from all others."""
    ours, theirs = _sides(stage, step)
    return stage.layers.cut(_both_ways((one, other) for one in ours for other in theirs))


def _bridge(stage: Stage, step: Step) -> Undo:
    """The first named member still reaches both sides."""
    middle, *ours = step.names
    theirs = [name for name in _cast(stage) if name not in step.names]
    del middle
    return stage.layers.cut(_both_ways((one, other) for one in ours for other in theirs))


def _ring(stage: Stage, _step: Step) -> Undo:
    """Everybody reaches only the two beside it, in the order of names."""
    cast = _cast(stage)
    near = {(one, cast[at - 1]) for at, one in enumerate(cast)}
    near |= {(other, one) for one, other in near}
    return stage.layers.cut(
        (one, other) for one in cast for other in cast if one != other and (one, other) not in near
    )


def _deaf(stage: Stage, step: Step) -> Undo:
    (victim,) = step.names
    return stage.layers.cut((other, victim) for other in _cast(stage) if other != victim)


def _mute(stage: Stage, step: Step) -> Undo:
    (victim,) = step.names
    return stage.layers.cut((victim, other) for other in _cast(stage) if other != victim)


def _clog(stage: Stage, step: Step) -> Undo:
    (victim,) = step.names
    links = stage.simulation.links
    until = stage.simulation.now + step.seconds
    links.clog([(victim, other) for other in _cast(stage) if other != victim], until)
    return lambda: links.forget_clogs(stage.simulation.now)


def _swizzle(stage: Stage, step: Step) -> Undo:
    """Clog the named members one after the other, and unclog them in another order."""
    rng = stage.rng(step)
    simulation = stage.simulation
    links = simulation.links
    for victim in step.names:
        others = [other for other in _cast(stage) if other != victim]
        pairs = list(_both_ways((victim, other) for other in others))
        ends = simulation.now + step.seconds * (0.5 + 0.5 * rng.random())
        begins = 0.3 * step.seconds * rng.random()
        simulation.at(begins, partial(links.clog, pairs, ends))
    return lambda: links.forget_clogs(simulation.now)


KINDS: Final = (
    Kind(
        name="one-way-cut",
        about="nothing of the first member reaches the second",
        begin=_one_way,
        names=(2, 2),
        seconds=_ANY_TIME,
        durations=_DURATIONS,
        gentle_most=1,
    ),
    Kind(
        name="halves",
        about="the named members on one side, all others on the other",
        begin=isolate,
        names=(1, ANY_NUMBER),
        seconds=_ANY_TIME,
        durations=_DURATIONS,
        excused=Excused.EVERYBODY,
    ),
    Kind(
        name="isolated",
        about="one member on its own",
        begin=isolate,
        names=(1, 1),
        seconds=_ANY_TIME,
        durations=_DURATIONS,
        excused=Excused.EVERYBODY,
    ),
    Kind(
        name="bridge",
        about="two sides, and the first named member reaches both",
        begin=_bridge,
        names=(2, ANY_NUMBER),
        seconds=_ANY_TIME,
        durations=_DURATIONS,
        excused=Excused.EVERYBODY,
    ),
    Kind(
        name="ring",
        about="everybody reaches only two neighbours",
        begin=_ring,
        seconds=_ANY_TIME,
        durations=_DURATIONS,
        excused=Excused.EVERYBODY,
    ),
    Kind(
        name="deaf",
        about="one member receives nothing, and still sends",
        begin=_deaf,
        names=(1, 1),
        seconds=_ANY_TIME,
        durations=_DURATIONS,
        excused=Excused.EVERYBODY,
    ),
    Kind(
        name="mute",
        about="one member receives, and nothing that it sends arrives",
        begin=_mute,
        names=(1, 1),
        seconds=_ANY_TIME,
        durations=_DURATIONS,
        excused=Excused.EVERYBODY,
    ),
    Kind(
        name="clog",
        about="what one member sends is held back, and then comes at once",
        begin=_clog,
        names=(1, 1),
        seconds=Span(0.0, CLOG_MILD_SECONDS),
        durations=Span(0.1, CLOG_MILD_SECONDS),
        gentle_most=2,
    ),
    Kind(
        name="swizzle",
        about="links of several members clog one after the other and open in another order",
        begin=_swizzle,
        names=(1, ANY_NUMBER),
        seconds=_ANY_TIME,
        durations=Span(2.0, 20.0),
        excused=Excused.EVERYBODY,
    ),
)
"""Kinds of this theme."""
