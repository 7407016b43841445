"""Steps with the keys of a sealed cluster: rotations, members that are away meanwhile, wrong files.

In a plain cluster they make no sense and are skipped.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from trio_gossip.members import MemberState
from trio_gossip.services.key_report import KeyReport
from trio_gossip.testing.scenarios.kind import Excused, Kind, SkipStep, Span

if TYPE_CHECKING:
    from trio_gossip.engine import Complete
    from trio_gossip.testing.scenarios.kind import Step, Undo
    from trio_gossip.testing.scenarios.stage import Stage
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.sealing import NodeSeal, Sealing

RETRY_SECONDS: Final = 3.0
"""After which an operator repeats what was refused or is incomplete."""

KEY_BYTES: Final = 32
"""Of a new key."""

_LOOK_SECONDS: Final = 0.25
_LASTING: Final = Span(0.0, 3600.0)
_DRAWN: Final = Span(10.0, 45.0)
_PAUSE: Final = Span(0.0, 60.0)
_PAUSE_DRAWN: Final = Span(0.1, 3.0)


def seal_of(process: Process) -> NodeSeal:
    """What seals for a member.

    Raises:
        SkipStep: nothing is sealed here.
    """
    if process.seal is None:
        raise SkipStep("the cluster is not sealed")
    return process.seal


def _sealing(stage: Stage) -> Sealing:
    sealing = stage.simulation.sealing
    if sealing is None:
        raise SkipStep("the cluster is not sealed")
    return sealing


class Rotation:
    """An operator who installs, uses and removes, and begins anew with whatever went wrong.

    Should the member on which it works go away, it goes on with another one. It works on none
    that misses somebody, and waits if all do. It never gives up before the step ends; a half of
    a rotation locks nobody out.

    Args:
        stage: the cluster.
        name: the member to begin with.
        secret: the new key.
        pause: seconds between two operations.

    Raises:
        SkipStep: the cluster is not sealed, another rotation goes on, or the members have
            different keys: who rotated on both sides of a partition would split the cluster.
    """

    def __init__(self, stage: Stage, name: str, secret: bytes, pause: float) -> None:
        seal = seal_of(stage.present(name))
        if stage.rotation is not None:
            raise SkipStep("another rotation goes on")
        self._known = set(seal.key_ids)
        for process in stage.simulation.processes.values():
            ids = seal_of(process).key_ids
            if ids[0] not in self._known or seal.key_ids[0] not in ids:
                raise SkipStep(f"{process.name} has other keys")
        self._stage: Stage = stage
        self._name = name
        self._secret = secret
        self._new = seal.identify(secret)
        self._known.add(self._new.hex())
        self._pause = pause
        self._operations: list[tuple[str, bytes]] = [("install", secret)]
        self._waiting: tuple[Process, int] | None = None
        stage.rotation = self
        self._go_on()

    def end(self) -> None:
        """Stop, wherever it is."""
        if self._stage.rotation is self:
            self._stage.rotation = None

    def _go_on(self) -> None:
        """One more look: has an operation ended, and what comes next?"""
        if self._stage.rotation is not self:
            return
        if self._waiting is None:
            self._begin()
        delay = _LOOK_SECONDS
        if self._waiting is not None:
            process, token = self._waiting
            complete = process.results.get(token)
            if complete is not None or not process.running:
                self._waiting = None
                delay = self._judge(complete)
        if self._operations:
            self._stage.simulation.at(delay, self._go_on)
        else:
            _sealing(self._stage).hand_out([self._secret])
            self.end()

    def _begin(self) -> None:
        process = self._operator()
        if process is not None:
            operation, key = self._operations[0]
            token = self._stage.simulation.keys(process.name, operation, key)
            self._waiting = process, token

    def _operator(self) -> Process | None:
        """The member that was named, or another one with keys of this cluster."""
        processes = self._stage.simulation.processes
        candidates = [self._name, *self._stage.all_present()]
        for name in candidates:
            process = processes.get(name)
            if process is None or not process.can_run:
                continue
            alive = process.engine.local.state is MemberState.ALIVE
            known = seal_of(process).key_ids[0] in self._known
            if alive and known and self._misses_nobody(process):
                return process
        return None

    def _misses_nobody(self, process: Process) -> bool:
        """True when a change reaches all that must have it. Who is not counted is not asked: others
        that count it could not open what it seals from then on, and would declare it failed.
        """
        counted = process.active_names()
        covers = self._stage.simulation.excuses.covers
        return all(name in counted or covers(name) for name in self._stage.all_present())

    def _judge(self, complete: Complete | None) -> float:
        """Choose what comes next; returns after how many seconds."""
        report = None if complete is None or complete.error else complete.result
        if not isinstance(report, KeyReport):
            self._operations = [("install", self._secret)]
            return RETRY_SECONDS
        done, _ = self._operations.pop(0)
        if done == "install":
            self._operations = [("use", self._new)]
        elif done == "use":
            found = {each for answer in report.answers.values() for each in answer.keys}
            old = sorted(found - {self._new.hex()})
            self._operations = [("remove", bytes.fromhex(each)) for each in old]
        return self._pause


def hand_over_files(stage: Stage) -> None:
    """Do what is left for a person to do: restart who is locked out with the others' key file.

    Removed keys are in no key file. So nobody can bring up a member that was away during a rotation
    when all who knew its key have restarted since.
    """
    sealing = stage.simulation.sealing
    seals = {
        name: process.seal
        for name, process in stage.simulation.processes.items()
        if process.seal is not None
    }
    if sealing is None or not seals:
        return
    primaries = [seal.key_ids[0] for seal in seals.values()]
    common = max(primaries, key=primaries.count)
    source = next(seal for seal in seals.values() if seal.key_ids[0] == common)
    for name, seal in seals.items():
        mine = seal.key_ids[0]
        # Two that were away together know the key of each other, and that brings up neither.
        if mine != common and not any(
            other.key_ids[0] == common and other.brings_up(mine) for other in seals.values()
        ):
            stage.simulation.note("locked out", [name], "gets the key file of the others")
            stage.crash(name)
            sealing.give(name, source.secrets)
            stage.start(name, random.Random(f"{stage.simulation.seed} key file {name}"))


def _rotate(stage: Stage, step: Step) -> Undo:
    (name, *_) = step.names
    return Rotation(stage, name, stage.rng(step).randbytes(KEY_BYTES), step.amount).end


def _while_crashed(stage: Stage, step: Step) -> Undo:
    """The second member is down during the rotation, and comes back with the keys it had."""
    operator, away = step.names
    stage.present(operator)
    stage.running(away)
    stage.may_lose_one()
    end = _rotate(stage, step)
    stage.crash(away)

    def back() -> None:
        end()
        stage.start(away, stage.rng(step))

    return back


def _while_cut_off(stage: Stage, step: Step) -> Undo:
    """Nothing reaches the second member during the rotation, nor comes from it."""
    _, away = step.names
    stage.running(away)
    end = _rotate(stage, step)
    names = [name for name in stage.simulation.processes if name != away]
    pairs = [(name, away) for name in names] + [(away, name) for name in names]
    mend = stage.layers.cut(pairs)

    def back() -> None:
        end()
        mend()

    return back


def _while_paused(stage: Stage, step: Step) -> Undo:
    """The second member is stopped during the rotation, and then gets all that waited for it."""
    operator, away = step.names
    stage.present(operator)
    process = stage.present(away)
    end = _rotate(stage, step)
    stage.simulation.pause(away)

    def back() -> None:
        end()
        if process.running:
            stage.simulation.resume(away)

    return back


def _wrong_file(stage: Stage, step: Step) -> Undo:
    """A member restarts with the key of another cluster, and at last with its own again."""
    (name,) = step.names
    sealing = _sealing(stage)
    stage.running(name)
    stage.may_lose_one()
    stage.crash(name)
    own = sealing.saved(name)
    rng = stage.rng(step)
    sealing.give(name, [rng.randbytes(KEY_BYTES)])
    stage.start(name, rng)

    def back() -> None:
        if name in stage.simulation.processes:
            stage.crash(name)
        sealing.give(name, own)
        stage.start(name, rng)

    return back


KINDS: Final = (
    Kind(
        name="rotate-keys",
        about="a member gives all a new key, with this many seconds between the operations",
        begin=_rotate,
        names=(1, 1),
        amount=_PAUSE,
        amounts=_PAUSE_DRAWN,
        seconds=_LASTING,
        durations=_DRAWN,
        gentle_most=4,
        weight=8.0,
    ),
    Kind(
        name="rotate-while-crashed",
        about="the same, while a second member is down",
        begin=_while_crashed,
        names=(2, 2),
        amount=_PAUSE,
        amounts=_PAUSE_DRAWN,
        seconds=_LASTING,
        durations=_DRAWN,
        gentle_most=2,
        weight=8.0,
    ),
    Kind(
        name="rotate-while-cut-off",
        about="the same, while nothing reaches a second member, nor comes from it",
        begin=_while_cut_off,
        names=(2, 2),
        amount=_PAUSE,
        amounts=_PAUSE_DRAWN,
        seconds=_LASTING,
        durations=_DRAWN,
        excused=Excused.EVERYBODY,
        weight=8.0,
    ),
    Kind(
        name="rotate-while-paused",
        about="the same, while a second member is stopped",
        begin=_while_paused,
        names=(2, 2),
        amount=_PAUSE,
        amounts=_PAUSE_DRAWN,
        seconds=_LASTING,
        durations=_DRAWN,
        excused=Excused.MEMBERS,
        weight=8.0,
    ),
    Kind(
        name="wrong-key",
        about="crash, come back with the key of another cluster, and then with its own again",
        begin=_wrong_file,
        names=(1, 1),
        seconds=_LASTING,
        durations=_DRAWN,
        excused=Excused.MEMBERS,
        weight=8.0,
    ),
)
"""Kinds of this theme."""
