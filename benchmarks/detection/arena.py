"""A cluster of real processes, one for each member, and all that they have said."""

from __future__ import annotations

import math
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence

import attrs
from processes import ENDED, Child, Children, Line

from detection.sides import Side

START_SECONDS = 60.0
START_SECONDS_EACH = 10.0
"""More for every member: on a busy machine an interpreter takes seconds to start."""

STEP_SECONDS = 0.05

SUSPECTED, FAILED = "member_suspected", "member_failed"
BACK = ("member_joined", "member_updated", "member_recovered")


@attrs.frozen
class Host:
    """Where a member lives: its address, and what starts a program there."""

    address: str = "127.0.0.1"
    prefix: tuple[str, ...] = ()


@attrs.frozen
class Said:
    """One event, by ``time.monotonic()``."""

    at: float
    observer: str
    kind: str
    subject: str
    meta: str


@attrs.define
class Excuse:
    """Verdicts that are not false, because of what was done. Empty names stand for all."""

    kinds: tuple[str, ...]
    subject: str
    observer: str
    since: float
    until: float = math.inf

    def covers(self, said: Said) -> bool:
        return (
            said.kind in self.kinds
            and self.since <= said.at <= self.until
            and self.subject in ("", said.subject)
            and self.observer in ("", said.observer)
        )


class Arena:
    """The members of one side.

    Args:
        side: what runs.
        n: how many.
        seed: of victims and pauses.
        hosts: where they live, one for each; all on loopback if there are none.
        prefix: put before every command, like ``nice``.
    """

    def __init__(
        self,
        side: Side,
        n: int,
        seed: int,
        hosts: Sequence[Host] = (),
        prefix: Sequence[str] = (),
    ) -> None:
        self.side = side
        self.names = [f"member-{number:03}" for number in range(n)]
        self.rng = random.Random(f"{seed} arena")
        self.children = Children()
        self.agents: dict[str, Child] = {}
        self.addresses: dict[str, str] = {}
        self.log: list[Said] = []
        self.excuses: list[Excuse] = []
        self.views: dict[str, dict[str, str]] = {}
        """By observer whom it counts, with the metadata of that life."""
        self.answers: dict[str, Line] = {}
        self._hosts = dict(zip(self.names, hosts, strict=True)) if hosts else {}
        self._prefix = tuple(prefix)
        self._lives: Counter[str] = Counter()

    # -- life ---------------------------------------------------------------------------

    def form(self) -> None:
        """Start everybody, and wait until all see all.

        Raises:
            RuntimeError: they do not.
        """
        first, *others = self.names
        self.launch(first)
        self.wait(lambda: first in self.addresses, "the first member listens")
        for name in others:
            self.launch(name)
        n = len(self.names)
        limit = START_SECONDS + n * START_SECONDS_EACH
        self.wait(self.is_whole, f"all {n} members see all", limit)

    def launch(self, name: str, *, same_port: bool = True) -> str:
        """Start a member, where it was before if it was; returns the metadata of its life."""
        self._lives[name] += 1
        life = f"life-{self._lives[name]}"
        known = [self.addresses[other] for other in self.agents if other in self.addresses]
        seeds = self.rng.sample(known, min(2, len(known)))
        host = self._hosts.get(name, Host())
        old = int(self.addresses.pop(name, ":0").rpartition(":")[2])
        port = old if same_port else 0
        command = self.side.command(name, host.address, port, seeds, life)
        self.views[name] = {name: life}
        self.agents[name] = self.children.start(name, [*host.prefix, *self._prefix, *command])
        return life

    def kill(self, name: str) -> float:
        """SIGKILL; returns the moment."""
        at = time.monotonic()
        self.agents.pop(name).kill()
        self.views.pop(name)
        return at

    def signal(self, name: str, number: signal.Signals) -> float:
        """Send a signal; returns the moment."""
        at = time.monotonic()
        self.agents[name].process.send_signal(number)
        return at

    def close(self) -> None:
        """End all processes."""
        self.children.kill_all()

    # -- what they say ------------------------------------------------------------------

    def pump(self, seconds: float) -> None:
        """Take what members say for so long.

        Raises:
            RuntimeError: one has ended that was not killed.
        """
        for child, line in self.children.read(seconds):
            if self.agents.get(child.name) is not child:
                continue  # last words of a victim
            if ENDED in line:
                raise RuntimeError(f"{child.name} ended with code {child.process.wait()}")
            self._take(child.name, line)

    def _take(self, name: str, line: Line) -> None:
        if "done" in line:
            self.answers[name] = line
            return
        kind = line["event"]
        if kind == "started":
            self.addresses[name] = line["address"]
            return
        if kind == "lagged":
            raise RuntimeError(f"{name} missed {line['missed']} of its own events")
        said = Said(line["time"], name, kind, line["member"], line.get("meta", ""))
        self.log.append(said)
        view = self.views[name]
        if kind in BACK:
            view[said.subject] = said.meta
        elif kind != SUSPECTED:
            view.pop(said.subject, None)

    def wait(self, done: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
        """Take what members say until something is so.

        Raises:
            RuntimeError: it is not, in time.
        """
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                raise RuntimeError(f"{self.side.name}: not within {seconds:g} s: {what}")
            self.pump(STEP_SECONDS)

    def is_whole(self) -> bool:
        """True when everybody who is up counts exactly those who are up."""
        up = set(self.agents)
        return all(set(self.views[name]) == up for name in up)

    def ask(self) -> dict[str, Line]:
        """The statistics of all members.

        Raises:
            RuntimeError: somebody does not answer.
        """
        self.answers.clear()
        for child in self.agents.values():
            child.tell("statistics")
        self.wait(lambda: len(self.answers) == len(self.agents), "all answer")
        return dict(self.answers)

    # -- verdicts -----------------------------------------------------------------------

    def excuse(
        self, subject: str = "", observer: str = "", *, since: float, failures: bool = True
    ) -> Excuse:
        """From now on these verdicts are no mistakes; give it an end when it is over."""
        kinds = (SUSPECTED, FAILED) if failures else (SUSPECTED,)
        found = Excuse(kinds, subject, observer, since)
        self.excuses.append(found)
        return found

    def wrong(self, kind: str, since: float = 0.0) -> list[Said]:
        """Verdicts of this kind on members that were up."""
        return [
            said
            for said in self.log
            if said.kind == kind
            and said.at >= since
            and said.subject != said.observer
            and not any(excuse.covers(said) for excuse in self.excuses)
        ]

    def heard(self, subject: str, kind: str, since: float) -> dict[str, float]:
        """By observer the first time since a moment that it said this of a member."""
        found: dict[str, float] = {}
        for said in self.log:
            if said.kind == kind and said.subject == subject and said.at >= since:
                found.setdefault(said.observer, said.at)
        return found


def pump_all(arenas: Sequence[Arena], seconds: float) -> None:
    """Let all clusters live for so long, and take what they say."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for arena in arenas:
            arena.pump(STEP_SECONDS)


def wait_all(
    arenas: Sequence[Arena], done: Callable[[Arena], bool], what: str, seconds: float
) -> None:
    """Take what all say until it is so in every cluster.

    Raises:
        RuntimeError: it is not, in time.
    """
    end = time.monotonic() + seconds
    while late := [arena for arena in arenas if not done(arena)]:
        if time.monotonic() > end:
            names = ", ".join(arena.side.name for arena in late)
            raise RuntimeError(f"{names}: not within {seconds:g} s: {what}")
        for arena in arenas:
            arena.pump(STEP_SECONDS)
