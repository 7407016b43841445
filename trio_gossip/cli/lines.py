"""Bytes in any pieces to whole lines, with a bound on what is kept."""

from __future__ import annotations

from typing import Final

LINE_BYTES_MAX: Final = 65_536
"""Longest line of standard input that is kept: no packet of UDP could carry more."""


class LineSplitter:
    """Collects bytes until a line is whole. Keeps at most ``limit`` bytes plus one piece.

    A line that is longer is thrown away up to its end, and comes out as ``None``.
    """

    def __init__(self, limit: int = LINE_BYTES_MAX) -> None:
        self._limit = limit
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes | None]:
        """Take a piece; returns the lines that it completed, without their line ends."""
        *whole, rest = data.split(b"\n")
        lines = [self._end(piece) for piece in whole]
        self._rest += rest
        if len(self._rest) > self._limit:
            self._rest = b""
            self._skipping = True
        return lines

    def flush(self) -> list[bytes | None]:
        """The end has come: returns the last line if it had no line end."""
        return [self._end(b"")] if self._rest or self._skipping else []

    def _end(self, piece: bytes) -> bytes | None:
        line = (self._rest + piece).removesuffix(b"\r")
        skipped = self._skipping or len(line) > self._limit
        self._rest = b""
        self._skipping = False
        return None if skipped else line
