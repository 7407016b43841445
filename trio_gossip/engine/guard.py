"""When this member should not trust its own judgement of others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.config import Config

STALL_SECONDS: Final = 0.2
"""A stall of this process beyond so many seconds holds back its verdicts for a while."""

HOLD_MIN: Final = 0.3
"""Least seconds for which they are held back."""


def _ignored(_: bool) -> None:
    """Until somebody wants to know."""


class Guard:
    """Two signs that the fault is ours: this process stood still, or nobody at all answers.

    Attributes:
        hold: engine time before which nobody is declared failed.
        isolated_since: when the rounds without any answer began that are going on.
    """

    __slots__ = (
        "_hold_max",
        "_limit",
        "_patience",
        "_silent_rounds",
        "changed",
        "hold",
        "isolated_since",
    )

    def __init__(self, config: Config) -> None:
        self._limit = config.isolate_after
        self._hold_max = config.stall_hold
        self._patience = config.max_factor * config.floor_silent
        self._silent_rounds = 0
        self.hold = -math.inf
        self.changed: Callable[[bool], None] = _ignored
        """Told when this member begins or ceases to take itself for cut off."""
        self.isolated_since = math.inf

    def stalled(self, seconds: float, now: float) -> None:
        """This process just stood still for ``seconds``."""
        if seconds > STALL_SECONDS:
            wait = min(max(seconds, HOLD_MIN), self._hold_max)
            self.hold = max(self.hold, now + wait)

    def silent(self, now: float) -> None:
        """A round ended in which neither the target nor any helper was heard of."""
        if not self._silent_rounds:
            self.isolated_since = now
        self._silent_rounds += 1
        if self._silent_rounds == self._limit:
            self.changed(True)

    def heard(self) -> None:
        """Somebody answered a question: there is a way out and back."""
        was_isolated = self.isolated
        self._silent_rounds = 0
        self.isolated_since = math.inf
        if was_isolated:
            self.changed(False)

    @property
    def trusted_at(self) -> float:
        """Engine time from which our own findings count although nobody confirms them: it may be
        that all the others are gone. In the past while we are not isolated.
        """
        return self.isolated_since + self._patience if self.isolated else -math.inf

    @property
    def isolated(self) -> bool:
        """True when so many rounds in a row were silent that we take ourselves for cut off."""
        return self._silent_rounds >= self._limit
