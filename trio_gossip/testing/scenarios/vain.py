"""Steps whose commands fail: the caller has to be told, and nobody else should notice."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.addresses import Address
from trio_gossip.errors import LocalProtocolError
from trio_gossip.members import META_BYTES_MAX, MemberState, Versions
from trio_gossip.testing.scenarios.kind import Kind, SkipStep, Span

if TYPE_CHECKING:
    from trio_gossip.testing.scenarios.kind import Step, Undo
    from trio_gossip.testing.scenarios.stage import Stage

MISFITS_MAX: Final = 16
"""Newcomers of another version in one step."""

_OTHER_VERSION: Final = Versions(user_min=7, user_max=7, user=7)
_NOBODY: Final = Address("nobody", 7946)
_LAST_WORDS: Final = b"are you there?"
_COME_SECONDS: Final = 1.0


def _pair_knows(stage: Stage, step: Step) -> tuple[str, str]:
    """Who asks, and an active member in its table that is present.

    Raises:
        SkipStep: there is none.
    """
    name, other = step.names
    member = stage.present(name).engine.member(other)
    stage.present(other)
    if member is None or not member.is_active:
        raise SkipStep(f"{name} does not know {other}")
    return name, other


def _too_late(stage: Stage, step: Step) -> None:
    """Everything that can be asked of a member, in the moment in which it crashes."""
    name, other = _pair_knows(stage, step)
    stage.may_lose_one()
    stage.crash(other)
    stage.simulation.command(name, "ping", other)
    stage.simulation.command(name, "send_reliable", other, _LAST_WORDS)
    stage.simulation.join(name, stage.addresses[other])


def _half_said(stage: Stage, step: Step) -> None:
    """The same, when the streams are open already or about to be."""
    name, other = _pair_knows(stage, step)
    stage.may_lose_one()
    stage.simulation.command(name, "send_reliable", other, bytes(int(step.amount)))
    stage.simulation.join(name, stage.addresses[other])

    def end() -> None:
        if other in stage.simulation.processes:
            stage.crash(other)

    stage.simulation.at(step.seconds, end)


def _join_nobody(stage: Stage, step: Step) -> None:
    (name,) = step.names
    stage.present(name)
    stage.simulation.join(name, _NOBODY)


def _join_leaver(stage: Stage, step: Step) -> None:
    """The second member leaves, and the first one wants to exchange tables with it just then."""
    name, other = _pair_knows(stage, step)
    stage.may_lose_one()
    stage.simulation.leave(other)
    stage.simulation.join(name, stage.addresses[other])


def _meta_too_long(stage: Stage, step: Step) -> None:
    """The call raises, and nothing else happens.

    Raises:
        RuntimeError: something else has happened, which ends the run.
    """
    (name,) = step.names
    process = stage.present(name)
    before = process.engine.local
    with suppress(LocalProtocolError):
        stage.simulation.do(name, "update_meta", bytes(int(step.amount)))
    if process.engine.local != before:
        raise RuntimeError(f"a call that was refused has changed {before}")


def _misfits(stage: Stage, step: Step) -> Undo:
    (seed,) = step.names
    stage.present(seed)
    rng = stage.rng(step)
    simulation = stage.simulation
    names = [f"m{int(step.at * 1000)}-{number}" for number in range(int(step.amount))]
    is_over = False

    def come(name: str) -> None:
        if not is_over and name not in simulation.processes:
            config = attrs.evolve(stage.config_of(name), versions=_OTHER_VERSION)
            stage.addresses[name] = simulation.start(name, config=config).address
            simulation.join(name, stage.addresses[seed])

    for name in names:
        simulation.at(min(_COME_SECONDS, step.seconds) * rng.random(), partial(come, name))

    def go() -> None:
        nonlocal is_over
        is_over = True  # all faults may end before some have come
        for name in names:
            process = simulation.processes.get(name)
            if process is not None and process.engine.local.state is MemberState.ALIVE:
                stage.crash(name)

    return go


KINDS: Final = (
    Kind(
        name="too-late",
        about="the first member asks the second all sorts of things when that one has crashed",
        begin=_too_late,
        names=(2, 2),
        gentle_most=2,
    ),
    Kind(
        name="half-said",
        about="the second member crashes while the first sends it this many bytes, and joins it",
        begin=_half_said,
        names=(2, 2),
        amount=Span(0.0, 300_000.0),
        amounts=Span(40.0, 300_000.0),
        seconds=Span(0.0, 60.0),
        durations=Span(0.0005, 0.2),
        gentle_most=2,
    ),
    Kind(
        name="join-nobody",
        about="a member joins an address at which nobody lives",
        begin=_join_nobody,
        names=(1, 1),
        weight=0.5,
    ),
    Kind(
        name="join-leaver",
        about="the second member leaves, and the first one joins it just then",
        begin=_join_leaver,
        names=(2, 2),
        gentle_most=2,
    ),
    Kind(
        name="meta-too-long",
        about="a member tries to set metadata of this many bytes",
        begin=_meta_too_long,
        names=(1, 1),
        amount=Span(META_BYTES_MAX + 1.0, 100_000.0),
        amounts=Span(META_BYTES_MAX + 1.0, 2000.0),
        weight=0.5,
    ),
    Kind(
        name="misfits",
        about="this many newcomers of another version want to join a member, and are refused",
        begin=_misfits,
        names=(1, 1),
        amount=Span(1.0, float(MISFITS_MAX)),
        amounts=Span(1.0, 4.0),
        counts=True,
        seconds=Span(0.0, 3600.0),
        durations=Span(2.0, 20.0),
        gentle_most=1,
        weight=0.5,
    ),
)
"""Kinds of this theme."""
