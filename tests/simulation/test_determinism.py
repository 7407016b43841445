"""Same config, seed and inputs give the same outputs, byte for byte."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

from tests.simulation.world import Links, World


def digest(seed: int) -> str:
    """The trace of a small run as one hash: every packet and event in order."""
    world = World(seed, Links(loss=0.05, tail=0.1, duplicate=0.05))
    trace = hashlib.sha256()
    perform = world._perform

    def note(process, output) -> None:
        trace.update(f"{world.now!r} {process.name} {output!r}\n".encode())
        perform(process, output)

    world._perform = note  # type: ignore[method-assign]  # a tap
    names = [f"n{number}" for number in range(7)]
    for name in names:
        world.start(name)
        world.join(name, names[0])
    world.run(5.0)
    world.do("n2", lambda engine, now: engine.broadcast(b"x", key=b"k", now=now))
    world.crash("n3")
    world.run(10.0)
    world.leave("n4")
    world.run(5.0)
    return trace.hexdigest()


def test_a_seed_replays_byte_for_byte_under_two_hash_seeds_in_two_processes() -> None:
    found = set()
    for hash_seed in ("1", "2"):
        code = "from tests.simulation.test_determinism import digest; print(digest(5))"
        environment = {
            **os.environ,
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": os.pathsep.join([".", "transports"]),
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(done.stdout)
    assert found == {digest(5) + "\n"}


def test_different_seeds_differ() -> None:
    assert digest(5) != digest(6)
