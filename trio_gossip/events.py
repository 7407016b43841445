"""What happened in the cluster, as frozen values that can be kept, compared and matched."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import attrs

from trio_gossip.addresses import Address
from trio_gossip.failures import Evidence
from trio_gossip.members import Member


class Reason(StrEnum):
    """Why a member's state changed in this process's view."""

    STARTED = "started"
    """This process itself began."""
    ANNOUNCED = "announced"
    """The member's own alive message reached us, directly or by gossip."""
    SYNCED = "synced"
    """A push/pull exchange told of it."""
    PROBE_FAILED = "probe_failed"
    """This process probed it and got no answer on any path."""
    ANSWERED = "answered"
    """It answered this process, which had told nobody of its suspicion."""
    UNCONFIRMED = "unconfirmed"
    """No other member found it silent, and this process had told nobody of its suspicion."""
    ACCUSED = "accused"
    """Another member accused it."""
    SUSPICION_EXPIRED = "suspicion_expired"
    """It did not refute in time."""
    REPORTED = "reported"
    """Another member declared it failed."""
    REFUTED = "refuted"
    """It answered an accusation with a higher incarnation."""
    TAKEOVER = "takeover"
    """The same name came back at another address and the old one no longer answers."""
    GOODBYE = "goodbye"
    """It said that it leaves."""
    REAPED = "reaped"
    """It had been failed or left for the reap time."""


class Delivery(StrEnum):
    """How a message travelled."""

    BROADCAST = "broadcast"
    DATAGRAM = "datagram"
    STREAM = "stream"


@attrs.frozen
class _MemberChange:
    """What every change of a member carries.

    Attributes:
        member: the member after the change.
        version: the table's version; each change has the next number, without gaps.
        reason: why this process believes it.
        accusers: names of those who accused it, first accuser first.
        tried: the ways in which *this* process tried to reach it before: any of
            ``"direct"``, ``"relayed"``, ``"stream"``; empty when the news came from others.
        health_score: this process's own health at the time, 0 is healthy (Lifeguard).
        evidence: what its silence looks like, where it is suspected or failed: the class by which
            the time to refute is measured; None in other changes and with
            ``detector="memberlist"``.
        testimony: what each accuser found, first accuser first.
        steps: what led here, and how many seconds ago each step was: any of ``"probed"``,
            ``"suspected"``, ``"told"`` (to the cluster, by whomever), ``"final_ping"``.
    """

    member: Member
    version: int = 0
    reason: Reason = Reason.ANNOUNCED
    accusers: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    health_score: int = 0
    evidence: Evidence | None = attrs.field(default=None, kw_only=True)
    testimony: tuple[tuple[str, Evidence], ...] = attrs.field(default=(), kw_only=True)
    steps: tuple[tuple[str, float], ...] = attrs.field(default=(), kw_only=True)


@attrs.frozen
class MemberJoined(_MemberChange):
    """A member became alive that was unknown, failed or left before."""


@attrs.frozen
class MemberUpdated(_MemberChange):
    """A live member changed its meta, address or versions; ``previous`` is what it was."""

    previous: Member | None = None


@attrs.frozen
class MemberSuspected(_MemberChange):
    """Probes of a member failed. It is still a member and may refute."""


@attrs.frozen
class MemberRecovered(_MemberChange):
    """A suspected member refuted."""


@attrs.frozen
class MemberFailed(_MemberChange):
    """A member was declared failed."""


@attrs.frozen
class MemberLeft(_MemberChange):
    """A member left, and said so itself."""


@attrs.frozen
class MemberReaped(_MemberChange):
    """A failed or left member was removed from the table."""


@attrs.frozen
class NameConflict:
    """Two live processes claim one name. Both see this event, and so does who found out.

    Attributes:
        existing: the member that holds the name in this process's table.
        other: the address of the other claimant.
    """

    existing: Member
    other: Address


@attrs.frozen
class ContactLost:
    """Nobody answers this process, neither members nor helpers: it takes itself for cut off.

    It goes on asking, and accuses nobody before others meanwhile. To it, members stay what they
    were: who counts a majority must not count while :attr:`.Cluster.is_isolated`.
    """


@attrs.frozen
class ContactRegained:
    """Somebody answered again."""


@attrs.frozen
class MessageReceived:
    """A message of the application arrived.

    Attributes:
        sender: name of the member that sent it first.
        payload: its bytes.
        delivery: how it came.
    """

    sender: str
    payload: bytes
    delivery: Delivery = Delivery.BROADCAST


@attrs.frozen
class Lagged:
    """This subscriber was too slow: ``missed`` events were dropped for it, here.

    Read :meth:`Cluster.members` again; nobody else lost anything.
    """

    missed: int


MemberEvent: TypeAlias = (
    MemberJoined
    | MemberUpdated
    | MemberSuspected
    | MemberRecovered
    | MemberFailed
    | MemberLeft
    | MemberReaped
)
"""A change of the member table."""

Event: TypeAlias = (
    MemberEvent | NameConflict | ContactLost | ContactRegained | MessageReceived | Lagged
)
"""Everything that a subscription yields."""


@attrs.frozen
class JoinResult:
    """What became of one seed.

    Attributes:
        seed: as the caller wrote it.
        address: the address that answered; None when none did.
        members: how many members the peer told of.
        error: why it failed; None when it worked.
    """

    seed: str
    address: Address | None = None
    members: int = 0
    error: Exception | None = None

    @property
    def joined(self) -> bool:
        """True when this seed answered and let us in."""
        return self.error is None
