"""Which planted bugs are noticed, by whom and after how many seeds:
``python -m tests.simulation.mutants.report --seeds 1000``.

A thousand seeds of every bug take many hours. ``--seconds 60`` gives up a bug after a minute of
computing, ``--short-first`` begins with the runs that take least, and ``--keep FILE`` notes each
verdict in a file, where the next call goes on.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from tests.simulation.mutants import CATALOGUE, Mutant
from trio_gossip.testing.scenarios.drawing import random_scenario
from trio_gossip.testing.scenarios.player import play
from trio_gossip.testing.simulation.schedule import Schedule

STORM_STEPS = 300_000
"""Things that are scheduled in one run; a planted bug that makes more has caused a storm. A sound
run has some twenty thousand, the longest ones seventy."""

BY_NAME = {mutant.name: mutant for mutant in CATALOGUE}


class StormError(Exception):
    """A run that would not come to an end."""


@attrs.frozen
class Outcome:
    """What one run came to.

    Attributes:
        objections: the names of the checkers that objected, the first one first.
        text: what the first of them saw.
        digest: equal for runs in which the same happened.
    """

    objections: tuple[str, ...]
    text: str
    digest: str


@attrs.frozen
class Verdict:
    """What became of one mutant.

    Attributes:
        name: of the mutant.
        seeds: runs that were made.
        showed: runs in which anything was otherwise than without the bug.
        caught: who objected in the last of these runs, empty if nobody ever did.
        text: what the first of them saw.
        noise: who objected to a run without the bug, and so does not count.
        late: it was given up for the time that it took, before all seeds were tried.
    """

    name: str
    seeds: int
    showed: int
    caught: tuple[str, ...] = ()
    text: str = ""
    noise: tuple[str, ...] = ()
    late: bool = False


def judge(seed: int) -> Outcome:
    """Play the random scenario of a seed. A storm ends as a crash, in which the player sees it."""
    steps = 0
    original = Schedule.at

    def at(self: Schedule, time: float, action: Callable[..., None], *arguments: object) -> None:
        nonlocal steps
        steps += 1
        if steps > STORM_STEPS:
            raise StormError(f"more than {STORM_STEPS} steps")
        original(self, time, action, *arguments)

    Schedule.at = at
    try:
        report = play(random_scenario(seed))
    finally:
        Schedule.at = original
    text = str(report.violations[0]) if report.violations else ""
    return Outcome(report.broken, text, report.digest)


@functools.cache
def sound(seed: int) -> Outcome:
    """The same run without a bug; to be asked for before one is planted."""
    return judge(seed)


def depends_on_hash_seed(mutant: Mutant, seed: int) -> bool:
    """True when two processes with other PYTHONHASHSEEDs do not see the same run."""
    digests = set()
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, "--digest", str(seed), "--only", mutant.name],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout)
    return len(digests) > 1


def shortest_first(seeds: Sequence[int]) -> list[int]:
    """The same seeds in the order of what their runs are likely to take: by rounds of probes in the
    whole cluster. Faults are as many in a short run, so more of them are seen in the same time.
    """

    def rounds(seed: int) -> float:
        scenario = random_scenario(seed)
        seconds = scenario.seconds + scenario.calm
        return scenario.nodes * seconds / scenario.config_of(scenario.names[0]).probe_interval

    return sorted(seeds, key=rounds)


def try_mutant(name: str, seeds: Sequence[int], seconds: float = math.inf) -> Verdict:
    """Run seed after seed with one bug, until a checker objects that has had nothing to say against
    the same runs without it.

    Args:
        name: of the mutant.
        seeds: of the scenarios, in this order.
        seconds: of this process's computing, for the runs with the bug; then it is given up. What
            other processes take does not count, so a busy machine changes little.
    """
    mutant = BY_NAME[name]
    showed = 0
    spent = 0.0
    noise: dict[str, None] = {}
    for tried, seed in enumerate(seeds, 1):
        before = sound(seed)
        noise.update(dict.fromkeys(before.objections))
        began = time.process_time()
        with mutant.applied():
            outcome = judge(seed)
        spent += time.process_time() - began
        showed += outcome.digest != before.digest
        caught = tuple(each for each in outcome.objections if each not in noise)
        text = outcome.text
        if not caught and "determinism" in mutant.check and depends_on_hash_seed(mutant, seed):
            caught, text = ("determinism",), "one seed gave two digests"
        if caught:
            return Verdict(name, tried, showed, caught, text, tuple(noise))
        if spent > seconds:
            return Verdict(name, tried, showed, noise=tuple(noise), late=tried < len(seeds))
    return Verdict(name, len(seeds), showed, noise=tuple(noise))


def kept(file: Path | None) -> list[Verdict]:
    """The verdicts that a former call left in a file, of mutants that are still there."""
    if file is None or not file.exists():
        return []
    found = [json.loads(line) for line in file.read_text().splitlines()]
    verdicts = [
        Verdict(**{key: tuple(v) if type(v) is list else v for key, v in each.items()})
        for each in found
    ]
    return [verdict for verdict in verdicts if verdict.name in BY_NAME]


def line_of(verdict: Verdict) -> str:
    """One mutant in one line."""
    mutant = BY_NAME[verdict.name]
    if not verdict.caught:
        needs = ", ".join(mutant.needs) or "nothing special"
        late = " (no time for more)" if verdict.late else ""
        shows = f"differs in {verdict.showed} of {verdict.seeds}{late}"
        return f"    -  {mutant.name}: MISSED, {shows}; needs {needs}; {', '.join(mutant.check)}"
    expected = "" if set(verdict.caught) & set(mutant.check) else " (another was expected)"
    return f"{verdict.seeds:5}  {mutant.name}: {', '.join(verdict.caught[:4])}{expected}"


def print_report(verdicts: list[Verdict], seconds: float) -> None:
    """The table, the missed ones last, and how many of each theme and by whom."""
    for verdict in sorted(verdicts, key=lambda each: (not each.caught, each.seeds, each.name)):
        print(line_of(verdict))
    total = Counter(BY_NAME[each.name].theme for each in verdicts)
    caught = Counter(BY_NAME[each.name].theme for each in verdicts if each.caught)
    first = Counter(each.caught[0] for each in verdicts if each.caught)
    print("by theme:", ", ".join(f"{theme} {caught[theme]} of {n}" for theme, n in total.items()))
    print("first to object:", ", ".join(f"{name} {n}" for name, n in first.most_common()))
    noise = sorted({name for each in verdicts for name in each.noise})
    print("object without a bug as well, and were not counted there:", ", ".join(noise) or "none")
    share = caught.total() / total.total()
    needed = sorted(each.seeds for each in verdicts if each.caught)
    if needed:
        most = needed[math.ceil(0.95 * len(needed)) - 1]
        median = statistics.median(needed)
        print(f"seeds until one was caught: median {median:g}, 95 % {most}, most {needed[-1]}")
    print(f"caught {caught.total()} of {total.total()}, {share:.1%}, in {seconds:.0f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="most runs of each mutant")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--only", default="", help="part of the names to try")
    parser.add_argument("--seconds", type=float, default=math.inf, help="most of each mutant")
    parser.add_argument("--short-first", action="store_true", help="begin with the shortest runs")
    parser.add_argument("--keep", type=Path, help="a file for verdicts; those in it are not redone")
    parser.add_argument("--digest", type=int, help="only play this seed and print its digest")
    options = parser.parse_args()
    names = [name for name in BY_NAME if options.only in name]
    if not names:
        parser.error(f"no mutant has {options.only!r} in its name")
    if options.digest is not None:
        with BY_NAME[names[0]].applied():
            print(judge(options.digest).digest)
        return 0
    seeds: Sequence[int] = range(options.first, options.first + options.seeds)
    if options.short_first:
        seeds = shortest_first(seeds)
    began = time.perf_counter()
    verdicts = [verdict for verdict in kept(options.keep) if verdict.name in names]
    done = {verdict.name for verdict in verdicts}
    names = [name for name in names if name not in done]
    attempt = functools.partial(try_mutant, seeds=seeds, seconds=options.seconds)
    with multiprocessing.Pool(options.jobs) as pool:
        for verdict in pool.imap_unordered(attempt, names):
            verdicts.append(verdict)
            print(line_of(verdict), file=sys.stderr, flush=True)
            if options.keep:
                with options.keep.open("a") as file:
                    print(json.dumps(attrs.asdict(verdict)), file=file)
    print_report(verdicts, time.perf_counter() - began)
    return 0


if __name__ == "__main__":
    sys.exit(main())
