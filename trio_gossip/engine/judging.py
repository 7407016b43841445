"""What the rules of membership ask of a failure detector: how long a suspect has, and who knows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from trio_gossip.codec.messages import Record, Suspect
    from trio_gossip.engine.membership import Entry
    from trio_gossip.engine.origin import Origin
    from trio_gossip.failures import Evidence
    from trio_gossip.members import Member


@attrs.frozen(slots=True)
class Grounds:
    """Why a member is suspected or failed; the attributes are those of events."""

    accusers: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    evidence: Evidence | None = None
    testimony: tuple[tuple[str, Evidence], ...] = ()
    steps: tuple[tuple[str, float], ...] = ()


class Case(ABC):
    """One suspicion of one incarnation, by whatever rules.

    Attributes:
        incarnation: the incarnation that is suspected.
        private: whether nobody else was told yet.
    """

    __slots__ = ()

    incarnation: int
    private: bool = False

    @abstractmethod
    def told(self, name: str, now: float) -> Suspect:
        """The accusation as others are to hear it."""

    @abstractmethod
    def grounds(self, now: float) -> Grounds:
        """What an event says of it."""


class Judge(ABC):
    """Suspicions begin, are confirmed and end here; the table is the business of ``Claims``."""

    @abstractmethod
    def admitted(self, claim: Suspect, origin: Origin) -> Suspect | None:
        """An accusation without those accusers who cannot be believed; None if nobody is left."""

    @abstractmethod
    def open(self, claim: Suspect, entry: Entry, tried: tuple[str, ...]) -> Case:
        """Begin a suspicion and set its timer."""

    @abstractmethod
    def confirm(self, claim: Suspect, entry: Entry, tried: tuple[str, ...]) -> None:
        """Another accusation of the same incarnation."""

    @abstractmethod
    def expired(self, name: str) -> None:
        """Timer: the time of a suspect is over, or a step of it is."""

    @abstractmethod
    def dropped(self, name: str, suspicion: Case) -> None:
        """A suspicion has ended, in whatever way."""

    @abstractmethod
    def hearsay(self, record: Record, entry: Entry | None, origin: Origin) -> bool:
        """A peer's table has a member suspect or failed; False to have it weighed as an
        accusation by us.
        """

    def to_be_told(self, claim: Suspect) -> tuple[str, ...]:
        """Who should hear our refutation of an accusation directly."""
        del claim
        return ()

    def shown(self, member: Member) -> Member:
        """A member as others are to hear of it."""
        return member
