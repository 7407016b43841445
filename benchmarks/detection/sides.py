"""Who is measured: this library with one profile, or hashicorp/memberlist in Go."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

GO = "go"
"""The name of memberlist's own program on the command line and in tables."""

MEMBER = Path(__file__).resolve().parent.parent / "peers" / "member.py"


@attrs.frozen
class Side:
    """One kind of member.

    Attributes:
        name: as tables have it.
        program: what every command begins with.
        profile: its settings.
    """

    name: str
    program: tuple[str, ...]
    profile: str

    def command(
        self, name: str, host: str, port: int, seeds: Sequence[str], meta: str
    ) -> list[str]:
        """What starts one member. Both programs take the same options."""
        options = ["--name", name, "--host", host, "--port", str(port), "--meta", meta]
        return [*self.program, *options, "--profile", self.profile, "--join", ",".join(seeds)]


def ours(profile: str) -> Side:
    """This library."""
    return Side(profile, (sys.executable, str(MEMBER)), profile)


def memberlist(program: Path) -> Side:
    """memberlist's own, at its LAN settings."""
    return Side(GO, (str(program),), "lan")
