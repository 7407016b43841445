"""One probe of one member: what was asked and what came back. No timers, no packets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trio_gossip.addresses import Address

if TYPE_CHECKING:
    from trio_gossip.members import Member


@attrs.define
class Probe:
    """A round in progress.

    Attributes:
        target: the member as it was when the round began; an accusation names that incarnation.
        sequence: answers carry it.
        began, ends: engine times.
        stream: the exchange of the stream ping, once it was tried.
        is_late: whether the time for a direct answer is over.
    """

    target: Member
    sequence: int
    began: float
    ends: float
    stream: int | None = None
    is_late: bool = False
    _helpers: dict[Address, bool] = attrs.field(factory=dict[Address, bool], init=False)

    def asked(self, helper: Address) -> None:
        """A helper was asked."""
        self._helpers[helper] = False

    def nacked(self, helper: Address) -> bool:
        """Note a nack; False when it is from nobody who was asked, or comes twice."""
        if self._helpers.get(helper, True):
            return False
        self._helpers[helper] = True
        return True

    def health_delta(self) -> int:
        """What a failed round says of our own health: each helper that stayed silent is a
        sign that it is us who cannot hear. Without helpers, the failure itself is one.
        """
        if not self._helpers:
            return 1
        return sum(not nacked for nacked in self._helpers.values())

    def tried(self) -> tuple[str, ...]:
        """The ways in which the target was tried."""
        relayed = ("relayed",) if self._helpers else ()
        stream = ("stream",) if self.stream is not None else ()
        return ("direct", *relayed, *stream)
