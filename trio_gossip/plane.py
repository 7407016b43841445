"""What repair needs of each kind of knowledge that all members are to have alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.codec.messages import Message

SUM_MASK: Final = 2**64 - 1
"""Digests and their differences are numbers modulo 2**64."""

MEMBERS: Final = 0
"""The code of the plane of members. That of a service's plane is its own, above 0."""

Ended: TypeAlias = Callable[[bool], None]
"""Takes what a comparison came to: True when anything was found that the two had otherwise. Called
once for each answer of the peer."""


class Plane(Protocol):
    """A kind of knowledge: the members, or the state that a service spreads.

    Its digest is a sum of keyed hashes, one for each record, so that the difference of two digests
    is the sum of the differences of the records. It must be the same for all members once all
    have heard of everything: what they may for good have otherwise (how long ago something was
    forgotten, what one of them refuses) has no place in it.

    Two planes of one member must use different keys, as their digests are added up.
    """

    @property
    def code(self) -> int:
        """Which plane this is, 0 to 255; members compare planes of one code."""
        ...

    @property
    def digest(self) -> int:
        """The sum, modulo 2**64. Costs nothing: asked for with every ping."""
        ...

    @property
    def changed_at(self) -> float:
        """Engine time of the last change of the digest."""
        ...

    def explain(self, difference: int) -> Sequence[Message]:
        """The records that make up ``difference``, our digest less that of a peer.

        Args:
            difference: modulo 2**64, not 0.

        Returns:
            Messages for the peer, few enough for one or two packets; none when the last changes
            do not explain it, perhaps because it is the peer that has the news.
        """
        ...

    def reconcile(self, peer: str, ended: Ended) -> None:
        """Find out what a peer has otherwise, and exchange it. May take as long as it likes.

        Args:
            peer: an active member.
            ended: called with what was found; never when packets of the comparison are lost.
        """
        ...


def total_of(planes: Sequence[Plane]) -> int:
    """What a ping says of all planes: the sum of their digests, modulo 2**64."""
    total = 0
    for plane in planes:  # asked for with every ping: a generator would cost more than the rest
        total += plane.digest
    return total & SUM_MASK
