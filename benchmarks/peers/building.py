"""Builds the member that runs hashicorp/memberlist, where Go and the package are there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "memberlist"
GOPATH = Path("/usr/share/gocode")
"""Where Debian puts the sources of Go packages; there is no module for them."""

PACKAGE = "src/github.com/hashicorp/memberlist"
BUILD_SECONDS = 300.0


class NoPeerError(Exception):
    """Its text says in one line why there is no memberlist here."""


def build_memberlist(folder: Path) -> Path:
    """Build the program into ``folder``, which is not part of the repository.

    Raises:
        NoPeerError: Go or the package is missing, or it does not build.
    """
    go = shutil.which("go")
    if go is None:
        raise NoPeerError("memberlist is skipped: there is no Go (Debian: golang-go)")
    if not (GOPATH / PACKAGE).is_dir():
        raise NoPeerError(
            "memberlist is skipped: its sources are missing"
            " (Debian: golang-github-hashicorp-memberlist-dev)"
        )
    program = folder / "memberlist-peer"
    environment = os.environ | {
        "GO111MODULE": "off",
        "GOPATH": str(GOPATH),
        "GOFLAGS": "",
    }
    done = subprocess.run(
        [go, "build", "-o", str(program), "."],
        cwd=SOURCE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    if done.returncode:
        first = (done.stderr.strip() or "no word why").splitlines()[-1]
        raise NoPeerError(f"memberlist is skipped: it does not build: {first}")
    return program
