"""What an engine and an import take: bytes for each member, seconds for each import."""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc

import harness
from engine_world import Bench
from harness import Measure

_IMPORT = """
import sys, time
sys.path[:0] = {path!r}
before = time.perf_counter()
{statement}
print(time.perf_counter() - before)
"""

_START = {"from trio_gossip import open_cluster": "Go: exec to ready 0.006-0.011"}


def memory(*, quick: bool) -> list[Measure]:
    """Bytes of Python objects for each member, by tracemalloc."""
    resting, telling, caches = [], [], []
    for members in (1000, 2000) if quick else (1000, 2000, 5000):
        _clear_caches()
        gc.collect()
        tracemalloc.start()
        bench = Bench()
        before = _traced()
        bench.learn(range(1, members + 1))
        full = _traced()
        _settle_fast(bench)
        rest = _traced()
        _clear_caches()
        bare = _traced()
        tracemalloc.stop()
        assert bench.engine.statistics().active == members + 1
        resting.append((bare - before) / members)
        caches.append((rest - bare) / members)
        telling.append((full - rest) / members)
    sizes = "at 1,000 and 2,000" if quick else "at 1,000, 2,000 and 5,000"
    return [
        Measure(f"at rest, no metadata, {sizes} members", "B", resting, 600.0),
        Measure("address caches of the codec (4,096 entries at most)", "B", caches),
        Measure("more while the news of it is queued", "B", telling),
    ]


def _settle_fast(bench: Bench) -> None:
    """Empty the queue by gossip, with tracemalloc's cost for each allocation in mind."""
    bench.settle()
    for _ in range(3):  # rounds of the probe, so that nothing of the gossip is left
        bench.answer(bench.step())


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _clear_caches() -> None:
    """Empty the bounded caches of the codec, which all engines of a process share."""
    for name, module in list(sys.modules.items()):
        if name.startswith("trio_gossip"):
            for value in vars(module).values():
                if callable(clear := getattr(value, "cache_clear", None)):
                    clear()


def imports(rounds: int) -> list[Measure]:
    """Seconds that imports take in a fresh interpreter, byte code compiled before."""
    statements = {
        "import trio_gossip": 0.35,
        "from trio_gossip import open_cluster": 0.35,
        "import trio": None,
    }
    measures = []
    for statement, aim in statements.items():
        _import(statement)
        samples = [_import(statement) for _ in range(rounds)]
        measures.append(Measure(statement, "s", samples, aim, memberlist=_START.get(statement, "")))
    return measures


def _import(statement: str) -> float:
    path = [str(harness.ROOT), str(harness.ROOT / "transports")]
    code = _IMPORT.format(path=path, statement=statement)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)
