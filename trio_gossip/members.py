"""What one process knows about another: frozen values, safe to keep and to share."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import attrs

from trio_gossip.addresses import Address

NAME_BYTES_MAX: Final = 255
"""Longest member name in UTF-8 bytes; one length byte in memberlist's own wire formats."""

META_BYTES_MAX: Final = 512
"""Most metadata a member may announce, as in memberlist: an alive message must fit a packet."""

EXCHANGE_MODES: Final = ("push-pull", "push", "pull")
"""What an exchange of tables moves; the wire has the place in this list."""

INCARNATION_MAX: Final = 2**62
"""No claim above this is believed. Counting once a second from 1970 reaches it never."""

INCARNATION_JUMP_MAX: Final = 2**32
"""An accusation this far above the last incarnation we know is implausible: incarnations
start at wall-clock seconds and grow by one for each refutation."""

ALIVE_JUMP_MAX: Final = 2**33
"""The same for an alive claim at second hand. Wider, so that a refutation of any accusation that
was believed is believed as well; what is above is asked of the member itself."""

OWN_JUMP_MAX: Final = 2**44
"""The same for what a member says at first hand, and for what it hears of itself and outbids."""

FIRST_INCARNATION_MAX: Final = 2**40
"""The same for a member that was not known before: seconds since 1970 have 31 bits."""


class MemberState(StrEnum):
    """The public life of a member. Compares equal to its plain text value."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    """Probes failed; it has some seconds to refute. Still counted as a member."""
    FAILED = "failed"
    """Others declared it dead."""
    LEFT = "left"
    """It said itself that it left."""

    @property
    def is_active(self) -> bool:
        """Alive or suspect: the members that probes, gossip and formulas count."""
        return self is MemberState.ALIVE or self is MemberState.SUSPECT


@attrs.frozen(slots=True, weakref_slot=False)
class Versions:
    """The six version bytes of memberlist: what a member can speak and what it does.

    ``protocol_*`` is this library's wire; ``user_*`` belongs to the application.
    """

    protocol_min: int = 1
    protocol_max: int = 1
    protocol: int = 1
    user_min: int = 0
    user_max: int = 0
    user: int = 0

    def pack(self) -> bytes:
        """The six values as six bytes, in declaration order."""
        return bytes(
            (
                self.protocol_min,
                self.protocol_max,
                self.protocol,
                self.user_min,
                self.user_max,
                self.user,
            )
        )


VERSIONS_DEFAULT: Final = Versions().pack()
"""The version bytes of a member that sets nothing; shared, so that it costs memory once."""


@attrs.frozen(slots=True, weakref_slot=False)
class Member:
    """A snapshot of one member, never changed after it was made.

    Attributes:
        name: unique in the cluster.
        address: where its transport listens.
        state: see :class:`MemberState`.
        incarnation: grows whenever the member speaks up for itself; only it may raise it.
        meta: at most 512 bytes chosen by the member.
        versions: six bytes, see :class:`Versions`.
    """

    name: str
    address: Address
    state: MemberState
    incarnation: int
    meta: bytes = b""
    versions: bytes = VERSIONS_DEFAULT

    @property
    def is_active(self) -> bool:
        """True while the member is alive or suspect."""
        return self.state is MemberState.ALIVE or self.state is MemberState.SUSPECT


@attrs.frozen(slots=True, weakref_slot=False)
class Candidate(Member):
    """What the ``admit`` hook of :class:`~trio_gossip.Config` is asked about.

    Attributes:
        authenticated_names: the names for which the transport vouches, if the member says this of
            itself on a stream on which it does: :class:`.TLSTransport` gives those of the
            certificate, and ``name`` is one of them. Empty for everything else: what others tell
            of a member, what comes in packets, and all that comes without certificates. Most
            members hear of most others first from somebody else, so to refuse what comes
            without names is to keep honest members out.
    """

    authenticated_names: tuple[str, ...] = ()


def name_fault(name: str) -> str | None:
    """Say in a few words why ``name`` cannot name a member; None when it can."""
    if not name:
        return "is empty"
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if size > NAME_BYTES_MAX:
        return f"is longer than {NAME_BYTES_MAX} bytes"
    if not name.isprintable():
        return "has a control or unprintable character"
    return None
