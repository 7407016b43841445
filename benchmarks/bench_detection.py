"""How long a death goes unnoticed, and how soon who comes back is seen again.

Every member is an agent in a process of its own on real sockets. A victim gets SIGKILL; what the
others print about it, with their own clock readings, is the measurement. Then it is started again
under the same name: once after everybody knew of its death, and once at once.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator

import attrs
import harness
from harness import Measure, print_measures, print_note
from processes import ENDED, Child, Children, Line

PAPER_N = 30
"""Members for which the aims hold: the suspicion lasts longer in a larger cluster."""

GONE_SECONDS = 60.0
BACK_SECONDS = 60.0
"""Longer than the interval of push/pull: who was missed by gossip hears of it then."""


@attrs.define
class Death:
    """Seconds from SIGKILL."""

    suspected: float
    first: float
    everybody: float


@attrs.define
class Return:
    """Seconds from the launch of the process. ``how`` says after what and where."""

    how: str
    listening: float
    everybody: float


class Arena:
    """The agents, and what is known of each one."""

    def __init__(self, children: Children, n: int, rng: random.Random) -> None:
        self._children = children
        self._rng = rng
        self._lives = 0
        self.names = [f"member-{number:09}" for number in range(n)]
        self.agents: dict[str, Child] = {}
        self.addresses: dict[str, str] = {}
        self.wrong: Counter[str] = Counter()
        """Events about members that were up, by name of the event."""

    def form(self) -> None:
        """Start everybody and wait until all see all.

        Raises:
            RuntimeError: they do not.
        """
        n = len(self.names)
        first, *others = self.names
        self._launch(first)
        self._wait_started({first})
        for name in others:
            self._launch(name)
        seen = {name: {name} for name in self.names}
        for child, line in self._read(BACK_SECONDS + n):
            if line["event"] == "started":
                self.addresses[child.name] = line["address"]
            elif line["event"] == "member_joined":
                seen[child.name].add(line["member"]["name"])
                if all(len(names) == n for names in seen.values()):
                    return
        raise RuntimeError(f"after {BACK_SECONDS + n:g} s not all of {n} agents saw all others")

    def rest(self, seconds: float) -> None:
        """Let the cluster live; nobody may be accused meanwhile."""
        for _, line in self._read(seconds):
            self._note_wrong(line, victim="")

    def pick(self) -> str:
        """The next victim."""
        return self._rng.choice(self.names)

    def kill(self, victim: str) -> float:
        """SIGKILL; returns the moment."""
        at = time.time()
        self.agents.pop(victim).kill()
        return at

    def watch_death(self, victim: str, killed: float) -> Death:
        """Wait until every survivor has declared the victim failed.

        Raises:
            RuntimeError: somebody did not.
        """
        suspected: list[float] = []
        failed: dict[str, float] = {}
        for child, line in self._read(GONE_SECONDS):
            if not self._is_about(line, victim) or line["time"] < killed:
                self._note_wrong(line, victim)
            elif line["event"] == "member_suspected":
                suspected.append(line["time"] - killed)
            elif line["event"] == "member_failed":
                failed[child.name] = line["time"] - killed
                if len(failed) == len(self.agents):
                    first = min(failed.values())
                    return Death(min(suspected, default=first), first, max(failed.values()))
        raise RuntimeError(f"{len(failed)} of {len(self.agents)} know that {victim} is dead")

    def restart(self, victim: str, how: str, *, same_port: bool) -> Return:
        """Start the victim again; wait until every other member sees its new life.

        Raises:
            RuntimeError: somebody did not.
        """
        old = int(self.addresses[victim].rpartition(":")[2])
        launched = time.time()
        life = self._launch(victim, port=old if same_port else 0)
        listening = 0.0
        seen: dict[str, float] = {}
        where = "same port" if same_port else "other port"
        for child, line in self._read(BACK_SECONDS):
            if child.name == victim:
                if line["event"] == "started":
                    self.addresses[victim] = line["address"]
                    listening = line["time"] - launched
            elif not self._is_about(line, victim):
                self._note_wrong(line, victim)
            elif line["member"]["meta"] == life and line["member"]["state"] == "alive":
                seen.setdefault(child.name, line["time"] - launched)
            if len(seen) == len(self.agents) - 1:
                return Return(f"{how}, {where}", listening, max(seen.values()))
        raise RuntimeError(f"{len(seen)} of {len(self.agents) - 1} see {victim} again")

    # -- inside -------------------------------------------------------------------------

    def _launch(self, name: str, *, port: int = 0) -> str:
        """Start an agent; returns the metadata by which this life of it is known."""
        self._lives += 1
        life = f"life-{self._lives}"
        options = ["--meta", life]
        known = [self.addresses[other] for other in self.agents if other in self.addresses]
        for seed in self._rng.sample(known, min(2, len(known))):
            options += ["--join", seed]
        self.agents[name] = self._children.agent(name, *options, port=port)
        return life

    def _wait_started(self, names: set[str]) -> None:
        for child, line in self._read(BACK_SECONDS):
            if line["event"] == "started":
                self.addresses[child.name] = line["address"]
                if names <= self.addresses.keys():
                    return
        raise RuntimeError(f"{', '.join(names)} did not start")

    def _read(self, seconds: float) -> Iterator[tuple[Child, Line]]:
        """Lines of agents that are up.

        Raises:
            RuntimeError: an agent has ended that was not killed.
        """
        for child, line in self._children.read(seconds):
            if self.agents.get(child.name) is not child:
                continue  # last words of a victim
            if ENDED in line:
                raise RuntimeError(f"{child.name} ended with code {child.process.wait()}")
            yield child, line

    @staticmethod
    def _is_about(line: Line, name: str) -> bool:
        return "member" in line and line["member"]["name"] == name

    def _note_wrong(self, line: Line, victim: str) -> None:
        """Count accusations of members that are up."""
        if line["event"] in ("member_suspected", "member_failed") and not self._is_about(
            line, victim
        ):
            self.wrong[line["event"]] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--kills", type=int, default=None, help="default 12")
    parser.add_argument("--nodes", type=int, default=None, help=f"agents (default {PAPER_N})")
    parser.add_argument("--seed", type=int, default=1, help="of victims and pauses")
    options = parser.parse_args()
    kills = options.kills or (2 if options.quick else 12)
    n = options.nodes or (8 if options.quick else PAPER_N)
    parameters = {"nodes": n, "kills": kills, "seed": options.seed, "profile": "lan"}
    harness.describe_run("Failure detection: one agent a process, SIGKILL", parameters)
    rng = random.Random(options.seed)
    deaths: list[Death] = []
    returns: list[Return] = []
    problem = ""
    wrong: Counter[str] = Counter()
    try:
        with Children() as children:
            arena = Arena(children, n, rng)
            wrong = arena.wrong
            arena.form()
            print_note(f"{n} agents are one cluster")
            arena.rest(3.0)
            for number in range(kills):
                kill_and_restart(arena, rng, number, deaths, returns)
    except RuntimeError as error:
        problem = f"stopped after {len(deaths)} of {kills} kills: {error}"
    report(n, deaths, returns)
    print(
        f"\naccusations of members that were up: {wrong['member_suspected']} suspicions,"
        f" {wrong['member_failed']} failures (events, counted at each observer)"
    )
    harness.finish()
    if problem:
        sys.exit(problem)


def kill_and_restart(
    arena: Arena, rng: random.Random, number: int, deaths: list[Death], returns: list[Return]
) -> None:
    """One victim: killed and declared failed, back, killed again and back at once."""
    victim = arena.pick()
    deaths.append(arena.watch_death(victim, arena.kill(victim)))
    known = arena.restart(victim, "after its death is known", same_port=number % 2 == 0)
    returns.append(known)
    arena.rest(2.0 + rng.random())
    arena.kill(victim)
    quick = arena.restart(victim, "at once", same_port=number % 2 == 1)
    returns.append(quick)
    print_note(
        f"kill {number + 1}: suspected {deaths[-1].suspected:.2f}, failed {deaths[-1].first:.2f},"
        f" all know {deaths[-1].everybody:.2f}; back {known.everybody:.2f} ({known.how}),"
        f" {quick.everybody:.2f} ({quick.how})"
    )
    arena.rest(1.5 + rng.random())


def report(n: int, deaths: list[Death], returns: list[Return]) -> None:
    """Print both tables."""

    def measure(what: str, samples: list[float], aim: float, memberlist: str) -> Measure:
        return Measure(
            *(what, "s", samples, aim if n == PAPER_N else None, False),
            memberlist=memberlist,
            by_mean=True,
        )

    print_measures(
        f"Death of one of {n} members, from SIGKILL (aims hold for the mean at N={PAPER_N})",
        [
            measure(
                "first suspicion anywhere",
                [death.suspected for death in deaths],
                *(1.7, "1.05 / 1.7 mean / 2.64"),
            ),
            measure(
                "first member declares it failed",
                [death.first for death in deaths],
                *(7.8, "7.10 / 7.8 mean / 8.78"),
            ),
            measure(
                "all others know",
                [death.everybody for death in deaths],
                *(8.1, "7.39 / 8.1 mean / 9.04"),
            ),
            Measure(
                "from the first to the last to know",
                *("s", [death.everybody - death.first for death in deaths]),
                memberlist="0.11 / 0.33 mean / 0.53",
            ),
        ],
    )
    measures = []
    for how in sorted({back.how for back in returns}):
        these = [back for back in returns if back.how == how]
        seen = [back.everybody for back in these]
        measures.append(
            Measure(f"all see it: restarted {how}", "s", seen, 2.0, memberlist="0.21 (N=3)")
        )
    measures.append(
        Measure("until it listens", "s", [b.listening for b in returns], memberlist="0.01")
    )
    print_measures("Return under the same name, from the launch of its process", measures)


if __name__ == "__main__":
    main()
