"""All targets by name: ``bytes -> None`` each, for hypothesis, for atheris and for plain replay.

A target takes any bytes. What the parser may raise is caught in it; whatever else escapes is a
finding. Each input does the same every time, so that a finding can be replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.fuzz.control import CONTROL
from tests.fuzz.keys import KEY_CHANGES
from tests.fuzz.plain import PLAIN
from tests.fuzz.sealed import SEALED
from tests.fuzz.sealed_streams import SEALED_STREAMS

CORPUS = Path(__file__).resolve().parent / "corpus"
"""Small inputs that are committed: a folder for each target."""

INPUT_BYTES_MAX = 2048
"""Longest input that the fuzzer makes. The longest packets have a benchmark, ``bench_hostile``."""

TARGETS: dict[str, Callable[[bytes], None]] = (
    PLAIN | SEALED | SEALED_STREAMS | CONTROL | KEY_CHANGES
)
"""Targets by name."""


def corpus_of(target: str) -> list[Path]:
    """The committed inputs of a target, in a fixed order."""
    return sorted((CORPUS / target).glob("*"))
