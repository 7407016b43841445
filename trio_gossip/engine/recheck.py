"""The quiet time of a suspicion is over: did only we fail to reach the member?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.engine.attempt import Attempt, Outcome
from trio_gossip.events import Reason
from trio_gossip.failures import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.engine.attempts import Attempts
    from trio_gossip.engine.claims import Claims
    from trio_gossip.engine.graded import GradedSuspicion
    from trio_gossip.engine.node import Node

RECHECKS: Final = 3
"""Times that helpers are asked about a private suspect before it is let go."""


class Recheck:
    """Asks other helpers than before about a suspect that nobody was told of."""

    publish: Callable[[str, GradedSuspicion], None]
    """Tells the cluster of a suspicion that is confirmed."""

    def __init__(
        self,
        node: Node,
        claims: Claims,
        attempts: Attempts,
        find: Callable[[str], GradedSuspicion],
    ) -> None:
        self._node = node
        self._claims = claims
        self._attempts = attempts
        self._find = find
        self._running: dict[str, Attempt] = {}

    def begin(self, name: str, suspicion: GradedSuspicion) -> None:
        """Ask now; what comes of it is told, or the suspicion ends."""
        entry = self._node.table.get(name)
        assert entry is not None, "a suspicion outlived its row"
        attempt = self._attempts.begin(
            entry.member,
            suspicion.incarnation,
            self._ended,
            wide=True,
            besides=suspicion.found,
        )
        if attempt is None:
            self._unconfirmed(name, suspicion)
        else:
            self._running[name] = attempt

    def cancel(self, name: str) -> None:
        """The suspicion is over, or public already."""
        attempt = self._running.pop(name, None)
        if attempt is not None:
            self._attempts.cancel(attempt)

    def _ended(self, attempt: Attempt) -> None:
        name = attempt.target.name
        del self._running[name]
        suspicion = self._find(name)
        if attempt.outcome is Outcome.ANSWERED:
            self._claims.acquit(name, Reason.ANSWERED)
            return
        for accuser, evidence in attempt.findings.items():
            suspicion.testify(accuser, evidence)
        # Found although we are cut off: nobody has confirmed anything for too long. A refusal that
        # we alone have seen is no reason to wait less for that.
        guard = self._node.guard
        alone = not attempt.has_helpers or (guard.isolated and self._node.now >= guard.trusted_at)
        found = attempt.outcome is Outcome.FOUND
        if found and (alone or attempt.is_confirmed or suspicion.evidence is Evidence.REFUSED):
            self.publish(name, suspicion)
        else:
            self._unconfirmed(name, suspicion)

    def _unconfirmed(self, name: str, suspicion: GradedSuspicion) -> None:
        """Nobody else failed to reach it: perhaps it is us. Try again a little later, or let go."""
        node = self._node
        suspicion.rechecks += 1
        if suspicion.rechecks < RECHECKS:
            node.timers.set(("suspicion", name), node.now + 2 * node.config.reprobe)
        else:
            self._claims.acquit(name, Reason.UNCONFIRMED)
