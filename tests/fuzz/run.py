"""``make fuzz``: every target under atheris for a while, one after another, and a table.

    python -m tests.fuzz.run [--target NAME] [--minutes M | --runs N]

Working inputs are kept in ``build/fuzz``, so that the next run goes on from there. An input that
breaks a target ends its run: it lies in ``build/fuzz/TARGET``, and belongs into the corpus once
the cause is found. Exits with 1 if there was one, or if one took longer than 1 ms.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import attrs

from tests.fuzz.replay import LIMIT_MS
from tests.fuzz.targets import CORPUS, TARGETS

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "fuzz"
HANG_SECONDS = 10
"""An input that takes longer ends the run as a finding at once."""

MEMORY_MB = 1024
GROWTH_KB = 2048
"""Growth beyond this is reported: rounds of replay after the caches are full."""


@attrs.define
class Outcome:
    """What came of one target."""

    target: str
    runs: int = 0
    seconds: float = 0.0
    edges: int = 0
    features: int = 0
    corpus: int = 0
    peak_mb: int = 0
    crash: str = ""
    replay: dict = attrs.field(factory=dict)

    @property
    def is_good(self) -> bool:
        return not (self.crash or self.replay.get("over") or self.has_grown)

    @property
    def has_grown(self) -> bool:
        return self.replay.get("grown_kb", 0) > GROWTH_KB


def fuzz(target: str, options: argparse.Namespace, seconds: float) -> Outcome:
    """Run one target; libFuzzer's own words go to a log beside its inputs."""
    folder = WORK / target
    found = folder / "found"
    found.mkdir(parents=True, exist_ok=True)
    before = {path: path.stat().st_mtime_ns for path in broken(folder)}
    command = [sys.executable, "-m", "tests.fuzz.atheris_child", target, str(folder)]
    command += [f"-artifact_prefix={folder}/", "-print_final_stats=1", f"-seed={options.seed}"]
    command += [
        f"-rss_limit_mb={MEMORY_MB}",
        f"-timeout={HANG_SECONDS}",
    ]
    command += [f"-runs={options.runs}"] if options.runs else [f"-max_total_time={int(seconds)}"]
    command += [str(found), str(CORPUS / target)]
    log = folder / "log.txt"
    began = time.monotonic()
    with log.open("w") as file:
        subprocess.run(command, cwd=ROOT, stderr=file, stdout=file, check=False)
    outcome = read_log(target, log.read_text(errors="replace"))
    outcome.seconds = time.monotonic() - began
    # Findings of former runs stay where they are until a person takes them away.
    new = [path for path in broken(folder) if path.stat().st_mtime_ns != before.get(path)]
    outcome.crash = ", ".join(path.name for path in new)
    if not outcome.runs and not outcome.crash:
        outcome.crash = f"no run at all, see {log}"
    if not outcome.crash:
        outcome.replay = replay(target)
    return outcome


def broken(folder: Path) -> list[Path]:
    """Inputs that ended a run: with an exception, by taking too long, or too much memory."""
    return [path for kind in ("crash", "timeout", "oom") for path in folder.glob(f"{kind}-*")]


def read_log(target: str, text: str) -> Outcome:
    """The figures in libFuzzer's words; those of its last line about coverage."""
    outcome = Outcome(target)
    if match := re.search(r"number_of_executed_units: (\d+)", text):
        outcome.runs = int(match[1])
    if match := re.search(r"peak_rss_mb: +(\d+)", text):
        outcome.peak_mb = int(match[1])
    for match in re.finditer(r"cov: (\d+) ft: (\d+) corp: (\d+)/", text):
        outcome.edges, outcome.features, outcome.corpus = (int(each) for each in match.groups())
    return outcome


def replay(target: str) -> dict:
    """Time and memory of what was found, without instrumentation."""
    folders = [str(WORK / target / "slow"), str(CORPUS / target), str(WORK / target / "found")]
    command = [sys.executable, "-m", "tests.fuzz.replay", target, *folders]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def tell(outcomes: list[Outcome]) -> None:
    """The table."""
    head = f"{'target':20} {'runs':>10} {'runs/s':>8} {'edges':>6} {'feat.':>6} {'inputs':>6}"
    print(f"{head} {'peak MB':>7} {'slowest ms':>10} {'grown kB':>8}  outcome")
    for each in outcomes:
        rate = each.runs / max(each.seconds, 0.001)
        again = each.replay
        over = f"{len(again.get('over', ()))} over {LIMIT_MS:g} ms" if again.get("over") else ""
        words = [each.crash, over, "grows" if each.has_grown else ""]
        print(
            f"{each.target:20} {each.runs:10,} {rate:8,.0f} {each.edges:6} {each.features:6} "
            f"{each.corpus:6} {each.peak_mb:7} {again.get('slowest_ms', 0.0):10.3f} "
            f"{again.get('grown_kb', 0):8}  {', '.join(filter(None, words)) or 'ok'}",
            flush=True,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", choices=TARGETS, action="append", help="only this one")
    parser.add_argument("--minutes", type=float, default=10.0, help="for all together (default 10)")
    parser.add_argument("--runs", type=int, default=0, help="of each target, instead of a time")
    parser.add_argument("--seed", type=int, default=1, help="of the fuzzer's chance")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    targets = options.target or list(TARGETS)
    outcomes = []
    for target in targets:
        print(f"... {target}", file=sys.stderr, flush=True)
        outcomes.append(fuzz(target, options, 60 * options.minutes / len(targets)))
        if not outcomes[-1].is_good:
            print(f"... {target}: {outcomes[-1].crash or outcomes[-1].replay}", file=sys.stderr)
    tell(outcomes)
    if options.json:
        options.json.write_text(json.dumps([attrs.asdict(each) for each in outcomes], indent=1))
    print(f"{sum(each.runs for each in outcomes):,} inputs; {WORK} has the slow and broken ones")
    return 0 if all(each.is_good for each in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
