"""Steps that end and begin lives: crashes, restarts of several sorts, leaves, storms of joins."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from trio_gossip.addresses import Address
from trio_gossip.members import MemberState
from trio_gossip.testing.scenarios.cuts import ANY_NUMBER
from trio_gossip.testing.scenarios.kind import Excused, Kind, Span
from trio_gossip.testing.simulation.simulation import WALL_CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.testing.scenarios.kind import Step, Undo
    from trio_gossip.testing.scenarios.stage import Stage

STORM_MAX: Final = 64
"""Members that one storm of joins may bring."""

HIGH_INCARNATION: Final = 2**32 - 2
"""Two refutations more do not fit 32 bits."""

BELIEVED_SECONDS: Final = 30.0
"""Most by which a clock is behind for versioned state: further back it takes all that others write
for a fault of their clocks (``StateLimits.clock_skew_ms``)."""

DOWN: Final = Span(0.0, 3600.0)
"""Seconds for which a member may be down."""
DOWN_DRAWN: Final = Span(0.05, 45.0)
"""From a quick restart, which nobody notices, to one after the member was forgotten."""

_STORM_SECONDS: Final = 1.0
"""Within which the members of a storm come, and those of a mass restart go."""


def _crash(stage: Stage, step: Step) -> None:
    (name,) = step.names
    stage.running(name)
    stage.may_lose_one()
    stage.crash(name)


def _restart(options: Callable[[Stage, Step], dict[str, Any]]) -> Callable[[Stage, Step], Undo]:
    """A crash, and after the step's seconds a new life with the given options."""

    def begin(stage: Stage, step: Step) -> Undo:
        _crash(stage, step)
        (name,) = step.names
        return lambda: stage.start(name, stage.rng(step), **options(stage, step))

    return begin


def _nothing_else(_stage: Stage, _step: Step) -> dict[str, Any]:
    return {}


def _first_incarnation(_stage: Stage, _step: Step) -> dict[str, Any]:
    return {"incarnation": 1}


def _clock_back(stage: Stage, step: Step) -> dict[str, Any]:
    return {"incarnation": max(1, WALL_CLOCK + int(stage.simulation.now - step.amount))}


def _restart_back(stage: Stage, step: Step) -> Undo:
    """The same on a wall clock that is behind; versioned state reads it too."""
    _crash(stage, step)
    (name,) = step.names
    simulation = stage.simulation

    def back() -> None:
        simulation.wall_offset = -min(step.amount, BELIEVED_SECONDS)
        try:
            stage.start(name, stage.rng(step), **_clock_back(stage, step))
        finally:
            simulation.wall_offset = 0.0

    return back


def _high(stage: Stage, step: Step) -> dict[str, Any]:
    (name,) = step.names
    return {"incarnation": max(stage.kept_incarnation(name), HIGH_INCARNATION)}


def _other_limit(_stage: Stage, step: Step) -> dict[str, Any]:
    return {"packet_limit": int(step.amount)}


def _elsewhere(stage: Stage, step: Step) -> dict[str, Any]:
    (name,) = step.names
    taken = [process.address for process in stage.simulation.processes.values()]
    port = int(step.amount)
    while (address := Address(f"h-{name}", port)) in taken:
        port += 1
    stage.addresses[name] = address
    return {}


def _leave(stage: Stage, step: Step) -> None:
    (name,) = step.names
    stage.present(name)
    stage.may_lose_one()
    stage.simulation.leave(name)


def _rejoin(stage: Stage, step: Step) -> Undo:
    """Leave; after the step's seconds, or when the leave is done, a new process of that name."""
    _leave(stage, step)
    (name,) = step.names

    def back() -> None:
        process = stage.simulation.processes.get(name)
        if process is not None and process.engine.local.state is MemberState.LEFT:
            stage.crash(name)  # still saying goodbye, and its supervisor has lost patience
        stage.start(name, stage.rng(step))

    return back


def _come_back(stage: Stage, step: Step) -> Undo:
    """Leave, and have the same process join again."""
    (name,) = step.names
    process = stage.present(name)
    stage.may_lose_one()
    simulation = stage.simulation
    simulation.command(name, "leave")  # unlike simulation.leave(), this does not end the process

    def back() -> None:
        if process.running and process.engine.local.state is MemberState.LEFT:
            stage.join(name, stage.rng(step))

    return back


def _mass_restart(stage: Stage, step: Step) -> Undo:
    """All named members crash within a second, and come back in the same order."""
    rng = stage.rng(step)
    gone: list[str] = []

    def go(name: str) -> None:
        if name in stage.simulation.processes:
            stage.crash(name)
            gone.append(name)

    for name in step.names:
        stage.simulation.at(min(_STORM_SECONDS, step.seconds) * rng.random(), partial(go, name))

    def back() -> None:
        for name in gone:
            stage.start(name, rng)

    return back


def _storm(stage: Stage, step: Step) -> Undo:
    """Newcomers join through the named member within a second, and leave at the end."""
    (seed,) = step.names
    stage.present(seed)
    rng = stage.rng(step)
    names = [f"j{int(step.at * 1000)}-{number}" for number in range(int(step.amount))]
    simulation = stage.simulation

    def come(name: str) -> None:
        if name not in simulation.processes:
            process = simulation.start(name, config=stage.config_of(name))
            stage.addresses[name] = process.address
            simulation.join(name, stage.addresses[seed])

    for name in names:
        simulation.at(min(_STORM_SECONDS, step.seconds) * rng.random(), partial(come, name))

    def go() -> None:
        for name in names:
            process = simulation.processes.get(name)
            if process is None or process.engine.local.state is not MemberState.ALIVE:
                continue
            if len(process.active_names()) > 1:
                simulation.leave(name)
            else:
                stage.crash(name)  # its join came to nothing: there is nobody to tell

    return go


def _alias(stage: Stage, step: Step) -> Undo:
    """A member crashes, and at its address lives a newcomer, which leaves at the end."""
    (name,) = step.names
    address = stage.running(name).address
    newcomer = f"a{int(step.at * 1000)}-{name}"
    _crash(stage, step)
    simulation = stage.simulation
    others = [other for other in stage.all_present() if other != name]
    process = simulation.start(newcomer, address=address, config=stage.config_of(newcomer))
    seeds = stage.rng(step).sample(others, min(2, len(others)))
    simulation.join(newcomer, *(stage.addresses[seed] for seed in seeds if seed in stage.addresses))

    def go() -> None:
        if not process.running or process.engine.local.state is not MemberState.ALIVE:
            return
        if len(process.active_names()) > 1:
            simulation.leave(newcomer)
        else:
            stage.crash(newcomer)

    return go


def _restarting(name: str, about: str, options: Callable[..., Any], **more: Any) -> Kind:
    return Kind(
        name=name,
        about=about,
        begin=_restart(options),
        names=(1, 1),
        seconds=DOWN,
        durations=DOWN_DRAWN,
        **more,
    )


KINDS: Final = (
    Kind(
        name="crash",
        about="a process ends without a word and does not come back",
        begin=_crash,
        names=(1, 1),
        gentle_most=2,
        weight=1.5,
    ),
    _restarting("restart", "crash and come back with a higher incarnation", _nothing_else),
    _restarting(
        "restart-lost",
        "crash and come back with incarnation 1",
        _first_incarnation,
        excused=Excused.MEMBERS,
    ),
    Kind(
        name="restart-back",
        about="crash and come back on a wall clock that is behind by this many seconds",
        begin=_restart_back,
        names=(1, 1),
        seconds=DOWN,
        durations=DOWN_DRAWN,
        amount=Span(0.0, 1e10),
        amounts=Span(1.0, 1e6),
        excused=Excused.MEMBERS,
    ),
    _restarting(
        "restart-high",
        "crash and come back with an incarnation at the end of 32 bits",
        _high,
        weight=0.7,
    ),
    _restarting(
        "move",
        "crash and come back at another address, with this port",
        _elsewhere,
        amount=Span(1.0, 60_000.0),
        amounts=Span(8000.0, 9000.0),
    ),
    _restarting(
        "packet-limit",
        "crash and come back with this many bytes in a packet",
        _other_limit,
        amount=Span(900.0, 65507.0),
        amounts=Span(900.0, 1500.0),
    ),
    Kind(
        name="alias",
        about="crash for good, and a member of another name comes to its address for a while",
        begin=_alias,
        names=(1, 1),
        seconds=DOWN,
        durations=Span(5.0, 40.0),
        excused=Excused.MEMBERS,
    ),
    Kind(
        name="leave",
        about="a member says goodbye and is gone",
        begin=_leave,
        names=(1, 1),
        gentle_most=2,
    ),
    Kind(
        name="leave-rejoin",
        about="a member says goodbye and a new process of that name comes",
        begin=_rejoin,
        names=(1, 1),
        seconds=DOWN,
        durations=DOWN_DRAWN,
    ),
    Kind(
        name="come-back",
        about="a member says goodbye and the same process joins again",
        begin=_come_back,
        names=(1, 1),
        seconds=DOWN,
        durations=DOWN_DRAWN,
    ),
    Kind(
        name="mass-restart",
        about="many members crash within a second and come back together",
        begin=_mass_restart,
        names=(2, ANY_NUMBER),
        seconds=DOWN,
        durations=Span(1.0, 20.0),
        excused=Excused.EVERYBODY,
    ),
    Kind(
        name="join-storm",
        about="this many newcomers join through one member, and leave at the end",
        begin=_storm,
        names=(1, 1),
        amount=Span(1.0, float(STORM_MAX)),
        amounts=Span(4.0, 16.0),
        counts=True,
        seconds=DOWN,
        durations=Span(5.0, 40.0),
        gentle_most=1,
        weight=0.7,
    ),
)
"""Kinds of this theme."""
