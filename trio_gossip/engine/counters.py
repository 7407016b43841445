"""Plain integers by name: what was dropped, refused or done, so that nothing is lost silently."""

from __future__ import annotations


class Counters(dict[str, int]):
    """Counts by reason. The names come from this package's code, never from the network."""

    def bump(self, name: str, by: int = 1) -> None:
        """Add to a counter; it exists from its first count."""
        self[name] = self.get(name, 0) + by
