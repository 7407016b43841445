"""One seeded run: a cluster under loss, reordering, duplication, crashes, restarts and leaves,
then calm; and what must hold at every step and at the end."""

from __future__ import annotations

import random

import attrs

from tests.simulation.world import Links, Process, World
from trio_gossip.addresses import Address
from trio_gossip.events import (
    Event,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberReaped,
    MemberRecovered,
    MemberSuspected,
    MemberUpdated,
    MessageReceived,
)
from trio_gossip.members import MemberState

CHAOS_SECONDS = 40.0
CALM_SECONDS = 75.0
"""Enough for a suspicion at its longest, one push/pull and the fellow's own gossip."""


@attrs.define
class Report:
    """What one seed did."""

    seed: int
    nodes: int = 0
    faults: dict[str, int] = attrs.field(factory=dict)
    violations: list[str] = attrs.field(factory=list)
    steps: int = 0
    node_seconds: float = 0.0

    def count(self, fault: str) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1


class Checker:
    """Stands outside the engines and looks at every event."""

    def __init__(self, world: World, report: Report) -> None:
        self._world = world
        self._report = report
        self._versions: dict[Process, int] = {}
        self._incarnations: dict[tuple[Process, str], int] = {}
        self._states: dict[tuple[Process, str], MemberState] = {}
        self._messages: dict[tuple[Process, str, bytes], int] = {}
        self.left: set[tuple[str, int]] = set()

    def wrong(self, text: str) -> None:
        if len(self._report.violations) < 20:
            self._report.violations.append(f"t={self._world.now:.3f} {text}")

    def __call__(self, observer: Process, event: Event) -> None:
        if isinstance(event, MessageReceived):
            key = (observer, event.sender, event.payload)
            self._messages[key] = self._messages.get(key, 0) + 1
            if self._messages[key] > 1:
                self.wrong(f"{observer.name} got {event.payload!r} of {event.sender} twice")
            return
        if not isinstance(
            event,
            MemberJoined
            | MemberUpdated
            | MemberSuspected
            | MemberRecovered
            | MemberFailed
            | MemberLeft
            | MemberReaped,
        ):
            return
        self._order(observer, event)
        subject = self._world.processes.get(event.member.name)
        if isinstance(event, MemberFailed):
            if event.member.name == observer.name:
                self.wrong(f"{observer.name} accepted its own death")
            elif (
                subject is not None
                and event.member.incarnation >= subject.first_incarnation
                and subject.engine.local.state is MemberState.ALIVE
            ):
                self.wrong(
                    f"{observer.name} declared {event.member.name} failed, which answers:"
                    f" {event.reason}, accusers {event.accusers}"
                )
        if isinstance(event, MemberLeft):
            key = (event.member.name, event.member.incarnation)
            if event.member.name == observer.name:
                self.left.add(key)
            elif key not in self.left:
                self.wrong(f"{observer.name} saw {key} leave, which never said so")

    def _order(self, observer: Process, event: Event) -> None:
        version = self._versions.get(observer, 0) + 1
        if event.version != version:
            self.wrong(f"{observer.name}: version {event.version} after {version - 1}")
        self._versions[observer] = event.version
        name = event.member.name
        key = (observer, name)
        before = self._states.get(key)
        if isinstance(event, MemberReaped):
            if before not in (MemberState.FAILED, MemberState.LEFT):
                self.wrong(f"{observer.name}: {name} reaped out of {before}")
            del self._states[key]
            return
        known = self._incarnations.get(key, 0)
        if event.member.incarnation < known:
            self.wrong(f"{observer.name}: {name} went back from {known}")
        if (
            before in (MemberState.FAILED, MemberState.LEFT)
            and event.member.is_active
            and event.member.incarnation <= known
        ):
            self.wrong(f"{observer.name}: {name} returned without a higher incarnation")
        self._incarnations[key] = event.member.incarnation
        self._states[key] = event.member.state
        held = observer.engine.member(name)
        if held is not None and held.incarnation < event.member.incarnation:
            self.wrong(f"{observer.name}: event and table differ about {name}")


def run_seed(seed: int) -> Report:
    """Play one seed to its end and say what went wrong."""
    rng = random.Random(f"chaos {seed}")
    links = Links(
        loss=rng.choice((0.0, 0.01, 0.05, 0.1)),
        duplicate=rng.choice((0.0, 0.02, 0.1)),
        tail=rng.choice((0.0, 0.02, 0.2)),
    )
    world = World(seed, links)
    report = Report(seed, nodes=rng.randint(5, 20))
    checker = Checker(world, report)
    world.observers.append(checker)
    names = [f"n{number:02}" for number in range(report.nodes)]
    for name in names:
        world.start(name)
        if name != names[0]:
            world.join(name, names[0])
        world.run(rng.uniform(0.0, 0.3))
    _chaos(world, rng, names, report)
    links.loss = links.duplicate = links.tail = 0.0
    world.run(CALM_SECONDS)
    if not world.agree():
        for name in world.processes:
            checker.wrong(f"{name} sees {sorted(world.active(name))}")
    _check_bounds(world, checker)
    report.steps = world.steps
    report.node_seconds = world.now * report.nodes
    return report


def _chaos(world: World, rng: random.Random, names: list[str], report: Report) -> None:
    """Faults at random moments. At least three members always stay, and one that is a seed."""
    end = world.now + CHAOS_SECONDS
    sent = 0
    while world.now < end:
        world.run(rng.uniform(0.2, 4.0))
        running = sorted(world.processes)
        idle = sorted(set(names) - set(running))
        present = [
            name
            for name in running
            if world.processes[name].engine.local.state is MemberState.ALIVE
        ]
        fault = rng.choice(("crash", "restart", "move", "leave", "message", "meta", "pause"))
        if fault in ("crash", "leave") and len(present) > max(3, report.nodes * 2 // 3):
            victim = rng.choice(present)
            report.count(fault)
            if fault == "crash":
                world.crash(victim)
            else:
                world.leave(victim)
                world.run(3.0)
                world.crash(victim)
        elif fault in ("restart", "move") and idle:
            name = rng.choice(idle)
            moved = Address(f"h-{name}", 8000 + sent) if fault == "move" else None
            report.count(fault)
            world.start(name, moved)
            world.join(name, *rng.sample(present, 2))
            sent += 1
        elif fault == "message":
            report.count(fault)
            payload = b"message %d" % sent
            sent += 1
            world.do(rng.choice(present), lambda e, now, p=payload: e.broadcast(p, now=now))
        elif fault == "meta":
            report.count(fault)
            meta = b"meta %d" % sent
            sent += 1
            world.do(rng.choice(present), lambda e, now, m=meta: e.update_meta(m, now=now))
        elif fault == "pause":
            report.count(fault)
            world.pause(rng.choice(present), rng.uniform(0.05, 1.5))


def _check_bounds(world: World, checker: Checker) -> None:
    """When nothing changes nothing is queued, asked or open, and only probes are sent."""
    for process in world.processes.values():
        statistics = process.engine.statistics()
        if statistics.membership_queue or statistics.user_queue:
            checker.wrong(f"{process.name} still has news: {statistics}")
        if statistics.questions > 4 or statistics.exchanges > 4:
            checker.wrong(f"{process.name} leaks: {statistics}")
