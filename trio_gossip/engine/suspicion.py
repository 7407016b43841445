"""How long one suspect has to refute (Lifeguard's LHA-Suspicion)."""

from __future__ import annotations

import math

import attrs

from trio_gossip.codec.messages import Suspect
from trio_gossip.engine.judging import Case, Grounds


@attrs.define(slots=True, weakref_slot=False)
class Suspicion(Case):
    """One suspicion of one incarnation.

    The deadline is *computed* from what is known, so there is no timer to be re-armed wrongly:
    it falls with the logarithm of the number of independent accusers.

    Attributes:
        incarnation: the incarnation that is suspected.
        started: engine time of the first accusation.
        minimum, maximum: seconds with ``wanted`` confirmations and with none.
        wanted: confirmations after which nothing more is gained (K).
        accusers: who accused, first accuser first, who does not count as a confirmation.
        tried: the ways in which this node itself tried to reach the suspect.
    """

    incarnation: int
    started: float
    minimum: float
    maximum: float
    wanted: int
    accusers: list[str]
    tried: tuple[str, ...] = ()

    @property
    def confirmations(self) -> int:
        """Independent accusers beside the first."""
        return len(self.accusers) - 1

    def confirm(self, accuser: str) -> bool:
        """Count an accuser; False when that is no news: known already, or enough of them."""
        if self.confirmations >= self.wanted or accuser in self.accusers:
            return False
        self.accusers.append(accuser)
        return True

    @property
    def timeout(self) -> float:
        """Seconds from the start to the verdict, cut to milliseconds as memberlist does."""
        if self.wanted < 1:
            return self.minimum
        share = math.log(self.confirmations + 1) / math.log(self.wanted + 1)
        raw = self.maximum - (self.maximum - self.minimum) * share
        return max(self.minimum, math.floor(1000 * raw) / 1000)

    @property
    def deadline(self) -> float:
        """Engine time at which the suspect is declared failed."""
        return self.started + self.timeout

    def told(self, name: str, now: float) -> Suspect:
        """The first accusation, as it came."""
        del now
        return Suspect(self.incarnation, name, self.accusers[0])

    def grounds(self, now: float) -> Grounds:
        """What an event says of it."""
        del now
        return Grounds(tuple(self.accusers), self.tried)
