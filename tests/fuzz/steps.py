"""How the bytes of a fuzzer become steps: small enough a grammar that every mutation is one.

An input is ``step, step, ...`` and a step ``op 1 | length 2, big-endian | chunk``. A length beyond
the end means all that is left, so that no input is ever malformed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

STEPS_MAX = 48
"""Steps of one input that are taken; the rest is ignored, so that no input is long by design."""


def read_steps(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The steps of an input: a number from 0 to 255, and its bytes."""
    at = 0
    for _ in range(STEPS_MAX):
        if at >= len(data):
            return
        size = int.from_bytes(data[at + 1 : at + 3], "big")
        yield data[at], data[at + 3 : at + 3 + size]
        at += 3 + size


def step(op: int, chunk: bytes = b"") -> bytes:
    """One step, for inputs that are written by hand."""
    return bytes((op,)) + len(chunk).to_bytes(2, "big") + chunk


class Entropy:
    """Bytes that look random and are the same in each run: an input must always do the same."""

    def __init__(self, mark: int) -> None:
        self._mark = mark
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return (self._mark << 24 | self._count).to_bytes(8, "big").rjust(size, b"\xee")[-size:]


class Meter:
    """The longest single call of a parser: an input is many packets, and each has its own limit."""

    def __init__(self) -> None:
        self.longest_ns = 0

    def __call__(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        began = time.process_time_ns()
        try:
            return call(*args, **kwargs)
        finally:
            self.longest_ns = max(self.longest_ns, time.process_time_ns() - began)

    def read(self) -> int:
        """Nanoseconds of CPU time since the last reading."""
        longest, self.longest_ns = self.longest_ns, 0
        return longest


timed = Meter()
"""All targets call what they test through this one."""
